"""What was read from a pickle, made ready: real types for the stand-ins, and nothing without an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MOST = 100_000_000  # values, each counted as often as it is met on a walk through all of them
_NO_CONTAINERS = (bool, bytearray, bytes, complex, float, int, range, slice, str, type(None))


class StandIn:
    """What takes the place of a type while a pickle is read."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError(f"a {type(self).__name__} that is given a state")

    def settle(self, settle: Callable[[Any], Any]) -> Any:
        """The real value; `settle` makes ready what is inside."""
        raise ValueError(f"a {type(self).__name__} where data are expected")


def settled(value: Any) -> Any:
    """`value` with real ones for all stand-ins in it; containers that can be changed stay the same objects.

    ValueError for one that holds itself, or that a few nested references blow up to more than anybody walks
    through.
    """
    return _Walk().value(value)


class _Walk:
    def __init__(self) -> None:
        # What was met, by its id: the object (so that no other gets its id), its replacement, its size.
        self._met: dict[int, tuple[Any, Any, int] | None] = {}
        self._plain: set[type] = set(_NO_CONTAINERS)
        self._size = 0

    def value(self, value: Any) -> Any:
        if type(value) in self._plain or self._is_plain(type(value)):
            self._count(1)
            return value
        known = self._met.get(id(value), ())
        if known is None:
            raise ValueError("something in it contains itself")
        if known:
            self._count(known[2])
            return known[1]
        self._met[id(value)] = None
        before = self._size
        self._count(1)
        ready = self._container(value)
        self._met[id(value)] = (value, ready, self._size - before)
        return ready

    def _container(self, value: Any) -> Any:
        if isinstance(value, StandIn):
            return value.settle(self.value)
        if isinstance(value, list):
            self._items(value)
        elif isinstance(value, dict):
            self._keys(value)
            if getattr(value, "__dict__", None):
                raise ValueError("a dictionary with attributes")
            for key, item in list(value.items()):
                value[key] = self.value(item)
        elif isinstance(value, tuple):
            items = list(value)
            self._items(items)
            return value if all(new is old for new, old in zip(items, value, strict=True)) else tuple(items)
        elif isinstance(value, set | frozenset):
            self._keys(value)
        else:
            raise ValueError(f"a {type(value).__name__} where data are expected")
        return value

    def _items(self, items: list[Any]) -> None:
        if all(self._is_plain(kind) for kind in set(map(type, items))):  # few kinds, many values
            self._count(len(items))
            return
        for at, item in enumerate(items):
            items[at] = self.value(item)

    def _keys(self, keys: Any) -> None:
        if any(self.value(key) is not key for key in keys):
            raise ValueError("a key that is no plain value")

    def _is_plain(self, kind: type) -> bool:
        """Whether values of a type hold nothing that would have to be made ready."""
        if kind not in self._plain and kind.__module__ == "numpy" and kind.__name__ != "ndarray":
            self._plain.add(kind)  # a scalar
        return kind in self._plain

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > _MOST:
            raise ValueError("it unfolds into more values than anybody can use")
