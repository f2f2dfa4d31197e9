"""Several tasks in one number, with its interval: Agarwal et al. (2021).

R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville, M. G. Bellemare, "Deep Reinforcement Learning at the
Edge of the Statistical Precipice", NeurIPS 2021. No storage tree is needed:

    from alfred.analysis.aggregates import estimate, iqm

    scores = {"cartpole": [0.9, 0.7, 0.8], "acrobot": [0.2, 0.4]}  # task -> scores of its runs, ragged
    iqm(scores)
    estimate("iqm", scores, rng=numpy.random.default_rng(0))  # point, low, high

Scores are task -> (n_runs,), numbers of runs may differ, or a matrix (n_runs, n_tasks). Where tasks have
different scales, `alfred.analysis.normalization.normalize` comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alfred.analysis.goal import sign
from alfred.analysis.normalization import checked
from alfred.errors import UsageError, did_you_mean
from alfred.utils.stats import SEED

Floats = NDArray[np.float64]
Scores = Mapping[str, ArrayLike] | Sequence[Floats] | Floats
Metric = Callable[[Sequence[Floats]], Any]

REPLICATES = 10_000
FEW = 10  # below so many runs of a task the interval is narrower than it says
_NUMBERS_AT_ONCE = 2_000_000  # bounds the memory of resampling


@dataclass(frozen=True)
class Estimate:
    """A point estimate with its 95 % interval, NaN where there is none; `n` are the runs of each task."""

    point: float
    low: float
    high: float
    method: str
    n: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Profile:
    """Performance profile: the share (m,) of runs better than each `tau` (m,), with its 95 % interval."""

    tau: Floats
    share: Floats
    low: Floats
    high: Floats
    method: str
    n: tuple[int, ...] = ()
    note: str = ""


def mean(scores: Scores) -> Any:
    """The mean over tasks of the mean over runs."""
    return _over_tasks(np.mean, scores)


def median(scores: Scores) -> Any:
    """The median over tasks of the mean over runs."""
    task_means = [task.mean(axis=-1) for task in columns(scores)]
    return np.median(np.stack(task_means, axis=-1), axis=-1)


def iqm(scores: Scores) -> Any:
    """Interquartile mean: all runs of all tasks pooled, floor(n/4) scores cut from each end, the mean.

    The same as scipy.stats.trim_mean(pooled, 0.25).
    """
    pooled = np.concatenate(columns(scores), axis=-1)
    n = pooled.shape[-1]
    cut = n // 4
    return np.partition(pooled, (cut, n - cut - 1), axis=-1)[..., cut : n - cut].mean(axis=-1)


def optimality_gap(scores: Scores, gamma: float = 1.0) -> Any:
    """The mean over tasks and runs of what a score lacks to gamma; scores above lack nothing."""
    return _over_tasks(lambda task, axis: np.maximum(gamma - task, 0).mean(axis=axis), scores)


def probability_of_improvement(x: Scores, y: Scores) -> Any:
    """The mean over tasks of P(a run of x scores above a run of y); ties count half. Same tasks in both."""
    if isinstance(x, Mapping) and isinstance(y, Mapping):
        if x.keys() != y.keys():
            raise UsageError(f"the tasks differ: {', '.join(sorted(x.keys() ^ y.keys()))}")
        y = {task: y[task] for task in x}
    per_task = [
        (np.sign(a[..., :, None] - b[..., None, :]).mean(axis=(-2, -1)) + 1) / 2
        for a, b in zip(columns(x), columns(y), strict=True)
    ]
    return np.mean(per_task, axis=0)


def performance_profile(scores: Scores, tau: ArrayLike) -> Any:
    """(..., m) the mean over tasks of the share of runs above each tau (m,)."""
    limits = np.asarray(tau, dtype=np.float64)
    shares = [(task[..., :, None] > limits).mean(axis=-2) for task in columns(scores)]
    return np.mean(shares, axis=0)


METRICS: Mapping[str, Metric] = {
    "mean": mean,
    "median": median,
    "iqm": iqm,
    "optimality_gap": optimality_gap,
}


def estimate(
    metric: str | Metric,
    scores: Scores,
    n_replicates: int = REPLICATES,
    rng: np.random.Generator | None = None,
    goal: str = "max",
) -> Estimate:
    """A metric with its 95 % interval by the stratified percentile bootstrap: runs are drawn within tasks.

    `metric`: "mean", "median", "iqm", "optimality_gap", or a function of the tasks' scores, a list of arrays
    (..., n_runs), that gives (...). With goal "min" the scores are negated first and the result again.
    """
    return _estimate(named(metric), columns(scores), n_replicates, rng, sign(goal))


def estimate_improvement(
    x: Scores,
    y: Scores,
    n_replicates: int = REPLICATES,
    rng: np.random.Generator | None = None,
    goal: str = "max",
) -> Estimate:
    """P(x better than y), averaged over tasks, with its 95 % interval; see `estimate`."""
    if isinstance(x, Mapping) and isinstance(y, Mapping) and x.keys() == y.keys():
        y = {task: y[task] for task in x}
    mine, others = columns(x), columns(y)
    probability_of_improvement(x, y)  # complains of tasks that differ
    half = len(mine)
    direction = sign(goal)

    def metric(tasks: Sequence[Floats]) -> Any:
        return probability_of_improvement(tasks[:half], tasks[half:])

    return _estimate(metric, [direction * task for task in (*mine, *others)], n_replicates, rng, 1)


def estimate_profile(
    scores: Scores,
    tau: ArrayLike,
    n_replicates: int = REPLICATES,
    rng: np.random.Generator | None = None,
    goal: str = "max",
) -> Profile:
    """The share of runs better than each tau, with pointwise 95 % intervals; see `estimate`."""
    direction = sign(goal)
    limits = np.asarray(tau, dtype=np.float64)
    tasks = [direction * task for task in columns(scores)]
    metric = partial(performance_profile, tau=direction * limits)
    low, high = _interval(metric, tasks, n_replicates, rng, weight=len(limits))
    sizes = tuple(len(task) for task in tasks)
    return Profile(limits, metric(tasks), low, high, _method(n_replicates), sizes, _note(sizes))


def columns(scores: Scores) -> list[Floats]:
    """The scores of each task, (n_runs,) each; arrays (..., n_runs) stay as they are.

    ValueError if there is no task, a task has no run, or a score is NaN or infinite.
    """
    if isinstance(scores, Mapping):
        tasks = [checked(values, str(task)) for task, values in scores.items()]
    elif isinstance(scores, np.ndarray) and scores.ndim == 2:
        tasks = [checked(column, f"task {at}") for at, column in enumerate(scores.T)]
    else:
        tasks = [np.asarray(task, dtype=np.float64) for task in scores]
        if any(task.ndim == 0 for task in tasks):
            raise ValueError("scores are task -> (n_runs,), a matrix (n_runs, n_tasks) or a list of tasks")
        tasks = [checked(task) if task.ndim == 1 else task for task in tasks]
    if not tasks or any(task.shape[-1] == 0 for task in tasks):
        raise ValueError("every task needs at least one run" if tasks else "no task to aggregate over")
    return tasks


def named(metric: str | Metric) -> Metric:
    """The metric of a name, a function as it is; UsageError for an unknown name."""
    if callable(metric):
        return metric
    if metric not in METRICS:
        raise UsageError(f"no aggregate is called {metric!r}: {did_you_mean(str(metric), METRICS)}")
    return METRICS[metric]


def draw(sizes: Sequence[int], n_replicates: int, rng: np.random.Generator) -> list[NDArray[np.int32]]:
    """For each task of so many runs the runs drawn, (n_replicates, n_runs), with replacement."""
    return [rng.integers(size, size=(n_replicates, size), dtype=np.int32) for size in sizes]


def replicates(
    metric: Metric, tasks: Sequence[Floats], drawn: Sequence[NDArray[np.int32]], weight: int = 1
) -> Floats:
    """(n_replicates, ...) the metric of each resampling of the tasks (n_runs,) each; `drawn` as of `draw`.

    `weight` is how many numbers the metric makes of one score, which bounds how much is done at once.
    """
    n_replicates = len(drawn[0])
    step = max(1, _NUMBERS_AT_ONCE // (weight * sum(map(len, tasks))))
    parts = [slice(start, start + step) for start in range(0, n_replicates, step)]
    return np.concatenate(
        [metric([task[rows[part]] for task, rows in zip(tasks, drawn, strict=True)]) for part in parts]
    )


def _over_tasks(of_task: Callable[..., Any], scores: Scores) -> Any:
    return np.mean([of_task(task, axis=-1) for task in columns(scores)], axis=0)


def _estimate(
    metric: Metric,
    tasks: Sequence[Floats],
    n_replicates: int,
    rng: np.random.Generator | None,
    direction: int,
) -> Estimate:
    tasks = [direction * task for task in tasks]
    low, high = sorted(direction * end for end in _interval(metric, tasks, n_replicates, rng))
    sizes = tuple(len(task) for task in tasks)
    return Estimate(
        point=float(direction * metric(tasks)),
        low=float(low),
        high=float(high),
        method=_method(n_replicates),
        n=sizes,
        note=_note(sizes),
    )


def _interval(
    metric: Metric,
    tasks: Sequence[Floats],
    n_replicates: int,
    rng: np.random.Generator | None,
    weight: int = 1,
) -> tuple[Any, Any]:
    """Percentiles 2.5 and 97.5 of the resampled metric; NaN if no task has two runs."""
    if all(len(task) == 1 for task in tasks):
        return metric(tasks) * np.nan, metric(tasks) * np.nan
    generator = np.random.default_rng(SEED) if rng is None else rng
    drawn = draw([len(task) for task in tasks], n_replicates, generator)
    low, high = np.percentile(replicates(metric, tasks, drawn, weight), [2.5, 97.5], axis=0)
    return low, high


def _method(n_replicates: int) -> str:
    return f"95 % interval (stratified percentile bootstrap, {n_replicates} replicates)"


def _note(sizes: Sequence[int]) -> str:
    if max(sizes) == 1:
        return "n = 1: no interval"
    return f"narrower than it says below {FEW} seeds" if min(sizes) < FEW else ""
