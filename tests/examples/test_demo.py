"""`make demo` leaves the example as it was committed, and shows commands that work."""

import importlib
import runpy
import shlex
from pathlib import Path

import pytest

from alfred import umbrella

REPOSITORY = Path(__file__).resolve().parents[2]
DIGITS = REPOSITORY / "examples" / "digits"
DEMO = runpy.run_path(str(REPOSITORY / "examples" / "demo.py"))
COMMANDS = [command for _, *commands in DEMO["STEPS"] for command in commands]


def test_each_demo_works_in_a_copy_of_its_own_without_what_earlier_runs_left(tmp_path):
    source = tmp_path / "digits"
    searches = source / "schedules" / "grid_digits" / "list_searches_grid_digits.txt"
    searches.parent.mkdir(parents=True)
    searches.write_text("No1_sgd_digits_grid_mine\n")
    (source / "storage" / "No1_sgd_digits_grid_mine").mkdir(parents=True)
    (source / "main.py").write_text("")

    copies = [DEMO["fresh_copy"](source, tmp_path / "demo") for _ in range(2)]

    assert copies == [tmp_path / "demo" / "1", tmp_path / "demo" / "2"]
    for copy in copies:
        assert sorted(p.name for p in copy.rglob("*")) == ["grid_digits", "main.py", "schedules"]
    assert searches.read_text() == "No1_sgd_digits_grid_mine\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_demo_calls_commands_with_options_and_files_that_exist(command):
    program, name, *words = shlex.split(command)
    assert program == "alfred"
    options = importlib.import_module(umbrella.COMMANDS[name].module).parser().parse_args(words)
    named = Path(getattr(options, "schedule_file", None) or getattr(options, "from_file", None) or ".")
    assert (DIGITS / named.parent).is_dir()
    assert (DIGITS / named).exists() or named.name.endswith(f"s_{named.parent.name}.txt")


def test_the_six_steps_are_walked_in_order():
    walked = [shlex.split(command)[1] for command in COMMANDS]
    assert list(dict.fromkeys(walked)) == ["prepare", "launch", "retrain", "status", "benchmark"]
    assert "compare_searches" in COMMANDS[walked.index("benchmark")]
    assert "compare_models" in COMMANDS[walked.index("benchmark") + 1]


def test_a_command_that_fails_ends_the_demo(tmp_path):
    with pytest.raises(SystemExit, match="status 2"):
        DEMO["run"](tmp_path, "alfred nonsense")


def test_in_the_end_the_figures_and_a_run_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [
        "Ju1_sgd_wine_grid_x/benchmark/benchmark_learning.png",
        "Ju1_sgd_wine_grid_x/summary/summary_learning.png",
        "Ju1_sgd_wine_grid_x/loss_over_epoch.png",
        "Ju2_mlp_wine_grid_x/benchmark/benchmark_learning.png",
        "Ju1_sgd_wine_grid_x/experiment1/seed1/config.json",
    ]
    for name in made:
        path = tmp_path / "demo" / "storage" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    told = DEMO["where_to_look"](tmp_path / "demo")

    assert "demo/storage/Ju1_sgd_wine_grid_x/benchmark/benchmark_learning.png\n" in told
    assert told.count("benchmark_learning.png") == 1
    assert "(1: learning curves" in told
    assert "demo/storage/Ju1_sgd_wine_grid_x/experiment1/seed1/" in told
