"""Launchers and cleaners that do one thing when told, and stop before any change to the disk (no program).

Each is a real process of its own with an identity of its own, forked from the program that tells it what to
do. What it does is done by alfred's own functions on real files; what stands in between are the wrappers of
tests/storage/system_calls.py around the functions of `os`, which stop it (SIGSTOP) or lose an answer.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import errno
import os
import runpy
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from alfred.errors import OvertakenError
from alfred.launchers import child, notes
from alfred.launchers.active import Active
from alfred.launchers.base import LaunchPlan, LaunchReport
from alfred.launchers.endings import Endings
from alfred.launchers.memory import Memory
from alfred.launchers.queue import Claimed, Queue
from alfred.launchers.tasks import Ended, RunTask, ended_from_rusage
from alfred.launchers.wire import WireReader
from alfred.storage import batons, findings, leases, processes, recovery
from alfred.storage.leases import Leases
from alfred.storage.owners import Owner, this_process
from alfred.utils.recorder import Recorder

HERE = Path(__file__).resolve().parent
RECORDER = "train_recorder.pkl"
LIMIT = 60.0  # seconds after which a process that doesn't answer is a stall
calls = runpy.run_path(str(HERE.parents[1] / "tests" / "storage" / "system_calls.py"))


class StallError(Exception):
    """A process neither did what it was told nor stopped."""


@dataclasses.dataclass
class Interference:
    """What comes between a process and the system: it stops before its `stop`th change from now (a write
    counts twice: before it, and when half is written), and of its `lose`th rename the answer is lost: it is
    done, and ends with the error `code`. 0: never."""

    talk: Connection
    stop: int = 0
    lose: int = 0
    code: int = errno.ENOENT

    def __call__(self, call: Any) -> Any:
        self._count()
        if call.name == "write" and len(call.args[1]) > 1 and self._count(half_of=call):
            return call.do()
        if call.name in ("rename", "replace") and self.lose:
            self.lose -= 1
            if not self.lose:
                call.do()
                raise OSError(self.code, os.strerror(self.code))
        return call.do()

    def _count(self, half_of: Any = None) -> bool:
        self.stop -= 1
        if self.stop != 0:
            return False
        if half_of is not None:
            handle, data = half_of.args
            os.pwrite(handle, bytes(data)[: len(data) // 2], os.lseek(handle, 0, os.SEEK_CUR))
        self.talk.send({"stopping": os.getpid()})
        os.kill(os.getpid(), signal.SIGSTOP)
        self.stop = self.talk.recv()["stop"]
        return True


# --- the side of those who do it


def identity(host: str) -> Owner:
    """A new owner for this process; on another host than "near" as far as its record and its lease tell."""
    me = this_process()
    if host == "near":
        return me
    name = f"{host}-{me.pid}-{me.name.rpartition('-')[2]}"
    return dataclasses.replace(me, name=name, host=host, machine=f"machine of {host}")


class Launcher:
    """Works runs of one storage directory, in two slots; the parts of a launch one by one."""

    def __init__(
        self, storage_dir: Path, host: str, slots: list[Connection], interfere: Interference
    ) -> None:
        self.storage_dir, self.slots, self.interfere = storage_dir, slots, interfere
        self.leases = Leases(identity(host))
        self.report = LaunchReport()
        self.said: list[str] = []
        nowhere = os.devnull
        self.endings = Endings(
            self.leases.owner,
            storage_dir,
            Memory(nowhere, nowhere, nowhere),
            self.report,
            lambda place, text: self.said.append(text),
        )
        self.runs: dict[int, Active] = {}

    def hello(self) -> dict[str, Any]:
        return {"owner": self.leases.owner.name}

    def take(self, slot: int, experiments: list[int], survives: bool, run_stop: int) -> dict[str, Any]:
        """Claim a run, note it and start its process, as `Worker` does.

        Those that it works already are left out: a launcher's one queue knows them.
        """
        held = {int(Path(active.claimed.seed_dir).parent.name[10:]) for active in self.runs.values()}
        wanted = frozenset(experiments) - held
        plan = LaunchPlan(self.storage_dir, self.storage_dir.parent, (self.storage_dir,), experiments=wanted)
        claimed = Queue(plan, self.leases, self.said.append).claim()
        if claimed is None:
            return {"took": "", "said": self._said()}
        readable, writable = os.pipe()
        try:
            begun = notes.begin(Path(claimed.seed_dir), self.leases.owner, {"python": "3"})
        except (OSError, OvertakenError) as error:
            os.close(readable)
            os.close(writable)
            self.endings.give_up(claimed, error)
            self.leases.drop(self.storage_dir)
            return {"took": claimed.seed_dir, "pid": 0, "said": self._said()}
        pid = self._start(claimed, begun.attempt, writable, slot, survives, run_stop)
        os.close(writable)
        token = processes.start_token(pid) or ""
        self.runs[slot] = Active(claimed, begun, WireReader(readable), pid, token)
        return {"took": claimed.seed_dir, "pid": pid, "attempt": begun.attempt, "said": self._said()}

    def _start(
        self, claimed: Claimed, attempt: int, wire: int, slot: int, survives: bool, run_stop: int
    ) -> int:
        parent = os.getpid()
        task = RunTask(
            seed_dir=claimed.seed_dir,
            root=str(self.storage_dir.parent),
            project=str(self.storage_dir),
            owner=self.leases.owner.name,
            attempt=attempt,
            use_pbar=False,
            log_level=20,
        )
        pid = os.fork()
        if pid:
            return pid
        talk = self.slots[slot]
        self.interfere.talk.close()
        self.interfere.talk, self.interfere.stop, self.interfere.lose = talk, run_stop, 0
        child.work(task, _main(talk, self.leases.owner.name, survives), wire, parent, {})
        raise AssertionError("a run left its process")

    def hear(self, slot: int) -> dict[str, Any]:
        """A run's process has ended: note how the run did."""
        active = self.runs[slot]
        for message in active.wire.read():
            active.done = active.done or "done" in message
            if "raised" in message:
                active.raised = child.raised.Raised.from_json(message["raised"])
        active.has_ended(self._waited_for(active.pid), 0.0)
        return self._conclude(slot, stopping=False)

    def put_back(self, slot: int) -> dict[str, Any]:
        """The launcher was told to end: cut the run off and let it wait again."""
        active = self.runs[slot]
        active.told = "stopped by SIGTERM"
        active.kill()
        active.has_ended(self._waited_for(active.pid), 0.0)
        return self._conclude(slot, stopping=True)

    def _conclude(self, slot: int, stopping: bool) -> dict[str, Any]:
        active = self.runs.pop(slot)
        active.wire.close()
        active.end_leftovers()
        before = self.report.overtaken
        state = self.endings.conclude(active, stopping)
        self.leases.drop(self.storage_dir)
        overtaken = self.report.overtaken > before
        return {"state": "overtaken" if overtaken else state.value, "said": self._said()}

    def _waited_for(self, pid: int) -> Ended:
        _, status, usage = os.wait4(pid, 0)
        return ended_from_rusage(pid, status, usage)

    def beat(self) -> dict[str, Any]:
        """What happens at every beat: the lease, and the look whether each run is still its own."""
        path = leases.owners_dir(self.storage_dir) / self.leases.owner.name
        leases.beat(path)
        self.leases.restore()
        killed = []
        for slot, active in self.runs.items():
            if not batons.is_mine(active.claimed.seed_dir, self.leases.owner.name):
                active.kill()
                killed.append(slot)
        return {"killed": killed}

    def leave(self) -> dict[str, Any]:
        self.leases.close()
        return {}

    def _said(self) -> list[str]:
        said, self.said = self.said, []
        return said


