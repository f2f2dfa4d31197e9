"""The schedules that alfred ships can be copied into a project and are complete."""

import json
import re
import runpy
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "alfred" / "schedules_examples"
GRID = FOLDER / "gridSearch_example1" / "grid_schedule_example1.py"
RANDOM = FOLDER / "randomSearch_example1" / "random_schedule_example1.py"
BOTH = pytest.mark.parametrize("schedule", [GRID, RANDOM], ids=["grid", "random"])


@BOTH
def test_a_shipped_schedule_defines_all_that_the_contract_asks_for(schedule):
    names = runpy.run_path(str(schedule))
    for lists in ("ALG_NAMES", "TASK_NAMES", "SEEDS"):
        assert isinstance(names[lists], list)
        assert names[lists]
    defaults = vars(names["get_run_args"](""))
    if schedule == GRID:
        varied = names["VARIATIONS"]
        assert all(isinstance(values, list) and values for values in varied.values())
    else:
        assert names["N_EXPERIMENTS"] >= 1
        varied = names["sample_experiment"]()
        assert json.loads(json.dumps(varied)) == varied
    assert set(varied) <= set(defaults) - {"seed", "alg_name", "task_name"}


@BOTH
def test_a_shipped_schedule_knows_every_hyper_parameter_of_the_digits_example(schedule):
    source = (REPOSITORY / "examples" / "digits" / "main.py").read_text()
    options = set(re.findall(r'add_argument\("--(\w+)"', source))
    assert "lr" in options
    assert options <= set(vars(runpy.run_path(str(schedule))["get_run_args"]("")))


@BOTH
def test_lists_and_looks_lie_beside_a_shipped_schedule_under_the_name_of_its_folder(schedule):
    folder = schedule.parent
    names = runpy.run_path(str(schedule))
    for kind in ("searches", "retrains"):
        lines = (folder / f"list_{kind}_{folder.name}.txt").read_text().splitlines()
        assert [line for line in lines if line.strip() and not line.startswith("#")] == []
    visuals = json.loads((folder / f"visuals_{folder.name}.json").read_text())
    assert set(visuals["labels_dict"]) == set(names["ALG_NAMES"])
    assert set(visuals["titles_dict"]) == set(names["TASK_NAMES"])
    curves = json.loads((folder / f"additional_curves_{folder.name}.json").read_text())
    assert set(curves["hlines"]) == set(names["TASK_NAMES"])
    assert all("y" in line for lines in curves["hlines"].values() for line in lines)
