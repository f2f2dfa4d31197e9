"""Learning curves with their bands: of the runs of an experiment or an algorithm, drawn into one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from alfred.analysis.curves import Band, band, thin
from alfred.analysis.gather import Run, Series, series, why_absent
from alfred.figures.reference_lines import name_hlines, sort_hlines
from alfred.figures.sight import show_only
from alfred.figures.style import SMALL, TINY, Look
from alfred.storage.survey import Condition
from alfred.utils.plots import plot_curves

POINTS = 600  # along x: a printed panel has no more dots
_LINE = 0.08  # of the height of a panel: a line of these numbers
_FEW_CURVES = 4  # up to so many the numbers of runs are written where they drop


@dataclass(frozen=True)
class Curve:
    """A band and how it is drawn."""

    band: Band
    look: Look


@dataclass(frozen=True)
class Far:
    """Which curves belong to scores far on the bad side, what is said of them, and the goal."""

    curves: Sequence[bool]
    told: str
    goal: str


@dataclass(frozen=True)
class Gathered:
    """The band of some runs, None where none has a curve, and run name -> why it is not in it."""

    band: Band | None
    left_out: Mapping[str, str]


def gather_band(
    runs: Sequence[Run],
    x_metric: str,
    y_metric: str,
    method: str,
    rng: np.random.Generator | None = None,
) -> Gathered:
    """The band of the COMPLETED runs that have recorded both metrics in finite numbers."""
    found: list[Series] = []
    left_out: dict[str, str] = {}
    for run in runs:
        if run.condition is not Condition.COMPLETED:
            continue
        pairs = None if (why := why_absent(run, x_metric, y_metric)) else series(run, x_metric, y_metric)
        if pairs is None:
            left_out[run.name] = why
        elif np.isnan(pairs.y).any():
            left_out[run.name] = f"NaN in {y_metric}"
        elif np.isinf(pairs.y).any():
            left_out[run.name] = f"{y_metric} is infinite"
        else:
            found.append(pairs)
    if not found:
        return Gathered(None, left_out)
    x = np.unique(np.concatenate([one.x for one in found]))
    return Gathered(band(found, method, rng, thin(x[~np.isnan(x)], POINTS)), left_out)


def draw_curves(
    ax: Axes,
    curves: Sequence[Curve],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    hlines: Sequence[Mapping[str, Any]] = (),
    far: Far | None = None,
) -> None:
    """Draw them in order, the first on top; "None" as the method shows every run instead of a band.

    Those that are `far` don't widen the axis and are told at its edge.
    """
    before = len(ax.lines)
    order = list(reversed(curves))
    bands = [curve.band for curve in order]
    near = [curve.band for at, curve in enumerate(curves) if far is None or not far.curves[at]] or bands
    seen = np.concatenate([one for band in near for one in (band.centre, band.low, band.high)])
    lines = sort_hlines(hlines, seen, 3)
    has_band = [not np.isnan(one.low).all() for one in bands]
    plot_curves(
        ax,
        ys=[one.centre for one in bands],
        xs=[one.x for one in bands],
        colors=[curve.look.color for curve in order],
        markers=[curve.look.marker for curve in order],
        markersize=3.5,
        fill_up=[
            one.high - one.centre if is_so else None for one, is_so in zip(bands, has_band, strict=True)
        ],
        fill_down=[
            one.centre - one.low if is_so else None for one, is_so in zip(bands, has_band, strict=True)
        ],
        alpha_fill=0.16,
        title=title,
        xlabel=xlabel,
        ylabel=ylabel,
        title_font_size=8,
        axis_font_size=8,
        tick_font_size=SMALL,
        add_legend=False,
        hlines=[{"linewidth": 0.9, "linestyles": "--", **hline} for hline in lines.near],
    )
    for at, (line, curve) in enumerate(zip(ax.lines[before:], order, strict=True)):
        line.set_linestyle(curve.look.line)
        n = len(curve.band.x)
        step = max(1, n // 8)
        line.set_markevery((at * step // max(1, len(order)), step))  # markers side by side, not over another
    named = [curve for curve in curves if curve.look.marker]
    for curve in named:
        if curve.band.method == "None":
            _draw_runs(ax, curve)
    if far is not None:
        show_only(ax, np.concatenate([seen, *(np.ravel(line["y"]) for line in lines.near)]))
        lines = lines.and_far(far.told, far.goal)
    name_hlines(ax, lines)
    _mark_all_drops(ax, [curve for curve in named if has_drops([curve.band])], len(named) <= _FEW_CURVES)


def n_text(bands: Sequence[Band]) -> str:
    """ "n = 3" or "n = 3 to 5": the most runs that each band has anywhere."""
    most = [int(one.n.max()) for one in bands if len(one.n)]
    if not most:
        return "n = 0"
    return f"n = {min(most)}" if min(most) == max(most) else f"n = {min(most)} to {max(most)}"


def muted(curve: Curve, color: str) -> Curve:
    """The same curve as a thin background: no marker, no band."""
    nothing = np.full(len(curve.band.x), np.nan)
    return Curve(replace(curve.band, low=nothing, high=nothing, method=""), Look(color, "", "-"))


def has_drops(bands: Sequence[Band]) -> bool:
    """Whether some run ends before the others of its band."""
    return any(bool(np.any(np.diff(one.n) < 0)) for one in bands)


def _draw_runs(ax: Axes, curve: Curve) -> None:
    for one in curve.band.runs:
        ax.plot(one.x, one.y, color=curve.look.color, linewidth=0.5, alpha=0.45, zorder=1.5)


def _mark_all_drops(ax: Axes, curves: Sequence[Curve], are_few: bool) -> None:
    """Where few are drawn the numbers of runs that go on stand above the curves, a line for each."""
    if are_few and curves:
        low, high = ax.get_ylim()
        lines = _LINE * len(curves)
        ax.set_ylim(low, low + (high - low) / (1 - lines))
    for at, curve in enumerate(curves):
        _mark_drops(ax, curve, at if are_few else None)


def _mark_drops(ax: Axes, curve: Curve, line: int | None) -> None:
    """A bar across the curve where a run ends; the number of those that go on, in a line at the top."""
    at = np.flatnonzero(np.diff(curve.band.n) < 0)
    x, y, n = curve.band.x, curve.band.centre, curve.band.n
    color = curve.look.color
    ax.plot(x[at], y[at], linestyle="", marker="|", markersize=7, markeredgewidth=0.9, color=color)
    if line is None:
        return
    left, right = ax.get_xlim()
    last = np.inf
    for place in reversed(at.tolist()):
        if last - x[place] >= 0.14 * (right - left):
            last = float(x[place])
            where: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "top"}
            ax.annotate(
                f"n={n[place + 1]}", (x[place], 1.0 - _LINE * line), fontsize=TINY, color=color, **where
            )
