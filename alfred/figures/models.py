"""Models compared: learning curves, final performance, and how much of the search's score was luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alfred.analysis.curves import Band
from alfred.analysis.gather import Run, Search
from alfred.analysis.intervals import DRAWS, caption, check_method
from alfred.analysis.luck import RetrainGap
from alfred.analysis.scores import ExperimentScore, RunScore, SearchScores
from alfred.analysis.settings import Settings
from alfred.figures.curve_panel import Curve, Gathered, draw_curves, gather_band, has_drops, n_text
from alfred.figures.names import Name, in_order, looks_of, names_of
from alfred.figures.page import Entry, new_page, say_instead
from alfred.figures.saving import save_comparison
from alfred.figures.score_panel import SHOWN_UP_TO, Column, draw_columns, label_room, label_spots
from alfred.figures.sources import count_text, source, unscored
from alfred.figures.style import FONT, Look, look, plain, printed, wrapped
from alfred.figures.summary_performance import score_title
from alfred.figures.visuals import Visuals
from alfred.storage.metadata import read_metadata


@dataclass(frozen=True)
class Model:
    """A storage directory whose best experiment stands for its algorithm.

    `gap` compares it with the search it was retrained from, None where that is not known.
    """

    search: Search
    scores: SearchScores
    gap: RetrainGap | None = None

    @property
    def score(self) -> ExperimentScore | None:
        """The score of the best experiment, None where no run has one."""
        return None if self.scores.best is None else self.scores.experiment(self.scores.best)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of the best experiment, or of the only one, which has curves even if it has no score."""
        shown = [self.scores.best] if self.scores.best is not None else self.search.experiments
        return self.search.of_experiment(shown[0]) if len(shown) == 1 else ()

    @property
    def run_scores(self) -> tuple[RunScore, ...]:
        """The scores of these runs; without a best experiment all of the storage directory's, none scored."""
        best = self.scores.best
        return tuple(run for run in self.scores.runs if best is None or run.experiment == best)


def caution(models: Sequence[Model]) -> str:
    """What a reader must know of the scores of experiments that were chosen by them; "" if none was."""
    if all(len(model.search.experiments) <= 1 for model in models):
        return ""
    return "where there are several experiments, the best one is shown, which flatters it"


def draw_compare_models(
    models: Sequence[Model], wanted: Settings, visuals: Visuals | None = None
) -> list[Path]:
    """Write `benchmark_learning`, `benchmark_performance` and, if any gap is known, `benchmark_retrain_gap`.

    They go to `benchmark/` of every storage directory.
    """
    visuals = visuals or Visuals()
    names = names_of([model.search for model in models])
    folders = [model.search.storage_dir / "benchmark" for model in models]
    curves = [gather_band(model.runs, wanted.x_metric, wanted.y_metric, wanted.interval) for model in models]
    with printed():
        sources = _sources("learning curves", models, wanted, [one.left_out for one in curves])
        figure = _draw_learning(models, names, curves, wanted, visuals)
        paths = save_comparison(figure, folders, "benchmark_learning", sources)
        left_out = [unscored(model.scores) for model in models]
        sources = _sources("performance", models, wanted, left_out)
        figure = _draw_performance(models, names, wanted, visuals)
        paths += save_comparison(figure, folders, "benchmark_performance", sources)
        if any(model.gap is not None for model in models):
            sources = _sources("retrain gap", models, wanted, left_out) | {"gaps": _gap_records(models)}
            figure = _draw_gaps(models, names, wanted, visuals)
            paths += save_comparison(figure, folders, "benchmark_retrain_gap", sources)
    return paths


