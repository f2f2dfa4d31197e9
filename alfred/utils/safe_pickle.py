"""Pickles of plain data and numpy arrays, read without running anything a file asks for."""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable
from typing import Any

from alfred.utils.safe_values import StandIn, settled


class RefusedError(Exception):
    """A global that is not on the list."""


def loads(data: bytes, end: int) -> Any:
    """What the pickle holds that ends at `end`, which `safe_opcodes.end_of` has found.

    Raises RefusedError, which says what was asked for, where it is anything else; any other exception
    where the pickle is damaged or asks for more memory than its own size explains.
    """
    return _PlainUnpickler(data[:end]).load()


class Budget:
    """Bytes that reading a file may still take: some for each that it has itself."""

    def __init__(self, size: int) -> None:
        self._left = 10_000 + 40 * size

    def spend(self, size: int) -> None:
        """Take `size` bytes; ValueError when too few are left."""
        self._left -= size
        if self._left < 0:
            raise ValueError("it asks for far more memory than its size explains")


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")  # how Python 2 kept bytes, in arrays too
        self._budget = Budget(len(data))
        self._given: dict[tuple[str, str], Any] = {}

    def load(self) -> Any:
        """The data, with whatever stood in for numpy's own types replaced by them."""
        return settled(super().load())

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The few functions and types that data are made of; others are refused before they are looked up."""
        asked = (module_name, global_name)
        if asked not in self._given:
            self._given[asked] = self._stand_in(asked)
        return self._given[asked]

    def _stand_in(self, asked: tuple[str, str]) -> Any:
        if asked in _PLAIN:
            return _PLAIN[asked](self._budget)
        if asked in _NUMPY:
            from alfred.utils import safe_numpy  # not before a file holds arrays

            return safe_numpy.stand_in(asked[1], self._budget)
        raise RefusedError(".".join(asked))


class Kind(StandIn):
    """A builtin type: called with what pickles call it with, or named as the factory of a defaultdict."""

    def __init__(self, kind: type, budget: Budget) -> None:
        self.kind = kind
        self._budget = budget

    def __call__(self, *values: Any) -> Any:
        """The value; ValueError for what no pickle of data makes, such as a list of all numbers there are."""
        sized = (list, tuple, str, bytes, bytearray)
        if self.kind in _SMALL or not values:
            if any(isinstance(value, sized) and len(value) > 4000 for value in values):
                raise ValueError(f"{self.kind.__name__} of a long text")
        elif isinstance(values[0], sized):
            self._budget.spend(40 * len(values[0]))
        else:
            raise ValueError(f"{self.kind.__name__} of {type(values[0]).__name__}")
        return self.kind(*values)

    def settle(self, settle: Callable[[Any], Any]) -> Any:
        """The type."""
        return self.kind


_SMALL = (bool, complex, float, int, range, slice)


def _encoder(budget: Budget) -> Callable[..., bytes]:
    def encode(text: str, encoding: str = "latin1") -> bytes:
        """The one use that pickled data makes of `_codecs.encode`: bytes written as text."""
        if encoding not in ("latin1", "latin-1"):
            raise ValueError(f"bytes written in {encoding!r}, not in latin1")
        budget.spend(len(text))
        return str(text).encode("latin1")

    return encode


def _defaultdict(budget: Budget) -> Callable[..., Any]:
    def make(factory: Kind | None = None) -> Any:
        if factory is not None and not isinstance(factory, Kind):
            raise ValueError("a defaultdict with a factory that is no type")
        return collections.defaultdict(factory and factory.kind)

    return make


def _kind(kind: type) -> Callable[[Budget], Kind]:
    return lambda budget: Kind(kind, budget)


# eval and getattr are builtins too: each harmless one is named.
_PLAIN: dict[tuple[str, str], Callable[[Budget], Any]] = {
    ("_codecs", "encode"): _encoder,
    ("collections", "OrderedDict"): _kind(collections.OrderedDict),
    ("collections", "defaultdict"): _defaultdict,
    **{(module, kind.__name__): _kind(kind) for module in ("builtins", "__builtin__") for kind in (
        bool, bytearray, bytes, complex, dict, float, frozenset, int, list, range, set, slice, str, tuple
    )},
    ("__builtin__", "xrange"): _kind(range),
}  # fmt: skip

# numpy 2 renamed numpy.core to numpy._core; a file may come from either side.
_NUMPY = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
}
