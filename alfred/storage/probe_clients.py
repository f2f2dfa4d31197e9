"""Two processes that use one folder, each through its own path, as two machines would.

They do whatever touches the file system under test, so what hangs there doesn't take its caller along.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import struct
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from alfred.storage import processes

_LAST, _GIVEN_UP = 2, 3
_SLOT = struct.Struct("Q")


class ProbeError(Exception):
    """A measurement could not be made; the message says why, in few words."""


class NoAnswerError(ProbeError):
    """There was no answer in time: what was asked for may happen yet."""


class Meeting:
    """Where two processes wait for one another, in shared memory: quicker than any pipe."""

    def __init__(self, limit: float = 10.0) -> None:
        self._memory = mmap.mmap(-1, 4 * _SLOT.size)
        self._limit = limit

    def clear(self) -> None:
        """Begin anew: nobody is there."""
        self._memory[:] = bytes(len(self._memory))

    def stop_at(self, turn: int) -> None:
        """Let both stop at this turn; who wants that says so before it comes to it."""
        self._set(_LAST, turn)

    def give_up(self) -> None:
        """Let both stop wherever they are; for who takes no part."""
        self._set(_GIVEN_UP, 1)

    def meet(self, me: int, turn: int) -> bool:
        """Wait until the other one is at this turn (from 1) too; False when it is one to stop at.

        TimeoutError when the other doesn't come.
        """
        self._set(me, turn)
        end = time.monotonic() + self._limit
        while self._get(1 - me) < turn:
            if self._get(_GIVEN_UP):
                return False
            if time.monotonic() > end:
                raise TimeoutError(f"the other process did not answer within {self._limit:g} s")
            time.sleep(0)
        # The other may be ahead by now, and want to stop at a later turn: to that we come as well.
        return not (self._get(_GIVEN_UP) or 0 < self._get(_LAST) <= turn)

    def _set(self, slot: int, value: int) -> None:
        _SLOT.pack_into(self._memory, slot * _SLOT.size, value)

    def _get(self, slot: int) -> int:
        value: int = _SLOT.unpack_from(self._memory, slot * _SLOT.size)[0]
        return value


class Client:
    """A forked process that calls functions by name, with arguments and results that JSON holds."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        requests, answers = os.pipe(), os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(requests[1])
            os.close(answers[0])
            _serve(functions, requests[0], answers[1], parent)
        os.close(requests[0])
        os.close(answers[1])
        self._requests, self._answers = requests[1], answers[0]
        self._buffer = b""
        self._asked = 0

    def begin(self, name: str, *arguments: Any) -> None:
        """Let the function be called; `result` waits for what it returns."""
        self._asked += 1
        with contextlib.suppress(BrokenPipeError):  # seen by `result`
            os.write(self._requests, json.dumps([self._asked, name, arguments]).encode() + b"\n")

    def result(self, limit: float, waiting: Callable[[], object] = lambda: None) -> Any:
        """What the function begun last returned. `waiting()` is called several times a second meanwhile.

        ProbeError for what it raised and when the process died, NoAnswerError when there is none within
        `limit` seconds.
        """
        end = time.monotonic() + limit
        while True:
            line = self._line(end, waiting)
            if not line:
                raise NoAnswerError(f"no answer within {limit:.3g} s")
            number, value, error = json.loads(line)
            if number != self._asked:
                continue  # of a call that nobody waits for any more
            if error:
                raise ProbeError(error)
            return value

    def _line(self, end: float, waiting: Callable[[], object]) -> bytes:
        """The next line of the process; empty when there is none by `end`."""
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                return b""
            waiting()
            if select.select([self._answers], [], [], min(left, 0.3))[0]:
                data = os.read(self._answers, 1 << 16)
                if not data:
                    raise ProbeError("the process that was to look died")
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def close(self) -> None:
        """End the process; one that the file system doesn't let go is left to end when it can."""
        os.close(self._requests)
        os.close(self._answers)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        end = time.monotonic() + 1.0
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(self._pid, os.WNOHANG)[0] == 0 and time.monotonic() < end:
                time.sleep(0.005)


def _serve(functions: Mapping[str, Callable[..., Any]], requests: int, answers: int, parent: int) -> None:
    """In the process itself: until nobody asks any more."""
    code = 1
    try:
        processes.die_with_parent(parent)  # in a race nobody hears that the one who asked is gone
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for who asks
        with os.fdopen(requests, "rb") as lines:
            for line in lines:
                number, name, arguments = json.loads(line)
                answer = json.dumps([number, *_outcome(functions[name], arguments)]).encode() + b"\n"
                while answer:
                    answer = answer[os.write(answers, answer) :]
        code = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _outcome(function: Callable[..., Any], arguments: list[Any]) -> tuple[Any, str]:
    try:
        return function(*arguments), ""
    except OSError as error:
        return None, error.strerror or str(error)
