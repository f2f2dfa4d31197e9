"""Crash reports grouped by what they end with."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from alfred.storage.flags import CRASH

_TAIL = 4096  # bytes of a report that are read: it may be a MiB, and the line that matters comes last
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
        line = last_line(f"{seed_dir}/{CRASH}")
        groups.setdefault(_PARTICULARS.sub("#", line), []).append((line, f"{seed_dir}/{CRASH}"))
    found = [CrashGroup(members[0][0], len(members), members[0][1]) for members in groups.values()]
    return sorted(found, key=lambda group: (-group.count, group.last_line))


def last_line(path: str) -> str:
    """The last line of a text file that isn't blank, as far as one reads it; says so where there is none."""
    try:
        # Without waiting for a writer, should it be a pipe that somebody called CRASH.txt.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                return "(the report is no plain file)"
            data = os.pread(handle, _TAIL, max(0, found.st_size - _TAIL))
        finally:
            os.close(handle)
    except OSError as error:
        return f"(the report can't be read: {error.strerror})"
    lines = _COLOURS.sub("", data.decode("utf-8", "replace")).split("\n")
    line = next((line.strip() for line in reversed(lines) if line.strip("\0 \t\r\f\v")), "")
    return line[:_LONGEST_LINE] or "(the report is empty)"
