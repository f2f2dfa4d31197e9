"""From a checked schedule to what is to be laid."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alfred.search.grid import grid_experiments
from alfred.search.random import child_seed, random_experiments
from alfred.search.schedule import Schedule
from alfred.storage.creation import Experiment, Preparation


def plan_search(
    schedule: Schedule,
    pairs: Iterable[tuple[str, str]],
    desc: str,
    *,
    sampling_seed: int | None = None,
    resample: bool = True,
) -> list[Preparation]:
    """One preparation for each (algorithm, task) of `pairs`.

    A random search needs a `sampling_seed`; with `resample` each algorithm and task has draws of its own,
    which depend on nothing but the sampling seed and the two names.
    """
    return [
        _preparation(schedule, alg_name, task_name, desc, sampling_seed, resample)
        for alg_name, task_name in pairs
    ]


def varied_values(plans: Iterable[Preparation]) -> dict[str, list[Any]]:
    """What was searched over: each parameter's values, of a grid once each, of draws all of them."""
    values: dict[str, list[Any]] = {}
    for plan in plans:
        if plan.variations is not None:
            return {name: list(v) for name, v in plan.variations.items() if name not in _ALWAYS_UNIQUE}
        for experiment in plan.experiments:
            for name, value in experiment.unique.items():
                if name not in _ALWAYS_UNIQUE:
                    values.setdefault(name, []).append(value)
    return values


_ALWAYS_UNIQUE = ("alg_name", "task_name", "seed")


def _preparation(
    schedule: Schedule, alg_name: str, task_name: str, desc: str, sampling_seed: int | None, resample: bool
) -> Preparation:
    variations = None
    if schedule.variations is not None:
        varied = grid_experiments(schedule.variations)
        lists = {"alg_name": [alg_name], "task_name": [task_name], "seed": list(schedule.seeds)}
        variations = {**schedule.variations, **lists}
    else:
        drawn_for = (alg_name, task_name) if resample else ()
        varied = random_experiments(schedule, child_seed(sampling_seed or 0, *drawn_for))
    own = {"alg_name": alg_name, "task_name": task_name, "desc": desc}
    return Preparation(
        alg_name=alg_name,
        task_name=task_name,
        desc=desc,
        kind=schedule.kind,
        experiments=_experiments(schedule, varied, own),
        variations=variations,
        sampling_seed=sampling_seed,
        schedule_file=os.path.relpath(schedule.path),
    )


def _experiments(
    schedule: Schedule, varied: Sequence[Mapping[str, Any]], own: Mapping[str, Any]
) -> tuple[Experiment, ...]:
    """Draws may hold different names: what one of them varies tells all of them apart."""
    names = list(dict.fromkeys(name for values in varied for name in values))
    experiments = []
    for values in varied:
        config = {**schedule.defaults, **values, **own}
        config.pop("seed", None)  # each run has its own
        unique = {name: config[name] for name in [*names, "alg_name", "task_name"]}
        experiments.append(Experiment(config, unique, schedule.seeds))
    return tuple(experiments)
