"""What a plot array shows, before any ink: which run stands where, with which curve and which words."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alfred.analysis.gather import Run, Search, Series, series, why_absent
from alfred.analysis.tapes import numbers, pairs
from alfred.errors import UsageError
from alfred.figures.sources import short_reason
from alfred.storage.attempts import read_record
from alfred.storage.preparations import records
from alfred.storage.survey import Condition

Limits = tuple[float | None, float | None]

_NEVER_VARIED = ("alg_name", "task_name")
_WIDEST = 10  # plots side by side, if there is a choice


@dataclass(frozen=True)
class Definition:
    """One plot array to make: what over what, and the limits of both axes, None for none."""

    x_metric: str
    y_metric: str
    xlim: Limits = (None, None)
    ylim: Limits = (None, None)


@dataclass(frozen=True)
class Cell:
    """One small plot: its place, the words above it, the state of its run and what it recorded.

    `state` is "" for a completed run with a curve; without a curve it says why there is none.
    """

    row: int
    column: int
    title: str
    state: str
    condition: Condition | None  # None: there is no such run
    curve: Series | None


@dataclass(frozen=True)
class PlotArray:
    """One figure: its file's stem, and n_rows x n_columns cells."""

    stem: str
    heading: str
    definition: Definition
    n_rows: int
    n_columns: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class _Preparation:
    first: int
    last: int
    variations: Mapping[str, list[Any]] | None
    runs: tuple[Run, ...]


_Places = dict[tuple[int, int], tuple[str, Run | None]]  # row, column -> title, run


def parse_definition(text: str) -> Definition:
    """ "episode, eval_return, None, None, 0, 500" as a definition; UsageError names what is wrong."""
    parts = [part.strip().strip("\"'") for part in text.split(",")]
    if len(parts) != 6 or not all(parts):
        raise UsageError(
            f"--plots_to_make {text!r} has {len(parts)} parts: write 'x_metric, y_metric, x_min, x_max, "
            "y_min, y_max', None for no limit"
        )
    limits = [_limit(part, text) for part in parts[2:]]
    return _checked(Definition(parts[0], parts[1], (limits[0], limits[1]), (limits[2], limits[3])))


def definition_of(entry: Sequence[Any]) -> Definition:
    """(x_metric, y_metric, (x_min, x_max), (y_min, y_max)) as a definition; UsageError for anything else."""
    try:
        x_metric, y_metric, (x_min, x_max), (y_min, y_max) = entry
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{entry!r} is no plot array (alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE): write "
            "(x_metric, y_metric, (x_min, x_max), (y_min, y_max)), None for no limit"
        ) from error
    return _checked(Definition(x_metric, y_metric, (x_min, x_max), (y_min, y_max)))


def _checked(definition: Definition) -> Definition:
    """The definition itself; UsageError where a lower limit is not below its upper one."""
    for name, (low, high) in (("x", definition.xlim), ("y", definition.ylim)):
        if low is not None and high is not None and not low < high:
            raise UsageError(
                f"the limits of {name} of {definition.y_metric} over {definition.x_metric} are {low:g} and "
                f"{high:g}: the lower one first"
            )
    return definition


def plan_arrays(search: Search, definition: Definition, remove_none: bool = False) -> list[PlotArray]:
    """The figures of one definition, one for each preparation that has runs."""
    stem = _file_stem(definition)
    planned = []
    for at, preparation in enumerate(_preparations(search)):
        places = _grid(preparation) or _rows(preparation)
        cells = tuple(
            _cell(place, title, run, definition, remove_none) for place, (title, run) in places.items()
        )
        suffix = f"_{preparation.first}-{preparation.last}" if at else ""
        planned.append(
            PlotArray(
                stem=stem + suffix,
                heading=f"{search.name}, experiments {preparation.first} to {preparation.last}",
                definition=definition,
                n_rows=1 + max(row for row, _ in places),
                n_columns=1 + max(column for _, column in places),
                cells=cells,
            )
        )
    return planned


def _limit(part: str, text: str) -> float | None:
    if part.lower() == "none":
        return None
    try:
        value = float(part)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise UsageError(f"--plots_to_make {text!r}: the limit {part!r} is no number and not None")
    return value


def _file_stem(definition: Definition) -> str:
    """A metric may be called loss/train: no file may."""
    stem = f"{definition.y_metric}_over_{definition.x_metric}"
    return re.sub(r"[/\\\0]", "-", stem)[:180].lstrip(".") or "plot"


def _preparations(search: Search) -> list[_Preparation]:
    """The runs by the preparation that laid their experiment; those of none known make one of their own."""
    ranges = _ranges(search.storage_dir)
    rest = list(search.runs)
    found = []
    for (first, last), variations in sorted(ranges.items()):
        own = tuple(run for run in rest if first <= run.experiment <= last)
        rest = [run for run in rest if not first <= run.experiment <= last]
        if own:
            found.append(_Preparation(first, last, variations, own))
    if rest:
        found.append(_Preparation(rest[0].experiment, rest[-1].experiment, None, tuple(rest)))
    return sorted(found, key=lambda preparation: preparation.first)


def _ranges(storage_dir: Path) -> dict[tuple[int, int], Mapping[str, list[Any]] | None]:
    ranges: dict[tuple[int, int], Mapping[str, list[Any]] | None] = {
        (record["first"], record["last"]): None
        for record in records(storage_dir)
        if isinstance(record.get("first"), int)
    }
    for key, variations in read_record(storage_dir / "variations.json").items():
        match = re.fullmatch(r"([0-9]{1,15})-([0-9]{1,15})", key)
        if match and isinstance(variations, dict):
            ranges[int(match[1]), int(match[2])] = variations
    return ranges


