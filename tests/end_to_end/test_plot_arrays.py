"""`alfred plot` as a user types it, on what `alfred launch` left."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import alfred
from alfred.utils.recorder import Recorder

PROJECTS = Path(__file__).parents[1] / "projects"
SET_UP = """

def set_up_alfred():
    import alfred.defaults
    alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE = [("mine", "mine", (None, None), (None, None))]
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}


def typed(module, *words, folder):
    """A command typed in a shell of its own."""
    command = [sys.executable, "-m", f"alfred.{module}", *words]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """The RL-like project, whose grid was launched: runs of unequal length, eval_return at every tenth."""
    folder = tmp_path_factory.mktemp("plots") / "rl_like"
    shutil.copytree(PROJECTS / "rl_like", folder)
    schedule = next((folder / "schedules").glob("*/grid_schedule*.py"))
    done = typed(
        "prepare_schedule",
        f"--schedule_file={schedule.relative_to(folder)}",
        "--desc=try",
        "--ask_for_validation=no",
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    listing = next((folder / "schedules").glob("*/list_searches*.txt")).relative_to(folder)
    done = typed("launch_schedule", f"--from_file={listing}", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, listing


@pytest.fixture
def project(launched, tmp_path):
    """A copy of that project, and its list of searches."""
    shutil.copytree(launched[0], tmp_path / "project")
    for plot in (tmp_path / "project" / "storage").glob("*/*_over_*"):
        plot.unlink()
    return tmp_path / "project", launched[1]


def storage_dirs(folder):
    return sorted((folder / "storage").glob("*_*"))


def test_every_listed_search_gets_a_figure_of_each_default(project):
    folder, listing = project
    done = typed("make_plot_arrays", "--from-file", str(listing), folder=folder)
    assert done.returncode == 0, done.stderr
    for storage_dir in storage_dirs(folder):
        assert (storage_dir / "eval_return_over_episode.png").stat().st_size > 5000
        assert (storage_dir / "eval_return_over_episode.pdf").stat().st_size > 2000
        assert (storage_dir / "PLOT_ARRAYS_COMPLETED").exists()
        assert str(storage_dir.name) in done.stdout


def test_what_was_asked_for_is_made_and_what_is_absent_is_named_with_status_1(project):
    folder, _ = project
    name = storage_dirs(folder)[0].name
    asked = ["episode, eval_return, None, None, 0, None", "episode, eval_retrun, None, None, None, None"]
    done = typed(
        "make_plot_arrays",
        f"--storage_name={name}",
        "--remove_none",
        "--plots_to_make",
        *asked,
        folder=folder,
    )
    assert done.returncode == 1
    assert "no run recorded eval_retrun" in done.stderr
    assert "did you mean eval_return?" in done.stderr
    assert [path.name for path in storage_dirs(folder)[0].glob("*.png")] == ["eval_return_over_episode.png"]


def test_mistakes_are_one_line_and_status_2_or_3(project):
    folder, _ = project
    name = storage_dirs(folder)[0].name
    for words, status, said in (
        ([f"--storage_name={name}", "--plots_to_make", "episode, eval_return"], 2, "has 2 parts"),
        (["--storage_name=Ju999_nothing"], 2, "there is no storage directory"),
        ([], 2, "--from_file"),
        (
            [f"--storage_name={name}", "--plots_to_make", "a, b, None, None, None, None"],
            3,
            "no plot was made",
        ),
    ):
        done = typed("make_plot_arrays", *words, folder=folder)
        assert (done.returncode, said in done.stderr) == (status, True), done.stderr
        assert "Traceback" not in done.stderr


def test_a_listed_directory_that_is_gone_is_passed_over_with_status_1(project):
    folder, listing = project
    shutil.rmtree(storage_dirs(folder)[0])
    done = typed("make_plot_arrays", f"--from_file={listing}", folder=folder)
    assert done.returncode == 1
    assert "does not exist: passed over" in done.stderr
    assert (storage_dirs(folder)[0] / "eval_return_over_episode.png").exists()


def test_defaults_assigned_in_set_up_alfred_are_drawn(project):
    folder, _ = project
    with open(folder / "main.py", "a") as file:
        file.write(SET_UP)
    storage_dir = storage_dirs(folder)[0]
    recorder = Recorder(["mine"])
    recorder.write_to_tape({"mine": 1.0})
    recorder.save(next(storage_dir.glob("experiment1/seed*/recorders")) / "train_recorder.pkl")
    done = typed("make_plot_arrays", f"--storage_name={storage_dir.name}", folder=folder)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in storage_dir.glob("*.png")] == ["mine_over_mine.png"]
