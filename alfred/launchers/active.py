"""A run that is being done, as its supervisor sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from alfred.launchers.notes import Begun
from alfred.launchers.queue import Claimed
from alfred.launchers.raised import Raised
from alfred.launchers.tasks import Ended
from alfred.launchers.wire import WireReader
from alfred.storage import processes

NEVER = float("inf")


@dataclass
class Active:
    """A run that is being done.

    `told` says why the launcher itself ended it, "" as long as it did not. Times are of the monotonic clock:
    at `deadline` the run is told to end, at `kill_at` it is killed, from `decide_at` on its end is noted.
    `kills_before` is Memory.kills() at its start; `death` is the signature of its crash, once that was noted.
    """

    claimed: Claimed
    begun: Begun
    wire: WireReader
    pid: int
    token: str
    deadline: float = NEVER
    done: bool = False
    raised: Raised | None = None
    ended: Ended | None = None
    told: str = ""
    timed_out: bool = False
    kill_at: float = NEVER
    decide_at: float = NEVER
    kills_before: int = 0
    death: str = ""

    @property
    def seed_dir(self) -> Path:
        """The run's directory."""
        return Path(self.claimed.seed_dir)

    @property
    def name(self) -> str:
        """How the run is called in logs."""
        return name_of(self.claimed)

    def is_done(self, limit: float) -> None:
        """main() has returned; the process may take `limit` seconds to leave."""
        self.done = True
        self.deadline = NEVER
        self.kill_at = min(self.kill_at, time.monotonic() + limit)

    def has_ended(self, ended: Ended, patience: float) -> None:
        """The process has ended; what that means is decided in `patience` seconds."""
        self.ended = ended
        self.deadline = self.kill_at = NEVER
        self.decide_at = time.monotonic() + patience

    def is_due(self) -> bool:
        """Whether the end can be noted now."""
        return time.monotonic() >= self.decide_at

    def tell(self, number: int, why: str, grace: float) -> None:
        """Send a signal; after `grace` seconds the run is killed."""
        self.told = self.told or why
        self.deadline = NEVER
        self.kill_at = min(self.kill_at, time.monotonic() + grace)
        if processes.start_token(self.pid) == self.token:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def hurry(self, grace: float) -> None:
        """Its work is done; if it hasn't left in `grace` seconds it is killed."""
        self.kill_at = min(self.kill_at, time.monotonic() + grace)

    def kill(self) -> None:
        """Kill the run and all processes of its session."""
        processes.kill_session(self.pid, self.token)
        self.kill_at = NEVER

    def end_leftovers(self) -> None:
        """Data loaders and the like end with the run; after a clean end a look at its group is enough."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if not self.done:
            processes.kill_session(self.pid, self.token)


def name_of(claimed: Claimed) -> str:
    """`<storage directory>/experiment<N>/seed<S>`."""
    seed_dir = Path(claimed.seed_dir)
    return f"{claimed.storage_dir.name}/{seed_dir.parent.name}/{seed_dir.name}"
