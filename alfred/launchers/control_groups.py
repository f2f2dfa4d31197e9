"""What the kernel's control groups leave this process of its machine: in a container, in a cluster's job."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

MOUNTED = "/sys/fs/cgroup"
MINE = "/proc/self/cgroup"


def folders(controller: str, mounted: str = MOUNTED, mine: str = MINE) -> list[Path]:
    """The folder of this process's control group for a controller (memory, cpu), then those above it.

    `mounted` is where control groups are mounted, `mine` the file that says which this process is in. None
    where there are no control groups.
    """
    of = {}
    for line in text(Path(mine)).splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        of.update(dict.fromkeys(names.split(","), path.lstrip("/")))  # version 2 names none
    if controller in of:
        top, own = Path(mounted, controller), of[controller]
    elif "" in of:
        top, own = Path(mounted), of[""]
    else:
        return []
    folder = top / own
    if not folder.is_dir():  # in a container that sees its own group as the topmost
        folder = top
    return [folder, *(above for above in folder.parents if above.is_relative_to(top))]


def cores(mounted: str = MOUNTED, mine: str = MINE) -> int | None:
    """As many cores as processor time is allowed for, part of one counts whole; None without a limit."""
    limits = [limit for folder in folders("cpu", mounted, mine) if (limit := _cores_of(folder)) is not None]
    return min(limits, default=None)


def text(path: Path) -> str:
    """What a file of the kernel says, "" if it can't be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _cores_of(folder: Path) -> int | None:
    told = text(folder / "cpu.max") or " ".join(  # version 2, version 1
        text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")
    )
    with contextlib.suppress(ValueError):  # "max": no limit
        quota, period = map(int, told.split())
        if quota > 0 and period > 0:
            return math.ceil(quota / period)
    return None
