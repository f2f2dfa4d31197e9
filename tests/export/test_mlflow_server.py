"""`alfred export --to mlflow` against a real MLflow server on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from alfred.export import mlflow as target
from alfred.utils.recorder import Recorder

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
LIMIT = 110  # seconds in which it has to answer, on a busy machine


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URI of a server with a new database, which is gone afterwards."""
    folder = tmp_path_factory.mktemp("mlflow_server")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{found.getsockname()[1]}"
    words = ["server", "--host=127.0.0.1", f"--port={uri.rpartition(':')[2]}", "--workers=1"]
    places = [f"--backend-store-uri=sqlite:///{folder}/server.db", f"--artifacts-destination={folder}/files"]
    with open(folder / "said.txt", "wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, *places],
            cwd=folder,
            env=os.environ | QUIET,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(f"{uri}/health", process, folder / "said.txt")
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


@pytest.mark.server
@pytest.mark.timeout(LIMIT + 120)
@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_a_server_gets_every_run_that_has_ended_once(server, order, root):
    from mlflow.tracking import MlflowClient

    name = "Ju1_ppo_hill_grid_first"
    assert target.export(order(server)).runs == 3
    client = MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name(name)
    runs = {run.data.tags["alfred.run"]: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {f"{name}/experiment1/seed1", f"{name}/experiment1/seed2"}
    run = runs[f"{name}/experiment1/seed1"]
    assert run.data.tags["alfred.state"] == "completed"
    path = root / name / "experiment1" / "seed1" / "recorders" / "train_recorder.pkl"
    tape = Recorder.init_from_pickle_file(path).tape
    read = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "loss")}
    assert read == dict(zip(tape["episode"], map(float, tape["loss"]), strict=True))
    assert target.export(order(server)).runs == 0
