"""How a launch goes: counts, rate and time to go, as plain lines or as a live display."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from alfred.storage.flags import State
from alfred.storage.survey import survey
from alfred.utils.misc import formatted_time_diff

_SHOWN = {
    State.COMPLETED: "done",
    State.RUNNING: "running",
    State.CRASHED: "crashed",
    State.WAITING: "waiting",
}


class Tally:
    """How many runs are in each state: one's own changes at once, those of others by looking now and then.

    A look is done a little at a time, so that it never holds up the launcher, and begins anew only after
    fifty times as long as the last one took. The numbers of a long look are as old as its beginning.
    """

    def __init__(self, storage_dirs: Sequence[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._storage_dirs = storage_dirs
        self._clock = clock
        self.counts: Counter[State | None] = Counter()
        self._start = clock()
        self._look: Iterator[State | None] | None = None
        self._looking = 0.0
        self._next_look = 0.0
        self._found: Counter[State | None] = Counter()
        self.look_now()
        self._ended_before = self.ended

    def moved(self, source: State, target: State) -> None:
        """A run of one's own changed its state."""
        self.counts[source] -= 1
        self.counts[target] += 1

    def look_now(self) -> None:
        """Count all runs, however long it takes."""
        self._next_look = 0.0
        while self.look_on(limit=60.0):
            pass

    def look_on(self, limit: float = 0.02) -> bool:
        """Go on counting for `limit` seconds; False when nothing is to be done now."""
        began = self._clock()
        if self._look is None:
            if began < self._next_look:
                return False
            self._look, self._looking = self._states(), 0.0
            self._found.clear()
        try:
            for state in self._look:
                self._found[state] += 1
                if self._clock() - began > limit:
                    self._looking += self._clock() - began
                    return True
        except OSError:  # a folder was removed by hand: counted at the next look
            self._found = self.counts
        self._looking += self._clock() - began
        self._look = None
        self.counts = Counter(self._found)
        self._next_look = self._clock() + max(5.0, 50 * self._looking)
        return False

    @property
    def ended(self) -> int:
        """How many runs have completed or crashed."""
        return self.counts[State.COMPLETED] + self.counts[State.CRASHED]

    def line(self) -> str:
        """All in one line: `12 done, 2 running, 1 crashed, 85 waiting, 3.2 runs/min, 26m34s to go`."""
        parts = [f"{max(0, self.counts[state])} {word}" for state, word in _SHOWN.items()]
        seconds = self._clock() - self._start
        if self.counts[None]:
            parts.append(f"{self.counts[None]} without a flag (`alfred clean` puts them back)")
        finished = self.ended - self._ended_before
        if finished > 0 and seconds > 0:
            rate = finished / seconds
            parts.append(f"{60 * rate:.0f} runs/min" if rate > 1 else f"{60 * rate:.2g} runs/min")
            left = self.counts[State.WAITING] + self.counts[State.RUNNING]
            if left > 0:
                parts.append(f"{formatted_time_diff(left / rate)} to go")
        return ", ".join(parts)

    def _states(self) -> Iterator[State | None]:
        for storage_dir in self._storage_dirs:
            for run in survey(storage_dir):
                state = run.baton.state if run.baton else None
                yield State.RUNNING if state is State.RESETTING else state


class Lenient:
    """A stream that may be closed at any time (a terminal, a pipe): what can't be written is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's."""
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As the stream's."""
        with contextlib.suppress(OSError):
            self._stream.flush()


class PlainDisplay:
    """Lines for a log file: every message, and how it goes now and then."""

    def __init__(self, tally: Tally, write: Callable[[str], Any], every: float = 30.0) -> None:
        self._tally = tally
        self._write = write
        self._every = every
        self._next = time.monotonic() + min(5.0, every)
        self._bars: dict[str, float] = {}

    def line(self, text: str) -> None:
        """A message."""
        self._write(text)

    def bar(self, run: str, n: float, total: float | None, description: str) -> None:
        """How far a run is: a line now and then."""
        now = time.monotonic()
        if now >= self._bars.get(run, 0.0):
            self._bars[run] = now + self._every
            self._write(f"{description or run}: {_amount(n, total)}")

    def started(self, run: str) -> None:
        """A run was started."""

    def ended(self, run: str) -> None:
        """A run has ended."""
        self._bars.pop(run, None)

    def tick(self) -> None:
        """Time has passed."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            self._write(self._tally.line())

    def close(self) -> None:
        """The last line."""
        self._write(self._tally.line())


class LiveDisplay:
    """For a terminal: messages scroll by above a table of what runs, redrawn a few times a second."""

    def __init__(self, tally: Tally) -> None:
        from rich.console import Console
        from rich.live import Live

        self._tally = tally
        self._runs: dict[str, tuple[float, str]] = {}
        console = Console(file=cast(TextIO, Lenient(sys.stdout)))
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()
        self._next = 0.0

    def line(self, text: str) -> None:
        """A message."""
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def bar(self, run: str, n: float, total: float | None, description: str) -> None:
        """How far a run is."""
        if run in self._runs:
            self._runs[run] = (self._runs[run][0], f"{_amount(n, total)} {description}")

    def started(self, run: str) -> None:
        """A run was started."""
        self._runs[run] = (time.monotonic(), "")

    def ended(self, run: str) -> None:
        """A run has ended."""
        self._runs.pop(run, None)

    def tick(self) -> None:
        """Time has passed."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.25
            self._live.update(self._table(), refresh=True)

    def close(self) -> None:
        """Leave the last line behind."""
        self._live.stop()
        self.line(self._tally.line())

    def _table(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, padding=(0, 1))
        now = time.monotonic()
        for run, (since, bar) in self._runs.items():
            table.add_row(Text(run), Text(formatted_time_diff(now - since)), Text(bar))
        return Group(table, Text(self._tally.line()))


Display = PlainDisplay | LiveDisplay


def plain_line(text: str) -> None:
    """Print a line at once, to whoever still listens."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _amount(n: float, total: float | None) -> str:
    return f"{n:g}/{total:g} ({n / total:.0%})" if total else f"{n:g}"
