"""kill -9 before every single change to the disk of everything that changes a tree: it stays whole.

A real process is killed at its first change, at its second, and so on; after each kill the next commands, in
other processes, must find a tree in which no run is lost or doubled, and bring all of it to its end.
"""

import os
import pickle
import shutil
from pathlib import Path

import pytest

from alfred import files
from alfred.launchers import notes
from alfred.storage import batons, chores, laying, leases, recovery
from alfred.storage.creation import Experiment, Preparation, lay_more, lay_search
from alfred.storage.findings import find, watch
from alfred.storage.flags import COMPLETED_BATON, State, batons_among, look
from alfred.storage.leases import Leases
from alfred.storage.leftovers import find_leftovers
from alfred.storage.more_seeds import lay_seeds
from alfred.storage.owners import this_process
from alfred.storage.survey import storage_dirs, survey
from alfred.utils.recorder import Recorder


@pytest.fixture
def tmp_path(in_memory):
    return in_memory


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


# What a process does; before it, what it has done already, and what another has that was killed.


def start(seed_dir, me):
    """Take a run and begin it, as a launcher does; the output is there as soon as the run is."""
    me.hold(storage_of(seed_dir))
    assert batons.claim(str(seed_dir), me.owner.name)
    (seed_dir / "model.pt").write_text("weights")
    notes.begin(seed_dir, me.owner, {"python": "3"})


def claim(seed_dir, me):
    me.hold(storage_of(seed_dir))
    batons.claim(str(seed_dir), me.owner.name)


def begin(seed_dir, me):
    notes.begin(seed_dir, me.owner, {"python": "3"})
    batons.note_process(seed_dir, me.owner.name, os.getpid(), "1")


def finish(seed_dir, me):
    batons.finish(seed_dir, me.owner.name)
    leave(seed_dir, me)


def crash(seed_dir, me):
    batons.crash(seed_dir, me.owner.name, "Error: it broke")
    leave(seed_dir, me)


def release(seed_dir, me):
    batons.release(seed_dir, me.owner.name, "stopped")
    leave(seed_dir, me)


def leave(seed_dir, me):
    me.drop(storage_of(seed_dir))
    me.leave(storage_of(seed_dir))


def clean(seed_dir, me):
    recovery.put_back(find(storage_of(seed_dir), me.owner), me, clean_crashes=True)


def adopt(seed_dir, me):
    found = find(storage_of(seed_dir), me.owner)
    me.hold(storage_of(seed_dir))
    assert chores.take(storage_of(seed_dir), chores.CLEANING, me.owner)
    batons.adopt_all([Path(run.seed_dir) for run in found.bare], me.owner.name, lambda seconds: None)
    chores.give_back(storage_of(seed_dir), chores.CLEANING, me.owner)


def save(seed_dir, me):
    recorder = Recorder(["loss"])
    recorder.tape["loss"] = list(range(2000))
    recorder.save(seed_dir / "recorders" / "tape.pkl")


def beat(seed_dir, me):
    storage_dir = storage_of(seed_dir)
    (leases.owners_dir(storage_dir) / me.owner.name).unlink()
    me.restore()
    leases.beat(leases.owners_dir(storage_dir) / me.owner.name)
    leave(seed_dir, me)


def leave_bare(seed_dir):
    """As a tree of an older tool."""
    os.remove(seed_dir / "UNHATCHED")
    (seed_dir / "model.pt").write_text("weights")
    for path in (seed_dir / "model.pt", *seed_dir.iterdir(), seed_dir):
        os.utime(path, (1e9, 1e9))


# name: what others left (seed_dir, run_in_a_child_that_is_killed), what it did before, what is interrupted
def dead(seed_dir, child):
    assert child(lambda: start(seed_dir, Leases(this_process())) or os.kill(os.getpid(), 9)) == -9


def dead_in_a_reset(seed_dir, child):
    dead(seed_dir, child)
    (baton,) = seed_dir.glob("RUNNING.*")
    os.rename(baton, seed_dir / baton.name.replace("RUNNING", "RESETTING"))


def dead_twice(seed_dir, child):
    for _ in range(2):
        dead(seed_dir, child)
        go_back(storage_of(seed_dir))
    dead(seed_dir, child)


def crashed(seed_dir, child):
    def work():
        me = Leases(this_process())
        start(seed_dir, me)
        crash(seed_dir, me)

    assert child(work) == 0


def nothing(seed_dir, other):
    pass


OPERATIONS = {
    "claim": (nothing, nothing, claim),
    "begin": (nothing, claim, begin),
    "finish": (nothing, start, finish),
    "crash": (nothing, start, crash),
    "release": (nothing, start, release),
    "reap": (dead, nothing, clean),
    "third death": (dead_twice, nothing, clean),
    "resume": (dead_in_a_reset, nothing, clean),
    "clean crash": (crashed, nothing, clean),
    "adopt": (lambda seed_dir, child: leave_bare(seed_dir), nothing, adopt),
    "save": (nothing, start, save),
    "lease": (nothing, start, beat),
}


