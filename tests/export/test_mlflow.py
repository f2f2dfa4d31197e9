"""What MLflow's own client finds in a local database is what was recorded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alfred.export import mlflow as target
from alfred.utils.recorder import Recorder

LARGEST = np.finfo(np.float64).max


@pytest.fixture
def exported(order, tmp_path, monkeypatch):
    """(the client, what the first export said, a function that exports again)."""
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    first = target.export(order(uri))
    return MlflowClient(tracking_uri=uri), first, lambda: target.export(order(uri))


def runs_of(client, name):
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.tags["alfred.run"].removeprefix(f"{name}/"): run for run in runs}


@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_runs_are_read_back_bit_for_bit_and_a_second_export_adds_none(exported, root):
    client, first, again = exported
    name = "Ju1_ppo_hill_grid_first"
    runs = runs_of(client, name)
    assert first.runs == 3
    assert set(runs) == {"experiment1/seed1", "experiment1/seed2"}, "the one that waits is left out"
    assert "1 runs have not ended and were left out" in first.notes
    assert "MLflow's databases hold the largest float instead of infinity" in first.notes
    states = {place: (run.info.status, run.data.tags["alfred.state"]) for place, run in runs.items()}
    assert states["experiment1/seed1"] == ("FINISHED", "completed")
    assert states["experiment1/seed2"] == ("FAILED", "crashed")
    run = runs["experiment1/seed1"]
    assert run.data.params["lr"] == "0.1"
    assert run.data.params["layers"] == "[64, 1]"
    tape = Recorder.init_from_pickle_file(
        root / name / "experiment1" / "seed1" / "recorders" / "train_recorder.pkl"
    ).tape
    for metric in ("eval_return", "loss", "odd", "episode"):
        read = {m.step: m.value for m in client.get_metric_history(run.info.run_id, metric)}
        pairs = zip(tape["episode"], tape[metric], strict=True)
        wanted = {step: stored(float(value)) for step, value in pairs if value is not None}
        assert read.keys() == wanted.keys()
        assert {s: bits(v) for s, v in read.items()} == {s: bits(v) for s, v in wanted.items()}, metric
    second = again()
    assert second.runs == 0
    assert "3 runs were there already" in second.notes
    assert runs_of(client, name).keys() == runs.keys()


def stored(value):
    """MLflow's database holds the largest float instead of infinity, and 0.0 instead of -0.0."""
    return math.copysign(LARGEST, value) if math.isinf(value) else value or 0.0


def bits(value):
    return "nan" if math.isnan(value) else np.float64(value).tobytes()
