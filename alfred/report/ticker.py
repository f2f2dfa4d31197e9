"""Says now and then what is being done, for steps that take their time and can't say it themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from alfred.utils.misc import formatted_time_diff


class Ticker:
    """Between `with` and its end: a line every `every` seconds with what was last said to be done.

    Its thread starts with the first word, so that what forks before has no thread beside it.
    """

    def __init__(self, write: Callable[[str], object], every: float = 2.0) -> None:
        self._write = write
        self._every = every
        self._doing = ""
        self._begin = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, doing: str) -> None:
        """Hear what is being done now."""
        self._doing = doing
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="alfred-ticker", daemon=True)
            self._thread.start()

    def __enter__(self) -> Ticker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self._write(f"{self._doing}, {formatted_time_diff(time.monotonic() - self._begin)}")