def storage_of(seed_dir):
    return seed_dir.parent.parent


def go_back(storage_dir):
    """What the next commands put back: whom one can ask is dead at once, others after five looks."""
    me = Leases(this_process())
    found = find(storage_dir, me.owner)
    time = [0.0]
    watch([found], me.owner, clock=lambda: time[0], sleep=lambda s: time.__setitem__(0, time[0] + s))
    recovery.put_back(found, me, clean_crashes=True, sleep=lambda seconds: None)
    me.close()
    assert found.failed == []


def go_on(storage_dir):
    """Whatever stands there: put back, run and end every run."""
    for seed_dir in [run.seed_dir for run in survey(storage_dir) if run.baton is None]:
        os.utime(seed_dir, (1e9, 1e9))  # bare, and a minute has passed
        for folder, _, names in os.walk(seed_dir):
            for name in [folder, *(os.path.join(folder, name) for name in names)]:
                os.utime(name, (1e9, 1e9))
    go_back(storage_dir)
    go_back(storage_dir)  # what has died for the third time waits again only now
    me = Leases(this_process())
    for run in survey(storage_dir):
        if run.baton != COMPLETED_BATON:
            me.hold(storage_dir)
            assert batons.claim(run.seed_dir, me.owner.name), run
            begin(Path(run.seed_dir), me)
            batons.finish(Path(run.seed_dir), me.owner.name)
            me.drop(storage_dir)
    me.close()


def is_whole(storage_dir, before_adoption=False):
    """Exactly one baton in every seed directory."""
    for run in survey(storage_dir):
        count = len(batons_among(os.listdir(run.seed_dir)))
        assert run.conflict == ""
        assert count == 1 or (before_adoption and count == 0), os.listdir(run.seed_dir)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_killed_before_any_change_of(name, lay, child, tmp_path):
    left_by_others, done_before, work = OPERATIONS[name]
    steps, code, states = 0, -9, set()
    while code == -9:
        steps += 1
        (seed_dir,) = lay(1, f"Ab{steps}_any_thing_grid_x")
        storage_dir = storage_of(seed_dir)
        left_by_others(seed_dir, child)

        me = []

        def before(seed_dir=seed_dir, me=me):
            me.append(Leases(this_process()))
            done_before(seed_dir, me[0])

        code = child(lambda seed_dir=seed_dir, me=me: work(seed_dir, me[0]), kill_before=steps, before=before)
        is_whole(storage_dir, before_adoption=name == "adopt")
        states.add(baton.state if (baton := look(seed_dir)) else None)
        made = set(storage_dir.rglob("*.tmp"))
        assert {found.path for found in find_leftovers(storage_dir)} == made, steps
        if name not in ("claim", "begin"):
            assert "weights" in weights_in(seed_dir), steps
        if name == "save":
            for path in seed_dir.glob("recorders/tape.pkl"):
                assert pickle.loads(path.read_bytes())["loss"] == list(range(2000))
        go_on(storage_dir)
        assert look(seed_dir) == COMPLETED_BATON, steps
        kept = [name for name in os.listdir(leases.owners_dir(storage_dir)) if not name.endswith(".tmp")]
        assert kept == [], steps
        if name not in ("claim", "begin", "finish"):
            assert "weights" in weights_in(seed_dir), steps
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


def weights_in(seed_dir):
    """What the attempts wrote, wherever it lies."""
    return [path.read_text() for path in seed_dir.rglob("model.pt*")]


def plan(task, first=0):
    experiments = tuple(Experiment({"lr": n}, {"lr": n}, (10, 20)) for n in range(first, first + 2))
    return Preparation("a", task, "grid_x", "grid", experiments, variations={"lr": [first]})


LAYINGS = {
    "a search": lambda root, name, listed: lay_search(root, [plan("t"), plan("u")], listed),
    "more experiments": lambda root, name, listed: lay_more(root, name, plan("t", 2)),
    "more seeds": lambda root, name, listed: lay_seeds(root, name, [1, 2], 3),
}


@pytest.mark.parametrize("what", sorted(LAYINGS))
def test_killed_before_any_change_of_laying(what, child, tmp_path):
    """All of it is there or nothing, and all that is there is worked through by the next launch."""
    steps, code, sizes = 0, -9, set()
    (name,) = lay_search(tmp_path / "storage", [plan("t")])
    while code == -9:
        steps += 1
        root, listed = tmp_path / f"storage{steps}", tmp_path / f"list_searches_{steps}.txt"
        shutil.copytree(tmp_path / "storage", root)
        listed.write_text(f"{name}\n")
        code = child(lambda r=root, n=name, at=listed: LAYINGS[what](r, n, at), kill_before=steps)
        laying.recover(root)
        found = storage_dirs(root)
        assert listed.read_text().split() == [path.name for path in found], steps
        sizes.add(sum(1 for path in found for _ in survey(path)))
        assert {f.path for f in find_leftovers(root)} == set(root.rglob("*.tmp")), steps
        for storage_dir in found:
            is_whole(storage_dir)
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
        storage_dir = storage_of(seed_dir)

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
