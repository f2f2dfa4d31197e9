"""What CRASH.txt says: what happened, where, with which traces; the line that matters comes last."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alfred.launchers.tasks import Ended

_TAIL = 20_000  # bytes of each log that are looked at
_LINES = 30


def what_happened(ended: Ended | None, raised: Mapping[str, Any] | None, stopped: str) -> str:
    """The end of a run in one line. `stopped` says why the launcher itself ended it, "" if it did not."""
    if stopped:
        return stopped
    if raised is not None:
        return str(raised["error"]).splitlines()[0]
    if ended is None or ended.status is None:
        return "the process of the run is gone"
    if os.WIFSIGNALED(ended.status):
        number = os.WTERMSIG(ended.status)
        return f"killed by {_signal_name(number)}" + (" (core dumped)" if os.WCOREDUMP(ended.status) else "")
    return f"the process left with exit status {os.WEXITSTATUS(ended.status)} before main() returned"


def compose(
    seed_dir: str, headline: str, facts: Mapping[str, object], raised: Mapping[str, Any] | None
) -> str:
    """The report: headline, facts, the last lines of what the run wrote, the traceback."""
    parts = [f"Error: {headline}\n" + "\n".join(f"{name}: {value}" for name, value in facts.items() if value)]
    for title, path in (("output.out", "output.out"), ("logger.out", "logger.out")):
        if lines := last_lines(Path(seed_dir) / path):
            parts.append(f"--- the last lines of {title}\n{lines}")
    if trace := last_lines(Path(seed_dir) / ".alfred" / "faults.out", 200):
        parts.append(f"--- where Python was\n{trace}")
    if raised is not None:
        parts.append(f"--- traceback\n{str(raised['traceback']).rstrip()}")
    if parts[-1].splitlines()[-1] != headline:
        parts.append(headline)
    return "\n\n".join(parts)


def last_lines(path: Path, how_many: int = _LINES) -> str:
    """The end of a text file; empty when there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            text = file.read(_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-how_many:])


def _signal_name(number: int) -> str:
    try:
        known = signal.Signals(number)
    except ValueError:
        return f"signal {number}"
    return f"{known.name} ({signal.strsignal(number)})"
