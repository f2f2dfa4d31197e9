"""Tables as CSV files: floats in full, a missing value as an empty cell."""

from __future__ import annotations

import csv
from typing import TextIO

from alfred.analysis.rows import columns_of, filled, parts, published
from alfred.export.base import Order, Outcome, mixed, whole


def export(order: Order) -> Outcome:
    """Write the table, run by run.

    A float is written as the shortest text that reads back as the same float; NaN is `nan`, infinity `inf`.
    UsageError if the file is there.
    """
    outcome = Outcome(order.output)
    with whole(order.output) as place:
        kinds = columns_of(order.storage_dirs, order.chosen, order.rows, order.reading)
        outcome.notes += mixed(kinds)
        with place.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(_Lines(file))
            writer.writerow(kinds)
            for one in published(order.storage_dirs, order.chosen, seen=order.writing):
                outcome.count(one)
                for part in parts(one, order.rows):
                    rows = list(zip(*filled(part, kinds).values(), strict=True))
                    writer.writerows(rows)
                    outcome.rows += len(rows)
    return outcome


class _Lines:
    """Writes the rows of csv's writer with the line ends of Unix.

    The writer's own are `\\r\\n`: it quotes only texts that hold a letter of its line end, and a bare `\\r`
    without quotes ends the row for whoever reads it.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> None:
        """Write one row."""
        self._file.write(row.removesuffix("\r\n") + "\n")
