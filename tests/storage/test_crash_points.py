"""kill -9 before every single change to the disk of everything that changes a tree: it stays whole.

A real process is killed at its first change, at its second, and so on; after each kill the next commands, in
other processes, must find a tree in which no run is lost or doubled, and bring all of it to its end.
"""

import os
import pickle
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from alfred import files
from alfred.storage import batons, chores, laying, leases, recovery
from alfred.storage.creation import lay_search
from alfred.storage.findings import find
from alfred.storage.flags import COMPLETED_BATON, State, look
from alfred.storage.leases import Leases
from alfred.storage.leftovers import find_leftovers
from alfred.storage.owners import this_process
from alfred.storage.survey import storage_dirs, survey

ops = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("operations.py"))))


@pytest.fixture
def tmp_path(in_memory):
    return in_memory


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", sorted(ops.OPERATIONS))
def test_killed_before_any_change_of(name, lay, child, tmp_path):
    left_by_others, done_before, work = ops.OPERATIONS[name]
    steps, code, states = 0, -9, set()
    while code == -9:
        steps += 1
        (seed_dir,) = lay(1, f"Ab{steps}_any_thing_grid_x")
        storage_dir = ops.storage_of(seed_dir)
        left_by_others(seed_dir, child)

        me = []

        def before(seed_dir=seed_dir, me=me):
            me.append(Leases(this_process()))
            done_before(seed_dir, me[0])

        code = child(lambda seed_dir=seed_dir, me=me: work(seed_dir, me[0]), kill_before=steps, before=before)
        ops.is_whole(storage_dir, before_adoption=name == "adopt")
        states.add(baton.state if (baton := look(seed_dir)) else None)
        made = set(storage_dir.rglob("*.tmp"))
        assert {found.path for found in find_leftovers(storage_dir)} == made, steps
        if name not in ("claim", "begin"):
            assert "weights" in ops.weights_in(seed_dir), steps
        if name == "save":
            for path in seed_dir.glob("recorders/tape.pkl"):
                assert pickle.loads(path.read_bytes())["loss"] == list(range(2000))
        ops.go_on(storage_dir)
        assert look(seed_dir) == COMPLETED_BATON, steps
        kept = [name for name in os.listdir(leases.owners_dir(storage_dir)) if not name.endswith(".tmp")]
        assert kept == [], steps
        if name not in ("claim", "begin", "finish"):
            assert "weights" in ops.weights_in(seed_dir), steps
    assert code == 0
    assert steps > 3
    assert states == STATES_SEEN[name]


STATES_SEEN = {
    "claim": {State.WAITING, State.RUNNING},
    "begin": {State.RUNNING},
    "finish": {State.RUNNING, State.COMPLETED},
    "crash": {State.RUNNING, State.CRASHED},
    "release": {State.RUNNING, State.RESETTING, State.WAITING},
    "reap": {State.RUNNING, State.RESETTING, State.WAITING},
    "third death": {State.RUNNING, State.RESETTING, State.CRASHED},
    "resume": {State.RESETTING, State.WAITING},
    "clean crash": {State.CRASHED, State.RESETTING, State.WAITING},
    "adopt": {None, State.RUNNING, State.RESETTING, State.WAITING},
    "save": {State.RUNNING},
    "lease": {State.RUNNING},
}


@pytest.mark.parametrize("what", sorted(ops.LAYINGS))
def test_killed_before_any_change_of_laying(what, child, tmp_path):
    """All of it is there or nothing, and all that is there is worked through by the next launch."""
    steps, code, sizes = 0, -9, set()
    (name,) = lay_search(tmp_path / "storage", [ops.plan("t")])
    while code == -9:
        steps += 1
        root, listed = tmp_path / f"storage{steps}", tmp_path / f"list_searches_{steps}.txt"
        shutil.copytree(tmp_path / "storage", root)
        listed.write_text(f"{name}\n")
        code = child(lambda r=root, n=name, at=listed: ops.LAYINGS[what](r, n, at), kill_before=steps)
        laying.recover(root)
        found = storage_dirs(root)
        assert listed.read_text().split() == [path.name for path in found], steps
        sizes.add(sum(1 for path in found for _ in survey(path)))
        assert {f.path for f in find_leftovers(root)} == set(root.rglob("*.tmp")), steps
        for storage_dir in found:
            ops.is_whole(storage_dir)
            assert all(batons.claim(run.seed_dir, "host-1-0123abcd") for run in survey(storage_dir))
    assert code == 0
    assert sizes == {4, {"a search": 12, "more experiments": 8, "more seeds": 10}[what]}


def test_killed_before_any_change_of_a_file_or_a_list_the_old_content_stands_or_the_new(child, tmp_path):
    path, listed = tmp_path / "file", tmp_path / "list.txt"
    seen = set()
    for step in range(1, 100):
        path.write_text("old")
        listed.write_text("first\n")

        def work():
            files.write_text(path, "new" * 1000)
            files.append_lines(listed, ["second", "third"])

        code = child(work, kill_before=step)
        seen.add(path.read_text()[:3] + " " + repr(listed.read_text()))
        files.append_lines(
            listed, [one for one in ("second", "third") if one not in listed.read_text().split()]
        )
        assert listed.read_text() == "first\nsecond\nthird\n"
        if code == 0:
            break
    assert seen == {
        "old 'first\\n'", "new 'first\\n'", "new 'first\\nsecond'", "new 'first\\nsecond\\nthird\\n'",
    }  # fmt: skip


@pytest.mark.parametrize("work", ["done", "give_back", "reopen"])
def test_killed_before_any_change_of_a_chore_it_is_done_or_can_be_taken(work, lay, child):
    steps, code = 0, -9
    while code == -9:
        steps += 1
        (seed_dir,) = lay(1, f"Ab{steps}_any_thing_grid_x")
        storage_dir = ops.storage_of(seed_dir)

        def act(storage_dir=storage_dir):
            me = Leases(this_process())
            me.hold(storage_dir)
            for chore in (*chores.CHORES, chores.RETRAINING):
                assert chores.take(storage_dir, chore, me.owner)
                if work == "give_back":
                    chores.give_back(storage_dir, chore, me.owner)
                else:
                    chores.done(storage_dir, chore, me.owner)
            if work == "reopen":
                chores.reopen(storage_dir)
            me.drop(storage_dir)
            me.leave(storage_dir)

        code = child(act, kill_before=steps)
        me = Leases(this_process())
        recovery.put_back(find(storage_dir, me.owner), me)
        assert chores.holders(storage_dir) == []
        chores.reopen(storage_dir)
        me.hold(storage_dir)
        for chore in chores.CHORES:
            assert chores.take(storage_dir, chore, me.owner), (steps, chore)
        me.close()
    assert code == 0
    assert steps > 20
