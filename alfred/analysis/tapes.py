"""From the lists of a recorder file to arrays of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Tape = Mapping[str, list[Any]]


@dataclass(frozen=True)
class Series:
    """What one run recorded of a metric over another: x (n,) and y (n,), n > 0, in the order recorded."""

    x: Floats
    y: Floats


def numbers(values: Sequence[Any]) -> Floats:
    """(n,) numbers of a recorded list: scalars, numpy scalars and lists of one element; None becomes NaN.

    ValueError if a value is anything else, a text or a list of several elements.
    """
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    kinds = set(map(type, values))  # few, where values are many
    if array.shape == (len(values),) and not any(issubclass(kind, str | bytes) for kind in kinds):
        return array
    return np.array([np.nan if value is None else _number(value) for value in values], dtype=np.float64)


def is_recorded(values: Sequence[Any]) -> NDArray[np.bool_]:
    """(n,) whether each value of a recorded list is one: None is none, NaN is."""
    return np.array([value is not None for value in values], dtype=bool)


def recorded(tape: Tape, metric: str) -> Floats:
    """(n,) the recorded numbers of a metric, without None; n = 0 where it is absent. See `numbers`."""
    values = tape.get(metric, [])
    return numbers([value for value in values if value is not None])


def pairs(tape: Tape, x_metric: str, y_metric: str) -> Series | None:
    """The records that have both metrics, without None; None if there is no such record. See `numbers`."""
    xs, ys = tape.get(x_metric, []), tape.get(y_metric, [])
    length = min(len(xs), len(ys))
    kept = np.flatnonzero(is_recorded(xs[:length]) & is_recorded(ys[:length])).tolist()
    if not kept:
        return None
    return Series(numbers([xs[at] for at in kept]), numbers([ys[at] for at in kept]))


def _number(value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise ValueError(f"{str(value)[:40]!r} is no single number")
    return float(array.item())
