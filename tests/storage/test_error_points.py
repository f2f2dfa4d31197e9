"""An error at every single call to the disk of what changes a run: nothing is claimed that is not so, the
error is one line that names the place, and once it has passed the work goes on (`every_error.py` says how).
"""

import os
import pickle
import runpy
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from alfred import files
from alfred.launchers import notes
from alfred.launchers.active import Active
from alfred.launchers.base import LaunchPlan, LaunchReport
from alfred.launchers.endings import Endings
from alfred.launchers.memory import Memory
from alfred.launchers.queue import Claimed, Queue
from alfred.launchers.tasks import Ended
from alfred.launchers.wire import WireReader
from alfred.storage import attempts, leases, recovery
from alfred.storage.findings import find
from alfred.storage.flags import COMPLETED_BATON, State, look
from alfred.storage.leases import Leases
from alfred.storage.leftovers import find_leftovers
from alfred.storage.owners import read_owner, this_process
from alfred.utils.recorder import Recorder, fold_files

pytestmark = pytest.mark.timeout(600)  # some hundred cases each, whatever else the machine does
HERE = Path(__file__).parent
ops = SimpleNamespace(**runpy.run_path(str(HERE / "operations.py")))
every_error = SimpleNamespace(**runpy.run_path(str(HERE / "every_error.py")))
NAME = "Ab1_any_thing_grid_x"


@pytest.fixture
def tmp_path(in_memory):
    return in_memory


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


# What was done before, what is done, what must be so afterwards.


@dataclass
class Actor:
    """A launcher as far as it changes the tree."""

    seed_dir: Path
    me: Leases = field(default_factory=lambda: Leases(this_process()))
    report: LaunchReport = field(default_factory=LaunchReport)
    active: Active | None = None

    def __post_init__(self):
        self.storage_dir = ops.storage_of(self.seed_dir)
        self.claimed = Claimed(self.storage_dir, str(self.seed_dir))
        self.plan = LaunchPlan(self.storage_dir, self.storage_dir.parent, (self.storage_dir,))
        self.endings = Endings(
            self.me.owner, self.storage_dir, Memory(), self.report, lambda folder, text: None
        )
        self.queue = Queue(self.plan, self.me, self.endings.pass_over)

    @property
    def lines(self):
        return self.report.passed_over

    @property
    def owner(self):
        return self.me.owner.name

    def holds(self):
        return f"RUNNING.{self.owner}" in os.listdir(self.seed_dir)

    def start(self):
        ops.start(self.seed_dir, self.me)
        begun = notes.Begun(1, attempts.read_run(self.seed_dir), 0.0, 0.0)
        reader = WireReader(os.open(os.devnull, os.O_RDONLY))
        self.active = Active(self.claimed, begun, reader, os.getpid(), "1")
        self.active.has_ended(Ended(os.getpid(), 256), 0.0)

    def conclude(self, stopping=False):
        state = self.endings.conclude(self.active, stopping)
        if state is not State.RUNNING:
            ops.leave(self.seed_dir, self.me)
        return state


def nothing(actor):
    pass


def claim(actor):
    return actor.queue.claim()


def check_claim(actor, told, seen):
    assert told.line == ""
    if told.value is not None:
        assert actor.holds()
    elif actor.holds():
        assert actor.lines, "it has a run and says nothing"


def begin(actor):
    ops.begin(actor.seed_dir, actor.me)


def check_begin(actor, told, seen):
    assert actor.holds()
    if not told.line:
        assert attempts.read_run(actor.seed_dir)["owner"] == actor.owner
        assert attempts.read_attempts(actor.seed_dir).attempt == 1


TAPE = {"told": [10_000 * str(number) for number in range(10)]}


def record(seed_dir):
    """Save whole, then with more rows at the end."""
    recorder = Recorder(["told"])
    for value in TAPE["told"]:
        if value[0] == "9":
            recorder.save(seed_dir / "recorders" / "tape.pkl")
        recorder.write_to_tape({"told": value})
    recorder.save(seed_dir / "recorders" / "tape.pkl")


def complete(actor):
    """As a run and its supervisor do it: what main() saves, then what ends it."""
    record(actor.seed_dir)
    fold_files()
    files.sync_tree(actor.seed_dir)
    actor.active.done = True
    return actor.conclude()


def check_complete(actor, told, seen):
    is_there = (actor.seed_dir / "COMPLETED").exists()
    assert actor.report.completed == is_there
    assert (told.value is State.COMPLETED) == is_there
    check_ending(actor, told)
    if is_there:
        assert pickle.loads((actor.seed_dir / "recorders/tape.pkl").read_bytes()) == TAPE
        synced = {call.path for call in seen if call.name == "fsync" and call.done}
        assert str(actor.seed_dir / "model.pt") in synced or every_error.flushed


def check_ending(actor, told):
    assert actor.report.overtaken == 0, "nobody has taken it over"
    if told.value is State.RUNNING:
        (line,) = actor.lines
        assert "could not be noted" in line
        assert "seed1" in line
    else:
        assert actor.lines == []


def crash(actor):
    return actor.conclude()


