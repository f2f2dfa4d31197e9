"""What comes between a process and the system: a stop in the midst, an answer that gets lost (no program)."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class Trouble:
    """A process stops before its `stop`th change from now (a write counts twice: before it, and when half is
    written), and of its `lose`th rename the answer is lost: it is done, and ends with the error `code`.
    0: never."""

    stop: int = 0
    lose: int = 0
    code: int = errno.ENOENT


NONE = Trouble()


class Interference:
    """Called with each change that a process is about to make, which it lets through or not.

    Before the process stops it says so through `talk`; when it goes on it is told there when to stop next.
    """

    def __init__(self, talk: Connection) -> None:
        self.talk = talk
        self.expect(NONE)

    def expect(self, trouble: Trouble) -> None:
        """Let this come from now on, and nothing else."""
        self._stop, self._lose, self._code = trouble.stop, trouble.lose, trouble.code

    def __call__(self, call: Any) -> Any:
        self._count()
        if call.name == "write" and len(call.args[1]) > 1 and self._count(half_of=call):
            return call.do()
        if call.name in ("rename", "replace") and self._lose:
            self._lose -= 1
            if not self._lose:
                call.do()
                raise OSError(self._code, os.strerror(self._code))
        return call.do()

    def _count(self, half_of: Any = None) -> bool:
        self._stop -= 1
        if self._stop != 0:
            return False
        if half_of is not None:
            handle, data = half_of.args
            os.pwrite(handle, bytes(data)[: len(data) // 2], os.lseek(handle, 0, os.SEEK_CUR))
        self.talk.send({"stopping": os.getpid()})
        os.kill(os.getpid(), signal.SIGSTOP)
        self._stop = self.talk.recv()["stop"]
        return True
