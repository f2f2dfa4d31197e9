"""Changes to the parameters of a configuration, as they are typed: `name=value,type`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from alfred.errors import UsageError, did_you_mean
from alfred.utils.config import parse_bool

OPTION = "--additional_param"
_NAMING = ("alg_name", "task_name")
_NOT_HERE = {
    "seed": "each run keeps its own; `alfred prepare --add_seeds` lays more of them",
    "desc": "say it with --new_desc",
}


def parse_changes(texts: Iterable[str]) -> dict[str, Any]:
    """The new values of parameters by name, from texts like "lr=0.1,float"; UsageError names what is wrong.

    The types are float, int, str and bool; the value None is None, whatever its type.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, value = _parse(text)
        if name in changes:
            raise UsageError(f"{OPTION} gives {name} twice: keep one of them")
        changes[name] = value
    return changes


def _parse(text: str) -> tuple[str, Any]:
    """The value may itself hold commas and equals signs."""
    name, equals, rest = text.partition("=")
    written, comma, kind = rest.rpartition(",")
    name, kind = name.strip(), kind.strip()
    if not (name and equals and comma):
        raise UsageError(f"{OPTION} {text!r} is not name=value,type, as in lr=0.1,float or clip=None,float")
    if name in _NOT_HERE:
        raise UsageError(f"{OPTION} can't change {name}: {_NOT_HERE[name]}")
    if kind not in _TYPES:
        raise UsageError(f"{OPTION} {text!r}: there is no type {kind!r}: {did_you_mean(kind, _TYPES)}")
    value = None if written.strip().lower() == "none" else _converted(text, written, kind)
    if name in _NAMING and not (isinstance(value, str) and value):
        raise UsageError(f"{OPTION} {text!r}: {name} is part of the storage name: give it a text, with ,str")
    return name, value


def _converted(text: str, written: str, kind: str) -> Any:
    try:
        return _TYPES[kind](written)
    except ValueError as error:
        raise UsageError(f"{OPTION} {text!r}: {written!r} is no {kind}") from error


def _whole(written: str) -> int:
    if not re.fullmatch("[+-]?[0-9]+", written.strip()):
        raise ValueError(written)
    return int(written)


def _number(written: str) -> float:
    return float(written if "_" not in written else "")


def _nothing(written: str) -> None:
    raise ValueError(written)


_TYPES: dict[str, Callable[[str], Any]] = {
    "float": _number,
    "int": _whole,
    "str": str,
    "bool": parse_bool,
    "None": _nothing,
}
