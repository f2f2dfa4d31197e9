"""What a run's process tells its supervisor: lines of JSON through a pipe.

{"log": text}, {"bar": [n, total, description]}, {"done": true}, {"raised": {...}}
"""

from __future__ import annotations

import json
import logging
import os
import select
from collections.abc import Iterator
from typing import Any

from alfred.launchers.raised import Raised

_AT_ONCE = 4096  # what a pipe takes in one piece on every system
_READS = 4  # of 64 KiB each: more than a pipe holds, so that what a run said last is always heard


class WireEnd:
    """The end in the run's process."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def log(self, text: str) -> None:
        """A line for the terminal."""
        self._send_if_free({"log": text[:3000]}, {"log": text[:600]})

    def bar(self, n: float, total: float | None, description: str) -> None:
        """How far the run is; numbers of numpy are numbers too."""
        self._send_if_free({"bar": [float(n), None if total is None else float(total), description[:200]]})

    def done(self) -> None:
        """main() has returned and its files are on disk."""
        self._send({"done": True})

    def raised(self, raised: Raised) -> None:
        """main() raised."""
        self._send({"raised": raised.to_json()})

    def _send_if_free(self, message: dict[str, Any], shorter: dict[str, Any] | None = None) -> None:
        """A terminal that stands still must not hold up a run: then the message is dropped."""
        free = select.poll()  # select() can't take the high numbers of a run with many open files
        free.register(self._handle, select.POLLOUT)
        if any(event & select.POLLOUT for _, event in free.poll(0)):
            data = _line(message)
            self._write(data if len(data) <= _AT_ONCE or shorter is None else _line(shorter))

    def _send(self, message: dict[str, Any]) -> None:
        self._write(_line(message))

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._handle, data) :]


class WireHandler(logging.Handler):
    """Sends a run's log lines to the terminal of its launcher."""

    def __init__(self, wire: WireEnd) -> None:
        super().__init__()
        self._wire = wire

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, formatted."""
        try:
            self._wire.log(self.format(record))
        except Exception:  # as every logging handler: a log line never ends the run
            self.handleError(record)


class WireReader:
    """The end in the supervisor."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.open = True
        os.set_blocking(handle, False)
        self._rest = b""

    def read(self) -> Iterator[dict[str, Any]]:
        """The messages that have arrived; a run that never stops talking must not hold up its supervisor."""
        for _ in range(_READS):
            if not (data := self._available()):
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    continue  # two processes of the run wrote at once
                if isinstance(message, dict):
                    yield message

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self.handle)

    def _available(self) -> bytes:
        try:
            data = os.read(self.handle, 65_536) if self.open else b""
        except BlockingIOError:
            return b""
        self.open = bool(data)
        return data


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
