"""Values from a schedule file, as JSON holds them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from alfred.errors import ScheduleError, short

MOST_VALUES = 1_000_000  # of one list, and runs of one search: each run is a directory
_DEEPEST = 20  # how far a value is looked into for the part that is wrong


def plain(value: Any, where: str, *, allow_nan: bool = False) -> Any:
    """`value` as it comes back from JSON: tuples are lists, numpy scalars plain numbers.

    Raises ScheduleError, which names `where`, if JSON can't hold it. JSON has no nan and no inf;
    `allow_nan` lets them pass, as Python's json writes and reads them.
    """
    if _fits(value, allow_nan):
        return json.loads(json.dumps(value, default=_numpy_scalar))
    guilty = _guilty(value, allow_nan)
    raise ScheduleError(
        f"{where} holds {short(guilty)} ({type(guilty).__name__}), which JSON can't hold: "
        "use numbers, text, true or false, None, or lists of these"
    )


def listed(values: Any, where: str) -> list[Any]:
    """The values of a list, tuple, range or numpy array; ScheduleError for anything else or an empty one."""
    if _is_numpy(values, "ndarray") and values.ndim:
        values = values.tolist()
    if not isinstance(values, list | tuple | range):
        raise ScheduleError(f"{where} is {short(values)}: make it a list")
    if not values:
        raise ScheduleError(f"{where} is empty: give it one value at least")
    if values[MOST_VALUES:]:
        raise ScheduleError(f"{where} holds more than {MOST_VALUES} values: give fewer")
    return list(values)


def without_repeats(values: Iterable[Any], where: str) -> list[Any]:
    """The values, which are plain; ScheduleError if one is there twice: equal experiments are wasted work."""
    kept: dict[str, Any] = {}
    for value in values:
        text = json.dumps(value)  # tells 1 from 1.0 and from true, which are equal in Python
        if text in kept:
            raise ScheduleError(f"{where} holds {short(value)} twice: take one out")
        kept[text] = value
    return list(kept.values())


def whole_number(value: Any, least: int, most: int, where: str) -> int:
    """An int, Python's or numpy's, from `least` to `most`; else ScheduleError. True and False are none."""
    number = value.item() if _is_numpy(value, "integer") else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ScheduleError(f"{where} holds {short(value)}: make it a whole number, {least} or more")
    if number > most:
        raise ScheduleError(f"{where} holds {short(value)}: make it {most} at most")
    return number


def _fits(value: Any, allow_nan: bool) -> bool:
    try:
        json.dumps(value, allow_nan=allow_nan, default=_numpy_scalar)
        return _has_text_keys(value)
    except (TypeError, ValueError, RecursionError):
        return False


def _has_text_keys(value: Any) -> bool:
    """JSON would make text of other keys, so that main() got another dict than the schedule holds."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) for key in value) and all(map(_has_text_keys, value.values()))
    return not isinstance(value, list | tuple) or all(map(_has_text_keys, value))


def _guilty(value: Any, allow_nan: bool, deepest: int = _DEEPEST) -> Any:
    """The innermost part of a value that JSON can't hold."""
    parts = list(value.values()) if isinstance(value, Mapping) else value
    for part in parts if deepest and isinstance(parts, list | tuple) else ():
        if not _fits(part, allow_nan):
            return _guilty(part, allow_nan, deepest - 1)
    return value


def _numpy_scalar(value: Any) -> Any:
    if _is_numpy(value, "generic"):
        return value.item()
    raise TypeError


def _is_numpy(value: Any, kind: str) -> bool:
    numpy = sys.modules.get("numpy")  # whoever has a value of numpy's has imported it
    return numpy is not None and isinstance(value, getattr(numpy, kind))
