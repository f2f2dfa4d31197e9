"""How far off a mean of a few runs may be, by the methods that a user can choose from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alfred.errors import UsageError, did_you_mean
from alfred.utils.stats import DRAWS, SEED, confidence_intervals

__all__ = [
    "DRAWS",
    "FEW",
    "LABELS",
    "METHODS",
    "SEED",
    "Intervals",
    "caption",
    "check_method",
    "intervals",
    "note",
]

Floats = NDArray[np.float64]

# What the legend or caption says of each method.
LABELS = {
    "student_t": "95 % interval of the mean (Student t)",
    "bootstrapped_CI": "95 % interval of the mean (percentile bootstrap)",
    "stderr": "standard error",
    "10th_quantile": "10th to 90th percentile of the runs",
    "None": "every run",
}
METHODS = tuple(LABELS)
FEW = 10  # below so many runs a bootstrap interval is narrower than it says
_NORMAL = 1.96  # the public `stderr` of alfred.utils.stats is a normal 95 % interval


@dataclass(frozen=True)
class Intervals:
    """Of each of m points the mean `centre` (m,), `low` and `high` (m,), NaN where there is no interval,
    and the number `n` (m,) of runs."""

    centre: Floats
    low: Floats
    high: Floats
    n: NDArray[np.int_]


def check_method(method: str | None) -> str:
    """The method's name; None is "None". UsageError for an unknown one."""
    if str(method) not in METHODS:
        raise UsageError(f"no error bars are called {method!r}: {did_you_mean(str(method), METHODS)}")
    return str(method)


def intervals(values: Floats, method: str | None, rng: np.random.Generator | None = None) -> Intervals:
    """The interval of each row of (m, k) values, m points and k runs, NaN where a run has no value.

    `student_t` and `bootstrapped_CI` hold the mean in 95 % of cases (alfred.utils.stats says how nearly),
    `stderr` reaches one standard error (ddof 1), `10th_quantile` spans the middle 80 % of the runs, a spread
    and no interval of the mean; "None" has none, and one run has none either. UsageError for another method.
    """
    method = check_method(method)
    values = np.asarray(values, dtype=np.float64)
    n = (~np.isnan(values)).sum(axis=1)
    if method in ("10th_quantile", "None"):
        centre = confidence_intervals(values, "stderr")[0]
        low, high = np.full((2, len(values)), np.nan)
        if method == "10th_quantile" and np.any(n > 1):
            low[n > 1], high[n > 1] = _percentiles(values[n > 1])
        return Intervals(centre, low, high, n)
    centre, up, down = confidence_intervals(values, method, rng)
    reach = 1 / _NORMAL if method == "stderr" else 1.0
    return Intervals(centre, centre - reach * down, centre + reach * up, n)


def caption(method: str | None, n: NDArray[np.int_]) -> str:
    """What a legend or caption says of method and numbers of runs (m,): "standard error, n = 3 to 10"."""
    counts = np.asarray(n)[np.asarray(n) > 0]
    if not len(counts):
        return f"{LABELS[check_method(method)]}, n = 0"
    least, most = int(counts.min()), int(counts.max())
    shown = f"{LABELS[check_method(method)]}, n = {least}" + (f" to {most}" if most > least else "")
    return f"{shown}: no interval" if most == 1 and check_method(method) != "None" else shown


def note(method: str | None, result: Intervals) -> str:
    """What a reader must know of the intervals, "" if nothing: one run, equal runs, a bootstrap of few."""
    counts = result.n[result.n > 0]
    if len(counts) and counts.max() == 1:
        return "n = 1: no interval"
    notes = []
    if check_method(method) == "bootstrapped_CI" and len(counts) and counts.min() < FEW:
        notes.append(f"narrower than it says below {FEW} seeds")
    has_interval = ~np.isnan(result.low)
    if has_interval.any() and np.all(result.low[has_interval] == result.high[has_interval]):
        notes.append("all runs are equal: width 0")
    return "; ".join(notes)


def _percentiles(values: Floats) -> Floats:
    """(2, m) 10th and 90th percentile of each row, interpolated linearly, NaN left out."""
    present = (~np.isnan(values)).sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN last
    rows = np.arange(len(values))
    found = []
    for share in (0.1, 0.9):
        place = share * (present - 1)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, present - 1)
        low, high = ordered[rows, below], ordered[rows, above]
        found.append(low + (place - below) * (high - low))
    return np.stack(found)
