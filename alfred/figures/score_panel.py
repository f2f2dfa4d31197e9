"""Scores side by side, a column for each experiment or algorithm: the points, their mean, its interval."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from alfred.figures.page import say_instead
from alfred.figures.reference_lines import Lines, name_hlines, sort_hlines
from alfred.figures.sight import far_text, is_far, show_only
from alfred.figures.style import SMALL, Look, wrapped
from alfred.utils.plots import plot_curves, plot_vertical_densities

Floats = NDArray[np.float64]
_LETTER = 0.6 * SMALL / 72  # inches of a letter of a label, on the safe side
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
    goal: str | None = None,
) -> None:
    """Draw the columns from left to right; one without scores keeps its place.

    With a `goal`, columns that lie far on the bad side are told at the edge and don't widen the axis.

    A line of `hlines` that lies far from all scores is told at the edge it lies beyond instead: drawn, it
    would press the scores together until nothing of them could be seen.
    """
    places = np.arange(1, len(columns) + 1)
    if not any(len(column.scores) for column in columns):
        say_instead(ax, "no run has a score")
        ax.set(title=title, ylabel=ylabel, xlim=(0.5, len(columns) + 0.5))
        return
    centres = np.array([column.centre for column in columns])
    far = is_far(centres, goal) if goal else np.zeros(len(columns), dtype=bool)
    seen = _values([column for column, is_so in zip(columns, far, strict=True) if not is_so])
    lines = sort_hlines(hlines, seen, 1)
    before = len(ax.lines)
    plot_curves(
        ax,
        ys=[[column.centre] for column in columns],
        xs=[[place] for place in places],
        colors=[column.look.color for column in columns],
        markers=[column.look.marker for column in columns],
        markersize=5 if len(columns) <= 8 else 4 if len(columns) <= 40 else 3,
        error_up=[[column.err_up] for column in columns],
        error_down=[[column.err_down] for column in columns],
        add_legend=False,
    )
    hollow = {place for place, column in zip(places.tolist(), columns, strict=True) if column.is_hollow}
    for line in ax.lines[before:]:
        if set(np.ravel(line.get_xdata()).tolist()) & hollow:
            line.set_markerfacecolor("white")
    _draw_points(ax, columns, title, ylabel, lines)
    if goal and far.any():
        show_only(ax, np.concatenate([seen, *(np.ravel(line["y"]) for line in lines.near)]))
        lines = lines.and_far(far_text(centres, far, goal), goal)
    name_hlines(ax, lines)


def _draw_points(ax: Axes, columns: Sequence[Column], title: str, ylabel: str, lines: Lines) -> None:
    """The runs beside their mean, and what stands around them."""
    before = len(ax.lines)
    plot_vertical_densities(
        ax,
        [column.scores if _shows_points(column) else () for column in columns],
        colors=["#222222"] * len(columns),
        labels=[column.label for column in columns],
        ylabel=ylabel,
        title=title,
        title_font_size=8,
        axis_font_size=8,
        tick_font_size=SMALL,
        hlines=[{"linewidth": 0.9, "linestyles": "--", **hline} for hline in lines.near],
    )
    for line in ax.lines[before:]:
        line.set_marker(".")
        line.set_markersize(3)
        beside = min(0.22, 0.06 + 0.012 * len(columns))  # not over the mean
        line.set_xdata(np.asarray(line.get_xdata()) + beside)


def _values(columns: Sequence[Column]) -> Floats:
    """All that is drawn of the columns."""
    ends = [[one.centre, one.centre - one.err_down, one.centre + one.err_up] for one in columns]
    return np.concatenate([*np.array(ends, dtype=np.float64), *(one.scores for one in columns)])


def _shows_points(column: Column) -> bool:
    """Few points are shown themselves, and all where there is no interval."""
    return len(column.scores) <= SHOWN_UP_TO or np.isnan(column.err_up)


def label_room(labels: Sequence[str], n_panels: int) -> float:
    """How many inches the labels of columns need below the lowest panels."""
    shown, is_turned = _laid_out(labels, n_panels)
    if is_turned:
        return max((len(line) for text in shown for line in text.split("\n")), default=0) * _LETTER
    return 0.15 * max((text.count("\n") + 1 for text in shown), default=1)


def label_spots(ax: Axes, labels: Sequence[str] | None, n_panels: int) -> None:
    """Write the labels below the columns, upright where they would touch; None leaves the places empty."""
    if labels is None:
        ax.tick_params(axis="x", labelbottom=False)
        return
    shown, is_turned = _laid_out(labels, n_panels)
    ax.set_xticks(range(1, len(labels) + 1), shown)
    for text in ax.get_xticklabels():
        text.set_rotation(90 if is_turned else 0)
        text.set_horizontalalignment("center")
        text.set_linespacing(1.2)


def _laid_out(labels: Sequence[str], n_panels: int) -> tuple[list[str], bool]:
    """The labels in lines, and whether they are to stand upright: where no word may be cut to fit side by
    side, or a label would be more than four lines high."""
    room = (1.9 if n_panels > 2 else 2.6) / max(1, len(labels))
    level = [wrapped(label, room - _LETTER) for label in labels]
    words = [word for label in labels for word in re.split(r"[\s_/,.=-]", label)]
    widest = max((len(part) for text in [*words, *level] for part in text.split("\n")), default=0) * _LETTER
    if widest <= room and all(text.count("\n") < 4 for text in level):
        return level, False
    return [wrapped(label, 1.4) for label in labels], True
