"""Stand-ins for what pickled numpy arrays are made with: they check what numpy believes.

numpy sets the inner state of a dtype to whatever a file says; one that lies about holding objects makes an
array of wild pointers. So dtypes are built anew from their description here, and arrays only from those.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np


class _Dtype:
    """Takes the state of a pickled dtype and builds `real` from its description."""

    def __init__(self, spec: str, align: bool = False, copy: bool = False) -> None:
        self.real: np.dtype[Any] = np.dtype(str(spec))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
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


class _Array(np.ndarray[Any, Any]):
    """An array on its way: `finished` makes a plain one of it."""

    def __setstate__(self, state: Any, /) -> None:
        version, shape, dtype, is_fortran, content = state
        super().__setstate__((version, shape, dtype.real, is_fortran, content))


def _reconstruct(kind: object, shape: object, code: object) -> _Array:
    return np.ndarray.__new__(_Array, (0,), "b")


def _scalar(dtype: _Dtype, content: Any) -> Any:
    if dtype.real.hasobject:
        raise ValueError("a numpy scalar of objects")
    return _numpy_scalar()(dtype.real, content)


@functools.cache
def _numpy_scalar() -> Callable[..., Any]:
    try:
        module = importlib.import_module("numpy._core.multiarray")
    except ImportError:  # numpy 1
        module = importlib.import_module("numpy.core.multiarray")
    return module.scalar  # type: ignore[no-any-return]


def _frombuffer(buffer: Any, dtype: _Dtype, shape: Any, order: Any, axes: Any = None) -> Any:
    flat = np.frombuffer(buffer, dtype=dtype.real)
    return (
        flat.reshape(shape, order="C").transpose(axes) if order == "K" else flat.reshape(shape, order=order)
    )


STAND_INS = {
    "ndarray": "ndarray",  # only ever handed to _reconstruct, which has no use for it
    "dtype": _Dtype,
    "_reconstruct": _reconstruct,
    "scalar": _scalar,
    "_frombuffer": _frombuffer,
}


def finished(value: Any, seen: set[int] | None = None) -> Any:
    """`value` with plain arrays and dtypes for the stand-ins, in whatever containers they are."""
    seen = set() if seen is None else seen
    if isinstance(value, _Array):
        value = value.view(np.ndarray)
        if value.dtype.kind == "O":
            for at, item in enumerate(value.flat):
                value.flat[at] = finished(item, seen)
        return value
    if isinstance(value, _Dtype):
        return value.real
    if isinstance(value, tuple):
        return tuple(finished(item, seen) for item in value)
    if isinstance(value, list | dict) and id(value) not in seen:
        seen.add(id(value))
        places = value.items() if isinstance(value, dict) else enumerate(value)
        for at, item in list(places):
            if isinstance(item, _UNFINISHED):
                value[at] = finished(item, seen)
    return value


_UNFINISHED = (_Array, _Dtype, tuple, list, dict)
