"""Folders that are called by a kind and a number: `experiment2`, `seed123`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, cast

from alfred.errors import StorageError


def numbered_folders(folder: Path, kind: str) -> list[Path]:
    """The folders `<kind><number>`, by number; symlinks and other spellings are somebody else's."""
    try:
        with os.scandir(folder) as entries:
            found = [
                (int(match[1]), entry.path)
                for entry in entries
                if (match := re.fullmatch(rf"{kind}(0|[1-9][0-9]*)", entry.name))
                and entry.is_dir(follow_symlinks=False)
            ]
    except OSError as error:
        raise StorageError(f"{folder} can't be listed: {error.strerror}") from error
    return [Path(path) for _, path in sorted(found)]


def number(value: object, kind: str) -> int:
    """A whole number, not negative, given as one or written as one."""
    try:
        whole = int(cast(Any, value))
    except (TypeError, ValueError, OverflowError):
        whole = -1
    if whole < 0 or (isinstance(value, float) and value != whole):
        raise StorageError(f"the number of a {kind} directory must be a whole number from 0, not {value!r}")
    return whole


def number_in(name: str, kind: str) -> int:
    """The number in a folder's name; StorageError if the name is no such one."""
    digits = name.removeprefix(kind)
    if not (name.startswith(kind) and re.fullmatch(r"[0-9]+", digits)):
        raise StorageError(f"{name!r} is no {kind} directory: {kind}<number> expected")
    return int(digits)


def next_number(folder: Path, kind: str) -> int:
    """The number after the highest that stands in `folder`; 1 if there is none."""
    if not folder.is_dir():
        return 1
    return 1 + max((number_in(path.name, kind) for path in numbered_folders(folder, kind)), default=0)
