"""The steps of launchers and cleaners one by one, done by alfred's own functions on files (no program)."""

from __future__ import annotations

import ctypes
import dataclasses
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from interference import Interference, Trouble

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

RECORDER = "train_recorder.pkl"


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
        self.interfere.talk = talk
        self.interfere.expect(Trouble(stop=run_stop))
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
