"""Horizontal lines to compare with: drawn and named, or only named where drawn they would hide the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from alfred.figures.style import TINY, plain


@dataclass(frozen=True)
class Lines:
    """The lines to draw, and what to say of those that lie far below and far above what is drawn."""

    near: tuple[Mapping[str, Any], ...]
    below: tuple[str, ...] = ()
    above: tuple[str, ...] = ()

    def and_far(self, told: str, goal: str) -> Lines:
        """The same, with what is said of scores that lie far on the bad side."""
        if goal == "min":
            return replace(self, above=(*self.above, told))
        return replace(self, below=(*self.below, told))


def sort_hlines(hlines: Sequence[Mapping[str, Any]], values: NDArray[np.float64], spans: float) -> Lines:
    """Far are lines that lie beyond the values (n,) by more than so many times what these span: drawn, they
    would press them together until nothing of them could be seen."""
    values = values[np.isfinite(values)]
    if not len(values):
        return Lines(tuple(hlines))
    low, high = values.min(), values.max()
    reach = spans * max(high - low, 0.1 * abs(high), 1e-12)
    near, below, above = [], [], []
    for line in hlines:
        ys = np.atleast_1d(np.asarray(line["y"], dtype=np.float64))
        name = f"{plain(line['label'])} ({ys[0]:.3g})" if line.get("label") else f"{ys[0]:.3g}"
        if ys.max() < low - reach:
            below.append(name)
        elif ys.min() > high + reach:
            above.append(name)
        else:
            near.append(line)
    return Lines(tuple(near), tuple(below), tuple(above))


def name_hlines(ax: Axes, lines: Lines) -> None:
    """The label of a line stands on it, at the left, where it hides least; one that lies beyond an edge is
    told there, in room made for it."""
    for hline in lines.near:
        if hline.get("label"):
            heights = np.ravel(hline["y"])
            ax.annotate(
                plain(hline["label"]),
                (0.02, float(heights[0])),
                xycoords=("axes fraction", "data"),
                xytext=(0, 1.5),
                textcoords="offset points",
                fontsize=TINY,
                color="#444444",
            )
    if lines.below or lines.above:
        _tell_far(ax, lines)


def _tell_far(ax: Axes, lines: Lines) -> None:
    low, high = ax.get_ylim()
    room = 0.14 * (high - low)
    ax.set_ylim(low - room * bool(lines.below), high + room * bool(lines.above))
    ground = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5}  # over what goes off the edge
    style: dict[str, Any] = {"transform": ax.transAxes, "fontsize": TINY, "color": "#444444", "bbox": ground}
    if lines.below:
        ax.text(0.02, 0.02, f"below: {', '.join(lines.below)}", va="bottom", **style)
    if lines.above:
        ax.text(0.02, 0.98, f"above: {', '.join(lines.above)}", va="top", **style)
