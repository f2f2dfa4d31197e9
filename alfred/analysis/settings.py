"""What a summary or a comparison looks at, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import alfred.defaults
from alfred.analysis.intervals import METHODS
from alfred.analysis.scores import AGGREGATIONS, GOALS
from alfred.errors import UsageError, did_you_mean

EVALUATION_RUNS = "evaluation_runs"


@dataclass(frozen=True)
class Settings:
    """The metrics, how the values of a run become its score, which score is the best, and which interval.

    `metric` "evaluation_runs" stands for the mean of what the project's evaluate() returns for
    `n_eval_runs` episodes.
    """

    x_metric: str
    y_metric: str
    interval: str
    metric: str
    aggregation: str
    goal: str
    n_eval_runs: int

    @property
    def decisive(self) -> dict[str, Any]:
        """What the scores and the best configuration depend on."""
        names = ["metric", "goal", "n_eval_runs" if self.metric == EVALUATION_RUNS else "aggregation"]
        return {name: getattr(self, name) for name in names}

    def as_record(self) -> dict[str, Any]:
        """For files that say how something was made."""
        return dataclasses.asdict(self)


def settings(
    x_metric: str | None = None,
    y_metric: str | None = None,
    y_error_bars: str | None = "student_t",
    performance_metric: str | None = None,
    performance_aggregation: str = "mean_on_last_20_percents",
    performance_goal: str | None = None,
    n_eval_runs: int = 100,
) -> Settings:
    """Settings with the project's defaults, as they are now, for what is None.

    Raises:
        UsageError: a word that is none of those known.
    """
    interval = "None" if y_error_bars is None else y_error_bars
    goal = performance_goal or alfred.defaults.DEFAULT_BENCHMARK_PERFORMANCE_GOAL
    _known("y_error_bars", interval, METHODS)
    _known("performance_aggregation", performance_aggregation, AGGREGATIONS)
    _known("performance_goal", goal, GOALS)
    if n_eval_runs < 1:
        raise UsageError(f"--n_eval_runs {n_eval_runs}: at least 1 is needed")
    return Settings(
        x_metric=x_metric or alfred.defaults.DEFAULT_BENCHMARK_X_METRIC,
        y_metric=y_metric or alfred.defaults.DEFAULT_BENCHMARK_Y_METRIC,
        interval=interval,
        metric=performance_metric or alfred.defaults.DEFAULT_BENCHMARK_PERFORMANCE_METRIC,
        aggregation=performance_aggregation,
        goal=goal,
        n_eval_runs=n_eval_runs,
    )


def differences(made: Mapping[str, Any], wanted: Settings) -> str:
    """In words, in what something made with the decisive settings `made` differs from what is wanted."""
    return ", ".join(
        f"{name} {made.get(name)!r} instead of {value!r}"
        for name, value in wanted.decisive.items()
        if made.get(name) != value
    )


def _known(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"--{option} {value}: {did_you_mean(value, known)}")