def _main(talk: Connection, owner: str, survives: bool) -> Callable[..., None]:
    """main() of a run: it says that it has begun, and then does what it is told."""

    def main(config: Any, dir_tree: Any, logger: Any, pbar: Any) -> None:
        if survives:  # the first net failed: it lives on when its launcher dies
            ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
        recorder = Recorder(["owner", "attempt"])
        talk.send({"main": os.getpid()})
        while True:
            word = talk.recv()["word"]
            if word == "exit":
                os._exit(0)
            if word == "raise":
                raise ValueError("told to raise")
            recorder.write_to_tape({"owner": owner, "attempt": dir_tree.attempt})
            recorder.save(dir_tree.recorders_dir / RECORDER)
            if word == "return":
                return
            talk.send({"saved": os.getpid()})

    return main


class Cleaner:
    """One `alfred clean` of one storage directory. Its clock stands but while it sleeps, and then it asks the
    program to let all others live that long."""

    def __init__(self, storage_dir: Path, host: str, talk: Connection) -> None:
        self.storage_dir, self.talk = storage_dir, talk
        self.leases = Leases(identity(host))
        self.now = 0.0

    def hello(self) -> dict[str, Any]:
        return {"owner": self.leases.owner.name}

    def clean(self, clean_crashes: bool, watch: bool, force: bool) -> dict[str, Any]:
        found = findings.find(self.storage_dir, self.leases.owner)
        if watch:
            findings.watch([found], self.leases.owner, clock=lambda: self.now, sleep=self._sleep)
        if force:
            findings.overrule_doubt(found)
        silent = [findings.owner_of(item) for item in found.dead]
        self.talk.send({"judged": silent, "forced": [findings.owner_of(item) for item in found.forced]})
        recovery.put_back(found, self.leases, clean_crashes=clean_crashes)
        self.leases.close()
        return {"put_back": found.put_back, "given_up": found.given_up, "failed": found.failed}

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.talk.send({"sleep": seconds})
        self.talk.recv()


