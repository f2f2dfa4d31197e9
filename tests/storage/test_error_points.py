"""An error at every single call to the disk of everything that changes a tree: nothing is claimed that is
not so, the error is one line that names the place, and once it has passed the work goes on.

For each operation its calls are counted first; then it is done in a fresh tree once for each call, each error
that the system could answer it with, and each way of failing: only once, from then on as long as the
operation lasts (a disk that stays full), and after the call was done (its answer got lost, as on NFS). One
process does all cases of an operation, its own death is the death of the owner, and another goes on.

Out of reach, since no function of `os` or `open` stands before them: syncfs (by ctypes), lockf, reading and
writing through a file object of `open`, and what a `DirEntry` asks of the system.
"""

import contextlib
import errno
import os
import pickle
import runpy
import shutil
import sys
import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from alfred import errors, files
from alfred.launchers import notes
from alfred.launchers.active import Active
from alfred.launchers.base import LaunchPlan, LaunchReport
from alfred.launchers.endings import Endings
from alfred.launchers.memory import Memory
from alfred.launchers.queue import Claimed, Queue
from alfred.launchers.tasks import Ended
from alfred.launchers.wire import WireReader
from alfred.storage import attempts, batons, laying, leases, recovery, retrains
from alfred.storage.creation import Experiment, Preparation, lay_more, lay_search
from alfred.storage.findings import find
from alfred.storage.flags import COMPLETED_BATON, State, look
from alfred.storage.leases import Leases
from alfred.storage.leftovers import find_leftovers
from alfred.storage.more_seeds import lay_seeds
from alfred.storage.owners import read_owner, this_process
from alfred.storage.survey import storage_dirs, survey
from alfred.utils.recorder import Recorder, fold_files

pytestmark = pytest.mark.timeout(600)  # some hundred cases each, whatever else the machine does
HERE = Path(__file__).parent
ops = SimpleNamespace(**runpy.run_path(str(HERE / "operations.py")))
system = SimpleNamespace(**runpy.run_path(str(HERE / "system_calls.py")))
NAME = "Ab1_any_thing_grid_x"
TWINS = (errno.EDQUOT, errno.ESTALE)  # answered as ENOSPC and EIO are: tried at every second call
STAYING = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE)
LOST = {
    **dict.fromkeys(("rename", "replace", "unlink", "remove", "rmdir"), errno.ENOENT),
    **dict.fromkeys(("mkdir", "link"), errno.EEXIST),
}


@pytest.fixture
def tmp_path(in_memory):
    return in_memory


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Case:
    """The `number`th call fails with `code`: "once", "staying" or "lost"."""

    number: int
    call: str
    code: int
    way: str

    def __str__(self):
        return f"{errno.errorcode[self.code]} {self.way} at call {self.number}, {self.call}"


def cases_of(seen):
    """Every case for the calls that an operation made."""
    for call in seen:
        twins = () if call.number % 2 else TWINS
        about = f"{call.name} of {'/'.join(call.path.split('/')[-3:])}"
        for code in system.ERRORS:
            if call.may_fail_with(code) and code not in twins:
                yield Case(call.number, about, code, "once")
                if code in STAYING and (call.changes or code != errno.EACCES):
                    yield Case(call.number, about, code, "staying")
        for code in (LOST[call.name], errno.ESTALE, errno.EIO) if call.name in LOST else ():
            yield Case(call.number, about, code, "lost")


@contextlib.contextmanager
def without_pauses():
    pause, time.sleep = time.sleep, lambda seconds: None
    try:
        yield
    finally:
        time.sleep = pause


@contextlib.contextmanager
def failing(case, folder):
    """Let calls below the folder fail as the case says; pauses between tries pass at once. Yields the calls,
    each with whether it was `done` without error."""
    kinds = []

    def interfere(call):
        call.done = False
        hit = case is not None and (
            call.number == case.number
            or (case.way == "staying" and call.number > case.number and is_of_kind(call))
        )
        if call.number == getattr(case, "number", None):
            kinds.append(call.name)
        if not hit:
            result = call.do()
            call.done = True
            return result
        if case.way == "lost":
            call.do()
        if call.name == "close":
            os.closerange(call.args[0], call.args[0] + 1)  # whatever it answers, it is closed
        named = not isinstance(call.args[0] if call.args else "", int)
        raise OSError(case.code, os.strerror(case.code), *([call.path] if named else []))

    def is_of_kind(call):
        general = case.code in (*system.FULL, errno.EROFS, errno.EMFILE)
        return call.may_fail_with(case.code) and (general or call.name in kinds)

    with without_pauses(), system.calls(folder, interfere) as seen:
        yield seen


@dataclass
class Told:
    """What an operation said of itself: what it returned, or the line that a command would end with."""

    value: object = None
    line: str = ""


def told(work):
    """Do it; only what a command turns into a line may come out."""
    try:
        return Told(value=work())
    except errors.AlfredError as error:
        line = str(error)
    except OSError as error:  # as cli.run says it
        line = f"{os.fsdecode(error.filename or '')}: {error.strerror}"
    assert "\n" not in line
    assert "/" in line, f"no path is named: {line}"
    return Told(line=line)


