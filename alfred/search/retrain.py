"""From a search to its retrain: the best configuration, trained longer, with seeds of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import alfred.defaults
from alfred.errors import StorageError, UsageError, did_you_mean
from alfred.search.schedule_folder import schedule_file_of
from alfred.storage.creation import Preparation
from alfred.storage.metadata import read_metadata
from alfred.storage.more_seeds import fresh_seeds, read_experiment, runs_by_experiment
from alfred.storage.retrains import retrain_desc
from alfred.utils.config import load_dict_from_json
from alfred.utils.storage_names import is_folder_name

_BEST = re.compile(r"bestConfig_exp([0-9]{1,15})\.json")


@dataclass(frozen=True)
class TrainTime:
    """How much longer to train: the factor, and the parameter to multiply (None: the first usual one)."""

    factor: float = 2.0
    parameter: str | None = None


@dataclass(frozen=True)
class Retrain:
    """One retrain to be laid: of which experiment, with which training time (empty: that of the search)."""

    search_dir: Path
    experiment: int
    train_time: Mapping[str, Any]
    preparation: Preparation

    def __str__(self) -> str:
        seeds = ", ".join(map(str, self.preparation.experiments[0].seeds))
        longer = "".join(f", {name} = {value}" for name, value in self.train_time.items())
        return f"experiment{self.experiment} of {self.search_dir.name}, seeds {seeds}{longer}"


def recorded_best(search_dir: Path) -> int | None:
    """The number of the best experiment that the summary of a search names; None where there is none.

    StorageError when it names several.
    """
    folder = search_dir / "summary"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    numbers = sorted(int(match[1]) for name in names if (match := _BEST.fullmatch(name)))
    if len(numbers) > 1:
        raise StorageError(
            f"{folder} names several best experiments, {' and '.join(map(str, numbers))}: remove the "
            "bestConfig files that are wrong, or give --best_experiments_mapping"
        )
    return numbers[0] if numbers else None


def read_mapping(file: str | Path, root: Path) -> dict[str, int]:
    """The numbers of the best experiments by storage name, from a JSON file that the user wrote.

    UsageError for a storage directory that is not there and for a number that is none.
    """
    mapping = load_dict_from_json(file)
    for name, number in mapping.items():
        if not is_folder_name(name) or not (root / name).is_dir():
            there = [path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
            hint = did_you_mean(name, there)
            raise UsageError(f"{file}: there is no storage directory {name!r} in {root}: {hint}")
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise UsageError(f"{file}: {name}: {number!r} is no number of an experiment: write it as in 7")
    return mapping


def plan_retrain(search_dir: Path, experiment: int, n_seeds: int, time: TrainTime) -> Retrain:
    """The storage directory that trains an experiment of a search again, `n_seeds` times.

    Raises:
        StorageError: the experiment is not there or can't be read, or has no training-time parameter.
        UsageError: the parameter named is none that can be multiplied.
    """
    search = read_metadata(search_dir)
    runs = runs_by_experiment(search_dir)
    if experiment not in runs:
        known = ", ".join(map(str, runs)) or "none"
        raise StorageError(
            f"there is no experiment{experiment} with runs in {search_dir}; there are: {known}"
        )
    seeds = fresh_seeds((seed for own in runs.values() for seed in own), n_seeds)
    best = read_experiment(runs[experiment].values(), seeds)
    desc = retrain_desc(search.desc, search.id)
    train_time = longer(best.config, time, search_dir / f"experiment{experiment}")
    config = {**best.config, **train_time, "desc": desc}
    unique = {name: config[name] for name in best.unique}
    preparation = Preparation(
        alg_name=search.alg_name,
        task_name=search.task_name,
        desc=desc,
        kind=search.kind,
        experiments=(replace(best, config=config, unique=unique),),
        schedule_file=schedule_file_of(search_dir),
        origin=search_dir.name,
    )
    return Retrain(search_dir, experiment, train_time, preparation)


def longer(config: Mapping[str, Any], time: TrainTime, where: Path) -> dict[str, Any]:
    """The training-time parameter of a configuration with its new value; {} for a factor of 1.

    A whole number stays one. A value that is no positive, finite number (None, -1) stands for no limit, so
    the next usual parameter is looked at.
    """
    name = time.parameter
    if name is None:
        if time.factor == 1:
            return {}
        usual = alfred.defaults.DEFAULT_TRAIN_TIME_PARAMS
        name = next((name for name in usual if _is_duration(config.get(name))), None)
        if name is None:
            raise StorageError(
                f"the configuration of {where} has none of {', '.join(usual)} with a value: name its "
                "training-time parameter with --train_time_param, or give --train_time_factor 1"
            )
    elif not _is_duration(config.get(name)):
        numbers = [key for key, value in config.items() if _is_duration(value)]
        found = f"{name} is {config[name]!r}, no positive number" if name in config else f"{name} is missing"
        raise UsageError(f"--train_time_param: {found} in {where}; {did_you_mean(name, numbers)}")
    value = config[name]
    product = value * time.factor
    return {name: max(1, round(product)) if isinstance(value, int) else product}


def _is_duration(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and math.isfinite(value)
    )
