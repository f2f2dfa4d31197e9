"""How a run ended, from what its supervisor saw to the baton that says so."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alfred.defaults
from alfred.errors import OvertakenError
from alfred.launchers import crash_report, deaths, frames, notes
from alfred.launchers.active import Active, name_of
from alfred.launchers.base import LaunchReport
from alfred.launchers.deaths import Death
from alfred.launchers.memory import Memory
from alfred.launchers.queue import Claimed
from alfred.storage import batons
from alfred.storage.flags import State
from alfred.storage.owners import Owner

Say = Callable[[Path | None, str], None]


@dataclass(frozen=True)
class _Open:
    """An end that could not be noted, and what was said of it."""

    active: Active
    stopping: bool
    text: str


class Endings:
    """Notes the ends of one owner's runs and counts them in `report`."""

    def __init__(self, owner: Owner, project: Path, memory: Memory, report: LaunchReport, say: Say) -> None:
        self._owner = owner
        self._project = project
        self._memory = memory
        self._report = report
        self._say = say
        self.open: dict[Claimed, _Open] = {}

    def conclude(self, active: Active, stopping: bool) -> State:
        """Give the baton the name that tells how the run ended; the state that it is in now.

        `stopping`: the launcher was told to end, so that a run that was cut off waits again. What the disk
        refuses to note is `open` then, and noted by `note_again` once that is possible.
        """
        try:
            return self._conclude(active, stopping)
        except OSError as error:
            text = f"{active.name}: its end could not be noted: {error}"
            self.open[active.claimed] = _Open(active, stopping, text)
            self.pass_over(text)
        return State.RUNNING

    def note_again(self) -> Iterator[tuple[Active, State]]:
        """Try once more to note the ends that are open; those that are noted now, and their states."""
        for claimed, one in list(self.open.items()):
            with contextlib.suppress(OSError):
                state = self._conclude(one.active, one.stopping)
                del self.open[claimed]
                self._report.passed_over.remove(one.text)
                yield one.active, state

    def give_up(self, claimed: Claimed, error: Exception, *, for_now: bool = False) -> bool:
        """A run that could not even be started waits again; `for_now`: it will be tried once more. False: it
        may still be this owner's, since the disk refused that."""
        text = f"{name_of(claimed)} could not be started: {error}"
        if for_now:
            self._say(claimed.storage_dir, text)
        else:
            self.pass_over(text)
        try:
            batons.release(Path(claimed.seed_dir), self._owner.name, f"could not be started: {error}")
        except OvertakenError:
            pass
        except OSError:
            return False
        return True

    def pass_over(self, text: str) -> None:
        """Something could not be worked on."""
        self._report.passed_over.append(text)
        self._say(None, text)

    def _conclude(self, active: Active, stopping: bool) -> State:
        server_lost = active.ended is not None and active.ended.status is None
        try:
            if active.done and not active.told:
                return self._complete(active)
            if server_lost or (stopping and not active.timed_out):
                return self._put_back(active)
            return self._crash(active)
        except OvertakenError as error:
            self._report.overtaken += 1
            self._say(active.claimed.storage_dir, str(error))
        return State.RUNNING

    def _complete(self, active: Active) -> State:
        self._note(active, "completed")
        with contextlib.suppress(OSError):
            (active.seed_dir / ".alfred" / "faults.out").unlink()
        batons.finish(active.seed_dir, self._owner.name)
        self._report.completed += 1
        self._say(active.claimed.storage_dir, f"{active.name} completed")
        return State.COMPLETED

    def _put_back(self, active: Active) -> State:
        why = active.told or "the process that starts the runs died"
        self._note(active, f"put back: {why}")
        keep_files = alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS
        batons.release(active.seed_dir, self._owner.name, why, keep_files=keep_files)
        self._report.put_back += 1
        self._say(active.claimed.storage_dir, f"{active.name} waits again: {why}")
        return State.WAITING

    def _crash(self, active: Active) -> State:
        death = self._death(active)
        self._note(active, f"crashed: {death.headline}")
        kills = self._memory.kills() - active.kills_before
        known = crash_report.facts(active.begun, self._owner, active.ended, self._memory.limit(), kills)
        text = crash_report.compose(active.seed_dir, death, known, active.raised)
        batons.crash(active.seed_dir, self._owner.name, text)
        active.death = death.signature
        self._report.crashed += 1
        self._say(active.claimed.storage_dir, f"{active.name} crashed: {death.short}")
        return State.CRASHED

    def _death(self, active: Active) -> Death:
        if active.told:
            return deaths.of_run_out_of_time(active.told, active.raised)
        if active.raised is not None:
            return deaths.of_raised(active.raised)
        ended = active.ended
        killed = ended is not None and ended.status is not None and _is_sigkill(ended.status)
        why = self._memory.evidence(active.pid, active.kills_before, active.begun.since) if killed else ""
        stood = frames.of_faults(crash_report.faults(active.seed_dir))
        return deaths.of_process(ended, stood, self._project, why)

    def _note(self, active: Active, how: str) -> None:
        if not batons.is_mine(active.claimed.seed_dir, self._owner.name):
            if batons.is_put_back(active.claimed.seed_dir, self._owner.name):
                return  # noted before that failed halfway
            raise OvertakenError(f"{active.name} was taken over by another process: nothing is published")
        record: dict[str, Any] = {"process": active.pid, "how": how}
        if active.ended:
            record["wait_status"] = active.ended.status
            record["peak_memory"] = active.ended.peak_memory
            record["cpu_seconds"] = round(active.ended.cpu_seconds, 3)
        with contextlib.suppress(OSError):
            notes.end(active.seed_dir, active.begun, record)


def _is_sigkill(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