def _grid(preparation: _Preparation) -> _Places | None:
    """The runs by their parameters; None where the runs don't stand in a grid, each in its own place."""
    if preparation.variations is None:
        return None
    values = _values(preparation)
    if not values:
        return None
    order = sorted(values, key=lambda name: (len(values[name]), name), reverse=True)
    most, others = order[0], order[1:]
    combinations = list(itertools.product(*(values[name] for name in others)))
    if len(combinations) * len(values[most]) > 4 * len(preparation.runs) + 100:
        return None
    by_key: dict[tuple[str, ...], Run] = {}
    for run in preparation.runs:
        key = tuple(_key(_parameter(run, name)) for name in order)
        if key in by_key:
            return None
        by_key[key] = run
    upright = _is_upright(len(values[most]), len(combinations))
    varied = [name for name in order if len(values[name]) > 1]
    places: _Places = {}
    for i, value in enumerate(values[most].items()):
        for j, combination in enumerate(itertools.product(*(values[name].items() for name in others))):
            chosen = dict(zip(order, (value, *combination), strict=True))
            found = by_key.get(tuple(key for key, _ in chosen.values()))
            words = _words({name: chosen[name][1] for name in varied}, found)
            places[(i, j) if upright else (j, i)] = (words, found)
    return places


def _is_upright(n_most: int, n_others: int) -> bool:
    """Whether the most varied parameter goes down the page: the longer axis does, unless it is short."""
    if max(n_most, n_others) <= _WIDEST:
        return n_most < n_others
    return n_most >= n_others


def _values(preparation: _Preparation) -> dict[str, dict[str, Any]]:
    """Each varied parameter and its values, by key: those prepared, then others that runs have."""
    names = [name for name in preparation.variations or () if name not in _NEVER_VARIED]
    if "seed" not in names:
        names.append("seed")
    found = {}
    for name in names:
        listed = (preparation.variations or {}).get(name)
        values = list(listed) if isinstance(listed, list) and name != "seed" else []
        values += sorted((_parameter(run, name) for run in preparation.runs), key=_order)
        found[name] = {_key(value): value for value in values}
    return found


def _rows(preparation: _Preparation) -> _Places:
    """A row for each experiment, a column for each seed."""
    experiments = sorted({run.experiment for run in preparation.runs})
    seeds = sorted({run.seed for run in preparation.runs})
    places: _Places = {}
    unique = {experiment: _unique(preparation.runs, experiment) for experiment in experiments}
    by_number = {(run.experiment, run.seed): run for run in preparation.runs}
    for row, experiment in enumerate(experiments):
        for column, seed in enumerate(seeds):
            words = _words({**unique[experiment], "seed": seed}, None)
            places[row, column] = (
                f"experiment {experiment}: {words}",
                by_number.get((experiment, seed)),
            )
    return places


def _unique(runs: Sequence[Run], experiment: int) -> dict[str, Any]:
    own = next((run.unique for run in runs if run.experiment == experiment and run.unique), {})
    return {name: value for name, value in own.items() if name not in (*_NEVER_VARIED, "seed")}


def _cell(
    place: tuple[int, int], title: str, run: Run | None, definition: Definition, remove_none: bool
) -> Cell:
    if run is None:
        return Cell(*place, title, "absent", None, None)
    curve, state = None, ""
    try:
        curve = _curve(run, definition.x_metric, definition.y_metric, remove_none)
    except ValueError:
        state = short_reason(why_absent(run, definition.x_metric, definition.y_metric))
    if run.condition is not Condition.COMPLETED:
        state = run.condition.value
    elif curve is None:
        state = state or short_reason(why_absent(run, definition.x_metric, definition.y_metric))
    else:
        state = _odd_values(run, definition)
    return Cell(*place, title, state, run.condition, curve)


def _curve(run: Run, x_metric: str, y_metric: str, remove_none: bool) -> Series | None:
    """What the run recorded; NaN in y, a gap in the line, for each None that is not to be removed."""
    without = series(run, x_metric, y_metric)
    if without is None or remove_none:
        return without
    tape = next(tape for tape in run.tapes if pairs(tape, x_metric, y_metric) is not None)
    length = min(len(tape[x_metric]), len(tape[y_metric]))
    x, y = numbers(tape[x_metric][:length]), numbers(tape[y_metric][:length])
    known = ~np.isnan(x)
    return Series(x[known], y[known])


def _odd_values(run: Run, definition: Definition) -> str:
    """As in "3 NaN, 1 infinite": what was recorded and can't be drawn; "" for nothing."""
    recorded = series(run, definition.x_metric, definition.y_metric)
    y = np.empty(0) if recorded is None else recorded.y
    counts = {"NaN": int(np.isnan(y).sum()), "infinite": int(np.isinf(y).sum())}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _parameter(run: Run, name: str) -> Any:
    return run.seed if name == "seed" else run.unique.get(name, run.config.get(name))


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _order(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return not is_number, value if is_number else 0.0, str(value)


def _words(parameters: Mapping[str, Any], run: Run | None) -> str:
    words = ", ".join(f"{name}={_shown(value)}" for name, value in parameters.items())
    return words if run is None else ": ".join(filter(None, (f"experiment {run.experiment}", words)))


def _shown(value: Any) -> str:
    text = str(value)
    if isinstance(value, float) and len(text) > 7:
        text = f"{value:.4g}"
    return text if len(text) <= 30 else text[:27] + "..."


def absent_metrics(arrays: Iterable[PlotArray]) -> bool:
    """Whether no run of any of these figures has a curve."""
    return all(cell.curve is None for array in arrays for cell in array.cells)
