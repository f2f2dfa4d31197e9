"""Searches compared: how their experiments' scores are distributed, and what k of them would have found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from alfred.analysis.best_of_k import REPLICATES, BestOfK, expected_best
from alfred.analysis.gather import Search
from alfred.analysis.scores import SearchScores
from alfred.analysis.settings import Settings
from alfred.figures.names import Name, in_order, looks_of, names_of
from alfred.figures.page import Entry, Page, new_page, say_instead
from alfred.figures.reference_lines import Lines, name_hlines
from alfred.figures.saving import save_comparison
from alfred.figures.score_panel import label_room, label_spots
from alfred.figures.sight import far_text, is_far, show_only
from alfred.figures.sources import count_text, source, unscored
from alfred.figures.style import FONT, SMALL, Look, plain, printed, wrapped
from alfred.figures.summary_performance import score_title
from alfred.figures.visuals import Visuals
from alfred.utils.plots import plot_curves, plot_vertical_densities

SEED = 0  # of the bootstrap


@dataclass(frozen=True)
class ComparedSearch:
    """One search in a comparison: the mean scores (n,) of its experiments, and the expected best of k."""

    name: Name
    task: str
    search: Search
    scores: SearchScores
    experiment_scores: NDArray[np.float64]
    best_of_k: BestOfK


def compared_searches(
    searches: Sequence[Search], scores: Sequence[SearchScores], goal: str
) -> list[ComparedSearch]:
    """The numbers of the comparison.

    The expected best is over the candidates for the best; experiments that are none used budget as well.
    """
    compared = []
    for name, search, own in zip(names_of(searches), searches, scores, strict=True):
        means = {one.experiment: one.mean for one in own.experiments if len(one.scores)}
        candidates = [means[number] for number in own.candidates]
        rng = np.random.default_rng(SEED)
        best = expected_best(candidates, len(own.experiments), goal, rng)
        values = np.array(list(means.values()), dtype=np.float64)
        compared.append(ComparedSearch(name, search.task_name, search, own, values, best))
    return compared


def draw_compare_searches(
    searches: Sequence[Search],
    scores: Sequence[SearchScores],
    wanted: Settings,
    visuals: Visuals | None = None,
) -> list[Path]:
    """Write `benchmark_vertical_densities` and `benchmark_expected_best` into every search's `benchmark/`."""
    visuals = visuals or Visuals()
    compared = compared_searches(searches, scores, wanted.goal)
    folders = [search.storage_dir / "benchmark" for search in searches]
    with printed():
        densities = _draw_densities(compared, wanted, visuals)
        paths = save_comparison(
            densities,
            folders,
            "benchmark_vertical_densities",
            _sources("vertical densities", compared, wanted),
        )
        trials = _draw_trials(compared, wanted, visuals)
        sources = _sources("expected best of k", compared, wanted)
        sources["bootstrap"] = {"replicates": REPLICATES, "seed": SEED}
        return paths + save_comparison(trials, folders, "benchmark_expected_best", sources)


def _draw_densities(compared: Sequence[ComparedSearch], wanted: Settings, visuals: Visuals) -> Any:
    names = in_order([one.name for one in compared])
    labels = [name.label(visuals) for name in names]
    lines = [
        "box: quartiles and median, whiskers: lowest and highest, dots: the experiments, each the mean of "
        f"its runs; goal {wanted.goal}",
        _counts(compared),
    ]
    looks = looks_of(names, visuals)
    tasks = _tasks(compared)
    page = new_page(len(tasks), (), "\n".join(lines), below=label_room(labels, len(tasks)))
    for at, (ax, task) in enumerate(zip(page.axes, tasks, strict=True)):
        own = {one.name: one.experiment_scores for one in compared if one.task == task}
        columns = [own.get(name, np.empty(0)) for name in names]
        _draw_boxes(ax, columns, [looks[name] for name in names])
        _keep_good_in_sight(ax, columns, wanted.goal)
        _finish(ax, page, at, task, score_title(wanted, visuals), visuals)
        label_spots(ax, labels if page.is_lowest(at) else None, len(page.axes))
    return page.figure


def _draw_boxes(ax: Axes, columns: Sequence[NDArray[np.float64]], looks: Sequence[Look]) -> None:
    """Boxes up to the lowest and highest score, and on them the scores beside one another."""
    if not any(map(len, columns)):
        say_instead(ax, "no run has a score")
        ax.set_xlim(0.5, len(columns) + 0.5)
        return
    colors = [one.color for one in looks]
    plot_vertical_densities(ax, columns, colors=colors, make_boxplot=True, whis=(0, 100), title_font_size=8)
    for patch in ax.patches:
        patch.set_alpha(0.35)
    for line in ax.lines:
        line.set_linewidth(0.8)
    before = len(ax.lines)
    plot_vertical_densities(ax, columns, colors=colors)
    for line, look in zip(ax.lines[before:], looks, strict=True):
        n = len(np.asarray(line.get_xdata()))
        spread = 0.3 * ((np.arange(n) * 0.618) % 1 - 0.5)  # the golden ratio: neighbours stand far apart
        line.set_xdata(np.asarray(line.get_xdata()) + spread)
        line.set_marker(look.marker)
        line.set_markersize(2.2)
        line.set_alpha(0.8)


