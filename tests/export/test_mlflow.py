"""What MLflow's own client finds, in a local file and at a real server on loopback, is what was recorded."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

from alfred.errors import PublishError
from alfred.export import mlflow as target
from alfred.utils.recorder import Recorder

LIMIT = 200  # seconds in which the server has to answer, on a busy machine
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(LIMIT + 120),
]  # the warnings are mlflow's
NAME = "Ju1_ppo_hill_grid_first"
LARGEST = np.finfo(np.float64).max
ODD_NAMES = (
    "loss/train",
    "/lead",
    "a//b",
    "..",
    "../up",
    ".",
    "end/",
    "",
    "in %",
    "in $",
    "x" * 260,
    "x" * 261,
)
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """MLflow tells nobody of these tests, in this process as in its server."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """A file with MLflow's tables, which it takes seconds to lay."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with contextlib.chdir(path.parent):  # MLflow makes a folder where it is called
        MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(empty_database, tmp_path, monkeypatch):
    """The URI of a file of its own."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def server(empty_database, tmp_path):
    """The URI of a server with a file of its own, which is gone afterwards."""
    shutil.copyfile(empty_database, tmp_path / "server.db")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{found.getsockname()[1]}"
    words = ["server", "--host=127.0.0.1", f"--port={uri.rpartition(':')[2]}", "--workers=1"]
    places = [
        f"--backend-store-uri=sqlite:///{tmp_path}/server.db",
        f"--artifacts-destination={tmp_path}/files",
    ]
    with open(tmp_path / "said.txt", "wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, *places],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(f"{uri}/health", process, tmp_path / "said.txt")
        yield uri
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(address, process, said):
    deadline = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the server does not answer: {said.read_text()[-2000:]}")


def runs_of(client):
    experiment = client.get_experiment_by_name(NAME)
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.tags["alfred.run"].removeprefix(f"{NAME}/"): run for run in runs}


def tape_of(root):
    path = root / NAME / "experiment1" / "seed1" / "recorders" / "train_recorder.pkl"
    return Recorder.init_from_pickle_file(path).tape


def stored(value):
    """MLflow's database holds the largest float instead of infinity, and 0.0 instead of -0.0."""
    return math.copysign(LARGEST, value) if math.isinf(value) else value or 0.0


def bits(value):
    return "nan" if math.isnan(value) else np.float64(value).tobytes()


def check_what_is_there(client, root, metrics):
    """Each run that has ended is there, and one's metrics are those of its recorder, bit for bit."""
    runs = runs_of(client)
    states = {place: (run.info.status, run.data.tags["alfred.state"]) for place, run in runs.items()}
    assert states == {
        "experiment1/seed1": ("FINISHED", "completed"),
        "experiment1/seed2": ("FAILED", "crashed"),
    }
    run, tape = runs["experiment1/seed1"], tape_of(root)
    assert run.data.params["lr"] == "0.1"
    assert run.data.params["layers"] == "[64, 1]"
    for metric in metrics:
        read = {m.step: m.value for m in client.get_metric_history(run.info.run_id, metric)}
        pairs = zip(tape["episode"], tape[metric], strict=True)
        wanted = {step: stored(float(value)) for step, value in pairs if value is not None}
        assert {s: bits(v) for s, v in read.items()} == {s: bits(v) for s, v in wanted.items()}, metric


def test_runs_are_read_back_from_a_file_bit_for_bit_and_a_second_export_adds_none(order, root, database):
    from mlflow.tracking import MlflowClient

    first = target.export(order(database))
    assert first.runs == 3
    assert "1 runs have not ended and were left out" in first.notes
    assert "MLflow's databases hold the largest float instead of infinity" in first.notes
    client = MlflowClient(tracking_uri=database)
    check_what_is_there(client, root, ("eval_return", "loss", "odd", "episode"))
    there = {run.info.run_id for run in runs_of(client).values()}
    second = target.export(order(database))
    assert (second.runs, second.rows) == (0, 0)
    assert "3 runs were there already" in second.notes
    assert {run.info.run_id for run in runs_of(client).values()} == there
    check_what_is_logged_again(order, root, database, client)


def check_what_is_logged_again(order, root, database, client):
    """What an export that was killed has left a part of, which goes, and a run that was run anew since."""
    runs = runs_of(client)
    client.delete_tag(runs["experiment1/seed1"].info.run_id, "alfred.whole")
    (root / NAME / "experiment1" / "seed2" / ".alfred" / "attempts.json").write_text('{"attempt": 3}')
    assert target.export(order(database)).runs == 2
    experiment = client.get_experiment_by_name(NAME).experiment_id
    now = [(run.info.run_name, run.data.tags["alfred.attempt"]) for run in client.search_runs([experiment])]
    assert sorted(now) == [
        ("experiment1/seed1", "2"),
        ("experiment1/seed2", "2"),
        ("experiment1/seed2", "3"),
    ]
    assert runs_of(client)["experiment1/seed1"].info.run_id != runs["experiment1/seed1"].info.run_id


def test_names_that_mlflow_refuses_or_would_make_one_of_two_arrive_each_under_its_own(order, root, database):
    from mlflow.tracking import MlflowClient

    recorder = Recorder(ODD_NAMES)
    recorder.write_to_tape({name: value for value, name in enumerate(ODD_NAMES)})
    recorder.save(root / NAME / "experiment1" / "seed1" / "recorders" / "train_recorder.pkl")
    assert target.export(order(database)).runs == 3
    run = runs_of(MlflowClient(tracking_uri=database))["experiment1/seed1"]
    metrics = {name: value for name, value in run.data.metrics.items() if name != "alfred.score"}
    assert sorted(metrics.values()) == list(range(len(ODD_NAMES))), metrics
    assert metrics["loss/train"] == 0, "a name that MLflow takes is kept"


@pytest.mark.server
def test_a_server_gets_every_run_that_has_ended_once(order, root, server):
    from mlflow.tracking import MlflowClient

    assert target.export(order(server)).runs == 3
    check_what_is_there(MlflowClient(tracking_uri=server), root, ("loss", "episode"))
    assert target.export(order(server)).runs == 0


def test_a_server_that_is_not_there_is_told_in_one_line(order):
    with pytest.raises(PublishError, match="can't be written to after 0 runs") as told:
        target.export(order("http://127.0.0.1:9"))
    assert "\n" not in str(told.value)


def test_mlflow_is_told_to_report_to_nobody_unless_the_user_has_said_something(order, database, monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    monkeypatch.setenv("DO_NOT_TRACK", "false")
    target.export(order(database))
    assert (os.environ["MLFLOW_DISABLE_TELEMETRY"], os.environ["DO_NOT_TRACK"]) == ("true", "false")
