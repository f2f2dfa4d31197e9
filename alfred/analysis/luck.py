"""How much of the best configuration's score was luck: its score in the search beside that of its retrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import alfred.defaults
from alfred.analysis.gather import Run, Search, gather, series, why_absent
from alfred.analysis.scores import SearchScores, score_run
from alfred.analysis.settings import EVALUATION_RUNS, Settings
from alfred.storage.metadata import read_metadata
from alfred.storage.retrains import is_retrain, relatives


@dataclass(frozen=True)
class RetrainGap:
    """Mean scores, with their own sign, and the numbers of runs behind them; NaN where there is none.

    `at_equal_length` is of the retrain's curves cut at `last_x`, the last x of the search; `at_full_length`
    of all they recorded. `gap` is at_equal_length - in_search: retrains run longer, so any other difference
    mixes luck with training time.
    """

    in_search: float
    n_search: int
    at_equal_length: float
    n_equal: int
    at_full_length: float
    n_full: int
    last_x: float
    gap: float


def retrain_gap(
    search_runs: Sequence[Run],
    retrain_runs: Sequence[Run],
    x_metric: str,
    metric: str,
    aggregation: str,
) -> RetrainGap:
    """The gap between the runs of the chosen experiment and those of its retrain.

    The search is scored on all that its runs recorded. Runs without a score are left out; whoever shows the
    gap names them from `alfred.analysis.scores.score_run`. UsageError for an unknown aggregation.
    """
    end = last_x(search_runs, x_metric, metric)
    in_search, n_search = _mean(search_runs, metric, aggregation)
    equal, n_equal = _mean(retrain_runs, metric, aggregation, (x_metric, end))
    full, n_full = _mean(retrain_runs, metric, aggregation)
    return RetrainGap(
        in_search=in_search,
        n_search=n_search,
        at_equal_length=equal,
        n_equal=n_equal,
        at_full_length=full,
        n_full=n_full,
        last_x=end,
        gap=equal - in_search,
    )


def gap_to_search(retrain: Search, scores: SearchScores, wanted: Settings) -> RetrainGap | None:
    """How much of the search's score was luck; None for what is no retrain of a search that is there."""
    is_known = is_retrain(read_metadata(retrain.storage_dir)) and scores.best is not None
    if not is_known or wanted.metric == EVALUATION_RUNS:  # evaluate() can't be asked at the search's length
        return None
    for search_dir in relatives(retrain.storage_dir)[:1]:
        search = gather(search_dir, {wanted.x_metric, wanted.metric})
        chosen = chosen_experiment(search, retrain)
        if chosen is not None:
            own = retrain.of_experiment(scores.best or 0)
            return retrain_gap(
                search.of_experiment(chosen), own, wanted.x_metric, wanted.metric, wanted.aggregation
            )
    return None


def chosen_experiment(search: Search, retrain: Search) -> int | None:
    """The experiment of a search that a retrain trains again: the one with its distinguishing parameters,
    whether or not the length of training, which the retrain changes, is one of them.

    None where none has them, or several do.
    """
    for changed in ({"seed"}, {"seed", *alfred.defaults.DEFAULT_TRAIN_TIME_PARAMS}):
        wanted = next((_without(run.unique, changed) for run in retrain.runs if run.unique), {})
        same = {
            run.experiment for run in search.runs if run.unique and _without(run.unique, changed) == wanted
        }
        if len(same) == 1:
            return same.pop()
    return None


def _without(unique: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in unique.items() if name not in names}


def last_x(runs: Sequence[Run], x_metric: str, y_metric: str) -> float:
    """The highest x at which any of the runs recorded y; NaN if none did."""
    usable = [run for run in runs if not why_absent(run, x_metric, y_metric)]
    found = [pairs.x for run in usable if (pairs := series(run, x_metric, y_metric)) is not None]
    xs = np.concatenate(found) if found else np.empty(0)
    return float(xs[~np.isnan(xs)].max(initial=-np.inf)) if np.any(~np.isnan(xs)) else float("nan")


def _mean(
    runs: Sequence[Run], metric: str, aggregation: str, until: tuple[str, float] | None = None
) -> tuple[float, int]:
    scores = [score_run(run, metric, aggregation, until).score for run in runs]
    present = [score for score in scores if not np.isnan(score)]
    return (float(np.mean(present)) if present else float("nan")), len(present)
