"""Reading schedules: what is taken. What can't be is in tests/bad_input."""

import sys

import numpy as np
import pytest

from alfred.errors import ScheduleError
from alfred.project import load_project
from alfred.search.schedule import load_schedule

MAIN = """\
from argparse import Namespace

def get_run_args(overwritten):
    return Namespace(alg_name="a", task_name="t", desc="", seed=0, lr=0.1, width=8, clip=float("inf"))

def main(config, dir_tree, logger, pbar): pass
"""

GRID = """\
ALG_NAMES = ["sgd"]
TASK_NAMES = ["wine"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.01], "width": [8]}
"""

RANDOM = """\
ALG_NAMES = ["sgd"]
TASK_NAMES = ["wine"]
SEEDS = [1, 2]
N_EXPERIMENTS = 2
def sample_experiment():
    return {"lr": 0.1}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Writes a schedule into a client project and loads it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "main.py").write_text(MAIN)
    folder = tmp_path / "schedules" / "abc"
    folder.mkdir(parents=True)

    def load(text, name="grid_schedule_abc.py"):
        (folder / name).write_text(text)
        return load_schedule(folder / name, load_project(tmp_path))

    yield load
    sys.modules.pop("main", None)
    sys.modules.pop("alfred_schedule", None)


def test_a_grid_schedule(load, tmp_path):
    schedule = load(GRID)
    assert (schedule.kind, schedule.alg_names, schedule.task_names) == ("grid", ("sgd",), ("wine",))
    assert schedule.seeds == (1, 2)
    assert schedule.variations == {"lr": [0.1, 0.01], "width": [8]}
    assert schedule.defaults["width"] == 8
    assert schedule.list_file == tmp_path / "schedules" / "abc" / "list_searches_abc.txt"


def test_a_random_schedule(load):
    schedule = load(RANDOM, "random_schedule.py")
    assert (schedule.kind, schedule.n_draws, schedule.variations) == ("random", 2, None)


def test_a_get_run_args_of_the_schedule_wins_over_that_of_main(load):
    own = "from argparse import Namespace\ndef get_run_args(x): return Namespace(lr=1, width=2, depth=3)\n"
    assert load(GRID + own).defaults == {"lr": 1, "width": 2, "depth": 3}


def test_values_that_json_writes_otherwise_become_what_json_reads(load):
    text = GRID.replace("[0.1, 0.01]", "np.array([0.01, 0.1])").replace(
        "[8]", "(np.int64(8), (1, 2), None, True)"
    )
    schedule = load("import numpy as np\n" + text.replace("[1, 2]", "np.arange(3)"))
    assert schedule.variations == {"lr": [0.01, 0.1], "width": [8, [1, 2], None, True]}
    assert schedule.seeds == (0, 1, 2)
    assert {type(seed) for seed in schedule.seeds} == {int}
    assert not isinstance(schedule.variations["lr"][0], np.generic)


def test_one_and_true_are_two_values_and_no_variation_is_one_experiment(load):
    assert load(GRID.replace("[8]", "[1, True, 1.0]")).variations["width"] == [1, True, 1.0]
    assert load(GRID.replace('{"lr": [0.1, 0.01], "width": [8]}', "{}")).variations == {}


def test_a_schedule_that_is_not_there_is_told(load, tmp_path):
    (tmp_path / "main.py").write_text(MAIN)
    with pytest.raises(ScheduleError, match="no schedule file"):
        load_schedule(tmp_path / "grid_schedule_nope.py", load_project(tmp_path))
