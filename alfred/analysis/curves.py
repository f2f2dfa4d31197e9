"""Learning curves of several runs laid over one another: aligned on x, with a mean and a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alfred.analysis.intervals import Floats, check_method, intervals, note
from alfred.analysis.tapes import Series

__all__ = ["Band", "Series", "align", "band", "thin"]


@dataclass(frozen=True)
class Band:
    """Several runs as one curve: at each `x` (m,) the mean `centre` (m,) of `n` (m,) runs, from `low` to
    `high` (m,), NaN where there is no interval.

    `runs` are the k series it was made of, `left_out` counts those that hold NaN.
    """

    x: Floats
    centre: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int_]
    runs: tuple[Series, ...]
    method: str
    note: str
    left_out: int = 0


def align(series: Sequence[Series], x: Floats | None = None) -> tuple[Floats, Floats]:
    """(x (m,), ys (k, m)) of k runs on the union of their x, or on the sorted `x` given.

    Each run is interpolated linearly inside its own range and NaN outside, never extrapolated. A run that
    has recorded an x several times counts there with the mean. Records whose x is NaN are passed over.
    """
    ordered = [_ordered(one) for one in series]
    if x is None:
        x = np.unique(np.concatenate([one.x for one in ordered])) if ordered else np.empty(0)
    ys = np.full((len(ordered), len(x)), np.nan)
    for row, one in zip(ys, ordered, strict=True):
        if not len(one.x):
            continue
        inside = slice(np.searchsorted(x, one.x[0]), np.searchsorted(x, one.x[-1], side="right"))
        row[inside] = np.interp(x[inside], one.x, one.y)
    return x, ys


def band(
    series: Sequence[Series],
    method: str | None,
    rng: np.random.Generator | None = None,
    x: Floats | None = None,
) -> Band:
    """The mean of several runs and its interval at each x, by a method of `alfred.analysis.intervals`.

    A run with a NaN among its y is left out as a whole: leaving out only its NaN would show the runs that
    went well as if they were all. `x`: where to look, sorted; None for the union of the recorded ones.
    UsageError for an unknown method.
    """
    whole = tuple(one for one in series if not np.isnan(one.y).any())
    x, ys = align(whole, x)
    found = intervals(ys.T, method, rng)
    left_out = len(series) - len(whole)
    notes = [f"{left_out} of {len(series)} runs left out: NaN"] if left_out else []
    notes += [text] if (text := note(method, found)) else []
    return Band(
        x=x,
        centre=found.centre,
        low=found.low,
        high=found.high,
        n=found.n,
        runs=whole,
        method=check_method(method),
        note="; ".join(notes),
        left_out=left_out,
    )


def thin(x: Floats, most: int) -> Floats:
    """At most `most` (2 or more) of the sorted x (m,), evenly by number, the first and last among them."""
    if len(x) <= most:
        return x
    places = np.unique(np.linspace(0, len(x) - 1, most).round().astype(int))
    return np.asarray(x[places])


def _ordered(one: Series) -> Series:
    """The same records by x, one for each x, their mean."""
    kept = ~np.isnan(one.x)
    xs, ys = one.x[kept], one.y[kept]
    if np.all(xs[1:] > xs[:-1]):
        return Series(xs, ys)
    unique, place, counts = np.unique(xs, return_inverse=True, return_counts=True)
    return Series(unique, np.bincount(place, weights=ys, minlength=len(unique)) / counts)
