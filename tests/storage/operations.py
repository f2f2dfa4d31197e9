"""What changes a storage tree, each as one call, and what the commands after it do: for the tests that
interrupt it.

`OPERATIONS` and `LAYINGS` are what is interrupted; `go_back` and `go_on` are the next commands.
"""

import os
from pathlib import Path

from alfred.launchers import notes
from alfred.storage import adoption, batons, chores, leases, recovery
from alfred.storage.creation import Experiment, Preparation, lay_more, lay_search
from alfred.storage.findings import find, watch
from alfred.storage.flags import COMPLETED_BATON, CRASHED_BATON, batons_among
from alfred.storage.leases import Leases
from alfred.storage.more_seeds import lay_seeds
from alfred.storage.owners import this_process
from alfred.storage.survey import survey
from alfred.utils.recorder import Recorder

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
    adoption.adopt_all([Path(run.seed_dir) for run in found.bare], me.owner.name, lambda seconds: None)
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
    if CRASHED_BATON in [run.baton for run in survey(storage_dir)]:  # what has died for the third time
        go_back(storage_dir)
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
