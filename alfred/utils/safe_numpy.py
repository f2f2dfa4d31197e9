"""Stand-ins for what pickled numpy arrays are made with: they check what numpy believes.

numpy sets the inner state of a dtype to whatever a file says; one that lies about holding objects makes an
array of wild pointers. So dtypes are built anew from their description here, and arrays only from those.
"""

from __future__ import annotations

import functools
import importlib
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from alfred.utils.safe_values import StandIn

if TYPE_CHECKING:
    from alfred.utils.safe_pickle import Budget

# Kind and size, as numpy writes them; its parser understands much more.
_SPEC = re.compile(r"[<>=|]?[?a-zA-Z][0-9]{0,9}")


def stand_in(name: str, budget: Budget) -> Any:
    """What is to be called instead of numpy's `name`."""
    functions: dict[str, Callable[..., Any]] = {
        "_reconstruct": _reconstruct,
        "scalar": _scalar,
        "_frombuffer": _frombuffer,
    }
    if name in functions:
        return functools.partial(functions[name], budget)
    return _Dtype if name == "dtype" else _NdArray()


class _NdArray(StandIn):
    """numpy's ndarray, which is only ever handed to _reconstruct."""


class _Dtype(StandIn):
    """Takes the state of a pickled dtype and builds `real` from its description."""

    def __init__(self, spec: str, align: bool = False, copy: bool = False) -> None:
        if not _SPEC.fullmatch(str(spec)):
            raise ValueError("a dtype of no known kind")
        self.real: np.dtype[Any] = np.dtype(str(spec))

    def __setstate__(self, state: Any) -> None:
        _, order, subarray, names, fields, size = state[:6]
        if subarray is not None:
            self.real = np.dtype((subarray[0].real, subarray[1]))
        elif names is not None:
            places = [fields[name] for name in names]
            formats, offsets = [place[0].real for place in places], [place[1] for place in places]
            self.real = np.dtype(
                {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size}
            )
        elif self.real.kind in "mM" and len(state) > 8:
            unit, number = state[8][1][:2]
            unit = unit.decode() if isinstance(unit, bytes) else unit
            self.real = np.dtype(f"{self.real.str}[{int(number)}{unit}]")
        if names is None and subarray is None and order in ("<", ">"):
            self.real = np.dtype(self.real.newbyteorder(order).str)

    def settle(self, settle: Callable[[Any], Any]) -> Any:
        """The dtype."""
        return self.real


class _Array(StandIn):
    """An array on its way."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._state: tuple[Any, ...] = (1, (0,), np.dtype("b"), False, b"")

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, is_fortran, content = state
        real, items = dtype.real, _items_of(shape)
        content = content.encode("latin1") if isinstance(content, str) else content
        if real.hasobject:
            fits = type(content) is list and len(content) == items
        else:
            fits = type(content) in (bytes, bytearray) and len(content) == items * real.itemsize
        if not fits:
            raise ValueError(f"an array of {items} items whose content is of another size")
        self._budget.spend(items * max(1, real.itemsize))
        self._state = (version, shape, real, bool(is_fortran), content)

    def settle(self, settle: Callable[[Any], Any]) -> Any:
        """The array; of objects, with whatever it holds made ready."""
        version, shape, real, is_fortran, content = self._state
        array = np.ndarray.__new__(np.ndarray, (0,), "b")
        if real.hasobject:
            content = [settle(item) for item in content]
        elif type(content) is bytearray:
            content = bytes(content)
        array.__setstate__((version, shape, real, is_fortran, content))
        return array


def _items_of(shape: Any) -> int:
    if type(shape) is not tuple or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("an array with a shape that is none")
    if math.prod(size for size in shape if size) > 2**48:
        raise ValueError("an array of a size that no array has")
    return math.prod(shape)


def _reconstruct(budget: Budget, kind: object, shape: object, code: object) -> _Array:
    return _Array(budget)


def _scalar(budget: Budget, dtype: _Dtype, content: Any) -> Any:
    content = content.encode("latin1") if isinstance(content, str) else content
    if dtype.real.hasobject or type(content) is not bytes or len(content) != dtype.real.itemsize:
        raise ValueError("a numpy scalar whose content does not fit its dtype")
    return _numpy_scalar()(dtype.real, content)


@functools.cache
def _numpy_scalar() -> Callable[..., Any]:
    try:
        module = importlib.import_module("numpy._core.multiarray")
    except ImportError:  # numpy 1
        module = importlib.import_module("numpy.core.multiarray")
    return module.scalar  # type: ignore[no-any-return]


def _frombuffer(
    budget: Budget, buffer: Any, dtype: _Dtype, shape: Any, order: Any, axes: Any = None
) -> StandIn:
    array = _Array(budget)
    array.__setstate__((1, shape, dtype, order == "F", buffer))
    return array if not buffer else _View(buffer, dtype.real, shape, order, axes)


class _View(StandIn):
    """An array over bytes that were read before it, which are not copied."""

    def __init__(self, *made_of: Any) -> None:
        self._made_of = made_of

    def settle(self, settle: Callable[[Any], Any]) -> Any:
        """The array."""
        buffer, dtype, shape, order, axes = self._made_of
        flat = np.frombuffer(buffer, dtype=dtype)
        if order == "K":
            return flat.reshape(shape, order="C").transpose(axes)
        return flat.reshape(shape, order=order)
