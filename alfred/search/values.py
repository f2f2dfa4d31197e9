"""Values from a schedule file, as JSON holds them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from alfred.errors import ScheduleError


def plain(value: Any, where: str, *, allow_nan: bool = False) -> Any:
    """`value` as it comes back from JSON: tuples are lists, numpy scalars plain numbers.

    Raises ScheduleError, which names `where`, if JSON can't hold it. JSON has no nan and no inf;
    `allow_nan` lets them pass, as Python's json writes and reads them.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=allow_nan, default=_numpy_scalar))
    except (TypeError, ValueError, RecursionError):
        raise ScheduleError(
            f"{where} holds {short(value)} ({type(value).__name__}), which JSON can't hold: "
            "use numbers, text, true or false, None, or lists of these"
        ) from None


def listed(values: Any, where: str) -> list[Any]:
    """The values of a list, tuple, range or numpy array; ScheduleError for anything else or an empty one."""
    if _is_numpy(values, "ndarray") and values.ndim:
        values = values.tolist()
    if not isinstance(values, list | tuple | range):
        raise ScheduleError(f"{where} is {short(values)}: make it a list")
    if not values:
        raise ScheduleError(f"{where} is empty: give it one value at least")
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


def whole_number(value: Any, least: int, where: str) -> int:
    """An int, Python's or numpy's, of at least `least`; else ScheduleError. True and False are none."""
    number = value.item() if _is_numpy(value, "integer") else value
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ScheduleError(f"{where} holds {short(value)}: make it a whole number, {least} or more")
    return number


def short(value: Any) -> str:
    """How a value is shown in a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _numpy_scalar(value: Any) -> Any:
    if _is_numpy(value, "generic"):
        return value.item()
    raise TypeError


def _is_numpy(value: Any, kind: str) -> bool:
    numpy = sys.modules.get("numpy")  # whoever has a value of numpy's has imported it
    return numpy is not None and isinstance(value, getattr(numpy, kind))
