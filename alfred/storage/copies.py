"""Laying copies of storage directories: the same runs, all of them waiting, under ids of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from alfred import files
from alfred.storage import preparations
from alfred.storage.creation import Experiment, NewStorage, build_runs, lay_storage_dirs
from alfred.storage.metadata import Metadata

MARKER = "config_copied_from_"
_LONGEST_NAME = 255  # bytes, on every usual file system


@dataclass(frozen=True)
class Copy:
    """What the copy of one storage directory holds.

    `about` says what it is, and by its `origin` of what; `experiments` are the runs of each experiment by
    number, one `Experiment` for each seed; `variations` is the content of variations.json (empty: no such
    file), `records` what preparations noted, `pictures` the PNGs of what was drawn.
    """

    about: Metadata
    experiments: Mapping[int, Sequence[Experiment]]
    variations: Mapping[str, Any] = field(default_factory=dict)
    records: Sequence[Mapping[str, Any]] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def lay_copies(root: Path, copies: Sequence[Copy], list_file: Path | None = None) -> list[str]:
    """Lay one storage directory for each copy, all or none, and return their names.

    They are appended to `list_file` when all stand in their places.

    Raises:
        StorageError: the root can't be written, or a name is too long.
    """
    return lay_storage_dirs(
        root, [NewStorage(copy.about, partial(_fill, copy=copy)) for copy in copies], list_file
    )


def marker_name(source_name: str) -> str:
    """`config_copied_from_<storage name>`, without the end of a name that leaves no room for it."""
    name = MARKER + source_name
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[:-1]
    return name


def _fill(storage_dir: Path, copy: Copy) -> None:
    origin = copy.about.origin
    whole_name = os.fsencode(f"{origin}\n")
    files.create(storage_dir / marker_name(origin), whole_name, durable=False)
    for record in copy.records:
        preparations.keep(storage_dir, record)
    for number, runs in copy.experiments.items():
        experiment_dir = storage_dir / f"experiment{number}"
        experiment_dir.mkdir()
        for run in runs:
            build_runs(experiment_dir, run)
    for name, picture in copy.pictures.items():
        files.create(storage_dir / name, picture, durable=False)
    if copy.variations:
        text = json.dumps(copy.variations, indent=4) + "\n"
        files.create(storage_dir / "variations.json", text.encode(), durable=False)
