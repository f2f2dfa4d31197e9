"""Every number that compares algorithms, on each task and over tasks, in one record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alfred.analysis.aggregates import (
    FEW,
    REPLICATES,
    Estimate,
    Profile,
    estimate,
    estimate_improvement,
    estimate_profile,
)
from alfred.analysis.comparisons import ALPHA, Pair, compare_all, verdict
from alfred.analysis.goal import sign
from alfred.analysis.intervals import SEED, check_method, intervals
from alfred.analysis.normalization import MIN_MAX, Normalized, checked, normalize
from alfred.analysis.scores import RunScore

Floats = NDArray[np.float64]
Reasons = Mapping[str, int]

AGGREGATES = ("mean", "median", "iqm")
GAP = "optimality_gap"
TAUS = 101  # points of a performance profile


@dataclass(frozen=True)
class Performance:
    """What an algorithm scored on a task: the mean of n runs, in the task's own unit, and its interval.

    `low` and `high` are NaN where there is no interval, the mean as well where n is 0. `left_out` are runs
    without a score, reason -> how many.
    """

    algorithm: str
    task: str
    mean: float
    low: float
    high: float
    n: int
    left_out: Reasons = field(default_factory=dict)


@dataclass(frozen=True)
class Improvement:
    """The probability that a run of `a` is better than one of `b`, averaged over tasks."""

    a: str
    b: str
    estimate: Estimate


@dataclass(frozen=True)
class AcrossTasks:
    """Algorithms compared; `goal` is that of the scores as they were recorded.

    `performances` stand by task, then by algorithm, and `pairs` are the tests on single tasks. `aggregates`
    (name -> algorithm -> estimate), `profiles` (by algorithm) and `improvements` are over the tasks of
    `normalized`; they are empty where fewer than two tasks are left, and `note` says so. `caution` is what a
    reader must know of the scores themselves.
    """

    algorithms: tuple[str, ...]
    tasks: tuple[str, ...]
    goal: str
    interval: str
    performances: tuple[Performance, ...]
    pairs: tuple[Pair, ...]
    normalized: Normalized
    aggregates: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    improvements: tuple[Improvement, ...] = ()
    n_replicates: int = REPLICATES
    note: str = ""
    caution: str = ""

    @property
    def normalized_tasks(self) -> tuple[str, ...]:
        """The tasks that aggregates are over."""
        return tuple(next(iter(self.normalized.scores.values()), {}))

    @property
    def verdicts(self) -> tuple[str, ...]:
        """One sentence for each of `pairs`."""
        return tuple(verdict(pair, self.goal) for pair in self.pairs)

    @property
    def sentence(self) -> str:
        """What the whole comparison shows, in one sentence."""
        return _sentence(self)


@dataclass(frozen=True)
class RunsByAlgorithm:
    """Scores (n,) and the runs without one (reason -> how many), both algorithm -> task -> those."""

    scores: Mapping[str, Mapping[str, Floats]]
    left_out: Mapping[str, Mapping[str, Reasons]]


def by_algorithm(runs: Iterable[tuple[str, str, Sequence[RunScore]]]) -> RunsByAlgorithm:
    """Sort scores of runs, each with its algorithm and its task, for `compare_across_tasks`."""
    scores: dict[str, dict[str, Floats]] = {}
    left_out: dict[str, dict[str, Reasons]] = {}
    for algorithm, task, own in runs:
        found = np.array([run.score for run in own if not run.why], dtype=np.float64)
        scores.setdefault(algorithm, {})[task] = found
        left_out.setdefault(algorithm, {})[task] = dict(Counter(run.why for run in own if run.why))
    return RunsByAlgorithm(scores, left_out)


def compare_across_tasks(
    scores: Mapping[str, Mapping[str, ArrayLike]],
    normalization: str | Mapping[str, tuple[float, float]] = MIN_MAX,
    goal: str = "max",
    rng: np.random.Generator | None = None,
    n_replicates: int = REPLICATES,
    *,
    interval: str | None = "student_t",
    left_out: Mapping[str, Mapping[str, Reasons]] | None = None,
    caution: str = "",
) -> AcrossTasks:
    """Compare algorithms by their scores algorithm -> task -> (n_runs,), ragged, some perhaps of no run.

    `normalization` as in `alfred.analysis.normalization.normalize`; `interval` is the method for the means
    on single tasks. Over tasks the interval is the stratified bootstrap's. `caution` goes along.

    Raises:
        UsageError: an unknown goal, normalization or interval.
        ValueError: a score is NaN or infinite.
    """
    generator = np.random.default_rng(SEED) if rng is None else rng
    normalized = normalize(scores, normalization, goal)
    tasks = tuple(dict.fromkeys(task for by_task in scores.values() for task in by_task))
    standing = {
        "algorithms": tuple(scores),
        "tasks": tasks,
        "goal": goal,
        "interval": check_method(interval),
        "performances": _performances(scores, tasks, interval, left_out or {}, generator),
        "pairs": compare_all(scores),
        "normalized": normalized,
        "n_replicates": n_replicates,
        "caution": caution,
    }
    kept = {task for by_task in normalized.scores.values() for task in by_task}
    if len(kept) < 2:
        one = "one task" if len(tasks) == 1 else f"{len(kept)} of {len(tasks)} tasks can be compared"
        why = "; ".join(f"{task}: {reason}" for task, reason in normalized.left_out.items())
        note = f"{one}: nothing to aggregate over" + (f" ({why})" if why else "")
        return AcrossTasks(**standing, note=note)  # type: ignore[arg-type]
    names = (*AGGREGATES, GAP) if normalized.has_gap else AGGREGATES
    bootstrap = {"n_replicates": n_replicates, "rng": generator, "goal": normalized.goal}
    return AcrossTasks(
        **standing,  # type: ignore[arg-type]
        aggregates={
            name: {alg: estimate(name, own, **bootstrap) for alg, own in normalized.scores.items()}  # type: ignore[arg-type]
            for name in names
        },
        profiles=_profiles(normalized, n_replicates, generator),
        improvements=tuple(
            Improvement(a, b, estimate_improvement(normalized.scores[a], normalized.scores[b], **bootstrap))  # type: ignore[arg-type]
            for a, b in combinations(normalized.scores, 2)
        ),
    )


def _performances(
    scores: Mapping[str, Mapping[str, ArrayLike]],
    tasks: Sequence[str],
    interval: str | None,
    left_out: Mapping[str, Mapping[str, Reasons]],
    rng: np.random.Generator,
) -> tuple[Performance, ...]:
    places = [(alg, task) for task in tasks for alg in scores if task in scores[alg]]
    rows = [checked(scores[alg][task]) for alg, task in places]
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = row
    found = intervals(table, interval, rng)
    return tuple(
        Performance(
            algorithm=alg,
            task=task,
            mean=float(found.centre[at]),
            low=float(found.low[at]),
            high=float(found.high[at]),
            n=int(found.n[at]),
            left_out=dict(left_out.get(alg, {}).get(task, {})),
        )
        for at, (alg, task) in enumerate(places)
    )


def _profiles(normalized: Normalized, n_replicates: int, rng: np.random.Generator) -> dict[str, Profile]:
    every = [task for own in normalized.scores.values() for task in own.values()]
    tau = np.linspace(min(map(np.min, every)), max(map(np.max, every)), TAUS)
    return {
        alg: estimate_profile(own, tau, n_replicates, rng, normalized.goal)
        for alg, own in normalized.scores.items()
    }


def _sentence(result: AcrossTasks) -> str:
    if len(result.algorithms) < 2:
        return f"There is only {', '.join(result.algorithms) or 'nothing'}: nothing to compare it with."
    if result.aggregates:
        return _over_tasks(result)
    if len(result.pairs) == 1:
        return result.verdicts[0]
    if len(result.tasks) == 1:
        return _on_one_task(result)
    return f"Nothing can be said over all tasks, since {result.note}."


def _on_one_task(result: AcrossTasks) -> str:
    """The algorithm with the best mean against each of the others."""
    scored = [one for one in result.performances if one.n]
    if not scored:
        return f"No algorithm has a score on {result.tasks[0]}."
    best = max(scored, key=lambda one: sign(result.goal) * one.mean)
    own = [pair for pair in result.pairs if best.algorithm in (pair.a, pair.b)]
    shown = sum(is_shown(pair) for pair in own)
    n_tests = sum(pair.p_welch is not None for pair in result.pairs)
    return (
        f"{best.algorithm} has the best mean on {best.task}, {best.mean:.3g}, and was shown to be better "
        f"than {shown} of {len(own)} others (Welch's test at {ALPHA:g}, Holm-corrected over {n_tests} tests)."
    )


def _over_tasks(result: AcrossTasks) -> str:
    """The algorithm with the best interquartile mean against the next."""
    direction = sign(result.normalized.goal)
    iqm = result.aggregates["iqm"]
    best, second = sorted(iqm, key=lambda alg: -direction * iqm[alg].point)[:2]
    low, point, high = probability(result, best, second)
    own = [pair for pair in result.pairs if {pair.a, pair.b} == {best, second}]
    tested = [pair for pair in own if pair.p_welch is not None]
    shown = [pair for pair in own if is_shown(pair)]
    for_best = sum((pair.difference * sign(result.goal) > 0) == (pair.a == best) for pair in shown)
    within = f"over {len(result.normalized_tasks)} tasks"
    interval = "" if np.isnan(low) else f", 95 % interval {low:.2g} to {high:.2g}"
    counts = f"tests on single tasks that show {best} better: {for_best} of {len(tested)}"
    if len(shown) > for_best:
        counts += f", {second} better: {len(shown) - for_best}"
    numbers = (
        f"interquartile means {iqm[best].point:.3g} and {iqm[second].point:.3g}, probability of improvement "
        f"{point:.2g}{interval}; {counts}"
    )
    is_enough = bool(for_best) or min(iqm[best].n + iqm[second].n) >= FEW  # of few runs it is too narrow
    if low > 0.5 and is_enough and for_best == len(shown):
        return f"{best} is better than {second} {within} ({numbers})."
    return f"No difference between {best} and {second} {within} was shown ({numbers})."


def is_shown(pair: Pair) -> bool:
    """Whether a test on one task shows a difference, corrected for all the tests made."""
    p = pair.p_welch if pair.p_holm is None else pair.p_holm
    return p is not None and p < ALPHA


def probability(result: AcrossTasks, a: str, b: str) -> tuple[float, float, float]:
    """(low, point, high) of the probability that a run of `a` is better than one of `b`."""
    for one in result.improvements:
        if (one.a, one.b) == (a, b):
            return one.estimate.low, one.estimate.point, one.estimate.high
        if (one.a, one.b) == (b, a):
            return 1 - one.estimate.high, 1 - one.estimate.point, 1 - one.estimate.low
    raise KeyError((a, b))
