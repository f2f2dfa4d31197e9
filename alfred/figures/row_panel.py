"""Estimates as rows with their intervals, or, of many pairs, as a square of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

from alfred.figures.style import SMALL, TINY, Look

LEADING = 1.15  # of labels of several lines


@dataclass(frozen=True)
class Row:
    """An estimate from `low` to `high`, NaN where there is no interval, or no estimate at all."""

    label: str
    look: Look
    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Square:
    """Of each of k against each of k (k, k): a text, a shade from -1 to 1, and whether it is stressed.

    `labels` are of the rows and begin with their numbers from 1.
    """

    labels: Sequence[str]
    texts: Sequence[Sequence[str]]
    shades: NDArray[np.float64]
    is_stressed: NDArray[np.bool_]


def draw_rows(ax: Axes, rows: Sequence[Row], *, has_labels: bool = True, zero: float | None = None) -> None:
    """Draw the rows from top to bottom; `zero`: where neither side is better."""
    for at, row in enumerate(rows):
        ends, color = [row.low, row.high], row.look.color
        ax.plot(ends, [at, at], color=color, linewidth=4, alpha=0.35, solid_capstyle="butt", zorder=2)
        ax.plot([row.point], [at], color=color, marker=row.look.marker, markersize=4.5, zorder=3)
    if zero is not None:
        ax.axvline(zero, color="#444444", linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks(range(len(rows)), [row.label for row in rows], linespacing=LEADING)
    ax.tick_params(axis="y", length=0, labelleft=has_labels, labelsize=SMALL)
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.grid(axis="x", color="#dddddd", linewidth=0.5, zorder=0)
    ax.locator_params(axis="x", nbins=5)


def draw_square(ax: Axes, square: Square) -> None:
    """Each row against each column; the columns are numbered as the rows are."""
    k = len(square.labels)
    shades = np.ma.masked_invalid(square.shades)
    ax.imshow(0.5 + 0.2 * shades, cmap=colormaps["PuOr_r"], vmin=0, vmax=1, aspect="auto")
    for row in range(k):
        for column in range(k):
            weight = "bold" if square.is_stressed[row, column] else "normal"
            text = square.texts[row][column]
            ax.text(column, row, text, ha="center", va="center", fontsize=TINY, weight=weight)
    ax.set_xticks(range(k), [str(at + 1) for at in range(k)])
    ax.set_yticks(range(k), square.labels, linespacing=LEADING)
    ax.tick_params(length=0, labelsize=TINY)
    ax.xaxis.tick_top()
    for spine in ax.spines.values():
        spine.set_visible(False)
