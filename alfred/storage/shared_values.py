"""Hyper-parameter values that some runs have in common and no other has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alfred.storage.attempts import read_record

Seen = Mapping[str, set[str]]


def values_of(seed_dirs: Iterable[str]) -> Seen:
    """Every value that config_unique.json of these runs holds, as JSON, by the parameter's name."""
    seen: dict[str, set[str]] = {}
    for seed_dir in seed_dirs:
        for name, value in _unique(seed_dir).items():
            seen.setdefault(name, set()).add(_text(value))
    return seen


def only_theirs(seed_dirs: Sequence[str], others: Seen) -> dict[str, Any]:
    """The parameters in which all these runs agree on a value that is not among those of `others`.

    Nothing for a single run: it agrees with itself in everything.
    """
    if len(seed_dirs) < 2:
        return {}
    shared = _unique(seed_dirs[0])
    for seed_dir in seed_dirs[1:]:
        theirs = _unique(seed_dir)
        shared = {
            name: value
            for name, value in shared.items()
            if name in theirs and _text(theirs[name]) == _text(value)
        }
        if not shared:
            break
    return {name: value for name, value in shared.items() if _text(value) not in others.get(name, ())}


def _unique(seed_dir: str) -> dict[str, Any]:
    return read_record(Path(seed_dir) / "config_unique.json")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
