"""The record of each preparation of a storage directory, which reserves its numbers of experiments.

`.alfred/preparations/<first>/preparation.json` says which numbers it has and what was searched over. A folder
with something in it can't be renamed over, so of two preparations that want the same numbers one gets them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alfred import files
from alfred.errors import StorageError
from alfred.storage.attempts import read_record, read_whole
from alfred.storage.survey import EXPERIMENT
from alfred.utils.numbered import numbered_folders

_TRIES = 1000


@dataclass(frozen=True)
class Reserved:
    """The numbers of its experiments and the name of its picture, which a preparation alone has."""

    first: int
    last: int
    picture: str


def reserve(storage_dir: Path, record: Mapping[str, Any], how_many: int) -> Reserved:
    """Take the next free numbers of experiments for a preparation, and a picture's name.

    StorageError for a variations.json or a record of an earlier preparation that is damaged.
    """
    _check(storage_dir)
    folder = storage_dir / ".alfred" / "preparations"
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        first = _last_number(storage_dir) + 1
        reserved = Reserved(first, first + how_many - 1, _next_picture(storage_dir))
        made = files.temporary_name(folder / str(first))
        made.mkdir()
        files.create(made / "preparation.json", _text({**dataclasses.asdict(reserved), **record}))
        try:
            if files.put_in_place(made, folder / str(first)):
                return reserved
        finally:
            files.remove_tree(made)
    raise StorageError(f"no numbers for new experiments could be reserved in {folder}")


def records(storage_dir: Path) -> list[dict[str, Any]]:
    """What each preparation noted, in the order of the numbers."""
    found = [read_record(path / "preparation.json") for _, path in _folders(storage_dir)]
    return [record for record in found if isinstance(record.get("last"), int)]


def keep(storage_dir: Path, record: Mapping[str, Any]) -> None:
    """Put the record of a preparation into a storage directory that is being laid, under its own numbers."""
    folder = storage_dir / ".alfred" / "preparations" / str(record["first"])
    folder.mkdir(parents=True)
    files.create(folder / "preparation.json", _text(record), durable=False)


def publish_variations(storage_dir: Path) -> None:
    """Bring variations.json, a key `<first>-<last>` for each preparation of a grid, in line with the records.

    A record without experiments (its preparation was given up) is left out, what trees without records
    have there stays. Of two preparations that end at the same instant the later one sees both records.
    StorageError for a variations.json that holds something else: it is not written over.
    """
    path = storage_dir / "variations.json"
    written: dict[str, Any] | None = None
    while written != (known := _variations(storage_dir)):
        if known:
            kept = read_whole(path) if os.path.lexists(path) else {}
            files.write_text(path, json.dumps({**kept, **known}, indent=4) + "\n")
        written = known


def _check(storage_dir: Path) -> None:
    """Nothing is laid beside a record that can't be read: its numbers would be given away again."""
    paths = [path / "preparation.json" for _, path in _folders(storage_dir)]
    for path in [storage_dir / "variations.json", *paths]:
        if os.path.lexists(path):
            read_whole(path)


def _variations(storage_dir: Path) -> dict[str, Any]:
    return {
        f"{record['first']}-{record['last']}": record["variations"]
        for record in records(storage_dir)
        if record.get("variations") and (storage_dir / f"experiment{record['first']}").is_dir()
    }


def _text(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=1) + "\n").encode()


def _next_picture(storage_dir: Path) -> str:
    """The next of variations1.png, variations2.png, ... after those that stand or are reserved."""
    names = [*os.listdir(storage_dir), *(str(record.get("picture")) for record in records(storage_dir))]
    found = (re.fullmatch(r"variations([0-9]{1,9})\.png", name) for name in names)
    numbers = [int(match[1]) for match in found if match]
    return f"variations{max(numbers, default=0) + 1}.png"


def _last_number(storage_dir: Path) -> int:
    laid = [number for number, _ in numbered_folders(storage_dir, EXPERIMENT)]
    reserved: list[int] = [record["last"] for record in records(storage_dir)]
    return max([0, *laid, *reserved])


def _folders(storage_dir: Path) -> Iterator[tuple[int, Path]]:
    folder = storage_dir / ".alfred" / "preparations"
    if folder.is_dir():
        for number, path in numbered_folders(folder, ""):
            yield number, Path(path)