def _draw_learning(
    models: Sequence[Model],
    names: Sequence[Name],
    found: Sequence[Gathered],
    wanted: Settings,
    visuals: Visuals,
) -> Figure:
    looks = looks_of(names, visuals)
    bands = [one.band for one in found if one.band is not None]
    entries = [
        Entry(f"{name.label(visuals)} ({n_text(_bands_of(name, names, found))})", looks[name])
        for name in in_order(names)
    ]
    tasks = _tasks(models)
    lines = _caption(models, wanted, bands, [one.left_out for one in found])
    page = new_page(len(tasks), entries, "\n".join(lines))
    for at, (ax, task) in enumerate(zip(page.axes, tasks, strict=True)):
        own = [
            Curve(one.band, looks[name])
            for name, model, one in zip(names, models, found, strict=True)
            if model.search.task_name == task and one.band is not None
        ]
        if not own:
            say_instead(
                ax, f"no completed run has a curve of {plain(wanted.y_metric)} over {plain(wanted.x_metric)}"
            )
            ax.set_title(_title(task, visuals))
            continue
        draw_curves(
            ax,
            own,
            title=_title(task, visuals),
            xlabel=visuals.axis_title(wanted.x_metric) if page.is_lowest(at) else "",
            ylabel=visuals.axis_title(wanted.y_metric) if page.is_left(at) else "",
            hlines=visuals.hlines.get(task, ()),
        )
    return page.figure


def _draw_performance(
    models: Sequence[Model], names: Sequence[Name], wanted: Settings, visuals: Visuals
) -> Figure:
    looks, order = looks_of(names, visuals), in_order(names)
    labels = [name.label(visuals) for name in order]
    tasks = _tasks(models)
    left_out = [unscored(model.scores) for model in models]
    lines = _caption(models, wanted, None, left_out)
    if wanted.interval != "None":
        lines.insert(1, f"dots: the runs themselves, where there are at most {SHOWN_UP_TO}")
    page = new_page(len(tasks), (), "\n".join(lines), below=label_room(labels, len(tasks)))
    for at, (ax, task) in enumerate(zip(page.axes, tasks, strict=True)):
        own = {
            name: model for name, model in zip(names, models, strict=True) if model.search.task_name == task
        }
        columns = [_column(name.label(visuals), looks[name], own.get(name)) for name in order]
        ylabel = score_title(wanted, visuals) if page.is_left(at) else ""
        draw_columns(
            ax, columns, title=_title(task, visuals), ylabel=ylabel, hlines=visuals.hlines.get(task, ())
        )
        label_spots(ax, labels if page.is_lowest(at) else None, len(tasks))
    return page.figure


def _column(label: str, own_look: Look, model: Model | None) -> Column:
    score = None if model is None else model.score
    if score is None:
        return Column(label, own_look, np.empty(0), np.nan, np.nan, np.nan)
    return Column(label, own_look, score.scores, score.mean, score.err_up, score.err_down)


_STAGES = (
    "in the search (best of its experiments)",
    "retrained, cut to the search's length",
    "retrained, in full",
)


def _draw_gaps(models: Sequence[Model], names: Sequence[Name], wanted: Settings, visuals: Visuals) -> Figure:
    """For each algorithm three marks: its score in the search and those of the retrain."""
    order = in_order(names)
    labels = [name.label(visuals) for name in order]
    stages = [Look(look(at).color, look(at).marker, "none") for at in range(3)]
    entries = [Entry(text, stage, has_line=False) for text, stage in zip(_STAGES, stages, strict=True)]
    tasks = _tasks(models)
    lines = [
        "the score of a search's best experiment is partly luck, that of its retrain with fresh seeds is "
        "not: compare the two that are joined, of equal length",
        _gap_counts([model.gap for model in models if model.gap is not None]),
        plain(count_text([model.search for model in models], [unscored(model.scores) for model in models])),
    ]
    room = label_room(labels, len(tasks))
    page = new_page(len(tasks), entries, "\n".join(lines), below=room)
    for at, (ax, task) in enumerate(zip(page.axes, tasks, strict=True)):
        gaps = {
            name: model.gap
            for name, model in zip(names, models, strict=True)
            if model.search.task_name == task
        }
        for place, name in enumerate(order, start=1):
            gap = gaps.get(name)
            if gap is not None:
                _draw_gap(ax, place, gap, stages, 4.5 if len(order) <= 6 else 3)
        ax.set_xlim(0.5, len(order) + 0.5)
        ax.margins(y=0.18)
        ax.set_title(_title(task, visuals))
        ax.set_ylabel(score_title(wanted, visuals) if page.is_left(at) else "")
        label_spots(ax, labels if page.is_lowest(at) else None, len(tasks))
    return page.figure


