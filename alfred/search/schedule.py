"""A schedule file, read and checked as a whole before anything is made of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from alfred.errors import ScheduleError, StorageError, did_you_mean, short
from alfred.project import Project, default_config, load_schedule_module
from alfred.search.literals import check_nothing_twice
from alfred.search.values import MOST_VALUES, listed, plain, whole_number, without_repeats
from alfred.utils.numbered import HIGHEST_NUMBER
from alfred.utils.storage_names import make_storage_name

KINDS = ("grid", "random")
NOT_SEARCHED = ("seed", "alg_name", "task_name", "desc")


@dataclass(frozen=True)
class Schedule:
    """A schedule that holds together: every name in it is known, every value can be kept in JSON."""

    path: Path
    kind: str  # "grid" or "random"
    alg_names: tuple[str, ...]
    task_names: tuple[str, ...]
    seeds: tuple[int, ...]
    defaults: Mapping[str, Any]  # get_run_args(""), as JSON holds it
    variations: Mapping[str, list[Any]] | None = None  # grid
    n_draws: int = 0  # random: N_EXPERIMENTS
    sample_experiment: Callable[..., Any] | None = None  # random

    @property
    def list_file(self) -> Path:
        """Where the names of the storage directories of this schedule are kept."""
        return self.path.parent / f"list_searches_{self.path.parent.name}.txt"

    def checked(self, values: Mapping[Any, Any], where: str) -> dict[str, Any]:
        """Searched values as JSON holds them; ScheduleError for a name or a value that can't be searched."""
        for name in values:
            self._check_name(name, where)
        return {name: plain(value, f"{self.path}: {where}[{name!r}]") for name, value in values.items()}

    def _check_name(self, name: Any, where: str) -> None:
        if name in NOT_SEARCHED:
            raise ScheduleError(
                f"{self.path}: {name} may not be searched over: take it out of {where} "
                "(ALG_NAMES, TASK_NAMES, SEEDS and --desc are the places for it)"
            )
        if name not in self.defaults:
            raise ScheduleError(
                f"{self.path}: {where} holds {name!r}, which get_run_args does not know: "
                + did_you_mean(str(name), set(self.defaults) - set(NOT_SEARCHED))
            )


def load_schedule(path: str | Path, project: Project) -> Schedule:
    """The schedule in `path`, wholly checked; a get_run_args of its own wins over the project's.

    A name, seed or value that stands twice in one list is refused, since equal experiments are wasted work.
    Raises ScheduleError, or ProjectError for a get_run_args that can't be used.
    """
    path = Path.cwd() / path
    kind = _kind_of(path)
    module = load_schedule_module(path)
    check_nothing_twice(path)
    own = hasattr(module, "get_run_args")
    schedule = Schedule(
        path=path,
        kind=kind,
        alg_names=_names(module, path, "ALG_NAMES", "alg_name"),
        task_names=_names(module, path, "TASK_NAMES", "task_name"),
        seeds=_seeds(module, path),
        defaults=_plain_defaults(module, path) if own else _plain_defaults(project.module, project.main_file),
    )
    schedule = _with_grid(schedule, module) if kind == "grid" else _with_draws(schedule, module)
    _check_size(schedule)
    return schedule


def _kind_of(path: Path) -> str:
    for kind in KINDS:
        if path.name.startswith(f"{kind}_schedule"):
            return kind
    raise ScheduleError(
        f"{path}: the file's name tells no kind of search: call it grid_schedule_<name>.py "
        "or random_schedule_<name>.py"
    )


def _with_grid(schedule: Schedule, module: ModuleType) -> Schedule:
    variations = _defined(module, schedule.path, "VARIATIONS", "a dict of name -> list of values")
    if not isinstance(variations, Mapping):
        raise ScheduleError(
            f"{schedule.path}: VARIATIONS is {short(variations)}: make it a dict of name -> list of values"
        )
    places = {name: f"{schedule.path}: VARIATIONS[{name!r}]" for name in variations}
    values = schedule.checked(
        {name: listed(values, places[name]) for name, values in variations.items()}, "VARIATIONS"
    )
    return replace(
        schedule, variations={name: without_repeats(v, places[name]) for name, v in values.items()}
    )


def _with_draws(schedule: Schedule, module: ModuleType) -> Schedule:
    path = schedule.path
    number = _defined(module, path, "N_EXPERIMENTS", "a positive whole number")
    draw = _defined(module, path, "sample_experiment", "a function that returns a dict, one draw")
    if not callable(draw):
        raise ScheduleError(f"{path}: sample_experiment is {short(draw)}: make it a function")
    n_draws = whole_number(number, 1, MOST_VALUES, f"{path}: N_EXPERIMENTS")
    return replace(schedule, n_draws=n_draws, sample_experiment=draw)


def _check_size(schedule: Schedule) -> None:
    """Told before the experiments are made one by one, which would take for ever."""
    lists = [schedule.alg_names, schedule.task_names, schedule.seeds, *(schedule.variations or {}).values()]
    n_runs = math.prod(map(len, lists)) * (schedule.n_draws or 1)
    if n_runs > MOST_VALUES:
        raise ScheduleError(
            f"{schedule.path}: it makes {n_runs} runs, more than {MOST_VALUES}: each is a directory, so "
            "search over fewer values, or at random"
        )


def _names(module: ModuleType, path: Path, variable: str, field: str) -> tuple[str, ...]:
    where = f"{path}: {variable}"
    names = listed(_defined(module, path, variable, "a list of names"), where)
    for name in names:
        if not isinstance(name, str) or not name:
            raise ScheduleError(f"{where} holds {short(name)}: make it text that is not empty")
        try:
            make_storage_name("No1", **{field: name})
        except StorageError as error:
            raise ScheduleError(f"{where}: {error}") from None
    return tuple(without_repeats(map(str, names), where))


def _seeds(module: ModuleType, path: Path) -> tuple[int, ...]:
    where = f"{path}: SEEDS"
    seeds = listed(_defined(module, path, "SEEDS", "a list of whole numbers"), where)
    return tuple(without_repeats([whole_number(seed, 0, HIGHEST_NUMBER, where) for seed in seeds], where))


def _plain_defaults(module: ModuleType, file: Path) -> dict[str, Any]:
    """What get_run_args("") gives; a default that is inf is the project's business."""
    config = default_config(module, file)
    return {k: plain(v, f'{file}: get_run_args("").{k}', allow_nan=True) for k, v in config.items()}


def _defined(module: ModuleType, path: Path, name: str, what: str) -> Any:
    if not hasattr(module, name):
        raise ScheduleError(f"{path} has no {name}: define it as {what}")
    return getattr(module, name)
