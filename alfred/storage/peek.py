"""Parts of files that somebody else wrote: read without following links and without waiting for a writer."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """Some bytes of a file, and how many bytes it has in all."""

    data: bytes
    size: int


def start_of(path: str | Path, most: int) -> Part:
    """The first `most` bytes of a plain file. Raises OSError, also when it is no plain file."""
    return _part(path, most, from_end=False)


def end_of(path: str | Path, most: int) -> Part:
    """The last `most` bytes of a plain file. Raises OSError, also when it is no plain file."""
    return _part(path, most, from_end=True)


def _part(path: str | Path, most: int, *, from_end: bool) -> Part:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        start = max(0, found.st_size - most) if from_end else 0
        return Part(os.pread(handle, most, start), found.st_size)
    finally:
        os.close(handle)
