"""Whether what a project has assigned to `alfred.defaults` can be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import alfred.defaults
from alfred.errors import did_you_mean, short

_PREFIX = "DEFAULT_"


def unusable_defaults() -> Iterator[str]:
    """For each value that no command could use: which, what it is, what to make of it."""
    for name, (is_good, what) in _WANTED.items():
        value = getattr(alfred.defaults, name, None)
        if not is_good(value):
            yield f"alfred.defaults.{name} is {short(value)}: make it {what}"


def unknown_defaults() -> Iterator[str]:
    """For each name that nothing looks at: which, and what was probably meant."""
    for name in sorted(vars(alfred.defaults)):
        if name.startswith(_PREFIX) and name not in _WANTED:
            yield f"alfred.defaults.{name} means nothing to alfred: {did_you_mean(name, _WANTED)}"


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) and bool(os.fspath(value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_name, value))


def _are_repositories(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_path, value.values()))


def _are_plots(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_plot, value))


def _is_plot(value: Any) -> bool:
    is_four = isinstance(value, list | tuple) and len(value) == 4
    return is_four and _are_names(value[:2]) and all(map(_are_limits, value[2:]))


def _are_limits(value: Any) -> bool:
    is_pair = isinstance(value, list | tuple) and len(value) == 2
    return is_pair and all(end is None or isinstance(end, int | float) for end in value)


_A_METRIC = (_is_name, "the name of a metric")
_WANTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "DEFAULT_DIRECTORY_TREE_ROOT": (_is_path, "a path"),
    "DEFAULT_DIRECTORY_TREE_GIT_REPOS_TO_TRACK": (_are_repositories, "a dict of name -> path"),
    "DEFAULT_BENCHMARK_X_METRIC": _A_METRIC,
    "DEFAULT_BENCHMARK_Y_METRIC": _A_METRIC,
    "DEFAULT_BENCHMARK_PERFORMANCE_METRIC": _A_METRIC,
    "DEFAULT_BENCHMARK_PERFORMANCE_GOAL": (lambda value: value in ("max", "min"), "'max' or 'min'"),
    "DEFAULT_PLOTS_ARRAYS_TO_MAKE": (
        _are_plots,
        "a list of (x_metric, y_metric, (x_min, x_max), (y_min, y_max)), None for no limit",
    ),
    "DEFAULT_TRAIN_TIME_PARAMS": (_are_names, "a list of names"),
    "DEFAULT_SLURM_PROFILE": (lambda value: isinstance(value, Mapping), "a dict of names and values"),
    "DEFAULT_RESUME_FROM_CHECKPOINTS": (lambda value: isinstance(value, bool), "True or False"),
}
