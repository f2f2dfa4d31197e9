"""Names of storage directories: what they say, and which id is free."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alfred.errors import StorageError
from alfred.files import retry
from alfred.utils import git

_ID = re.compile(r"([A-Za-z0-9]{2})([0-9]+)")
_STORAGE_NAME = re.compile(rf"({_ID.pattern})_.+")
_HASHES = re.compile(rf"(?:{git.NO_HASH}|[0-9a-f]{{7,40}})(?:-(?:{git.NO_HASH}|[0-9a-f]{{7,40}}))*")
_KIND_OF_SEARCH = re.compile(r"grid|random|retrainBest.*")
_LONGEST_NAME = 255  # bytes, on every usual file system


@dataclass(frozen=True)
class StorageFields:
    """What a storage directory is about; "" for a field that its name leaves out."""

    id: str
    git_hashes: str = ""
    alg_name: str = ""
    task_name: str = ""
    desc: str = ""


def id_letters() -> str:
    """The first two ASCII letters or digits of git's user.name, "No" when there are fewer."""
    letters = re.findall(r"[A-Za-z0-9]", git.user_name())
    return "".join(letters[:2]) if len(letters) >= 2 else "No"


def is_storage_name(name: str) -> bool:
    """True for two letters or digits, a number and `_...`, the way every storage directory is called."""
    return _STORAGE_NAME.fullmatch(name) is not None


def is_folder_name(name: str) -> bool:
    """Whether a name is that of one folder, not hidden: as a path it leads neither up, nor down, nor away."""
    return bool(name) and not name.startswith(".") and not set(name) & {"/", "\0"}


def next_id(root: str | Path) -> str:
    """The id that the next storage directory in `root` would get; nothing is made or reserved."""
    letters = id_letters()
    return f"{letters}{_next_number(Path(root), letters)}"


def reserve_id(root: str | Path) -> str:
    """An id that nobody else gets, on any machine: whoever makes its folder in `.alfred/ids` has it.

    Makes `root` if it is missing; StorageError if it can't be made or written.
    """
    root = Path(root)
    reserved = root / ".alfred" / "ids"
    letters = id_letters()
    try:
        reserved.mkdir(parents=True, exist_ok=True)
        number = _next_number(root, letters)
        while not _made(reserved / f"{letters}{number}".lower()):
            number += 1
    except OSError as error:
        raise StorageError(
            f"no storage directory can be made in {root}: {error.strerror or error} "
            f"({error.filename or root}); give another --root_dir or make this one writable"
        ) from error
    return f"{letters}{number}"


def make_storage_name(
    id: str,
    git_hashes: str | None = None,
    alg_name: str | None = None,
    task_name: str | None = None,
    desc: str | None = None,
) -> str:
    """`<id>_<git hashes>_<alg_name>_<task_name>_<desc>`, without the fields that are None or "".

    StorageError for an id that is none, for fields that can't stand in a folder's name or in a list file,
    for a name without any field and for one that is too long.
    """
    if _ID.fullmatch(id) is None:
        raise StorageError(f"the id of a storage directory is two letters and a number, like Ju1, not {id!r}")
    named = {"git_hashes": git_hashes, "alg_name": alg_name, "task_name": task_name, "desc": desc}
    fields = {key: str(value) for key, value in named.items() if value not in (None, "")}
    if not fields:
        raise StorageError(f"storage directory {id} needs an alg_name, a task_name or a desc to be named by")
    for key, value in fields.items():
        _check_field(key, value)
    name = "_".join([id, *fields.values()])
    length = len(os.fsencode(name))
    if length > _LONGEST_NAME:
        raise StorageError(
            f"the storage name {name[:60]}... is {length} bytes long, more than {_LONGEST_NAME}: "
            "shorten desc, task_name or alg_name"
        )
    return name


def split_storage_name(name: str) -> StorageFields:
    """The fields of a storage name, guessed: only for trees that keep them nowhere else.

    A field that holds underscores or is left out can't be told for sure; the description is taken to start
    at the kind of search (`grid`, `random`, `retrainBest...`) and everything between algorithm and
    description to be the task. StorageError for what is no storage name.
    """
    if not is_storage_name(name):
        raise StorageError(
            f"{name!r} is no storage name: <id>_<git hashes>_<alg_name>_<task_name>_<desc> expected"
        )
    id, *parts = name.split("_")
    git_hashes = parts.pop(0) if _HASHES.fullmatch(parts[0]) else ""
    kinds = [at for at, part in enumerate(parts) if at and _KIND_OF_SEARCH.fullmatch(part)]
    start = next((at for at in kinds if at >= 2), kinds[0] if kinds else 2)
    return StorageFields(
        id, git_hashes, "_".join(parts[:1]), "_".join(parts[1:start]), "_".join(parts[start:])
    )


def _check_field(key: str, value: str) -> None:
    """A `#` would begin a comment in a list file, white space at an end would be lost there."""
    why_not = ""
    if bad := next((sign for sign in "/\0\n\r#" if sign in value), None):
        why_not = f"it holds {bad!r}"
    elif value != value.strip():
        why_not = "white space at its end"
    try:
        os.fsencode(value)
    except UnicodeEncodeError as error:
        why_not = error.reason
    if why_not:
        raise StorageError(f"{key} {value!r} can't be part of a folder's name, {why_not}: change it")


def _next_number(root: Path, letters: str) -> int:
    taken = (int(match[2]) for match in _taken(root) if match[1].lower() == letters.lower())
    return max(taken, default=0) + 1


def _taken(root: Path) -> Iterator[re.Match[str]]:
    """Every id in use: of the storage directories and of the reservations."""
    for name in _folders(root):
        if is_storage_name(name) and (match := _ID.fullmatch(name.split("_", 1)[0])):
            yield match
    for name in _folders(root / ".alfred" / "ids"):
        if match := _ID.fullmatch(name):
            yield match


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{folder} can't be listed: {error.strerror or error}") from error


def _made(folder: Path) -> bool:
    try:
        retry(folder.mkdir)
    except FileExistsError:
        return False
    return True
