"""Plots and summary of a storage directory whose runs have ended: called by exactly one process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from alfred.launchers.base import Hooks
from alfred.storage import chores
from alfred.storage.flags import State
from alfred.storage.leases import Leases
from alfred.storage.survey import survey


class HookCaller:
    """Calls the hooks of a launch where all runs have ended and one at least has completed."""

    def __init__(self, hooks: Hooks, leases: Leases, say: Callable[[Path | None, str], None]) -> None:
        self._hooks = hooks
        self._leases = leases
        self._say = say
        self._failed = 0

    def run_ended(self, storage_dir: Path, idle: bool) -> None:
        """A run has ended; `idle`: this launcher has nothing running or to start there any more."""
        if idle:
            self._call_if_ended(storage_dir)

    def finish(self, storage_dirs: Iterable[Path], stopping: bool) -> int:
        """At the end of a launch: look at every storage directory once more. How many hooks failed in all."""
        if not stopping:
            for storage_dir in storage_dirs:
                self._call_if_ended(storage_dir)
        return self._failed

    def _call_if_ended(self, storage_dir: Path) -> None:
        if not self._hooks or not _all_ended(storage_dir):
            return
        self._leases.hold(storage_dir)
        try:
            for chore, hook in self._hooks.items():
                if chores.take(storage_dir, chore, self._leases.owner):
                    self._call(storage_dir, chore, hook)
        finally:
            self._leases.drop(storage_dir)

    def _call(self, storage_dir: Path, chore: str, hook: Callable[[Path], None]) -> None:
        me = self._leases.owner
        if not _all_ended(storage_dir):  # runs were added or put back meanwhile
            chores.give_back(storage_dir, chore, me)
            return
        try:
            hook(storage_dir)
        except Exception as error:  # figures that can't be made must not fail the runs that were
            chores.give_back(storage_dir, chore, me)
            self._failed += 1
            self._say(storage_dir, f"{storage_dir.name}: {chore} failed: {type(error).__name__}: {error}")
        except BaseException:
            chores.give_back(storage_dir, chore, me)
            raise
        else:
            chores.done(storage_dir, chore, me)


def _all_ended(storage_dir: Path) -> bool:
    completed = False
    for run in survey(storage_dir):
        if not run.ended:
            return False
        completed = completed or (run.baton is not None and run.baton.state is State.COMPLETED)
    return completed
