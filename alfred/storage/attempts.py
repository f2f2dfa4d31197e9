"""What alfred notes about one run: run.json (who, when, how it ended) and attempts.json (how often)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """The counts of a seed directory; zeros where none are noted or what is noted makes no sense.

    OSError when they can't be read now: who writes them anew must not begin at zero.
    """
    path = own_dir(seed_dir) / "attempts.json"
    try:
        record = files.retry(lambda: _parsed(path))
    except FileNotFoundError:
        record = {}
    counts = [record.get(name) for name in ("attempt", "deaths")]
    return Attempts(*(count if isinstance(count, int) and 0 <= count < 10**9 else 0 for count in counts))


def write_attempts(seed_dir: Path, attempts: Attempts) -> None:
    """Note the counts."""
    make_folder(own_dir(seed_dir))
    record = {"attempt": attempts.attempt, "deaths": attempts.deaths}
    files.write_text(own_dir(seed_dir) / "attempts.json", json.dumps(record) + "\n")


def read_run(seed_dir: Path) -> dict[str, Any]:
    """What is noted in run.json; empty where nothing readable is."""
    return read_record(own_dir(seed_dir) / "run.json")


def write_run(seed_dir: Path, record: Mapping[str, Any]) -> None:
    """Replace run.json."""
    make_folder(own_dir(seed_dir))
    files.write_text(own_dir(seed_dir) / "run.json", json.dumps(record, indent=1) + "\n")


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
