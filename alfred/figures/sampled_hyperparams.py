"""The picture of what a random search has drawn."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from alfred.utils.plots import create_fig, plot_sampled_hyperparams

_LOG_FROM_RATIO = 100  # values over two decades and more are told apart on a logarithmic scale only
_HIGHEST = 200.0  # inches: a picture has no more than 2**16 pixels a side
_LONGEST_TEXT = 40


def sampled_hyperparams_png(values: Mapping[str, Sequence[Any]]) -> bytes:
    """A PNG with one row for each hyper-parameter: its values, one a draw; same values, same bytes.

    Numbers stand on a scale, logarithmic when they are positive and span two decades or more; anything
    else (None, text, true and false, lists, or a mixture) stands side by side as text.
    """
    rows = [_row(name, column) for name, column in values.items()]
    n_rows = max(1, len(rows))
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font lacks is no reason to alarm anybody
        figure, _ = create_fig((n_rows, 1), figsize=(8, min(1.5 * n_rows, _HIGHEST)))
        for ax, row in zip(figure.axes, rows, strict=False):
            _draw(ax, row)
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


@dataclass(frozen=True)
class _Row:
    """One hyper-parameter: where its points stand, and the words there if they are no numbers."""

    name: str
    places: Sequence[float]
    words: Sequence[str] = ()


def _row(name: str, column: Sequence[Any]) -> _Row:
    label = " " + _text(name)  # matplotlib hides a name that starts with an underscore
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in column):
        with contextlib.suppress(OverflowError):  # whole numbers have no limit
            return _Row(label, [float(value) for value in column])
    words = sorted({_text(value) for value in column})
    return _Row(label, [words.index(_text(value)) for value in column], words)


def _draw(ax: Axes, row: _Row) -> None:
    plot_sampled_hyperparams(ax, {row.name: row.places}, [row.name] if _is_wide(row.places) else [])
    if row.words:
        ax.set_xticks(range(len(row.words)), row.words)


def _text(value: Any) -> str:
    text = str(value).replace("$", r"\$")  # else matplotlib takes it for a formula
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def _is_wide(numbers: Sequence[float]) -> bool:
    return min(numbers, default=0) > 0 and max(numbers) / min(numbers) >= _LOG_FROM_RATIO
