"""Keeps the leases of its parent fresh, as a helper process: `python -m alfred.storage.heart SECONDS PARENT`.

Paths arrive on standard input, each ended by a NUL. It ends when the input does or the parent is gone, even
while children of the parent still hold the other end open.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time


def main(interval: float, parent: int) -> None:
    """Give every lease named so far a new time stamp once in `interval` seconds."""
    named, paths = b"", set[bytes]()
    due = time.monotonic() + interval
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], min(1.0, max(0.0, due - time.monotonic())))
        if readable:
            data = os.read(0, 65_536)
            if not data:
                return
            *whole, named = (named + data).split(b"\0")
            paths.update(whole)
        if time.monotonic() < due:
            continue
        for path in paths:
            with contextlib.suppress(OSError):
                os.utime(path)
        due = time.monotonic() + interval


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
