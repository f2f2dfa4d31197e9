"""Values of any kind as cells of a table: what a column holds, and each value as that."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

_EXACT = 2**53  # up to here every whole number is a float
_LARGEST = 2**63  # what 64 bits hold is less


class Kind(Enum):
    """What the cells of a column are, besides missing ones (None)."""

    NOTHING = "missing values only"
    TRUTH = "true or false"
    WHOLE = "whole numbers"
    LARGE = "whole numbers of 64 bits"
    NUMBER = "floats of 64 bits"
    TEXT = "text"
    MIXED = "values of several kinds, or no single values, as text"


class _Json(str):
    """JSON text that stands for a value which is no text itself."""


_KINDS = {type(None): Kind.NOTHING, bool: Kind.TRUTH, float: Kind.NUMBER, str: Kind.TEXT}
_AS_THEY_ARE = {Kind.TRUTH, Kind.WHOLE, Kind.LARGE, Kind.TEXT}
_TOGETHER = {
    frozenset((Kind.WHOLE, Kind.NUMBER)): Kind.NUMBER,
    frozenset((Kind.WHOLE, Kind.LARGE)): Kind.LARGE,
}


def plain(value: Any) -> Any:
    """A value as None, bool, int, float or str: a numpy scalar or an array of one number as that number, a
    text as itself, everything else (lists, arrays, dictionaries) as JSON text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.size == 1 and value.dtype.kind in "biuf":
        number = value.item()
        return number if isinstance(number, bool | int) else float(number)
    for kind in (str, int, float):  # a class of the user's own
        if isinstance(value, kind):
            return kind(value)
    return _Json(json.dumps(value, default=_jsonable))


def kind_of(values: Sequence[Any]) -> Kind:
    """The kind of a column that holds these values, plain ones."""
    kinds = {type(value) for value in values}  # type by type: few, where values are many
    found = [_KINDS.get(kind, Kind.MIXED) for kind in kinds if kind is not int]
    if int in kinds:
        wholes = [abs(value) for value in values if type(value) is int]
        largest = max(wholes)
        found.append(Kind.WHOLE if largest <= _EXACT else Kind.LARGE if largest < _LARGEST else Kind.MIXED)
    return functools.reduce(both, found, Kind.NOTHING)


def both(one: Kind, other: Kind) -> Kind:
    """The kind of a column whose parts are of these kinds; no number changes by it.

    Whole numbers beside floats become floats, unless one is so large that no float is equal to it.
    """
    if one is other or other is Kind.NOTHING:
        return one
    if one is Kind.NOTHING:
        return other
    return _TOGETHER.get(frozenset((one, other)), Kind.MIXED)


def cells(values: Sequence[Any], kind: Kind) -> Sequence[Any]:
    """Plain values as a column of this kind has them."""
    return values if kind in _AS_THEY_ARE else [cell(value, kind) for value in values]


def cell(value: Any, kind: Kind) -> Any:
    """A plain value as its column has it; numbers in a column of texts are written so that they read back."""
    if value is None or kind is Kind.NOTHING:
        return None
    if kind is Kind.NUMBER:
        return float(value)
    if kind is Kind.MIXED and not isinstance(value, str):
        return repr(value)
    return value


def is_number(value: Any) -> bool:
    """Whether a plain value is a number, NaN and infinity too; a truth value is none."""
    return type(value) in (int, float)


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    return repr(value)
