"""On which mount a folder is, and of which type its file system is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLE = "/proc/self/mountinfo"


@dataclass(frozen=True)
class Mount:
    """One mounted file system: its type ("" where the system doesn't tell), its source and its options."""

    point: str
    type: str
    source: str = ""
    options: tuple[str, ...] = ()

    def option(self, name: str) -> str | None:
        """The value of an option, "" for one without a value, None where it is not set."""
        for text in self.options:
            key, _, value = text.partition("=")
            if key == name:
                return value
        return None


def parse_mounts(table: str) -> Iterator[Mount]:
    """The mounts of a table in the form of /proc/self/mountinfo, in its order; odd lines are passed over."""
    for line in table.splitlines():
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if dash and len(fields) >= 6 and len(rest) >= 3:
            options = dict.fromkeys([*fields[5].split(","), *rest[2].split(",")])
            yield Mount(_plain(fields[4]), rest[0], _plain(rest[1]), tuple(options))


def mount_of(folder: Path) -> Mount:
    """The mount that `folder` is on; of type "" where the system keeps no such table."""
    place = os.path.realpath(folder)
    try:
        table = Path(_TABLE).read_text("utf-8", "surrogateescape")
    except OSError:
        return Mount(place, "")
    around = [mount for mount in parse_mounts(table) if _is_below(place, mount.point)]
    longest = max((len(mount.point) for mount in around), default=0)
    # Of several on one point the last one mounted is seen.
    return next((m for m in reversed(around) if len(m.point) == longest), Mount(place, ""))


def on_one_device(one: Path, other: Path) -> bool:
    """Whether two folders are on one device, as their status says."""
    try:
        return one.stat().st_dev == other.stat().st_dev
    except OSError:
        return False


def _is_below(place: str, point: str) -> bool:
    return place == point or place.startswith(point.rstrip("/") + "/")


def _plain(text: str) -> str:
    """The table writes white space and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
