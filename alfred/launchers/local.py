"""Runs as processes on this machine."""

from __future__ import annotations

import sys

from alfred.launchers.base import Hooks, LaunchPlan, LaunchReport
from alfred.launchers.launch_log import LaunchLog
from alfred.launchers.progress import Display, LiveDisplay, PlainDisplay, Tally, plain_line
from alfred.launchers.tasks import Starter
from alfred.launchers.worker import Worker
from alfred.storage.leases import Leases
from alfred.storage.owners import Owner


class LocalLauncher:
    """Does the runs in processes of their own, made by `starter`."""

    def __init__(self, owner: Owner, starter: Starter) -> None:
        self._owner = owner
        self._starter = starter

    def launch(self, plan: LaunchPlan, hooks: Hooks) -> LaunchReport:
        """Work until nothing waits or a signal ends it."""
        leases = Leases(self._owner)
        tally = Tally(plan.storage_dirs)
        log = LaunchLog(self._owner.name)
        display = show(tally)
        log.display = display
        try:
            return Worker(plan, self._starter, leases, display, tally, log, hooks).work()
        finally:
            tally.look_now()
            display.close()
            leases.close()
            self._starter.close()


def show(tally: Tally) -> Display:
    """A live display on a terminal, plain lines elsewhere."""
    if sys.stdout.isatty():
        return LiveDisplay(tally)
    return PlainDisplay(tally, plain_line)
