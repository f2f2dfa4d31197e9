"""Reading schedules: what is taken, and one line for everything that can't be."""

import sys

import numpy as np
import pytest

from alfred.errors import AlfredError, ScheduleError
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


def grid(old, new):
    assert old in GRID
    return "grid_schedule_abc.py", GRID.replace(old, new)


def random(old, new):
    assert old in RANDOM
    return "random_schedule_abc.py", RANDOM.replace(old, new)


BROKEN = {
    "name_tells_no_kind": ("schedule_abc.py", GRID, ["grid_schedule_<name>.py", "random_schedule_<name>.py"]),
    "syntax_error": (*grid("VARIATIONS = {", "VARIATIONS = {{"), ["SyntaxError", "grid_schedule_abc.py:4"]),
    "raises": (*grid("SEEDS = [1, 2]", "SEEDS = [1 / 0]"), ["ZeroDivisionError", "grid_schedule_abc.py:3"]),
    "imports_what_is_not_there": (*grid("SEEDS", "import nope\nSEEDS"), ["nope", "grid_schedule_abc.py:3"]),
    "no_alg_names": (*grid("ALG_NAMES", "ALGS"), ["has no ALG_NAMES", "list of names"]),
    "no_task_names": (*grid("TASK_NAMES", "TASKS"), ["has no TASK_NAMES"]),
    "no_seeds": (*grid("SEEDS", "SEED"), ["has no SEEDS"]),
    "no_variations": (*grid("VARIATIONS", "VARIATION"), ["has no VARIATIONS", "dict of name -> list"]),
    "empty_names": (*grid('["sgd"]', "[]"), ["ALG_NAMES is empty", "one value at least"]),
    "empty_seeds": (*grid("[1, 2]", "[]"), ["SEEDS is empty"]),
    "names_are_text": (*grid('["sgd"]', '"sgd"'), ["ALG_NAMES is 'sgd'", "make it a list"]),
    "names_are_none": (*grid('["sgd"]', "None"), ["ALG_NAMES is None", "make it a list"]),
    "name_is_a_number": (*grid('["sgd"]', "[3]"), ["ALG_NAMES holds 3"]),
    "name_is_empty": (*grid('["wine"]', '[""]'), ["TASK_NAMES holds ''"]),
    "name_with_a_slash": (*grid('["wine"]', '["a/b"]'), ["TASK_NAMES", "'a/b'", "another name"]),
    "name_with_nul": (*grid('["wine"]', r'["a\0b"]'), ["TASK_NAMES", r"a\x00b"]),
    "name_with_a_newline": (*grid('["wine"]', r'["a\nb"]'), ["TASK_NAMES", r"a\nb"]),
    "name_twice": (*grid('["sgd"]', '["sgd", "sgd"]'), ["ALG_NAMES holds 'sgd' twice"]),
    "seed_is_text": (*grid("[1, 2]", '["1"]'), ["SEEDS holds '1'", "whole number"]),
    "seed_is_a_boolean": (*grid("[1, 2]", "[True]"), ["SEEDS holds True"]),
    "seed_is_a_float": (*grid("[1, 2]", "[1.0]"), ["SEEDS holds 1.0"]),
    "seed_is_negative": (*grid("[1, 2]", "[-1]"), ["SEEDS holds -1"]),
    "seed_twice": (*grid("[1, 2]", "[1, 2, 1]"), ["SEEDS holds 1 twice"]),
    "variations_are_a_list": (*grid('{"lr": [0.1, 0.01], "width": [8]}', '["lr"]'), ["VARIATIONS is ['lr']"]),
    "values_are_no_list": (*grid("[8]", "8"), ["VARIATIONS['width'] is 8", "make it a list"]),
    "values_are_text": (*grid("[8]", "'8'"), ["VARIATIONS['width'] is '8'"]),
    "values_are_a_set": (*grid("[8]", "{8}"), ["VARIATIONS['width'] is {8}"]),
    "no_values": (*grid("[8]", "[]"), ["VARIATIONS['width'] is empty"]),
    "value_twice": (*grid("[8]", "[8, 8]"), ["VARIATIONS['width'] holds 8 twice"]),
    "unknown_name": (*grid('"width"', '"widht"'), ["'widht'", "did you mean width?"]),
    "name_is_no_text": (*grid('"width"', "3"), ["VARIATIONS holds 3"]),
    "seed_is_searched": (*grid('"width"', '"seed"'), ["seed may not be searched over"]),
    "alg_name_is_searched": (*grid('"width"', '"alg_name"'), ["alg_name may not be searched over"]),
    "task_name_is_searched": (*grid('"width"', '"task_name"'), ["task_name may not be searched over"]),
    "desc_is_searched": (*grid('"width"', '"desc"'), ["desc may not be searched over"]),
    "key_twice": (*grid('"width"', '"lr"'), ["grid_schedule_abc.py:4", "'lr' is defined twice"]),
    "pair_twice": (
        *grid('{"lr": [0.1, 0.01], "width": [8]}', 'dict([("lr", [1]), ("lr", [2])])'),
        ["grid_schedule_abc.py:4", "'lr' is defined twice"],
    ),
    "keyword_twice": (
        *grid('{"lr": [0.1, 0.01], "width": [8]}', "dict(lr=[1], lr=[2])"),
        ["SyntaxError", ":4"],
    ),
    "value_is_an_object": (*grid("[8]", "[object]"), ["VARIATIONS['width']", "<class 'object'>", "JSON"]),
    "value_is_nan": (*grid("[8]", "[float('nan')]"), ["VARIATIONS['width']", "nan", "JSON"]),
    "value_is_inf": (*grid("[8]", "[[float('inf')]]"), ["VARIATIONS['width']", "inf", "JSON"]),
    "value_is_a_set": (*grid("[8]", "[{1}]"), ["VARIATIONS['width']", "{1}", "JSON"]),
    "default_is_an_object": (
        "grid_schedule_abc.py",
        GRID + "from argparse import Namespace\ndef get_run_args(x): return Namespace(lr=object, width=2)\n",
        ['get_run_args("").lr', "JSON"],
    ),
    "no_number_of_experiments": (*random("N_EXPERIMENTS", "N"), ["has no N_EXPERIMENTS"]),
    "no_experiments": (*random("= 2\n", "= 0\n"), ["N_EXPERIMENTS holds 0", "whole number"]),
    "experiments_are_true": (*random("= 2\n", "= True\n"), ["N_EXPERIMENTS holds True"]),
    "experiments_are_text": (*random("= 2\n", "= '2'\n"), ["N_EXPERIMENTS holds '2'"]),
    "no_draw": (*random("sample_experiment", "sample"), ["has no sample_experiment"]),
    "draw_is_no_function": (
        "random_schedule_abc.py",
        RANDOM + "sample_experiment = {}\n",
        ["sample_experiment is {}", "make it a function"],
    ),
    "key_twice_in_a_draw": (
        *random('{"lr": 0.1}', '{"lr": 0.1, "lr": 0.2}'),
        ["random_schedule_abc.py:6", "'lr' is defined twice"],
    ),
}


@pytest.mark.parametrize("wrong", BROKEN)
def test_a_schedule_that_cannot_be_used_is_told_in_one_line(load, wrong):
    name, text, words = BROKEN[wrong]
    with pytest.raises(AlfredError) as error:
        load(text, name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert [word for word in words if word not in str(error.value)] == [], str(error.value)


def test_a_schedule_that_is_not_there_is_told(load, tmp_path):
    (tmp_path / "main.py").write_text(MAIN)
    with pytest.raises(ScheduleError, match="no schedule file"):
        load_schedule(tmp_path / "grid_schedule_nope.py", load_project(tmp_path))
