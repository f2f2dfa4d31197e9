"""Algorithms compared in one figure: aggregates over tasks, profiles and pairs; on one task, differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alfred.analysis.across_tasks import AcrossTasks, is_shown, probability
from alfred.analysis.comparisons import Pair
from alfred.analysis.goal import sign
from alfred.analysis.normalization import NONE
from alfred.figures.across_notes import bootstrap_note, normalization_notes, runs_left_out
from alfred.figures.names import Name, looks_of
from alfred.figures.page import Entry, new_page, say_instead
from alfred.figures.row_panel import Row, Square, draw_rows, draw_square
from alfred.figures.saving import save_comparison
from alfred.figures.style import FONT, SMALL, Look, plain, printed, wrapped
from alfred.figures.tables import AGGREGATE_TITLES, table_files
from alfred.figures.visuals import Visuals
from alfred.utils.plots import plot_curves

ROWS_UP_TO = 4  # algorithms: more have too many pairs for a row each
_LINE = 0.13  # inches of a line of a label


@dataclass(frozen=True)
class _Drawing:
    """What all panels share; `labels` (for the legend), `sides` (for the side of a panel) and `looks` are by
    algorithm. Where many names are long, only numbers stand at the side."""

    result: AcrossTasks
    labels: Mapping[str, str]
    sides: Mapping[str, str]
    looks: Mapping[str, Look]

    @property
    def algorithms(self) -> tuple[str, ...]:
        return self.result.algorithms


def draw_across_tasks(
    result: AcrossTasks, visuals: Visuals | None = None, names: Sequence[Name] = ()
) -> Figure:
    """The figure of a comparison; `names` are the algorithms' where more than their name tells them apart.

    Over several tasks: a panel for each aggregate, performance profiles, and the probability that one is
    better than another. On one task: the difference of each pair. Up to four algorithms pairs are rows with
    intervals; more are a square of numbers, whose intervals are in the tables.
    """
    visuals = visuals or Visuals()
    names = names or [Name(algorithm) for algorithm in result.algorithms]
    drawing = _drawing(result, visuals, names)
    with printed():
        if result.aggregates:
            return _draw_over_tasks(drawing)
        if len(result.tasks) == 1 and result.pairs:
            return _draw_on_one_task(drawing, visuals)
        page = new_page(1, (), plain(result.sentence))
        say_instead(page.axes[0], result.note)
        return page.figure


def save_across_tasks(
    result: AcrossTasks,
    folders: Sequence[Path],
    sources: Mapping[str, Any],
    visuals: Visuals | None = None,
    names: Sequence[Name] = (),
) -> list[Path]:
    """Write `benchmark_across_tasks`, its sources and its tables into each folder.

    `sources`: settings, storage directories and the bootstrap's seed; how the numbers were made is added.
    """
    normalized = result.normalized
    record = {
        "figure": "across tasks",
        **sources,
        "interval": result.interval,
        "interval_of_aggregates": "95 % stratified percentile bootstrap",
        "goal": result.goal,
        "normalization": normalized.how,
        "normalization_constants": normalized.constants,
        "tasks": result.normalized_tasks,
        "tasks_left_out": normalized.left_out,
        "replicates": result.n_replicates,
        "n": {one.task: {} for one in result.performances},
        "verdict": result.sentence,
    }
    for one in result.performances:
        record["n"][one.task][one.algorithm] = one.n
    figure = draw_across_tasks(result, visuals, names)
    visuals = visuals or Visuals()
    titles = {task: visuals.title(task) for task in result.tasks}
    tables = table_files(result, titles, {str(name): name.label(visuals) for name in names})
    return save_comparison(figure, folders, "benchmark_across_tasks", record, tables)


def _drawing(result: AcrossTasks, visuals: Visuals, names: Sequence[Name]) -> _Drawing:
    labels = {str(name): name.label(visuals) for name in names}
    if len(names) > ROWS_UP_TO:
        labels = {alg: f"{at}: {label}" for at, (alg, label) in enumerate(labels.items(), 1)}
    width = 1.1 if result.aggregates else 1.8
    sides = {alg: wrapped(label, width) for alg, label in labels.items()}
    if len(names) > ROWS_UP_TO and result.aggregates and any("\n" in side for side in sides.values()):
        sides = {alg: str(at) for at, alg in enumerate(labels, 1)}
    looks = {str(name): look for name, look in looks_of(names, visuals).items()}
    return _Drawing(result, labels, sides, looks)


def _draw_over_tasks(drawing: _Drawing) -> Figure:
    result = drawing.result
    several = bool(result.improvements)
    upper = 0.62 + _height([drawing.sides[alg] for alg in drawing.algorithms], 0.06)
    lower = max(1.9, 0.6 + (_pair_height(drawing) if several else 0.0))
    entries = [Entry(drawing.labels[alg], drawing.looks[alg]) for alg in drawing.algorithms]
    page = new_page(1, entries, _caption(drawing), panel_height=upper + lower, is_wide=True)
    page.axes[0].remove()
    grid = page.figure.add_gridspec(2, 1, height_ratios=[upper, lower])
    row = grid[0].subgridspec(1, len(result.aggregates))
    for at, name in enumerate(result.aggregates):
        _draw_aggregate(page.figure.add_subplot(row[at]), drawing, name, is_left=at == 0)
    row = grid[1].subgridspec(1, 1 + several, width_ratios=[1, 1.15][: 1 + several])
    _draw_profiles(page.figure.add_subplot(row[0]), drawing)
    if several:
        _draw_improvements(page.figure.add_subplot(row[1]), drawing)
    return page.figure


def _draw_aggregate(ax: Axes, drawing: _Drawing, name: str, *, is_left: bool) -> None:
    found = drawing.result.aggregates[name]
    rows = [
        Row(drawing.sides[alg], drawing.looks[alg], one.point, one.low, one.high)
        for alg, one in found.items()
    ]
    draw_rows(ax, rows, has_labels=is_left)
    if len(drawing.result.aggregates) > 3:
        ax.locator_params(axis="x", nbins=3)  # numbers such as 0.952 would touch in so narrow a panel
    is_lower_better = name == "optimality_gap" or drawing.result.normalized.goal == "min"
    ax.set_title(AGGREGATE_TITLES[name] + ("\n(lower is better)" if is_lower_better else ""), fontsize=FONT)
    ax.set_xlabel("shortfall" if name == "optimality_gap" else _scale(drawing), fontsize=SMALL)


def _draw_profiles(ax: Axes, drawing: _Drawing) -> None:
    goal = drawing.result.normalized.goal
    profiles, looks = drawing.result.profiles, drawing.looks
    plot_curves(
        ax,
        [one.share for one in profiles.values()],
        [one.tau for one in profiles.values()],
        colors=[looks[alg].color for alg in profiles],
        markers=[looks[alg].marker for alg in profiles],
        markersize=3,
        markevery=max(1, 100 // 8),
        fill_up=[one.high - one.share for one in profiles.values()],
        fill_down=[one.share - one.low for one in profiles.values()],
        alpha_fill=0.14 if len(profiles) <= ROWS_UP_TO else 0.06,
        xlabel=f"{_scale(drawing)} " + r"$\tau$",
        ylabel=f"share of runs {'above' if goal == 'max' else 'below'} " + r"$\tau$",
        axis_font_size=SMALL,
        tick_font_size=SMALL,
        title="performance profiles",
        title_font_size=FONT,
        add_legend=False,
    )
    for line, alg in zip(ax.lines, profiles, strict=True):
        line.set_linestyle(looks[alg].line)
        line.set_linewidth(1.0)
    ax.set_ylim(-0.03, 1.03)
    if goal == "min":
        ax.invert_xaxis()  # the better scores at the right, as ever


def _draw_improvements(ax: Axes, drawing: _Drawing) -> None:
    result = drawing.result
    if len(result.algorithms) <= ROWS_UP_TO:
        rows = [
            Row(
                _pair_label(drawing, one.a, one.b),
                Look("#222222", "o", "-"),
                one.estimate.point,
                one.estimate.low,
                one.estimate.high,
            )
            for one in result.improvements
        ]
        draw_rows(ax, rows, zero=0.5)
        ax.set_xlim(-0.03, 1.03)
        ax.set_xlabel("probability that the first is better", fontsize=SMALL)
        ax.set_title("probability of improvement", fontsize=FONT)
        return
    k = len(result.algorithms)
    found = np.full((3, k, k), np.nan)
    for (i, a), (j, b) in _ordered_pairs(result.algorithms):
        found[:, i, j] = probability(result, a, b)
    low, point, high = found
    texts = [["" if math.isnan(p) else f"{100 * p:.0f}" for p in line] for line in point]
    labels = [drawing.sides[alg] for alg in result.algorithms]
    draw_square(ax, Square(labels, texts, 2 * point - 1, (low > 0.5) | (high < 0.5)))
    ax.set_title("probability of improvement, %: row over column", fontsize=FONT)
    ax.set_xlabel("bold: the interval leaves out 50 %", fontsize=SMALL)


def _draw_on_one_task(drawing: _Drawing, visuals: Visuals) -> Figure:
    result = drawing.result
    task = visuals.title(result.tasks[0])
    is_square = len(result.algorithms) > ROWS_UP_TO
    height = 0.7 + _pair_height(drawing)
    page = new_page(1, (), _caption(drawing), panel_height=height, is_wide=is_square)
    ax = page.axes[0]
    if is_square:
        draw_square(ax, _differences(drawing))
        ax.set_title(f"{task}: mean of the row - mean of the column", fontsize=FONT)
        ax.set_xlabel("bold: significant (Welch's test at 0.05, Holm-corrected)", fontsize=SMALL)
        return page.figure
    own = Look("#222222", "o", "-")
    labels = [_pair_label(drawing, pair.a, pair.b, " - ") for pair in result.pairs]
    rows = [
        Row(label + (" *" if is_shown(pair) else ""), own, pair.difference, pair.low, pair.high)
        for label, pair in zip(labels, result.pairs, strict=True)
    ]
    draw_rows(ax, rows, zero=0.0)
    ax.set_title(wrapped(task, 3.0, FONT), fontsize=FONT)
    ax.set_xlabel("difference of means", fontsize=SMALL)
    return page.figure


def _differences(drawing: _Drawing) -> Square:
    """Every pair of algorithms on the one task; shaded by how many pooled deviations they differ."""
    algorithms = drawing.algorithms
    k = len(algorithms)
    pairs = {(pair.a, pair.b): pair for pair in drawing.result.pairs}
    direction = sign(drawing.result.goal)
    texts = [[""] * k for _ in range(k)]
    shades, is_stressed = np.full((k, k), np.nan), np.zeros((k, k), dtype=bool)
    for (i, a), (j, b) in _ordered_pairs(algorithms):
        pair, turn = _pair_of(pairs, a, b)
        if pair is None:
            continue
        texts[i][j] = "-" if math.isnan(pair.difference) else f"{turn * pair.difference:.2g}"
        shades[i, j] = np.clip(direction * turn * pair.hedges_g / 2, -1, 1)
        is_stressed[i, j] = is_shown(pair)
    return Square([drawing.sides[alg] for alg in algorithms], texts, shades, is_stressed)


def _pair_of(pairs: Mapping[tuple[str, str], Pair], a: str, b: str) -> tuple[Pair | None, int]:
    return (pairs[a, b], 1) if (a, b) in pairs else (pairs.get((b, a)), -1)


def _ordered_pairs(algorithms: Sequence[str]) -> list[tuple[tuple[int, str], tuple[int, str]]]:
    numbered = list(enumerate(algorithms))
    return [(one, other) for one in numbered for other in numbered if one != other]


def _caption(drawing: _Drawing) -> str:
    result = drawing.result
    if result.aggregates:
        lines = [f"bars and bands: {bootstrap_note(result)}", *normalization_notes(result)]
    else:
        n = [one.n for one in result.performances]
        runs = f"n = {min(n)}" + (f" to {max(n)}" if max(n) > min(n) else "")
        how = "bars: 95 % interval (Welch), not adjusted for the number of tests; *: p < 0.05, Holm-corrected"
        if len(result.algorithms) > ROWS_UP_TO:
            how = "shades: effect size (Hedges' g); the intervals are in the tables"
        lines = [f"{how}; {runs}; goal {result.goal}"]
        lines += sorted({pair.note for pair in result.pairs if pair.note})
    lines += [result.caution, runs_left_out(result)]
    return "\n".join(plain(line) for line in lines if line)


def _scale(drawing: _Drawing) -> str:
    return "score" if drawing.result.normalized.how == NONE else "normalized score"


def _pair_label(drawing: _Drawing, a: str, b: str, between: str = " over ") -> str:
    first, second = drawing.labels[a], drawing.labels[b]
    one_line = f"{first}{between}{second}"
    whole = wrapped(one_line, 1.3)
    return whole if "\n" not in whole else f"{wrapped(first, 1.3)}\n{between.strip()} {wrapped(second, 1.3)}"


def _pair_height(drawing: _Drawing) -> float:
    """Inches of the panel of pairs."""
    algorithms: Any = drawing.algorithms
    if len(algorithms) > ROWS_UP_TO:
        return max(2.0, _height([drawing.sides[alg] for alg in algorithms], 0.06))
    pairs = {(pair.a, pair.b) for pair in drawing.result.pairs}
    return _height([_pair_label(drawing, a, b) for a, b in sorted(pairs)], 0.09)


def _height(labels: Sequence[str], between: float) -> float:
    """Inches of rows with these labels, all as high as the highest."""
    lines = max((label.count("\n") + 1 for label in labels), default=1)
    return len(labels) * (lines * _LINE + between)
