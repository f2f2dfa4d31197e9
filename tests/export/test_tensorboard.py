"""What TensorBoard's own reader finds in the logs is what was recorded, bit for bit."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util import tensor_util

from alfred.errors import UsageError
from alfred.export import tensorboard
from alfred.utils.recorder import Recorder


def test_every_number_is_read_back_at_its_step(order, root, tmp_path, caplog):
    outcome = tensorboard.export(order(tmp_path / "logs"))
    assert outcome.runs == 3
    assert caplog.messages == [], "an infinite hyper-parameter is no news"
    place = "Ju1_ppo_hill_grid_first/experiment1/seed1"
    events = EventAccumulator(str(tmp_path / "logs" / place), size_guidance={"tensors": 0})
    events.Reload()
    tape = Recorder.init_from_pickle_file(root / place / "recorders" / "train_recorder.pkl").tape
    for metric in ("eval_return", "loss", "odd", "episode"):
        read = [(e.step, tensor_util.make_ndarray(e.tensor_proto).item()) for e in events.Tensors(metric)]
        pairs = zip(tape["episode"], tape[metric], strict=True)
        wanted = [(step, value) for step, value in pairs if value is not None]
        assert [step for step, _ in read] == [step for step, _ in wanted]
        assert [np.float64(v).tobytes() for _, v in read] == [np.float64(v).tobytes() for _, v in wanted]
    assert "actions" in outcome.notes[0]
    told = HParamsPluginData.FromString(events.PluginTagToContent("hparams")[SESSION_START_INFO_TAG])
    params = {
        name: value.string_value or value.number_value
        for name, value in told.session_start_info.hparams.items()
    }
    assert params == {
        "alg_name": "ppo",
        "task_name": "hill",
        "desc": "grid_first",
        "seed": 1.0,
        "lr": 0.1,
        "layers": "[64, 1]",
        "clip": "None",
        "host": "mine",
        "cap": float("inf"),
    }


def test_a_metric_of_two_recorders_stands_under_the_name_of_the_second_too(order, tmp_path):
    tensorboard.export(order(tmp_path / "logs"))
    place = "Ju2_sac_hill_grid_first/experiment1/seed1"
    events = EventAccumulator(str(tmp_path / "logs" / place), size_guidance={"tensors": 0})
    events.Reload()
    assert len(events.Tensors("loss")) == 7
    read = [
        (e.step, tensor_util.make_ndarray(e.tensor_proto).item())
        for e in events.Tensors("eval_recorder/loss")
    ]
    assert read == [(0, 0.25)], "its episode 3, 3 does not grow, so that its records are counted"


def test_a_folder_that_is_there_is_left_alone(order, tmp_path):
    (tmp_path / "logs").mkdir()
    with pytest.raises(UsageError, match="--output"):
        tensorboard.export(order(tmp_path / "logs"))
    assert list((tmp_path / "logs").iterdir()) == []