def _draw_gap(ax: Axes, place: int, gap: RetrainGap, stages: Sequence[Look], size: float) -> None:
    values = (gap.in_search, gap.at_equal_length, gap.at_full_length)
    places = (place - 0.2, place, place + 0.2)
    ax.plot(places[:2], values[:2], color="#888888", linewidth=0.7, zorder=1)
    for x, y, stage in zip(places, values, stages, strict=True):
        ax.plot([x], [y], color=stage.color, marker=stage.marker, markersize=size, linestyle="")


def _gap_counts(gaps: Sequence[RetrainGap]) -> str:
    """As in "n = 3 in the search, 9 to 10 retrained and cut, 10 retrained in full"."""
    parts = []
    for numbers, where in (
        ([gap.n_search for gap in gaps], "in the search"),
        ([gap.n_equal for gap in gaps], "retrained and cut"),
        ([gap.n_full for gap in gaps], "retrained in full"),
    ):
        least, most = min(numbers), max(numbers)
        parts.append(f"{least} {where}" if least == most else f"{least} to {most} {where}")
    return "n = " + ", ".join(parts)


def _caption(
    models: Sequence[Model], wanted: Settings, bands: Sequence[Band] | None, left_out: Sequence[Any]
) -> list[str]:
    n = np.concatenate([band.n for band in bands]) if bands else _n(models)
    what = "bars" if bands is None else "band"
    lines = [f"{what}: {caption(wanted.interval, n)}"]
    if wanted.interval == "None":
        lines = [lines[0].replace(f"{what}: ", "no interval; thin or small: ")]
    if check_method(wanted.interval) == "bootstrapped_CI" and len(n) and n.min() < 10:
        lines[0] += ", narrower than it says below 10 seeds"
    if any(_is_equal(model) for model in models):
        lines.append("width 0 where all runs are equal")
    if bands and has_drops(bands):
        lines.append("| marks where a run ends before the others")
    lines += filter(None, [caution(models)])
    lines.append(plain(count_text([model.search for model in models], left_out)))
    return lines


def _is_equal(model: Model) -> bool:
    score = model.score
    return score is not None and len(score.scores) > 1 and score.err_up == score.err_down == 0


def _n(models: Sequence[Model]) -> Any:
    return np.array([len(model.score.scores) for model in models if model.score is not None], dtype=int)


def _bands_of(name: Name, names: Sequence[Name], found: Sequence[Gathered]) -> list[Band]:
    return [
        one.band for other, one in zip(names, found, strict=True) if other == name and one.band is not None
    ]


def _tasks(models: Sequence[Model]) -> list[str]:
    return list(dict.fromkeys(model.search.task_name for model in models))


def _title(task: str, visuals: Visuals) -> str:
    return wrapped(visuals.title(task), 2.0, FONT)


def _gap_records(models: Sequence[Model]) -> dict[str, Any]:
    """Retrain -> the search it came from, how many runs each score is made of, and where curves were cut."""
    return {
        model.search.name: {
            "search": read_metadata(model.search.storage_dir).origin,
            "n_in_search": model.gap.n_search,
            "n_at_equal_length": model.gap.n_equal,
            "n_at_full_length": model.gap.n_full,
            "last_x_of_search": None if np.isnan(model.gap.last_x) else float(model.gap.last_x),
        }
        for model in models
        if model.gap is not None
    }


def _sources(
    figure: str, models: Sequence[Model], wanted: Settings, left_out: Sequence[Any]
) -> dict[str, Any]:
    is_bootstrap = wanted.interval == "bootstrapped_CI"
    return {
        "figure": figure,
        "settings": wanted.as_record(),
        "bootstrap": {"replicates": DRAWS, "seed": 0} if is_bootstrap else None,
        "experiments_shown": {model.search.name: model.scores.best for model in models},
        "n": {model.search.name: 0 if model.score is None else len(model.score.scores) for model in models},
        "sources": [
            source(model.search, out, model.scores.best) for model, out in zip(models, left_out, strict=True)
        ],
    }
