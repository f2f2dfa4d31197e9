"""Calls a command for as long as somebody holds the other end of standard input; then tells it to end.

`python -m alfred.launchers.leash COMMAND ...`, from a process that may be killed at any moment, by force and
together with its children. The command stands in a session of its own and gets SIGTERM whether the holder
lets go, dies, or kills this process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from alfred.storage import processes

_LEAVING = 30.0  # seconds in which the command that was here before is expected to end
_LOOK_EVERY = 0.2  # seconds between looks whether the command has ended
_INPUT, _OUTPUT = 0, 1


def main(command: Sequence[str]) -> int:
    """Call the command, when nothing of one that had the same output is left; its exit status."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # who starts this may have blocked what ends a launcher
    _wait_for_the_one_before()
    here = os.getpid()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: processes.end_with_parent(here),
    )
    # No second thread: the kernel would tell the command of the end of each.
    while process.poll() is None:
        if _is_let_go(_LOOK_EVERY):
            process.terminate()
            break
    return process.wait()


def _wait_for_the_one_before() -> None:
    """Every process of a command holds the lock on its output. So one that is still putting runs back is
    waited for: a launcher that came earlier would find nothing to do and leave."""
    end = time.monotonic() + _LEAVING
    with contextlib.suppress(OSError):  # a file system without locks
        while True:
            try:
                fcntl.flock(_OUTPUT, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return


def _is_let_go(seconds: float) -> bool:
    """Whether the other end of standard input is closed, or is within so many seconds."""
    ready, _, _ = select.select([_INPUT], [], [], seconds)
    return bool(ready) and not os.read(_INPUT, 4096)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
