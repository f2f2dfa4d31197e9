"""Tables that read well on a terminal of any width, in a pipe and in a log file."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alfred.storage.survey import Condition

_WIDE = 10_000  # where nobody's window ends a line, nothing is folded

HEADINGS = {
    Condition.WAITING: "waiting",
    Condition.RUNNING: "running",
    Condition.STOPPED: "stopped",
    Condition.COMPLETED: "completed",
    Condition.CRASHED: "crashed",
    Condition.CONFLICT: "conflict",
}


@dataclass(frozen=True)
class Column:
    """One column: its heading, and whether its cells are numbers, which stand at the right."""

    heading: str
    is_number: bool = False


def escaped(text: str) -> str:
    """Text from disk on one line, without signs that would move the cursor or hide something."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print a table to standard output; text that doesn't fit a terminal is folded, never cut off.

    A column without anything in it is left out.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    console = Console(
        file=sys.stdout,
        width=None if on_terminal else _WIDE,
        force_terminal=on_terminal,
        no_color=None if on_terminal else True,
        highlight=False,
        markup=False,
        emoji=False,
    )
    cells = list(rows)
    used = [at for at in range(len(columns)) if any(row[at] for row in cells)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at in used:
        numbers = columns[at].is_number
        heading, side = Text(columns[at].heading), "right" if numbers else "left"
        table.add_column(heading, justify=side, overflow="fold", no_wrap=numbers)  # type: ignore[arg-type]
    for row in cells:
        table.add_row(*(Text(escaped(row[at])) for at in used))
    if title:
        console.print(Text(title, style="bold"))
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    print("\n".join(line.rstrip() for line in lines))


def print_states(
    rows: Sequence[tuple[str, Counter[Condition]]], extra: dict[str, list[str]] | None = None
) -> None:
    """One row a storage directory, one column a state, a last row of sums where there are several.

    `extra` holds further columns: a heading and the cell of each row. Where a terminal is too narrow for
    all, states that no run is in are left out.
    """
    more = extra or {}
    total = sum((counts for _, counts in rows), Counter[Condition]())
    shown = list(HEADINGS)
    if _is_too_narrow(rows):
        shown = [condition for condition in shown if total[condition]]
    cells = [
        [name, *_counts(counts, shown), *(column[at] for column in more.values())]
        for at, (name, counts) in enumerate(rows)
    ]
    if len(rows) > 1:
        cells.append(["all together", *_counts(total, shown), *("" for _ in more)])
    numbers = [Column(heading, is_number=True) for heading in (*map(HEADINGS.__getitem__, shown), "total")]
    print_table([Column("storage directory"), *numbers, *map(Column, more)], cells)


def _counts(counts: Counter[Condition], shown: Sequence[Condition]) -> list[str]:
    return [*(str(counts[condition]) for condition in shown), str(counts.total())]


def _is_too_narrow(rows: Sequence[tuple[str, Counter[Condition]]]) -> bool:
    headings = sum(len(heading) + 2 for heading in (*HEADINGS.values(), "total"))
    width = max((len(name) for name, _ in rows), default=0) + headings
    return sys.stdout.isatty() and width > shutil.get_terminal_size().columns
