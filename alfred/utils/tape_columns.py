"""The columns of a tape, and what has to be known of them before only their new rows are saved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any


class Column(list[Any]):
    """A list that notes in `edited` when more was done to it than adding at its end.

    To whoever pickles or copies it it is a plain list.
    """

    edited = False

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return list, (list(self),)


def _noting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def edit(self: Column, *arguments: Any, **options: Any) -> Any:
        self.edited = True
        return method(self, *arguments, **options)

    return edit


for _method in (
    *(list.__delitem__, list.__imul__, list.__setitem__, list.clear, list.insert),
    *(list.pop, list.remove, list.reverse, list.sort),
):
    setattr(Column, _method.__name__, _noting(_method))

# Values of these types stay what they are, whoever holds them.
_FIXED: set[type] = {bool, bytes, complex, float, int, str, tuple, frozenset, type(None)}
_CHANGEABLE: set[type] = {bytearray, dict, list, set}
_HOLDING = {dict, frozenset, list, set, tuple}


class Kinds:
    """What kinds of values there are in a list and in what they hold.

    `are_plain`: only those that are read again by the allow-list of `safe_pickle`. `are_fixed`: none that
    somebody who holds it can change, as an array can be.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self.are_plain = self.are_fixed = True
        try:
            self._look_at(values)
        except RecursionError:
            self.are_plain = self.are_fixed = False

    def _look_at(self, values: Sequence[Any]) -> None:
        numpy: Any = sys.modules.get("numpy")
        for kind in set(map(type, values)):  # few, where values are many
            if kind in _HOLDING:
                for value in values:
                    if type(value) is kind:
                        self._look_at([*value, *value.values()] if kind is dict else list(value))
            if numpy is not None and kind in (numpy.ndarray, numpy.void):
                self.are_fixed = False
                arrays: list[Any] = [value for value in values if type(value) is kind]
                self.are_plain &= not any(array.dtype.hasobject for array in arrays)
            elif kind in _CHANGEABLE:
                self.are_fixed = False
            elif kind not in _FIXED and not (numpy is not None and _is_scalar(numpy, kind)):
                self.are_plain = self.are_fixed = False


def _is_scalar(numpy: Any, kind: type) -> bool:
    return kind.__module__ == "numpy" and issubclass(kind, numpy.generic)
