"""Putting a run back: nothing is lost, and whoever finds a reset cut short goes on with it."""

import os

import pytest

from alfred.storage import batons
from alfred.storage.attempts import Attempts, own_dir, read_attempts, write_attempts, write_run
from alfred.storage.flags import WAITING_BATON, State, look

ME, OTHER = "host-1-0123abcd", "host-2-0123abcd"
OUTPUTS = {
    "logger.out": "log",
    "model.pt": "weights",
    "recorders/train_recorder.pkl": "tape",
    ".hidden": "dotted",
    ".alfred/run.json": '{"attempt": 2}',
    ".alfred/evaluation.json": '{"scores": [1.0]}',
}


@pytest.fixture
def attempted(lay):
    """A run of ME in its second attempt, with outputs, beside what was put aside of the first."""
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    write_attempts(seed_dir, Attempts(2, 0))
    for name, text in OUTPUTS.items():
        (seed_dir / name).parent.mkdir(exist_ok=True)
        (seed_dir / name).write_text(text)
    (own_dir(seed_dir) / "attempts/1").mkdir(parents=True)
    (own_dir(seed_dir) / "attempts/1/model.pt").write_text("older")
    return seed_dir


def is_whole(seed_dir):
    """Whether the outputs are all on the shelf of their attempt and the directory is as it was laid."""
    shelf = own_dir(seed_dir) / "attempts/2"
    found = {str(path.relative_to(shelf)): path.read_text() for path in shelf.rglob("*") if path.is_file()}
    expected = {name.removeprefix(".alfred/"): text for name, text in OUTPUTS.items()}
    names = {name for name in os.listdir(seed_dir) if name != ".alfred"}
    return found == expected and names == {"UNHATCHED", "config.json", "config_unique.json"}


def test_outputs_are_put_aside_and_those_of_the_attempt_before_go(attempted):
    batons.release(attempted, ME, "stopped")
    assert is_whole(attempted)
    assert os.listdir(own_dir(attempted) / "attempts") == ["2"]


@pytest.mark.parametrize("deed", ["release", "reap"])
def test_a_reset_killed_at_any_step_is_resumed_and_loses_nothing(attempted, child, tmp_path, deed):
    import shutil

    laid = tmp_path / "laid"
    shutil.copytree(attempted, laid)
    work = {
        "release": lambda: batons.release(attempted, ME, "stopped"),
        "reap": lambda: batons.reap(attempted, batons.running(ME), OTHER),
    }[deed]
    steps = 0
    while (code := child(work, kill_before=steps + 1)) == -9:
        steps += 1
        baton = look(attempted)
        assert baton is not None, steps
        if baton == WAITING_BATON:
            assert batons.claim(str(attempted), ME)  # done but for deleting what is older
            batons.release(attempted, ME, "stopped")
        else:
            assert batons.reap(attempted, baton, "host-3-0123abcd") is State.WAITING
        assert is_whole(attempted), steps
        shutil.rmtree(attempted)
        shutil.copytree(laid, attempted)
    assert code == 0
    assert steps >= 10
    assert is_whole(attempted)


def test_a_file_that_a_late_writer_makes_again_does_not_replace_the_one_put_aside(attempted):
    batons.release(attempted, ME, "stopped")
    batons.claim(str(attempted), ME)
    (attempted / "model.pt").write_text("late")
    (attempted / "recorders").mkdir()
    batons.release(attempted, ME, "stopped")
    shelf = own_dir(attempted) / "attempts/2"
    assert (shelf / "model.pt").read_text() == "weights"
    assert (shelf / "model.pt.2").read_text() == "late"
    assert (shelf / "recorders/train_recorder.pkl").read_text() == "tape"


def test_what_a_project_resumes_from_stays_in_place_when_it_is_to_stay(attempted):
    batons.release(attempted, ME, "preempted", keep_files=True)
    assert (attempted / "model.pt").read_text() == "weights"
    assert (attempted / "recorders/train_recorder.pkl").read_text() == "tape"
    assert not (own_dir(attempted) / "run.json").exists()
    assert look(attempted) == WAITING_BATON


def test_links_are_moved_not_followed_and_what_nfs_keeps_stays(attempted, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "set").touch()
    (attempted / "data").symlink_to(tmp_path / "data")
    (attempted / ".nfs0001").touch()
    batons.release(attempted, ME, "stopped")
    assert (own_dir(attempted) / "attempts/2/data").is_symlink()
    assert (tmp_path / "data" / "set").exists()
    assert (attempted / ".nfs0001").exists()


def test_a_reset_of_a_run_that_never_got_its_number_leaves_the_shelf_as_it_is(attempted):
    batons.release(attempted, ME, "stopped")
    batons.claim(str(attempted), OTHER)  # killed before the attempt was counted
    assert batons.reap(attempted, batons.running(OTHER), ME) is State.WAITING
    assert is_whole(attempted)
    assert read_attempts(attempted) == Attempts(2, 1)


def test_run_json_of_the_attempt_is_put_aside_with_it(attempted):
    write_run(attempted, {"attempt": 2, "owner": ME})
    batons.crash(attempted, ME, "Error: x")
    batons.clean_crash(attempted, OTHER)
    shelf = own_dir(attempted) / "attempts/2"
    assert f'"owner": "{ME}"' in (shelf / "run.json").read_text()
    assert "Error: x" in (shelf / f"report.{ME}").read_text()
    assert os.listdir(own_dir(attempted)).count("run.json") == 0
