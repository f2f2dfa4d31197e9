"""One number for each run, one for each experiment, and which experiment is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alfred.analysis.gather import Run, Search, series, values, why_absent
from alfred.analysis.goal import GOALS, sign
from alfred.analysis.intervals import Floats, intervals
from alfred.errors import UsageError, did_you_mean
from alfred.storage.survey import Condition

__all__ = [
    "AGGREGATIONS",
    "GOALS",
    "ExperimentScore",
    "RunScore",
    "SearchScores",
    "aggregate",
    "score_evaluation",
    "score_run",
    "score_search",
    "sign",
]

AGGREGATIONS = ("min", "max", "avg", "last", "mean_on_last_20_percents")


@dataclass(frozen=True)
class RunScore:
    """The score of a run; NaN, and `why`, for one that has none."""

    experiment: int
    seed: int
    score: float
    why: str = ""


@dataclass(frozen=True)
class ExperimentScore:
    """The mean of the scores (n,) of an experiment's runs, NaN without any.

    `err_up` and `err_down` are distances >= 0 to the ends of the interval, NaN where there is none. `n_runs`
    counts all its runs, `unscored` are those without a score.
    """

    experiment: int
    scores: Floats
    mean: float
    err_up: float
    err_down: float
    n_runs: int
    unscored: tuple[RunScore, ...] = ()


@dataclass(frozen=True)
class SearchScores:
    """All scores of a search, with their own sign whatever the goal.

    `runs` stand by experiment, then seed, `experiments` by number. `candidates` are the experiments that may
    be the best. `ranking` has the candidates, best first, then the others that have a score, best first.
    `note` says what a reader must know of the choice of `best`, which is None when no run has a score.
    """

    name: str
    metric: str
    aggregation: str
    goal: str
    interval: str
    runs: tuple[RunScore, ...]
    experiments: tuple[ExperimentScore, ...]
    candidates: tuple[int, ...]
    ranking: tuple[int, ...]
    best: int | None
    note: str

    def experiment(self, number: int) -> ExperimentScore:
        """The scores of one experiment; KeyError if there is none of that number."""
        return {one.experiment: one for one in self.experiments}[number]


def aggregate(values: Floats, aggregation: str) -> float:
    """One number of what a run recorded (n,); NaN when n is 0 or any value is NaN.

    `mean_on_last_20_percents` is the mean from index floor(0.8 n) on. UsageError for another aggregation.
    """
    if aggregation not in AGGREGATIONS:
        near = did_you_mean(str(aggregation), AGGREGATIONS)
        raise UsageError(f"no aggregation is called {aggregation!r}: {near}")
    if not len(values) or np.isnan(values).any():
        return float("nan")
    if aggregation == "last":
        return float(values[-1])
    if aggregation == "mean_on_last_20_percents":
        return float(np.mean(values[len(values) * 4 // 5 :]))
    if aggregation == "avg":
        return float(np.mean(values))
    return float(np.min(values) if aggregation == "min" else np.max(values))


def score_run(run: Run, metric: str, aggregation: str, until: tuple[str, float] | None = None) -> RunScore:
    """The score of a run: what it recorded of the metric, aggregated; without one, why.

    `until`: (x metric, last x); only what was recorded up to there counts. Only COMPLETED runs have a score.
    """
    aggregate(np.empty(0), aggregation)  # an unknown one is a mistake whatever was recorded
    if run.condition is not Condition.COMPLETED:
        return _unscored(run, run.condition.value)
    if why := why_absent(run, *((metric,) if until is None else (until[0], metric))):
        return _unscored(run, why)
    if until is None:
        recorded = values(run, metric)
    else:
        pairs = series(run, until[0], metric)
        recorded = np.empty(0) if pairs is None else pairs.y[pairs.x <= until[1]]
    if not len(recorded):
        return _unscored(run, f"no {metric} recorded up to there")
    return _scored(run, aggregate(recorded, aggregation), metric)


def score_evaluation(run: Run, scores: Sequence[float] | str | None) -> RunScore:
    """The score of a run that was evaluated: the mean of what evaluate() returned, or the text why not."""
    if run.condition is not Condition.COMPLETED:
        return _unscored(run, run.condition.value)
    if isinstance(scores, str) or scores is None or not len(scores):
        return _unscored(run, scores if isinstance(scores, str) and scores else "not evaluated")
    return _scored(run, aggregate(np.asarray(scores, dtype=np.float64), "avg"), "evaluation")


def score_search(
    search: Search,
    metric: str,
    aggregation: str,
    goal: str,
    interval: str | None = "student_t",
    *,
    rng: np.random.Generator | None = None,
    until: tuple[str, float] | None = None,
    evaluations: Mapping[Path, Sequence[float] | str] | None = None,
) -> SearchScores:
    """Every score of a search and which experiment is best.

    The score of an experiment is the mean of its runs' scores; candidates for the best are those in which
    every run has a score, and if there is none, those with the most. Ties go to the lower number.
    `evaluations` (seed directory -> scores of evaluate(), or why there are none) replaces what was recorded.
    UsageError for an unknown aggregation, goal or interval.
    """
    if evaluations is None:
        runs = tuple(score_run(run, metric, aggregation, until) for run in search.runs)
    else:
        runs = tuple(score_evaluation(run, evaluations.get(run.seed_dir)) for run in search.runs)
    experiments = _experiments(runs, interval, rng)
    candidates, note = _candidates(experiments)
    ranking = _ranking(experiments, candidates, sign(goal))
    return SearchScores(
        name=search.name,
        metric=metric,
        aggregation=aggregation,
        goal=goal,
        interval=str(interval),
        runs=runs,
        experiments=experiments,
        candidates=candidates,
        ranking=ranking,
        best=ranking[0] if ranking else None,
        note=note,
    )


def _unscored(run: Run, why: str) -> RunScore:
    return RunScore(run.experiment, run.seed, float("nan"), why)


def _scored(run: Run, score: float, metric: str) -> RunScore:
    if np.isfinite(score):
        return RunScore(run.experiment, run.seed, score)
    return _unscored(run, f"NaN in {metric}" if np.isnan(score) else f"{metric} is infinite")


def _experiments(
    runs: Sequence[RunScore], interval: str | None, rng: np.random.Generator | None
) -> tuple[ExperimentScore, ...]:
    by_number: dict[int, list[RunScore]] = {}
    for run in runs:
        by_number.setdefault(run.experiment, []).append(run)
    numbers = sorted(by_number)
    table = np.full((len(numbers), max(map(len, by_number.values()), default=0)), np.nan)
    for row, number in zip(table, numbers, strict=True):
        row[: len(by_number[number])] = [run.score for run in by_number[number]]
    found = intervals(table, interval, rng)
    ups, downs = np.maximum(found.high - found.centre, 0), np.maximum(found.centre - found.low, 0)
    return tuple(
        ExperimentScore(
            experiment=number,
            scores=table[at][~np.isnan(table[at])],
            mean=float(found.centre[at]),
            err_up=float(ups[at]),
            err_down=float(downs[at]),
            n_runs=len(by_number[number]),
            unscored=tuple(run for run in by_number[number] if run.why),
        )
        for at, number in enumerate(numbers)
    )


def _candidates(experiments: Sequence[ExperimentScore]) -> tuple[tuple[int, ...], str]:
    """The experiments that may be the best, and what is to be said of them."""
    most = max((len(one.scores) for one in experiments), default=0)
    if most == 0:
        return (), "no run has a score"
    complete = tuple(one.experiment for one in experiments if not one.unscored)
    if complete:
        return complete, ""
    fullest = tuple(one.experiment for one in experiments if len(one.scores) == most)
    return fullest, "no experiment has a score for every run: the best is among those with most"


def _ranking(
    experiments: Sequence[ExperimentScore], candidates: Sequence[int], direction: int
) -> tuple[int, ...]:
    scored = [one for one in experiments if len(one.scores)]
    order = sorted(
        scored, key=lambda one: (one.experiment not in candidates, -direction * one.mean, one.experiment)
    )
    return tuple(one.experiment for one in order)