def _keep_good_in_sight(ax: Axes, columns: Sequence[NDArray[np.float64]], goal: str) -> None:
    """What lies far on the bad side of its own search is told at the edge; a worse search stays in sight."""
    scores = np.concatenate(columns)
    far = np.concatenate([is_far(column, goal) for column in columns])
    if far.any():
        show_only(ax, scores[~far])
        name_hlines(ax, Lines(()).and_far(far_text(scores, far, goal), goal))


def _draw_trials(compared: Sequence[ComparedSearch], wanted: Settings, visuals: Visuals) -> Any:
    names = in_order([one.name for one in compared])
    looks = {name: replace(look, line="-") for name, look in looks_of(names, visuals).items()}
    lines = [
        "expected best score after k experiments, drawn at random without replacement "
        f"(Dodge et al. 2019); band: {compared[0].best_of_k.method}, up to a quarter of the experiments",
        "dashed: beyond a quarter, where a band would promise too much; experiments that have runs without a "
        "score can't be the best and count as tried",
        _counts(compared),
    ]
    entries = [Entry(name.label(visuals), looks[name]) for name in names]
    tasks = _tasks(compared)
    page = new_page(len(tasks), entries, "\n".join(lines))
    for at, (ax, task) in enumerate(zip(page.axes, tasks, strict=True)):
        own = [one for one in compared if one.task == task]
        _draw_best(ax, [one.best_of_k for one in own], [looks[one.name] for one in own])
        title = f"expected best\n{visuals.axis_title(wanted.metric)}"
        _finish(ax, page, at, task, title, visuals)
        ax.set_xlabel("k, experiments tried" if page.is_lowest(at) else "", fontsize=8)
        most = max(one.best_of_k.n_total for one in own)
        ax.set_xlim(1 - 0.05 * most, most + 0.05 * most)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    return page.figure


def _draw_best(ax: Axes, found: Sequence[BestOfK], looks: Sequence[Look]) -> None:
    """Solid with its band up to N/4, dashed beyond."""
    if not any(one.n_scored for one in found):
        say_instead(ax, "no run has a score")
    for one, look in zip(found, looks, strict=True):
        quarter = max(one.n_total // 4, 1)
        solid, dashed = slice(0, quarter), slice(quarter - 1, None)
        style: dict[str, Any] = {"colors": [look.color], "markers": [look.marker], "markersize": 3}
        lines: list[tuple[slice, Any]] = [(solid, "-"), (dashed, (0, (3, 1.5)))]
        for part, line in lines:
            before = len(ax.lines)
            estimate = one.estimate[part]
            has_band = line == "-" and bool(np.isfinite(one.high[part]).any())
            plot_curves(
                ax,
                [estimate],
                [one.k[part]],
                **style,
                fill_up=[one.high[part] - estimate] if has_band else None,
                fill_down=[estimate - one.low[part]] if has_band else None,
                alpha_fill=0.16,
                tick_font_size=SMALL,
                add_legend=False,
            )
            ax.lines[before].set_linestyle(line)


def _finish(ax: Axes, page: Page, at: int, task: str, ylabel: str, visuals: Visuals) -> None:
    ax.set_title(wrapped(visuals.title(task), 2.0, FONT), fontsize=FONT)
    ax.set_ylabel(ylabel if page.is_left(at) else "", fontsize=8)
    ax.tick_params(labelsize=SMALL)


def _tasks(compared: Sequence[ComparedSearch]) -> list[str]:
    return list(dict.fromkeys(one.task for one in compared))


def _counts(compared: Sequence[ComparedSearch]) -> str:
    n = [len(one.experiment_scores) for one in compared]
    laid = sum(one.best_of_k.n_total for one in compared)
    runs = count_text([one.search for one in compared], [unscored(one.scores) for one in compared])
    each = f"{min(n)}" if min(n) == max(n) else f"{min(n)} to {max(n)}"
    return plain(f"experiments with a score: n = {each}, {sum(n)} of {laid}; {runs}")


def _sources(figure: str, compared: Sequence[ComparedSearch], wanted: Settings) -> dict[str, Any]:
    return {
        "figure": figure,
        "settings": wanted.as_record(),
        "n": {one.search.name: len(one.experiment_scores) for one in compared},
        "experiments": {one.search.name: one.best_of_k.n_total for one in compared},
        "sources": [source(one.search, unscored(one.scores)) for one in compared],
    }
