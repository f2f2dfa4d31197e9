"""Many small plots drawn as one: a single pair of axes, in inches, holds all frames, curves and words.

A pair of matplotlib axes costs 50 times what is seen of a small plot: ticks, labels and spines that are all
the same. Here each kind of thing is one collection, and only the plots at the edge carry numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from matplotlib.transforms import Bbox, TransformedBbox
from numpy.typing import NDArray

from alfred.analysis.tapes import Series
from alfred.figures.array_plan import Cell, PlotArray
from alfred.figures.style import TINY, plain, wrapped
from alfred.storage.survey import Condition
from alfred.utils.plots import PALETTE, tick_locator

Floats = NDArray[np.float64]

DPI = 150  # of the PNG: 1.5 inches are 225 pixels, and the words can be read
_PLOT_WIDTH, _PLOT_HEIGHT, _GAP = 1.5, 0.8, 0.14  # inches
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.6, 0.15, 0.6, 0.45
_TITLE_FONT = 5.5
_LINE_HEIGHT = _TITLE_FONT * 1.25 / 72
_POINTS = 600  # of a curve: more than there are pixels
_TALLEST = 1.6  # times its width; a longer array goes on beside itself
_TINTS: dict[Condition | None, str] = {
    Condition.COMPLETED: "#ffffff",
    Condition.RUNNING: "#e3eefb",
    Condition.WAITING: "#f1f1f1",
    Condition.CRASHED: "#fbe3de",
    Condition.STOPPED: "#fdf0d5",
    Condition.CONFLICT: "#fbe3de",
    None: "#d9d9d9",
}


@dataclass(frozen=True)
class _Frame:
    """Where everything stands, in inches from the upper left corner, and what range the plots show."""

    width: float
    height: float
    row_height: float
    rows_at_once: int
    n_columns: int
    n_rows: int
    xlim: tuple[float, float]
    ylim: tuple[float, float]
    cut: bool

    def corner(self, cell: Cell) -> tuple[float, float]:
        """The upper left corner of the plot of a cell."""
        block, row = divmod(cell.row, self.rows_at_once)
        block_width = self.n_columns * (_PLOT_WIDTH + _GAP) + _LEFT
        left = _LEFT + block * block_width + cell.column * (_PLOT_WIDTH + _GAP)
        return left, _TOP + (row + 1) * self.row_height - _GAP - _PLOT_HEIGHT

    def is_lowest(self, cell: Cell) -> bool:
        """Whether the numbers of the x axis stand below this plot."""
        return cell.row % self.rows_at_once == self.rows_at_once - 1 or cell.row == self.n_rows - 1


def draw_array(array: PlotArray) -> Figure:
    """The figure of a plot array; to be called inside of `alfred.figures.style.printed`."""
    titles = [wrapped(plain(cell.title), _PLOT_WIDTH, _TITLE_FONT * 0.92) for cell in array.cells]
    n_lines = max(title.count("\n") + 1 for title in titles)
    frame = _frame(array, n_lines)
    figure = Figure(figsize=(frame.width, frame.height))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set_xlim(0, frame.width)
    ax.set_ylim(frame.height, 0)
    _draw_frames(ax, frame, array.cells)
    _draw_curves(ax, frame, array.cells)
    _draw_words(ax, frame, array.cells, titles)
    _draw_numbers(ax, frame, array.cells)
    _draw_heading(ax, frame, array)
    return figure


def thinned(x: Floats, y: Floats, most: int = _POINTS) -> tuple[Floats, Floats]:
    """At most about `most` points (n,) of a line, with the lowest and the highest of every stretch."""
    n = len(x)
    if n <= most:
        return x, y
    n_stretches = most // 2
    length = n // n_stretches
    body = y[: n_stretches * length].reshape(n_stretches, length)
    starts = np.arange(n_stretches) * length
    kept = np.concatenate(
        [
            [0, n - 1],
            starts + body.argmin(axis=1),
            starts + body.argmax(axis=1),
            np.arange(n_stretches * length, n),
        ]
    )
    kept = np.unique(kept)
    return x[kept], y[kept]


def _frame(array: PlotArray, n_lines: int) -> _Frame:
    row_height = _PLOT_HEIGHT + _GAP + n_lines * _LINE_HEIGHT + 0.04
    block_width = array.n_columns * (_PLOT_WIDTH + _GAP) + _LEFT
    n_blocks = 1
    while _TALLEST * n_blocks * block_width < math.ceil(array.n_rows / n_blocks) * row_height - row_height:
        n_blocks += 1
    rows_at_once = math.ceil(array.n_rows / n_blocks)
    curves = [cell.curve for cell in array.cells if cell.curve is not None]
    xlim, _ = _limits([curve.x for curve in curves], array.definition.xlim, cuts=False)
    ylim, cut = _limits([curve.y for curve in curves], array.definition.ylim, cuts=True)
    return _Frame(
        width=math.ceil(array.n_rows / rows_at_once) * block_width + _RIGHT,
        height=_TOP + rows_at_once * row_height + _BOTTOM,
        row_height=row_height,
        rows_at_once=rows_at_once,
        n_columns=array.n_columns,
        n_rows=array.n_rows,
        xlim=xlim,
        ylim=ylim,
        cut=cut,
    )


def _limits(
    columns: Sequence[Floats], given: tuple[float | None, float | None], cuts: bool
) -> tuple[tuple[float, float], bool]:
    """The common range; one diverged run must not flatten all others, so that far outliers are cut off."""
    pooled = np.concatenate([*columns, np.empty(0)])
    pooled = pooled[_is_shown(pooled)]
    low, high = (float(pooled.min()), float(pooled.max())) if len(pooled) else (0.0, 1.0)
    cut = False
    if cuts and len(pooled) > 20:
        # matplotlib's own whiskers are at 1.5; ten times the spread of nine tenths is no noise
        q_low, q_high = np.percentile(pooled, [5, 95])
        reach = 10 * float(q_high - q_low)
        cut = reach > 0 and (low < q_low - reach or high > q_high + reach)
        if cut:
            low, high = max(low, float(q_low) - reach / 10), min(high, float(q_high) + reach / 10)
    pad = 0.04 * (high - low) or 0.04 * abs(high) or 0.5
    low = low - pad if given[0] is None else given[0]
    high = high + pad if given[1] is None else given[1]
    return (low, high) if low < high else (low - pad, low + pad), cut


def _draw_frames(ax: Axes, frame: _Frame, cells: Sequence[Cell]) -> None:
    corners = np.array([frame.corner(cell) for cell in cells])
    shape = np.array([[0, 0], [_PLOT_WIDTH, 0], [_PLOT_WIDTH, _PLOT_HEIGHT], [0, _PLOT_HEIGHT]])
    tints = [_TINTS[cell.condition] for cell in cells]
    boxes = corners[:, None, :] + shape[None]
    ax.add_collection(
        PolyCollection(boxes, facecolors=tints, edgecolors="#666666", linewidths=0.4, zorder=1), autolim=False
    )
    heights = _PLOT_HEIGHT * (1 - (_ticks(frame.ylim) - frame.ylim[0]) / np.ptp(frame.ylim))
    sides = np.array([[0, 0], [_PLOT_WIDTH, 0]])
    lines = [corner + sides + (0, height) for corner in corners for height in heights]
    ax.add_collection(LineCollection(lines, colors="#d5d5d5", linewidths=0.3, zorder=2), autolim=False)


def _draw_curves(ax: Axes, frame: _Frame, cells: Sequence[Cell]) -> None:
    """All curves that stay inside of their plots at once, each of the others with a clip of its own."""
    inside: list[Floats] = []
    dots: list[Floats] = []
    for cell in cells:
        if cell.curve is None:
            continue
        own_lines, own_dots = _pieces(cell.curve, frame, frame.corner(cell))
        if _fits(cell.curve, frame):
            inside += own_lines
            dots += own_dots
        else:
            left, top = frame.corner(cell)
            box = Bbox.from_extents(left, top + _PLOT_HEIGHT, left + _PLOT_WIDTH, top)
            _add(ax, own_lines, own_dots, TransformedBbox(box, ax.transData))
    _add(ax, inside, dots, None)


def _add(ax: Axes, lines: Sequence[Floats], dots: Sequence[Floats], clip: TransformedBbox | None) -> None:
    if lines:
        curves = LineCollection(lines, colors=PALETTE[0], linewidths=0.7, zorder=3)
        ax.add_collection(curves, autolim=False)
        if clip is not None:
            curves.set_clip_box(clip)
    if dots:
        points = np.concatenate(dots)
        style = {"linestyle": "", "marker": ".", "markersize": 2.0, "color": PALETTE[0], "zorder": 3}
        (drawn,) = ax.plot(points[:, 0], points[:, 1], **style)  # type: ignore[arg-type]
        if clip is not None:
            drawn.set_clip_box(clip)


def _pieces(curve: Series, frame: _Frame, corner: tuple[float, float]) -> tuple[list[Floats], list[Floats]]:
    """A curve in inches: its unbroken stretches (n, 2), n > 1, and the points (1, 2) that stand alone."""
    finite = _is_shown(curve.x) & _is_shown(curve.y)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], finite, [False]]).astype(np.int8)))
    lines: list[Floats] = []
    dots: list[Floats] = []
    for start, stop in edges.reshape(-1, 2).tolist():
        x, y = thinned(curve.x[start:stop], curve.y[start:stop])
        points = np.column_stack([_across(x, frame, corner[0]), _down(y, frame, corner[1])])
        (lines if stop - start > 1 else dots).append(points)
    return lines, dots


def _is_shown(values: Floats) -> NDArray[np.bool_]:
    """Which values are finite, and small enough that differences of two of them are."""
    return np.asarray(np.abs(values) < 1e300)


def _fits(curve: Series, frame: _Frame) -> bool:
    y, x = curve.y[np.isfinite(curve.y)], curve.x[np.isfinite(curve.x)]
    return bool(
        np.all((frame.ylim[0] <= y) & (y <= frame.ylim[1]))
        and np.all((frame.xlim[0] <= x) & (x <= frame.xlim[1]))
    )


def _across(x: Floats, frame: _Frame, left: float) -> Floats:
    return left + _PLOT_WIDTH * (x - frame.xlim[0]) / (frame.xlim[1] - frame.xlim[0])


def _down(y: Floats, frame: _Frame, top: float) -> Floats:
    return top + _PLOT_HEIGHT * (1 - (y - frame.ylim[0]) / (frame.ylim[1] - frame.ylim[0]))


def _draw_words(ax: Axes, frame: _Frame, cells: Sequence[Cell], titles: Sequence[str]) -> None:
    for cell, title in zip(cells, titles, strict=True):
        left, top = frame.corner(cell)
        ax.text(left, top - 0.025, title, fontsize=_TITLE_FONT, va="bottom", linespacing=1.1)
        cut = cell.curve is not None and frame.cut and not _fits(cell.curve, frame)
        state = ", ".join(filter(None, (cell.state, "cut off" if cut else "")))
        if not state:
            continue
        if cell.curve is None:
            words = wrapped(plain(state), _PLOT_WIDTH * 0.9, TINY)
            words = "\n".join(words.split("\n")[:6])
            middle = left + _PLOT_WIDTH / 2, top + _PLOT_HEIGHT / 2
            ax.text(*middle, words, fontsize=TINY, ha="center", va="center", color="#444444")
        else:
            ax.text(
                left + _PLOT_WIDTH - 0.03,
                top + 0.03,
                plain(state),
                fontsize=_TITLE_FONT,
                ha="right",
                va="top",
                zorder=4,
                color="#444444",
                bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5},
            )


def _draw_numbers(ax: Axes, frame: _Frame, cells: Sequence[Cell]) -> None:
    """Ticks in the first column and below the lowest row alone: all plots have the same range."""
    x_ticks = _ticks(frame.xlim, [cell.curve.x for cell in cells if cell.curve is not None])
    y_ticks = _ticks(frame.ylim)
    x_words, y_words = _numbers(x_ticks), _numbers(y_ticks)
    for cell in cells:
        left, top = frame.corner(cell)
        if cell.column == 0:
            for place, word in zip(_down(y_ticks, frame, top), y_words, strict=True):
                ax.text(left - 0.04, place, word, fontsize=TINY, ha="right", va="center")
        if frame.is_lowest(cell):
            for place, word in zip(_across(x_ticks, frame, left), x_words, strict=True):
                ax.text(place, top + _PLOT_HEIGHT + 0.04, word, fontsize=TINY, ha="center", va="top")


def _ticks(limits: tuple[float, float], data: Sequence[Floats] = ()) -> Floats:
    ticks = np.asarray(tick_locator(3, data).tick_values(*limits))
    return ticks[(ticks >= limits[0]) & (ticks <= limits[1])]


def _numbers(ticks: Floats) -> list[str]:
    if np.all((np.abs(ticks) < 1e5) & ((np.abs(ticks) >= 1e-3) | (ticks == 0))):
        formatter = ScalarFormatter(useOffset=False)
        formatter.create_dummy_axis()
        return list(formatter.format_ticks(ticks.tolist()))
    texts = ([f"{tick:.{digits}g}" for tick in ticks] for digits in range(3, 18))
    return next(words for words in texts if len(set(words)) == len(words))  # 17 tell any two apart


def _draw_heading(ax: Axes, frame: _Frame, array: PlotArray) -> None:
    definition = array.definition
    counts: dict[str, int] = {}
    for cell in array.cells:
        word = "absent" if cell.condition is None else cell.condition.value
        counts[word] = counts.get(word, 0) + 1
    lines = [
        array.heading,
        f"{definition.y_metric} over {definition.x_metric}",
        "runs: " + ", ".join(f"{count} {word}" for word, count in sorted(counts.items())),
    ]
    if frame.cut:
        lines[1] += f"; what lies outside of {frame.ylim[0]:.3g} to {frame.ylim[1]:.3g} is cut off"
    room = frame.width - 0.3
    text = "\n".join(plain(line) for line in lines)
    widest = max(map(len, lines)) * 0.58 / 72
    ax.text(0.15, 0.1, text, fontsize=max(4.0, min(7.5, room / widest)), va="top", linespacing=1.2)
    ax.text(
        _LEFT + frame.n_columns * (_PLOT_WIDTH + _GAP) / 2,
        frame.height - 0.1,
        plain(definition.x_metric),
        fontsize=7,
        ha="center",
        va="bottom",
    )
    middle = (frame.height + _TOP - _BOTTOM) / 2
    ax.text(0.1, middle, plain(definition.y_metric), fontsize=7, ha="left", va="center", rotation=90)
