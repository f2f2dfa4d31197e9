"""Scores of different tasks on one scale, with constants that are fixed before anything is resampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alfred.analysis.goal import sign
from alfred.errors import UsageError
from alfred.utils.config import load_dict_from_json

Floats = NDArray[np.float64]
MIN_MAX, NONE, REFERENCE = "min-max", "none", "reference"


@dataclass(frozen=True)
class Normalized:
    """Scores algorithm -> task -> (n_runs,), each algorithm with the same tasks.

    `how` is "min-max", "none" or "reference"; `constants` are task -> (score that became 0, score that
    became 1), empty for "none"; `left_out` are task -> why. `goal` is the goal of the scores as they stand:
    "max" once they are normalized, since then 1 is the better end whatever the goal was.
    """

    scores: Mapping[str, Mapping[str, Floats]]
    how: str
    goal: str = "max"
    constants: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_gap(self) -> bool:
        """Whether 1 means something outside of these scores, so that an optimality gap does."""
        return self.how == REFERENCE


def normalize(
    scores: Mapping[str, Mapping[str, ArrayLike]],
    how: str | Mapping[str, tuple[float, float]] = MIN_MAX,
    goal: str = "max",
) -> Normalized:
    """Scores algorithm -> task -> (n_runs,) with 0 for the worse and 1 for the better end of each task.

    `how`: "min-max", the ends over all runs of all algorithms; "none", scores as they are; or the reference
    scores task -> (low, high), of which the better end by the goal becomes 1. Tasks that some algorithm has
    no run of, whose ends are equal or that have no reference are left out and named.

    Raises:
        UsageError: `how` or `goal` is unknown, or a reference's low is above its high with goal "max".
        ValueError: a score is NaN or infinite.
    """
    direction = sign(goal)
    arrays = {
        alg: {task: checked(values, f"{alg} on {task}") for task, values in by_task.items()}
        for alg, by_task in scores.items()
    }
    tasks = list(dict.fromkeys(task for by_task in arrays.values() for task in by_task))
    left_out: dict[str, str] = {}
    constants: dict[str, tuple[float, float]] = {}
    for task in tasks:
        absent = [alg for alg, by_task in arrays.items() if not len(by_task.get(task, ()))]
        if absent:
            left_out[task] = f"no score of {', '.join(absent)}"
        elif how != NONE:
            pooled = np.concatenate([by_task[task] for by_task in arrays.values()])
            low, high, why = _ends(task, pooled, how, goal)
            constants |= {} if why else {task: (low, high) if direction == 1 else (high, low)}
            left_out |= {task: why} if why else {}
    kept = [task for task in tasks if task not in left_out]
    return Normalized(
        scores={
            alg: {task: _scaled(by_task[task], constants.get(task)) for task in kept}
            for alg, by_task in arrays.items()
        },
        how=how if isinstance(how, str) else REFERENCE,
        goal=goal if how == NONE else "max",
        constants=constants,
        left_out=left_out,
    )


def checked(values: ArrayLike, what: str = "a task") -> Floats:
    """The scores (n,) as numbers; ValueError for one that is NaN or infinite: such a run has no score."""
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if not np.isfinite(array).all():
        raise ValueError(f"{what} holds scores that are NaN or infinite: leave out the runs without a score")
    return array


def _ends(
    task: str, pooled: Floats, how: str | Mapping[str, tuple[float, float]], goal: str
) -> tuple[float, float, str]:
    """The lower and the higher end of a task, and why it has to be left out."""
    if isinstance(how, str):
        if how != MIN_MAX:
            raise UsageError(f"no normalization is called {how!r}: known are {MIN_MAX}, {NONE} or references")
        low, high = float(pooled.min()), float(pooled.max())
        return low, high, "all scores are equal" if low == high else ""
    if task not in how:
        return 0.0, 1.0, "no reference score"
    low, high = (float(end) for end in how[task])
    if low > high and goal == "max":
        raise UsageError(f"the reference scores of {task} are {low:g} and {high:g}: the lower one first")
    return min(low, high), max(low, high), "both reference scores are equal" if low == high else ""


def _scaled(values: Floats, ends: tuple[float, float] | None) -> Floats:
    return values if ends is None else (values - ends[0]) / (ends[1] - ends[0])


def read_normalization(normalization: str) -> str | dict[str, tuple[float, float]]:
    """What `normalize` takes: "min-max" or "none" as it is, else the reference scores of a JSON file
    {task: [low, high]}. UsageError for anything else.
    """
    if normalization in (MIN_MAX, NONE):
        return normalization
    if not Path(normalization).is_file():
        raise UsageError(
            f"--normalization {normalization}: give {MIN_MAX}, {NONE} or a JSON file that exists"
        )
    scores = {}
    for task, ends in load_dict_from_json(normalization).items():
        is_pair = isinstance(ends, list) and len(ends) == 2 and all(type(x) in (int, float) for x in ends)
        if not is_pair:
            raise UsageError(f"{normalization}: {task} has {ends!r}, not two numbers [low, high]")
        scores[task] = (float(ends[0]), float(ends[1]))
    return scores
