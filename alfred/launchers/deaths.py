"""What a run died of, from what its supervisor knows: in one line, where, and by what it is known again."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alfred.launchers.frames import Frame, last_own
from alfred.launchers.raised import Raised
from alfred.launchers.readable import one_line, shortened
from alfred.launchers.tasks import Ended
from alfred.storage.crashes import normalised

_LONGEST_IN_LOG = 300


@dataclass(frozen=True)
class Death:
    """`headline` is the line that people read, `signature` what all deaths of one kind have in common,
    `where` the last call in the user's code; `signal` or `exit_status` if that was how its process ended;
    `out_of_memory` what says that it was for want of memory, "" if nothing does."""

    headline: str
    signature: str
    where: str = ""
    signal: str = ""
    exit_status: int | None = None
    out_of_memory: str = ""

    @property
    def short(self) -> str:
        """The headline for a log."""
        return shortened(self.headline, _LONGEST_IN_LOG)


def of_run_out_of_time(headline: str, raised: Raised | None) -> Death:
    """A run that its launcher ended; where it stood just then is no part of the signature."""
    return Death(headline, normalised(headline), raised.where if raised else "")


def of_raised(raised: Raised) -> Death:
    """A run whose main() raised."""
    headline = one_line(raised.error)
    memory = "MemoryError was raised" if raised.memory else ""
    message = headline.removeprefix(raised.kind).removeprefix(": ")
    if raised.signal is not None or not raised.place:  # where a signal from outside came is chance
        return Death(headline, normalised(headline), raised.where, out_of_memory=memory)
    place = f"{raised.kind} at {raised.place}"
    # "SystemExit: 3" is looked at whole: the number is what tells it from others.
    known = normalised(f"{raised.kind}: {message}").removeprefix(f"{raised.kind}: ") if message else ""
    return Death(headline, f"{place}: {known}" if known else place, raised.where, out_of_memory=memory)


def of_process(ended: Ended | None, stood: Sequence[Frame], project: Path, out_of_memory: str) -> Death:
    """A run whose process ended by itself or was killed. `stood`: the calls that faulthandler told."""
    if ended is None or ended.status is None:
        return Death("the process of the run is gone", "the process of the run is gone")
    if not os.WIFSIGNALED(ended.status):
        code = os.WEXITSTATUS(ended.status)
        headline = f"the process left with exit status {code} before main() returned"
        return Death(headline, headline, exit_status=code)
    name, meaning = _signal_names(os.WTERMSIG(ended.status))
    if name == "SIGKILL":
        headline = (
            "out of memory: killed by SIGKILL" if out_of_memory else "killed by SIGKILL; nobody said why"
        )
        return Death(headline, headline, signal=name, out_of_memory=out_of_memory)
    own = last_own(stood)
    return Death(
        f"killed by {name}{meaning}" + (" (core dumped)" if os.WCOREDUMP(ended.status) else ""),
        f"killed by {name}" + (f" at {stood[-1].place(project)}" if stood else ""),
        own.where(project) if own else "",
        name,
    )


def _signal_names(number: int) -> tuple[str, str]:
    try:
        known = signal.Signals(number)
    except ValueError:
        return f"signal {number}", ""
    return known.name, f" ({signal.strsignal(number)})"
