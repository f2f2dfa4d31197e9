"""How what is about to be laid is put into words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_READABLE = 12  # values of one parameter


def table(lines: Mapping[str, str]) -> str:
    """Names and texts, one a line, in two columns."""
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def joined(values: Iterable[Any]) -> str:
    """All values, separated by commas."""
    return ", ".join(map(str, values))


def told(values: Sequence[Any]) -> str:
    """A searched parameter's values, each once; from where to where if that is more than anybody reads."""
    texts = list(dict.fromkeys(map(str, values)))
    if len(texts) <= _READABLE:
        return ", ".join(texts)
    if all(isinstance(value, int | float) for value in values):
        return f"{len(texts)} values from {min(values):.4g} to {max(values):.4g}"
    return f"{', '.join(texts[:_READABLE])}, ... ({len(texts)} values)"


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers as they are selected with options: 1-3, 7."""
    told: list[list[int]] = []
    for number in sorted(set(numbers)):
        if told and number == told[-1][-1] + 1:
            told[-1] = [told[-1][0], number]
        else:
            told.append([number])
    return joined("-".join(map(str, ends)) for ends in told)
