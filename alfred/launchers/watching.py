"""How runs go that other launchers do, shown while one waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from alfred.launchers.base import LaunchReport
from alfred.launchers.local import show
from alfred.launchers.progress import Tally
from alfred.storage.flags import State


def watch(
    storage_dirs: Sequence[Path],
    is_over: Callable[[], bool],
    farewell: str,
    news: Callable[[], str] = lambda: "",
) -> LaunchReport:
    """Show the counts of the runs until `is_over()`; how many completed and crashed meanwhile.

    What `news()` says of the launchers is shown whenever it is not what it said before. On Ctrl-C `farewell`
    says what becomes of them, and KeyboardInterrupt is passed on.
    """
    tally = Tally(storage_dirs)
    before = dict(tally.counts)
    display = show(tally)
    told = ""
    try:
        while not is_over():
            if (said := news()) != told:
                display.line(told := said)
            tally.look_on()
            display.tick()
            time.sleep(0.25)
    except KeyboardInterrupt:
        display.line(farewell)
        raise
    finally:
        tally.look_now()
        display.close()
    return LaunchReport(
        completed=tally.counts[State.COMPLETED] - before.get(State.COMPLETED, 0),
        crashed=tally.counts[State.CRASHED] - before.get(State.CRASHED, 0),
    )
