"""How much one run takes on disk: files, folders and bytes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

_SAMPLE = 20
_MOST_ENTRIES = 2000  # of one run: what has more is known well enough


@dataclass(frozen=True)
class RunSize:
    """Inodes and bytes of a typical run, the median of `sampled` completed ones."""

    inodes: int
    bytes: int
    sampled: int = 0


# What a run leaves that saves one small recorder and nothing else.
SMALLEST = RunSize(inodes=11, bytes=40 << 10)


def typical(completed: Iterable[str]) -> RunSize:
    """The size of some of these seed directories, spread evenly over all; SMALLEST where there is none."""
    found = list(completed)
    step = max(1, -(-len(found) // _SAMPLE))
    sizes = [size for seed_dir in found[::step] if (size := _measured(seed_dir)).inodes > 1]
    if not sizes:
        return SMALLEST
    inodes, amount = median(size.inodes for size in sizes), median(size.bytes for size in sizes)
    return RunSize(round(inodes), round(amount), len(sizes))


def _measured(seed_dir: str) -> RunSize:
    entries = size = 0
    for status in _below(seed_dir):
        entries += 1
        size += status.st_blocks * 512
        if entries >= _MOST_ENTRIES:
            break
    return RunSize(entries, size)


def _below(folder: str) -> Iterator[os.stat_result]:
    """The folder itself and everything in it; symlinks are not followed."""
    with contextlib.suppress(OSError):
        yield os.lstat(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _below(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False)