# --- the side of the program that tells them


class Actor:
    """A launcher or a cleaner, as the program sees it. `state`: idle, paused, midst (stopped in the midst of
    `op`), dead or gone."""

    def __init__(self, kind: str, storage_dir: Path, host: str) -> None:
        self.kind, self.host = kind, host
        self.talk, theirs = Pipe()
        pairs = [Pipe(), Pipe()] if kind == "launcher" else []
        self.slots = [ours for ours, _ in pairs]
        self.state, self.op = "idle", None
        self.pid = os.fork()
        if not self.pid:
            _live(kind, storage_dir, host, theirs, [end for _, end in pairs])
        theirs.close()
        for _, end in pairs:
            end.close()
        self.owner: str = self.answer()["owner"]

    def tell(self, message: dict[str, Any]) -> None:
        self.talk.send(message)

    def answer(self) -> dict[str, Any]:
        """What it says next; when it says that it stops it has stopped."""
        if not self.talk.poll(LIMIT):
            raise StallError(f"{self.kind} {self.pid} does not answer")
        said: dict[str, Any] = self.talk.recv()
        if "stopping" in said:
            os.waitpid(self.pid, os.WUNTRACED)
        return said

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.end("dead")

    def end(self, state: str) -> None:
        self.state = state
        self.talk.close()

    def close(self) -> None:
        """Leave nothing of it."""
        if self.state not in ("dead", "gone"):
            self.kill()
        for slot in self.slots:
            slot.close()


def _live(kind: str, storage_dir: Path, host: str, talk: Connection, slots: list[Connection]) -> None:
    """The life of an actor's process; never returns."""
    code = 1
    try:
        child.forget_exit_functions()
        processes.die_with_parent(os.getppid())
        interfere = Interference(talk)
        actor: Any = (
            Launcher(storage_dir, host, slots, interfere)
            if kind == "launcher"
            else Cleaner(storage_dir, host, talk)
        )
        calls["for_good"].enter_context(calls["calls"](storage_dir, interfere, only_changes=True))
        talk.send(actor.hello())
        while True:
            told = talk.recv()
            if told["do"] == "end":
                break
            interfere.stop, interfere.lose, interfere.code = told["stop"], told["lose"], told["code"]
            said = getattr(actor, told["do"])(*told["words"])
            interfere.stop = interfere.lose = 0
            talk.send({"done": said})
        code = 0
    except (EOFError, BrokenPipeError):
        pass
    except BaseException as error:
        import traceback

        with contextlib.suppress(OSError):
            talk.send({"failed": f"{error!r}\n{traceback.format_exc()}"})
    finally:
        os._exit(code)


def wait_until(pid: int, letter: str) -> None:
    """Until a process has this letter of /proc/<pid>/stat ("T": stopped), or "": until it is gone."""
    end = time.monotonic() + LIMIT
    while True:
        fields = processes._stat(pid)
        now = "" if fields is None or fields[0] in "ZX" else fields[0]
        if now == letter or not now:
            return
        if time.monotonic() > end:
            raise StallError(f"process {pid} is in state {now}, not {letter or 'gone'}")
        time.sleep(0.0005)


HOST = socket.gethostname()
