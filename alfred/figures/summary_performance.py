"""The scores of a search's experiments with their intervals, sorted best first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from alfred.analysis.gather import Search
from alfred.analysis.intervals import DRAWS, FEW, caption
from alfred.analysis.scores import ExperimentScore, SearchScores
from alfred.analysis.settings import EVALUATION_RUNS, Settings
from alfred.figures.names import search_title
from alfred.figures.page import new_page, say_instead
from alfred.figures.saving import save_figure
from alfred.figures.score_panel import SHOWN_UP_TO, Column, draw_columns
from alfred.figures.sources import count_text, source, unscored
from alfred.figures.style import TINY, Look, look, plain, printed
from alfred.figures.visuals import Visuals

AGGREGATION_WORDS = {
    "min": "lowest",
    "max": "highest",
    "avg": "mean",
    "last": "last value",
    "mean_on_last_20_percents": "mean of the last 20 %",
}
_ALL_NAMED = 60  # experiments: beyond that only some of the numbers fit below the axis


def ranked(scores: SearchScores) -> list[ExperimentScore]:
    """The experiments that have a score, best first."""
    by_number = {one.experiment: one for one in scores.experiments}
    return [by_number[number] for number in scores.ranking]


def draw_summary_performance(
    search: Search, scores: SearchScores, wanted: Settings, path: Path, visuals: Visuals | None = None
) -> list[Path]:
    """Write the performance chart of a search as `<path>.pdf`, `.png` and `_sources.json`."""
    visuals = visuals or Visuals()
    shown = ranked(scores)
    with printed():
        page = new_page(1, (), _caption(search, scores, wanted), panel_height=2.3, is_wide=len(shown) > 12)
        ax = page.axes[0]
        if not shown:
            say_instead(ax, "no run has a score")
        else:
            _draw(ax, shown, scores, wanted, visuals)
            ax.set_title(search_title(search, visuals, page.figure.get_figwidth() - 0.9))
        sources = {
            "figure": "summary_performance",
            "settings": wanted.as_record(),
            "bootstrap": {"replicates": DRAWS, "seed": 0} if wanted.interval == "bootstrapped_CI" else None,
            "ranking": list(scores.ranking),
            "best": scores.best,
            "n": {one.experiment: len(one.scores) for one in scores.experiments},
            "sources": [source(search, unscored(scores))],
        }
        return save_figure(page.figure, path, sources)


def score_title(wanted: Settings, visuals: Visuals) -> str:
    """The axis title of a score: what was measured, and how a run's values became one."""
    title = visuals.axis_title(wanted.metric)
    return (
        title if wanted.metric == EVALUATION_RUNS else f"{title}\n({AGGREGATION_WORDS[wanted.aggregation]})"
    )


def _draw(
    ax: Axes, shown: list[ExperimentScore], scores: SearchScores, wanted: Settings, visuals: Visuals
) -> None:
    columns = [
        Column(
            label=_label(at, one, len(shown)),
            look=Look(look(0).color, "o", "-"),
            scores=one.scores,
            centre=one.mean,
            err_up=one.err_up,
            err_down=one.err_down,
            is_hollow=one.experiment not in scores.candidates,
        )
        for at, one in enumerate(shown)
    ]
    draw_columns(ax, columns, ylabel=score_title(wanted, visuals), goal=wanted.goal)
    ax.set_xlabel("experiment, best first")
    ax.tick_params(
        axis="x", rotation=0 if len(shown) <= 20 else 90, labelsize=TINY if len(shown) <= 40 else 5
    )
    for label in ax.get_xticklabels():
        label.set_horizontalalignment("center")


def _label(at: int, one: ExperimentScore, n_shown: int) -> str:
    step = -(-n_shown // _ALL_NAMED)
    return str(one.experiment) if at % step == 0 else ""


def _caption(search: Search, scores: SearchScores, wanted: Settings) -> str:
    shown = ranked(scores)
    counts = np.array([len(one.scores) for one in shown], dtype=int)
    what = "no interval; dots" if wanted.interval == "None" else "bars"
    lines = [plain(search.name), f"goal {wanted.goal}; {what}: {caption(wanted.interval, counts)}"]
    if any(len(one.scores) > 1 and one.err_up == one.err_down == 0 for one in shown):
        lines[-1] += ", width 0 where all runs are equal"
    if wanted.interval == "bootstrapped_CI" and len(counts) and counts.min() < FEW:
        lines[-1] += f", narrower than it says below {FEW} seeds"
    if wanted.interval != "None" and len(counts) and counts.min() <= SHOWN_UP_TO:
        lines.append("dots: the runs themselves")
    if len(scores.candidates) < len(shown):
        lines.append("hollow: not among the candidates for the best, since runs have no score")
    if without := [one.experiment for one in scores.experiments if not len(one.scores)]:
        lines.append("without any score: experiment " + ", ".join(map(str, without)))
    if scores.note:
        lines.append(scores.note)
    lines.append(plain(count_text([search], [unscored(scores)])))
    return "\n".join(lines)
