"""Scores side by side, a column for each experiment or algorithm: the points, their mean, its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from alfred.figures.style import SMALL, Look
from alfred.utils.plots import plot_curves, plot_vertical_densities

Floats = NDArray[np.float64]
SHOWN_UP_TO = 10  # points: no interval is right on three bimodal seeds, so few points are shown themselves


@dataclass(frozen=True)
class Column:
    """One column: its scores (n,), their mean `centre`, and distances >= 0 to the ends of its interval."""

    label: str
    look: Look
    scores: Floats
    centre: float
    err_up: float
    err_down: float
    is_hollow: bool = False


def draw_columns(
    ax: Axes,
    columns: Sequence[Column],
    *,
    title: str = "",
    ylabel: str = "",
    hlines: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Draw the columns from left to right; one without scores keeps its place."""
    places = np.arange(1, len(columns) + 1)
    before = len(ax.lines)
    plot_curves(
        ax,
        ys=[[column.centre] for column in columns],
        xs=[[place] for place in places],
        colors=[column.look.color for column in columns],
        markers=[column.look.marker for column in columns],
        markersize=5 if len(columns) <= 40 else 3,
        error_up=[[column.err_up] for column in columns],
        error_down=[[column.err_down] for column in columns],
        add_legend=False,
    )
    hollow = {place for place, column in zip(places.tolist(), columns, strict=True) if column.is_hollow}
    for line in ax.lines[before:]:
        if set(np.ravel(line.get_xdata()).tolist()) & hollow:
            line.set_markerfacecolor("white")
    before = len(ax.lines)
    plot_vertical_densities(
        ax,
        [column.scores if len(column.scores) <= SHOWN_UP_TO else () for column in columns],
        colors=["#222222"] * len(columns),
        labels=[column.label for column in columns],
        ylabel=ylabel,
        title=title,
        title_font_size=8,
        axis_font_size=8,
        tick_font_size=SMALL,
        hlines=[{"linewidth": 0.9, "linestyles": "--", **hline} for hline in hlines],
    )
    for line in ax.lines[before:]:
        line.set_marker(".")
        line.set_markersize(3)
        line.set_xdata(np.asarray(line.get_xdata()) + 0.22)  # beside the mean, not over it
