"""Crash reports grouped by what they end with."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from alfred.storage.attempts import own_dir, read_run
from alfred.storage.flags import CRASH
from alfred.storage.owners import is_owner_name

_TAIL = (
    4096  # bytes of a report that are read: it may be a MiB, and the lines that matter come first and last
)
_LONGEST_LINE = 300
_COLOURS = re.compile("\x1b\\[[0-9;]*m")
# What differs from run to run although the mistake is the same: addresses, long numbers and fractions.
_PARTICULARS = re.compile(r"0x[0-9a-fA-F]+|\d+\.\d{3,}(?:[eE][+-]?\d+)?|\d{4,}")


@dataclass(frozen=True)
class CrashGroup:
    """Crashed runs whose reports end alike: the last line of one of them, how many, and where that one is."""

    last_line: str
    count: int
    example: str


def group_crashes(seed_dirs: Iterable[str]) -> list[CrashGroup]:
    """The crashed runs by the last line of CRASH.txt, the most frequent first."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for seed_dir in seed_dirs:
        report = report_of(seed_dir)
        line = (
            last_line(report) if report else "(the report was written over by an attempt that was overtaken)"
        )
        groups.setdefault(_PARTICULARS.sub("#", line), []).append((line, report or f"{seed_dir}/{CRASH}"))
    found = [CrashGroup(members[0][0], len(members), members[0][1]) for members in groups.values()]
    return sorted(found, key=lambda group: (-group.count, group.last_line))


def report_of(seed_dir: str) -> str:
    """The path of a crashed run's report: CRASH.txt, or where an attempt that was overtaken wrote into that
    late, the copy that the right one left beside it; "" where there is none.

    All flags of a seed directory are one file under changing names, so who opened it before a takeover and
    was paused may write after it. The first line names the writer, run.json whose run it is.
    """
    flag, owner = f"{seed_dir}/{CRASH}", read_run(Path(seed_dir)).get("owner")
    named = {word for word in _first_line(flag).split() if is_owner_name(word)}
    if not named or not isinstance(owner, str) or owner in named:
        return flag
    copy = f"{own_dir(Path(seed_dir))}/report.{owner}"
    return copy if is_owner_name(owner) and os.path.isfile(copy) else ""


def last_line(path: str) -> str:
    """The last line of a text file that isn't blank, as far as one reads it; says so where there is none."""
    try:
        data = _read(path, from_end=True)
    except OSError as error:
        return f"(the report can't be read: {error.strerror})"
    if data is None:
        return "(the report is no plain file)"
    lines = _COLOURS.sub("", data.decode("utf-8", "replace")).split("\n")
    line = next((line.strip() for line in reversed(lines) if line.strip("\0 \t\r\f\v")), "")
    return line[:_LONGEST_LINE] or "(the report is empty)"


def _first_line(path: str) -> str:
    try:
        data = _read(path, from_end=False) or b""
    except OSError:
        return ""
    return data.decode("ascii", "replace").split("\n", 1)[0]


def _read(path: str, from_end: bool) -> bytes | None:
    """Some kilobytes of a file's end or start; None where it is no plain file. Raises OSError."""
    # Without waiting for a writer, should it be a pipe that somebody called CRASH.txt.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return None
        return os.pread(handle, _TAIL, max(0, found.st_size - _TAIL) if from_end else 0)
    finally:
        os.close(handle)
