"""A printed page of panels that share one legend, which hides no data, and one caption that says how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from alfred.figures.style import ONE_COLUMN, SMALL, TINY, TWO_COLUMNS, Look, wrapped

_LEGEND_HANDLE = 0.45  # inches: the line and the space around an entry
_LINE = 1.3 / 72  # inches of a line of text for each point of its size


@dataclass(frozen=True)
class Entry:
    """One line of the legend."""

    label: str
    look: Look
    has_line: bool = True

    def handle(self) -> Line2D:
        """What stands before the label."""
        line: Any = self.look.line if self.has_line else "none"
        return Line2D([], [], color=self.look.color, marker=self.look.marker, linestyle=line, markersize=4)


@dataclass(frozen=True)
class Page:
    """A figure and its panels, row by row."""

    figure: Figure
    axes: tuple[Axes, ...]
    n_columns: int

    def is_left(self, at: int) -> bool:
        """Whether a panel is the first of its row."""
        return at % self.n_columns == 0

    def is_lowest(self, at: int) -> bool:
        """Whether there is no panel below this one."""
        return at + self.n_columns >= len(self.axes)


def new_page(
    n_panels: int,
    entries: Sequence[Entry] = (),
    caption: str = "",
    *,
    panel_height: float = 1.75,
    below: float = 0.0,
    is_wide: bool = False,
) -> Page:
    """Panels with their caption above and the legend below: one panel is one column of a paper wide, more
    (or `is_wide`) two columns, at most three panels in a row. `below`: inches for long words under the
    lowest axes."""
    n_columns = min(3, n_panels) if n_panels != 4 else 2
    n_rows = math.ceil(n_panels / n_columns)
    width = TWO_COLUMNS if is_wide or n_panels > 1 else ONE_COLUMN
    caption = wrapped(caption, width - 0.1, TINY)
    caption_height = (caption.count("\n") + 1) * TINY * _LINE if caption else 0.0
    labels = [wrapped(entry.label, width / (2 if width == ONE_COLUMN else 3) - 0.5) for entry in entries]
    legend_columns, legend_height = _legend_size(labels, width)
    height = n_rows * panel_height + caption_height + legend_height + below
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.04, hspace=0.04, wspace=0.03)  # type: ignore[union-attr, call-arg]
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for unused in axes[n_panels:]:
        unused.remove()
    if caption:
        figure.suptitle(caption, x=0.01, ha="left", fontsize=TINY, color="#333333", linespacing=1.2)
    if entries:
        figure.legend(
            [entry.handle() for entry in entries],
            labels,
            loc="outside lower center",
            ncols=legend_columns,
            frameon=False,
            handlelength=2.4,
            columnspacing=1.0,
        )
    return Page(figure, tuple(axes[:n_panels]), n_columns)


def say_instead(ax: Axes, text: str) -> None:
    """A panel that has nothing to show says why."""
    ax.set_xticks([])
    ax.set_yticks([])
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL, "color": "#444444"}
    ax.text(0.5, 0.5, wrapped(text, 1.8), transform=ax.transAxes, **style)


def _width(text: str) -> float:
    """How many inches a text of the legend is wide."""
    outline = TextPath((0, 0), max(text.split("\n"), key=len), size=SMALL, usetex=False)
    return float(outline.get_extents().x1) / 72


def _legend_size(labels: Sequence[str], width: float) -> tuple[int, float]:
    """How many columns fit beside one another, and how high the legend is, in inches."""
    if not labels:
        return 1, 0.0
    widest = max(_width(label) for label in labels) + _LEGEND_HANDLE
    n_columns = max(1, min(len(labels), int(width / widest)))
    n_rows = math.ceil(len(labels) / n_columns)
    tallest = max(label.count("\n") + 1 for label in labels)
    return n_columns, n_rows * tallest * SMALL * _LINE * 1.15 + 0.15
