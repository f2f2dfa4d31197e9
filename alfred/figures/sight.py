"""What an axis shows where some scores lie far on the bad side: one diverged run must not hide the rest."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from alfred.analysis.goal import sign

Floats = NDArray[np.float64]
_REACH = 20  # drawn, what lies further would leave the better half less than a twentieth of the axis
_PAD = 0.05


def is_far(scores: Floats, goal: str) -> NDArray[np.bool_]:
    """Which of the scores (n,) lie more than 20 times as far behind the median as that behind the best.

    None where half of them are equal to the best, which no axis can tell apart.
    """
    bad = -sign(goal) * scores
    finite = bad[np.isfinite(bad)]
    if not len(finite):
        return np.zeros(len(scores), dtype=bool)
    middle = np.median(finite)
    spread = middle - finite.min()
    if spread <= 1e-9 * abs(middle):
        return np.zeros(len(scores), dtype=bool)
    return np.asarray(np.isfinite(bad) & (bad > middle + _REACH * spread))


def far_text(scores: Floats, far: NDArray[np.bool_], goal: str, what: str = "experiments") -> str:
    """What is said of those that are far, of all scores (n,)."""
    worst = scores[far].max() if goal == "min" else scores[far].min()
    how_far = "up to" if goal == "min" else "down to"
    return f"{far.sum()} of {len(scores)} {what}, {how_far} {worst:.3g}"


def show_only(ax: Axes, values: Floats) -> None:
    """Limit the y axis to these values (n,), with a little room; what lies beyond is cut off."""
    values = values[np.isfinite(values)]
    if len(values):
        low, high = float(values.min()), float(values.max())
        pad = _PAD * (high - low) or _PAD * abs(high) or 0.5
        ax.set_ylim(low - pad, high + pad)