def check_crash(actor, told, seen):
    is_there = (actor.seed_dir / "CRASH.txt").exists()
    assert actor.report.crashed == is_there
    assert (told.value is State.CRASHED) == is_there
    check_ending(actor, told)


def release(actor):
    actor.active.tell(0, "stopped", 0.0)
    return actor.conclude(stopping=True)


def check_release(actor, told, seen):
    is_there = (actor.seed_dir / "UNHATCHED").exists()
    assert actor.report.put_back == is_there
    assert (told.value is State.WAITING) == is_there
    check_ending(actor, told)


def put_back(actor):
    found = find(actor.storage_dir, actor.me.owner)
    try:
        recovery.put_back(found, actor.me, clean_crashes=True, sleep=lambda seconds: None)
    except OSError as error:
        found.failed.append(f"{actor.storage_dir} can't be cleaned: {error}")
    return found


def check_put_back(actor, told, seen):
    if told.line:
        return
    found = told.value
    assert all("/" in line and "\n" not in line for line in found.failed)
    if found.put_back:
        assert look(actor.seed_dir).state is State.WAITING
    if found.given_up:
        assert look(actor.seed_dir).state is State.CRASHED


def save(actor):
    record(actor.seed_dir)


def check_save(actor, told, seen):
    if not told.line:
        assert Recorder.init_from_pickle_file(actor.seed_dir / "recorders/tape.pkl").tape == TAPE


def lease(actor):
    """Its file was removed: it is written again, and beaten."""
    lease = leases.owners_dir(actor.storage_dir) / actor.owner
    lease.unlink(missing_ok=True)
    actor.me.restore()
    leases.beat(lease)


def check_lease(actor, told, seen):
    if not told.line:
        assert read_owner(leases.owners_dir(actor.storage_dir) / actor.owner) == actor.me.owner
    actor.me.restore()  # at the next beat


# name: what others left, what it did before, what fails, what must be so
RUNS = {
    "claim": (ops.nothing, nothing, claim, check_claim),
    "begin": (ops.nothing, lambda actor: ops.claim(actor.seed_dir, actor.me), begin, check_begin),
    "complete": (ops.nothing, Actor.start, complete, check_complete),
    "crash": (ops.nothing, Actor.start, crash, check_crash),
    "release": (ops.nothing, Actor.start, release, check_release),
    "reap": (ops.dead, nothing, put_back, check_put_back),
    "third death": (ops.dead_twice, nothing, put_back, check_put_back),
    "resume": (ops.dead_in_a_reset, nothing, put_back, check_put_back),
    "clean crash": (ops.crashed, nothing, put_back, check_put_back),
    "adopt": (ops.OPERATIONS["adopt"][0], nothing, put_back, check_put_back),
    "save": (ops.nothing, Actor.start, save, check_save),
    "lease": (ops.nothing, Actor.start, lease, check_lease),
}


# What they do elsewhere "reap" does as well.
IN_ITS_DIRECTORY = ("third death", "resume", "clean crash", "adopt")


@pytest.mark.parametrize("name", sorted(RUNS))
def test_an_error_of_any_call_of(name, lay, child, tmp_path):
    left_by_others, done_before, work, check = RUNS[name]
    where = "experiment1/seed1" if name in IN_ITS_DIRECTORY else "."
    (seed_dir,) = lay(1, f"template/{NAME}")
    left_by_others(seed_dir, child)
    results = tmp_path / "results"

    def do(case, number):
        folder = tmp_path / str(number)
        copying = shutil.copy2 if name == "adopt" else shutil.copyfile  # with its time stamps, or without
        shutil.copytree(tmp_path / "template", folder, copy_function=copying)
        actor = Actor(folder / NAME / "experiment1/seed1")
        done_before(actor)
        with every_error.failing(case, folder / NAME / where) as seen:
            outcome = every_error.told(lambda: work(actor))
        check(actor, outcome, seen)
        if number % 2:  # the error has passed while the launcher still lives; else when it is gone
            for _, state in actor.endings.note_again():
                assert state is not State.RUNNING
                assert actor.lines == []
                ops.leave(actor.seed_dir, actor.me)
            assert not actor.endings.open
        actor.me.close()
        return seen, outcome

    assert child(lambda: results.write_bytes(pickle.dumps(every_error.all_cases(do)))) == 0
    every_error.look_at(results, lambda folder: afterwards(name, folder))


def afterwards(name, root):
    """The next commands, once the error has passed."""
    storage_dir = root / NAME
    seed_dir = storage_dir / "experiment1/seed1"
    ops.is_whole(storage_dir, before_adoption=name == "adopt")
    in_doubt = {run.baton.owner for run in find(storage_dir, this_process()).doubtful}
    assert in_doubt <= {"adopted"}, "nobody could tell whether it is dead"
    made = set(storage_dir.rglob("*.tmp"))
    assert {found.path for found in find_leftovers(storage_dir)} == made
    ops.go_on(storage_dir)
    assert look(seed_dir) == COMPLETED_BATON
    kept = [name for name in os.listdir(leases.owners_dir(storage_dir)) if not name.endswith(".tmp")]
    assert kept == []
    if name not in ("claim", "begin"):
        assert "weights" in ops.weights_in(seed_dir)
