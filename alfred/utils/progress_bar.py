"""A progress bar like tqdm's that draws nothing itself: it tells somebody else how far main() is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, TextIO

from alfred.utils.misc import formatted_time_diff

Report = Callable[[float, float | None, str], None]


class PlainProgressBar:
    """Counts in `n`, up to `total` if that is known; `report(n, total, text)` hears of it.

    At most one report in `interval` seconds, besides those of `refresh()` and `close()`. An object with
    a method `finish()` as `report` is told the end by it.
    """

    def __init__(
        self,
        total: float | None = None,
        desc: str = "",
        report: Report | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        interval: float = 0.2,
    ) -> None:
        self.n: float = 0
        self.total = total
        self.desc = desc
        self.postfix = ""
        self._report = report
        self._clock = clock
        self._interval = interval
        self._reported_at = float("-inf")
        self._closed = False

    def update(self, n: float = 1) -> None:
        """Count `n` more."""
        self.n += n
        if self._clock() - self._reported_at >= self._interval:
            self.refresh()

    def refresh(self, *_: Any, **__: Any) -> None:
        """Report now."""
        self._reported_at = self._clock()
        if self._report is not None:
            self._report(self.n, self.total, ", ".join(filter(None, [self.desc, self.postfix])))

    def reset(self, total: float | None = None) -> None:
        """Begin again from 0, with another total if one is given."""
        self.n = 0
        self.total = self.total if total is None else total
        self.refresh()

    def set_description(self, desc: str | None = None, refresh: bool = True) -> None:
        """What is going on."""
        self.desc = desc or ""
        if refresh:
            self.refresh()

    set_description_str = set_description

    def set_postfix(
        self, ordered_dict: Mapping[str, Any] | None = None, refresh: bool = True, **values: Any
    ) -> None:
        """Values to show behind the description."""
        shown = {**(ordered_dict or {}), **values}
        text = (f"{name}={_short(value)}" for name, value in shown.items())
        self.set_postfix_str(", ".join(text), refresh)

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Text to show behind the description."""
        self.postfix = s
        if refresh:
            self.refresh()

    def write(self, s: str, file: TextIO | None = None, end: str = "\n", nolock: bool = False) -> None:
        """Print text; no bar stands in its way."""
        print(s, file=file or sys.stdout, end=end)

    def close(self) -> None:
        """Report the end, once."""
        if not self._closed:
            self._closed = True
            self.refresh()
            finish = getattr(self._report, "finish", None)
            if finish is not None:
                finish()

    def __iter__(self) -> Iterator[int]:
        """0 to total - 1, counted as they are used up."""
        if self.total is None:
            raise TypeError("a progress bar without a total can't be iterated over")
        for number in range(int(self.total)):
            yield number
            self.update()
        self.refresh()

    def __enter__(self) -> PlainProgressBar:
        """Closed at the end of the `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


class LineReporter:
    """For log files: a plain line now and then, and one at the end; never a carriage return."""

    def __init__(
        self,
        write: Callable[[str], Any] = print,
        every: float = 30.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._every = every
        self._clock = clock
        self._start = self._wrote_at = clock()
        self._line = self._written = ""

    def __call__(self, n: float, total: float | None, desc: str) -> None:
        """Hear how far it is; write that if `every` seconds have passed or all is done."""
        now = self._clock()
        count = f"{n:g}" if total is None else f"{n:g}/{total:g}" + (f" ({n / total:.0%})" if total else "")
        line = f"{desc}: {count}" if desc else count
        self._line = " ".join(line.split())
        is_done = total is not None and n >= total
        if is_done or now - self._wrote_at >= self._every:
            self.finish()

    def finish(self) -> None:
        """Write the last state, unless that was the last line already."""
        self._wrote_at = self._clock()
        if self._line and self._line != self._written:
            self._written = self._line
            self._write(f"{self._line}, {formatted_time_diff(self._wrote_at - self._start)}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
