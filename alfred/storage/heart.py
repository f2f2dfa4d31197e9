"""The helper process that keeps the leases of its parent fresh: `python -m alfred.storage.heart SECONDS`.

Paths arrive on standard input, each ended by a NUL; it ends when the input does, so with its parent.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys


def main(interval: float) -> None:
    """Give every lease named so far a new time stamp once in `interval` seconds."""
    named, paths = b"", set[bytes]()
    while True:
        readable, _, _ = select.select([0], [], [], interval)
        if readable:
            data = os.read(0, 65_536)
            if not data:
                return
            *whole, named = (named + data).split(b"\0")
            paths.update(whole)
            continue
        for path in paths:
            with contextlib.suppress(OSError):
                os.utime(path)


if __name__ == "__main__":
    main(float(sys.argv[1]))
