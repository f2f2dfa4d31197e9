"""Plots and summary of a storage directory whose runs have ended: made once, whoever launched the runs.

Each is made in a child process of its own, beside the runs of other storage directories; nothing that goes
wrong there touches a run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from alfred.launchers.base import STOP_SIGNALS, Hook, Hooks
from alfred.storage import chores, processes
from alfred.storage.flags import State
from alfred.storage.leases import Leases
from alfred.storage.survey import survey

_MOST_SAID = 4000  # bytes: a pipe takes them although nobody reads yet


@dataclass(frozen=True)
class _Called:
    """A hook that is being done, and the pipe through which its child says what there is to say."""

    storage_dir: Path
    chore: str
    said: int


class HookCaller:
    """Calls the hooks of a launch where all runs have ended and one at least has completed."""

    def __init__(self, hooks: Hooks, leases: Leases, say: Callable[[Path | None, str], None]) -> None:
        self._hooks = hooks
        self._leases = leases
        self._say = say
        self._called: dict[int, _Called] = {}
        self._tried: set[tuple[Path, str]] = set()
        self._cancelled = False
        self.failed = 0

    def call_where_ended(self, storage_dirs: Iterable[Path]) -> None:
        """Begin whatever is to be made in these storage directories, unless somebody else does."""
        for storage_dir in storage_dirs:
            if not self._hooks or not self._all_ended(storage_dir):
                continue
            for chore, hook in self._hooks.items():
                if (storage_dir, chore) in self._tried:
                    continue
                try:
                    self._leases.hold(storage_dir)
                    if not self._begin(storage_dir, chore, hook):
                        self._leases.drop(storage_dir)
                except OSError as error:  # if it was taken the lease stays, and proves us dead afterwards
                    self._tried.add((storage_dir, chore))
                    self._fail(storage_dir, f"{chore} could not be begun: {error}")

    def take_in(self) -> bool:
        """Note the hooks that have ended; whether any is still being done."""
        for pid, called in list(self._called.items()):
            waited, status = os.waitpid(pid, os.WNOHANG)
            if waited:
                del self._called[pid]
                self._end(called, status)
        return bool(self._called)

    def wait(self) -> None:
        """Until every hook that was begun has ended."""
        while self.take_in():
            time.sleep(0.02)

    def cancel(self) -> None:
        """End the hooks; what they were making waits for another launch."""
        self._cancelled = True
        for pid in self._called:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # it may not have come to a session of its own yet
            processes.kill_session(pid, processes.start_token(pid) or "")
        self.wait()

    def _begin(self, storage_dir: Path, chore: str, hook: Hook) -> bool:
        me = self._leases.owner
        if not chores.take(storage_dir, chore, me):
            return False
        if not self._all_ended(storage_dir):  # runs were added or put back meanwhile
            chores.give_back(storage_dir, chore, me)
            return False
        self._tried.add((storage_dir, chore))
        readable, writable = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.setsid()  # the terminal's Ctrl-C reaches the launcher alone, and what it starts ends with it
            processes.die_with_parent(parent)
            _do(hook, storage_dir, chore, writable)
        os.close(writable)
        self._called[pid] = _Called(storage_dir, chore, readable)
        return True

    def _fail(self, storage_dir: Path, text: str) -> None:
        self.failed += 1
        self._say(storage_dir, f"{storage_dir.name}: {text}")

    def _end(self, called: _Called, status: int) -> None:
        with os.fdopen(called.said, errors="replace") as pipe:
            said = pipe.read()
        try:
            self._note(called, status, said)
            self._leases.drop(called.storage_dir)
        except OSError as error:
            self._fail(called.storage_dir, f"the end of {called.chore} could not be noted: {error}")

    def _note(self, called: _Called, status: int, said: str) -> None:
        if status == 0:
            chores.done(called.storage_dir, called.chore, self._leases.owner)
            for line in said.splitlines():
                self._say(called.storage_dir, line)
        elif self._cancelled and os.WIFSIGNALED(status):
            chores.give_back(called.storage_dir, called.chore, self._leases.owner)
            text = f"{called.chore} cut off: the next launch makes what is missing"
            self._say(called.storage_dir, f"{called.storage_dir.name}: {text}")
        else:  # the next launch tries again
            chores.give_back(called.storage_dir, called.chore, self._leases.owner)
            why = said or f"its process ended with status {os.waitstatus_to_exitcode(status)}"
            self._fail(called.storage_dir, f"{called.chore} failed: {why}")

    def _all_ended(self, storage_dir: Path) -> bool:
        try:
            return _all_ended(storage_dir)
        except OSError as error:  # removed by hand meanwhile, say
            self._say(None, f"{storage_dir} could not be looked through: {error}")
            return False


def _do(hook: Hook, storage_dir: Path, chore: str, said: int) -> None:
    """In the child: call the hook and leave."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        lines = hook(storage_dir)
        os.write(said, "\n".join(lines or ()).encode("utf-8", "replace")[:_MOST_SAID])
        code = 0
    except Exception as error:
        os.write(said, f"{type(error).__name__}: {error}".encode("utf-8", "replace")[:_MOST_SAID])
        with open(storage_dir / ".alfred" / f"{chore}_error.txt", "w", encoding="utf-8") as file:
            traceback.print_exc(file=file)
    finally:
        os._exit(code)


def _all_ended(storage_dir: Path) -> bool:
    completed = False
    for run in survey(storage_dir):
        if not run.ended:
            return False
        completed = completed or (run.baton is not None and run.baton.state is State.COMPLETED)
    return completed
