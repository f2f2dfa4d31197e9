"""Folders that are called by a kind and a number: `experiment2`, `seed123`.

Only the plain form of a number counts: `experiment02` would be the second experiment under another name.
Seeds of trees that stand may be negative, as older tools laid them.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any, cast

from alfred.errors import StorageError

HIGHEST_NUMBER = 10**18 - 1
_NEGATIVE = ("seed",)  # kinds whose numbers may be


def numbered_folders(folder: str | Path, kind: str) -> list[tuple[int, str]]:
    """(number, path) of the folders `<kind><number>`, by number; links and other spellings are none.

    Raises OSError if the folder can't be listed.
    """
    name = _plain_name(kind)
    with os.scandir(folder) as entries:
        found = [
            (int(match[1]), entry.path)
            for entry in entries
            if (match := name.fullmatch(entry.name)) and entry.is_dir(follow_symlinks=False)
        ]
    return sorted(found)


def numbered_paths(folder: Path, kind: str) -> list[Path]:
    """The paths of `numbered_folders`; StorageError if the folder can't be listed."""
    try:
        return [Path(path) for _, path in numbered_folders(folder, kind)]
    except OSError as error:
        raise StorageError(f"{folder} can't be listed: {error.strerror}") from error


def misnamed(folder: str | Path, kind: str) -> list[str]:
    """In a sentence each, what looks like a `<kind><number>` folder and is none: another spelling, a link.

    Raises OSError if the folder can't be listed.
    """
    name, told = _plain_name(kind), []
    with os.scandir(folder) as entries:
        for entry in entries:
            number = re.fullmatch(rf"{kind}(-?[0-9]+)", entry.name)
            if number and name.fullmatch(entry.name) is None:
                right = kind + str(int(number[1][:100]))
                wanted = right if name.fullmatch(right) else f"{kind} and a number from 0 to {HIGHEST_NUMBER}"
                told.append(f"{entry.path} is not worked on: the folder's name would have to be {wanted}")
            elif number and entry.is_symlink():
                told.append(f"{entry.path} is not worked on: it is a link, put the folder itself there")
    return sorted(told)


def number(value: object, kind: str, least: int = 0) -> int:
    """A whole number of at least `least`, given as one or written as one."""
    try:
        whole = int(cast(Any, value))
    except (TypeError, ValueError, OverflowError):
        whole = least - 1
    if whole < least or (isinstance(value, float) and value != whole):
        raise StorageError(f"the number of a {kind} directory must be a whole number from 0, not {value!r}")
    return whole


def number_in(name: str, kind: str) -> int:
    """The number in a folder's name; StorageError if the name is no such one."""
    match = _plain_name(kind).fullmatch(name)
    if match is None:
        raise StorageError(f"{name!r} is no {kind} directory: {kind}<number> expected")
    return int(match[1])


def next_number(folder: Path, kind: str) -> int:
    """The number after the highest that stands in `folder`; 1 if there is none."""
    if not folder.is_dir():
        return 1
    return 1 + max((number_in(path.name, kind) for path in numbered_paths(folder, kind)), default=0)


@functools.cache
def _plain_name(kind: str) -> re.Pattern[str]:
    sign = "-?" if kind in _NEGATIVE else ""
    return re.compile(rf"{kind}(0|{sign}[1-9][0-9]{{0,17}})")
