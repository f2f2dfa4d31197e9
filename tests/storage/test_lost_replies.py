"""A shared file system may have done what it answers with an error: each place that must see through that."""

import contextlib
import errno
import os
import runpy
from pathlib import Path

import pytest

from alfred import files
from alfred.storage import batons, chores, laying, more_seeds, preparations
from alfred.storage.creation import Experiment, Preparation, lay_more, lay_search
from alfred.storage.flags import COMPLETED_BATON, CRASHED_BATON, WAITING_BATON, look
from alfred.storage.owners import this_process
from alfred.storage.survey import storage_dirs
from alfred.storage.swap import replace_folder

calls = runpy.run_path(str(Path(__file__).with_name("system_calls.py")))["calls"]
ME = "host-1-0123abcd"
GONE = (errno.ENOENT, errno.ESTALE, errno.EIO)


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def lost(folder, name, to, code):
    """The first call `name` whose last path has a part `to` is done, and answered with the error."""
    hit = []

    def interfere(call):
        paths = [os.fspath(one) for one in call.args if isinstance(one, str | Path)]
        result = call.do()
        if call.name == name and not hit and to in paths[-1]:
            hit.append(call)
            raise OSError(code, os.strerror(code), call.path)
        return result

    with calls(folder, interfere):
        yield
    assert hit, "no such call was made"


@pytest.mark.parametrize("code", GONE)
def test_a_claim_of_which_the_answer_got_lost_is_ours(lay, code):
    (seed_dir,) = lay(1)
    with lost(seed_dir, "rename", "RUNNING.", code):
        assert batons.claim(str(seed_dir), ME)
    assert look(seed_dir) == batons.running(ME)


@pytest.mark.parametrize("code", GONE)
def test_an_end_of_which_the_answer_got_lost_is_noted(lay, code):
    first, second, third = lay(3)
    for seed_dir in (first, second, third):
        assert batons.claim(str(seed_dir), ME)
    with lost(first, "rename", "COMPLETED", code):
        batons.finish(first, ME)
    assert look(first) == COMPLETED_BATON
    with lost(second, "rename", "CRASH.txt", code):
        batons.crash(second, ME, "Error: it broke")
    assert look(second) == CRASHED_BATON
    with lost(third, "rename", "RESETTING.", code):
        batons.release(third, ME, "stopped")
    assert look(third) == WAITING_BATON


@pytest.mark.parametrize("code", GONE)
@pytest.mark.parametrize("step", ["RESETTING.", "attempts/0", "UNHATCHED"])
def test_a_reset_of_which_an_answer_got_lost_is_gone_on_with(lay, code, step):
    (seed_dir,) = lay(1)
    assert batons.claim(str(seed_dir), "host-2-0123abcd")
    (seed_dir / "model.pt").write_text("weights")
    with lost(seed_dir, "rename", step, code):
        batons.reap(seed_dir, batons.running("host-2-0123abcd"), ME)
    assert look(seed_dir) == WAITING_BATON
    assert (seed_dir / ".alfred/attempts/0/model.pt").read_text() == "weights"


@pytest.mark.parametrize("code", GONE)
def test_a_file_whose_replacing_was_answered_with_an_error_is_written(tmp_path, code):
    path = tmp_path / "file"
    path.write_text("old")
    with lost(tmp_path, "replace", "file", code):
        files.write_text(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_could_not_be_replaced_is_not_taken_for_written(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def interfere(call):
        if call.name == "replace":
            os.unlink(call.args[0])
        return call.do()

    with calls(tmp_path, interfere), pytest.raises(FileNotFoundError):
        files.write_text(path, "new")
    assert path.read_text() == "old"


@pytest.mark.parametrize("code", GONE)
def test_a_chore_of_which_the_answer_got_lost_is_taken_and_done(lay, code):
    (seed_dir,) = lay(1)
    storage_dir, me = seed_dir.parent.parent, this_process()
    (storage_dir / ".alfred").mkdir()
    chores.lay(storage_dir / ".alfred")
    with lost(storage_dir, "rename", "RUNNING.", code):
        assert chores.take(storage_dir, chores.PLOTS, me)
    with lost(storage_dir, "rename", "DONE", code):
        chores.done(storage_dir, chores.PLOTS, me)
    assert os.listdir(storage_dir / ".alfred/plots") == ["DONE"]
    assert chores.take(storage_dir, chores.SUMMARY, me)
    with lost(storage_dir, "rename", "WAITING", code):
        chores.give_back(storage_dir, chores.SUMMARY, me)
    assert os.listdir(storage_dir / ".alfred/summary") == ["WAITING"]


def plan(task="t", lr=0):
    return Preparation("a", task, "grid_x", "grid", (Experiment({"lr": lr}, {"lr": lr}, (1,)),))


@pytest.mark.parametrize(
    ("name", "to", "code"),
    [
        ("mkdir", "laying.", errno.EEXIST),
        *(("rename", "No2_a_u_grid_x", code) for code in GONE),
        ("mkdir", "ids/no2", errno.EIO),
    ],
)
def test_a_search_of_which_an_answer_got_lost_is_laid(tmp_path, name, to, code):
    root = tmp_path / "storage"
    lay_search(root, [plan()])
    with lost(root, name, to, code):
        (laid,) = lay_search(root, [plan("u")], tmp_path / "list_x.txt")
    assert [path.name for path in storage_dirs(root)] == ["No1_a_t_grid_x", laid]
    assert (root / laid / "experiment1/seed1/UNHATCHED").exists()
    assert not list((root / ".alfred").glob("laying.*"))


@pytest.mark.parametrize("code", GONE)
def test_numbers_of_which_the_answer_got_lost_are_reserved_once(tmp_path, code):
    (name,) = lay_search(tmp_path, [plan()])
    with lost(tmp_path, "rename", "preparations/2", code):
        assert lay_more(tmp_path, name, plan(lr=1)) == (2, 2)
    with lost(tmp_path, "rename", "more_seeds/1", code):
        assert more_seeds.lay_seeds(tmp_path, name, [1], 1) == (2,)
    assert len(preparations.records(tmp_path / name)) == 2
    assert os.listdir(tmp_path / name / ".alfred/more_seeds") == ["1"]


@pytest.mark.parametrize("code", GONE)
def test_what_a_dead_preparation_left_is_taken_over_although_the_answer_got_lost(tmp_path, child, code):
    root = tmp_path / "storage"

    def die_with_a_journal():
        laying.LayingFolder._carry_out = lambda *args: os.kill(os.getpid(), 9)
        lay_search(root, [plan()])

    assert child(die_with_a_journal) == -9
    with lost(root, "rename", "laying.", code):
        assert len(laying.recover(root)) == 1
    assert [path.name for path in storage_dirs(root)] == ["No1_a_t_grid_x"]
    assert not list((root / ".alfred").glob("laying.*"))


@pytest.mark.parametrize("to", ["summary.ready", "summary.old", "storage/summary", ".tmp"])
def test_a_summary_takes_its_place_although_an_answer_got_lost(tmp_path, to):
    target = tmp_path / "storage" / "summary"
    target.mkdir(parents=True)
    (target / "file").write_text("old")
    with lost(tmp_path, "rename", to, errno.ENOENT):
        replace_folder(target, lambda folder: (folder / "file").write_text("new"))
    assert (target / "file").read_text() == "new"
    assert os.listdir(target.parent / ".alfred") == []
