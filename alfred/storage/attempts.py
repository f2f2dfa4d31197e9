"""What alfred notes about one run: run.json (who, when, how it ended) and attempts.json (how often)."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from alfred import files
from alfred.errors import StorageError

MAX_DEATHS = 3


@dataclass(frozen=True)
class Attempts:
    """How often a run was started, and how often it died without leaving a report."""

    attempt: int = 0
    deaths: int = 0


def own_dir(seed_dir: Path) -> Path:
    """Where alfred keeps its own files about a run."""
    return seed_dir / ".alfred"


def make_folder(folder: Path) -> None:
    """Make a folder of alfred's own unless it is there. A link in its place, which would lead whatever is
    moved and deleted there elsewhere, is removed; what it points to stays as it is."""
    if folder.is_symlink():
        folder.unlink()
    folder.mkdir(exist_ok=True)


def read_attempts(seed_dir: Path) -> Attempts:
    """The counts of a seed directory; zeros where none are noted.

    Where the file is damaged the attempt is the last that run.json or something put aside tells of: two must
    not have one number. OSError when it can't be read now: who writes it anew must not begin at zero.
    """
    path = own_dir(seed_dir) / "attempts.json"
    try:
        record = files.retry(lambda: _parsed(path))
    except FileNotFoundError:
        return Attempts()
    attempt, deaths = record.get("attempt"), record.get("deaths")
    if not _is_count(attempt):
        attempt = max([0, *filter(_is_count, (read_run(seed_dir).get("attempt"), *_put_aside(seed_dir)))])
    return Attempts(attempt, deaths if _is_count(deaths) else 0)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value < 10**9


def _put_aside(seed_dir: Path) -> list[int]:
    """The numbers of the attempts of which something was put aside."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return [int(name) for name in os.listdir(own_dir(seed_dir) / "attempts") if name.isdecimal()]
    return []


def write_attempts(seed_dir: Path, attempts: Attempts, fence: Callable[[], object] = lambda: None) -> None:
    """Note the counts, unless `fence()` raises (see `batons.fence`)."""
    make_folder(own_dir(seed_dir))
    record = {"attempt": attempts.attempt, "deaths": attempts.deaths}
    path = own_dir(seed_dir) / "attempts.json"
    files.write_text(path, json.dumps(record) + "\n", before_replacing=fence)


def read_run(seed_dir: Path) -> dict[str, Any]:
    """What is noted in run.json; empty where nothing readable is."""
    return read_record(own_dir(seed_dir) / "run.json")


def write_run(seed_dir: Path, record: Mapping[str, Any], fence: Callable[[], object] = lambda: None) -> None:
    """Replace run.json, unless `fence()` raises (see `batons.fence`)."""
    make_folder(own_dir(seed_dir))
    path = own_dir(seed_dir) / "run.json"
    files.write_text(path, json.dumps(record, indent=1) + "\n", before_replacing=fence)


def read_record(path: Path) -> dict[str, Any]:
    """A small JSON object from disk; empty when it is absent, unreadable or something else."""
    try:
        return _parsed(path)
    except OSError:
        return {}


def read_whole(path: Path) -> dict[str, Any]:
    """A JSON object that something would be lost without. StorageError when it is damaged, OSError when it
    can't be read now."""
    record = _parsed(path)
    if not record:
        raise StorageError(f"{path} is damaged: put a copy of it there, or remove it if nobody needs it")
    return record


def _parsed(path: Path) -> dict[str, Any]:
    data = files.read_whole(path)
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def time_stamp(seconds: float | None = None) -> str:
    """A moment (now by default) in local time with its offset, for people and for parsing alike."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))
