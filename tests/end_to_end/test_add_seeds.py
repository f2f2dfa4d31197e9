"""`alfred prepare --add_seeds`: more seeds in experiments that stand already, as a user types it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import alfred

TINY = Path(__file__).parents[1] / "projects" / "tiny"
GRID_FILE = "schedules/grid_tiny/grid_schedule_grid_tiny.py"
NO_QUESTION = "--ask_for_validation=false"


@pytest.fixture
def project(tmp_path):
    """A copy of the tiny project in which a grid search of two algorithms was laid."""
    folder = tmp_path / "project"
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    done = typed("prepare", "--schedule_file", GRID_FILE, "--desc", "one", NO_QUESTION, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


def typed(command, *words, folder, answer=None):
    environment = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-m", "alfred", command, *words],
        cwd=folder,
        env=environment,
        input=answer,
        stdin=subprocess.DEVNULL if answer is None else None,
        capture_output=True,
        text=True,
        check=False,
    )


def search_of(project):
    return (
        project
        / "storage"
        / (project / "schedules/grid_tiny/list_searches_grid_tiny.txt").read_text().split()[0]
    )


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in p.parts)


def waiting(search):
    runs = search.glob("experiment*/seed*/UNHATCHED")
    return {(path.parts[-3].removeprefix("experiment"), path.parts[-2].removeprefix("seed")) for path in runs}


def test_seeds_are_added_to_the_experiments_chosen_and_can_be_launched(project):
    search = search_of(project)
    before = waiting(search)
    words = ["--add-seeds", "2", "--storage-name", search.name, "--experiments", "3,5-6"]
    done = typed("prepare", *words, folder=project, answer="y\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 x 2 = 6" in done.stdout
    assert done.stdout.endswith(f"Next: alfred launch --storage_name {search.name}\n")
    added = waiting(search) - before
    assert added == {(experiment, seed) for experiment in "356" for seed in "34"}
    launched = typed(
        "launch", "--storage_name", search.name, "--experiments", "3", "--seeds", "4", folder=project
    )
    assert launched.returncode == 0, launched.stderr
    run = search / "experiment3" / "seed4"
    assert (run / "COMPLETED").exists()
    assert json.loads((run / "config.json").read_text())["seed"] == 4


def test_without_a_choice_every_experiment_gets_them(project):
    search = search_of(project)
    done = typed("prepare", "--add_seeds", "1", "--storage_name", search.name, NO_QUESTION, folder=project)
    assert done.returncode == 0, done.stderr
    assert waiting(search) == {(experiment, seed) for experiment in "123456" for seed in "123"}


@pytest.mark.parametrize(("words", "answer"), [([], "n\n"), (["--dry_run"], None)])
def test_no_and_a_dry_run_change_nothing(project, words, answer):
    search = search_of(project)
    before = tree(project)
    done = typed(
        "prepare", "--add_seeds", "1", "--storage_name", search.name, *words, folder=project, answer=answer
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 x 1 = 6" in done.stdout
    assert tree(project) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--add_seeds", "1"], ["--storage_name"]),
        (["--storage_name", "{name}"], ["--add_seeds"]),
        (["--experiments", "1"], ["--add_seeds", "--storage_name"]),
        (["--add_seeds", "0", "--storage_name", "{name}"], ["--add_seeds is 0"]),
        (["--add_seeds", "x", "--storage_name", "{name}"], ["--add_seeds", "'x'"]),
        (["--add_seeds", "1", "--storage_name", "{name}x"], ["there is no storage directory", "{name}"]),
        (["--add_seeds", "1", "--storage_name", "../{name}"], ["no storage name"]),
        (
            ["--add_seeds", "1", "--storage_name", "{name}", "--experiments", "3,9"],
            ["no experiment9", "1, 2"],
        ),
        (["--add_seeds", "1", "--storage_name", "{name}", "--experiments", "3-1"], ["--experiments", "3-1"]),
        (
            ["--add_seeds", "1", "--storage_name", "{name}", "--desc", "x"],
            ["--add_seeds", "leave out --desc"],
        ),
        (["--add_seeds", "1", "--storage_name", "{name}", "--schedule_file", GRID_FILE], ["--schedule_file"]),
        (["--desc", "x"], ["--schedule_file"]),
    ],
)
def test_a_wrong_request_is_one_line_and_nothing_is_made(project, words, told):
    name = search_of(project).name
    before = tree(project)
    done = typed("prepare", *(word.format(name=name) for word in words), NO_QUESTION, folder=project)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert [word for word in told if word.format(name=name) not in done.stderr] == [], done.stderr
    assert tree(project) == before


def test_an_experiment_whose_configuration_is_lost_is_told_and_nothing_is_made(project):
    search = search_of(project)
    for path in search.glob("experiment2/seed*/config.json"):
        path.unlink()
    before = tree(project)
    done = typed("prepare", "--add_seeds", "1", "--storage_name", search.name, NO_QUESTION, folder=project)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "experiment2" in done.stderr
    assert tree(project) == before


def test_the_help_of_prepare_tells_of_seeds(project):
    done = typed("prepare", "--help", folder=project)
    assert done.returncode == 0
    assert all(
        word in done.stdout for word in ("--add_seeds INT", "--storage_name NAME", "--experiments 3,7")
    )