# --- the operations: what was done before, what is done, what must be so afterwards


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
        assert str(actor.seed_dir / "model.pt") in synced or flushed


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
        with failing(case, folder / NAME / where) as seen:
            outcome = told(lambda: work(actor))
        check(actor, outcome, seen)
        if number % 2:  # the error has passed while the launcher still lives; else when it is gone
            for _, state in actor.endings.note_again():
                assert state is not State.RUNNING
                assert actor.lines == []
                ops.leave(actor.seed_dir, actor.me)
            assert not actor.endings.open
        actor.me.close()
        return seen, outcome

    assert child(lambda: results.write_bytes(pickle.dumps(all_cases(do)))) == 0
    look_at(results, lambda folder: afterwards(name, folder))


flushed = []  # calls of syncfs, which is not among those counted


def _is_flush(event, args):
    return event == "ctypes.dlsym" and args[1] == "syncfs"


def all_cases(do):
    """Do every case; each with what was wrong with it."""
    sys.addaudithook(lambda event, args: flushed.append(1) if _is_flush(event, args) else None)
    seen, outcome = do(None, 0)
    assert outcome.line == ""
    done = [(None, "")]
    for case in cases_of(seen):
        problem = ""
        flushed.clear()
        try:
            do(case, len(done))
        except Exception:
            problem = traceback.format_exc()
        done.append((case, problem))
    return done


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


def look_at(results, go_on):
    """Let the next commands go on after every case; nothing may be wrong with any."""
    done, problems = pickle.loads(results.read_bytes()), []
    for number, (case, problem) in enumerate(done):
        folder = results.with_name(str(number))
        try:
            with without_pauses():
                go_on(folder)
        except Exception:
            problem = problem or traceback.format_exc()
        shutil.rmtree(folder)
        if problem:
            problems.append(f"{case}:\n{problem}")
    print(len(done), "cases")
    assert not problems, f"{len(problems)} of {len(done)} cases went wrong:\n" + "\n".join(problems[:3])


# --- what lays directories


def plan(task, first=0):
    experiments = (Experiment({"lr": first}, {"lr": first}, (10,)),)
    return Preparation("a", task, "grid_x", "grid", experiments, variations={"lr": [first]})


def lay_retrain(root, name, listed):
    with contextlib.closing(Leases(this_process())) as me, retrains.reserved(root / name, me) as mine:
        assert mine
        return lay_search(root, [replace(plan("t"), desc="retrainBestNo1_x", origin=name)], listed)


# name: what is done, how many runs stand then where one stood before
LAYINGS = {
    "a search": (lambda root, name, listed: lay_search(root, [plan("u")], listed), 2),
    "more experiments": (lambda root, name, listed: lay_more(root, name, plan("t", 2)), 2),
    "more seeds": (lambda root, name, listed: lay_seeds(root, name, [1], 2), 3),
    "a retrain": (lay_retrain, 2),
    "what was cut short": (lambda root, name, listed: laying.recover(root, tell=told_lines.append), 2),
}
told_lines = []


@pytest.mark.parametrize("what", sorted(LAYINGS))
def test_an_error_of_any_call_of_laying(what, child, tmp_path, monkeypatch):
    """All of it is there or nothing; when it is said to be there it is."""
    monkeypatch.setenv("PATH", "")  # no git to be asked for a name
    work, size = LAYINGS[what]
    everywhere = what in ("a search", "what was cut short")  # the others build as the first does
    results, template = tmp_path / "results", tmp_path / "template"
    (name,) = lay_search(template, [plan("t")])

    def die_with_a_journal(folder):
        laying.LayingFolder._carry_out = lambda *args: os.kill(os.getpid(), 9)
        lay_search(folder, [plan("u")], folder / "list_x.txt")

    def do(case, number):
        root = tmp_path / str(number)
        shutil.copytree(template, root, copy_function=shutil.copyfile)
        for journal in root.glob(".alfred/laying.*/journal.json"):
            journal.write_text(journal.read_text().replace(str(template), str(root)))
        listed = root / "list_x.txt"
        listed.write_text(f"{name}\n")
        told_lines.clear()
        with failing(case, root if everywhere else root / name) as seen:
            outcome = told(lambda: work(root, name, listed))
        assert all("/" in line and "\n" not in line for line in told_lines)
        if outcome.value:
            assert runs_in(root) == (size, size)
            assert len(listed.read_text().split()) == len(storage_dirs(root))
        return seen, outcome

    def go_on(root):
        lines = []
        laying.recover(root, tell=lines.append)
        assert lines == []
        found = storage_dirs(root)
        assert (root / "list_x.txt").read_text().split() == [path.name for path in found]
        assert runs_in(root)[0] in (1, size)
        assert {found.path for found in find_leftovers(root)} == set(root.rglob("*.tmp"))
        assert all(batons.claim(run.seed_dir, "host-1-0123abcd") for path in found for run in survey(path))
        assert not list((root / ".alfred").glob("laying.*"))
        assert [name for name in os.listdir(root / ".alfred/owners") if not name.endswith(".tmp")] == []

    if what == "what was cut short":
        assert child(lambda: die_with_a_journal(template)) == -9
    assert child(lambda: results.write_bytes(pickle.dumps(all_cases(do)))) == 0
    look_at(results, go_on)


def runs_in(root):
    """How many runs stand in a root, and how many of them wait."""
    runs = [run for storage_dir in storage_dirs(root) for run in survey(storage_dir)]
    return len(runs), sum(run.baton is not None and run.baton.state is State.WAITING for run in runs)
