"""`.alfred/storage.json`: what a storage directory is, so that its name need not be split."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alfred.storage.attempts import read_record
from alfred.utils.directory_tree import DirectoryTree

GRID, RANDOM = "grid", "random"
MARKERS = {GRID: "GRID_SEARCH", RANDOM: "RANDOM_SEARCH"}


@dataclass(frozen=True)
class Metadata:
    """What a storage directory is.

    `git_hashes` are the short ones of the name, `repositories` the full ones with whether the work tree was
    dirty; `kind` is "grid", "random" or "" where it is not known.
    """

    id: str
    git_hashes: str
    alg_name: str
    task_name: str
    desc: str
    kind: str = ""
    repositories: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    alfred_version: str = ""
    origin: str = ""

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"


def metadata_path(storage_dir: Path) -> Path:
    """Where the metadata of a storage directory are."""
    return storage_dir / ".alfred" / "storage.json"


def read_metadata(storage_dir: Path) -> Metadata:
    """What a storage directory is; for trees that keep no such file, from a run's config.json and the
    markers, and from the name as the last resort."""
    record = read_record(metadata_path(storage_dir))
    if all(
        isinstance(record.get(name), str) for name in ("id", "git_hashes", "alg_name", "task_name", "desc")
    ):
        known = {item.name for item in dataclasses.fields(Metadata)}
        return Metadata(**{name: value for name, value in record.items() if name in known & _usable(record)})
    fields = DirectoryTree.extract_info_from_storage_name(storage_dir.name, root=storage_dir.parent)
    id_, git_hashes, alg_name, task_name, desc = (text or "" for text in fields)
    kind = next((kind for kind, name in MARKERS.items() if (storage_dir / name).exists()), "")
    return Metadata(id_, git_hashes, alg_name, task_name, desc, kind)


def _usable(record: Mapping[str, Any]) -> set[str]:
    """The file is data: what is of another kind than alfred writes there is taken for missing."""
    return {
        name
        for name, value in record.items()
        if isinstance(value, Mapping if name == "repositories" else str)
    }
