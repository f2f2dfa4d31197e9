"""Laying the directories of a search: all of them appear, or none.

Everything is built in a hidden folder of the root, `<root>/.alfred/laying.<owner>/`, with a journal that says
what goes where; then each directory is renamed into its place. Whatever a killed preparation leaves there the
next command finishes when the journal is complete, and else removes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from alfred import __version__, files
from alfred.errors import StorageError
from alfred.storage import chores, preparations
from alfred.storage.attempts import time_stamp
from alfred.storage.flags import UNHATCHED
from alfred.storage.laying import LayingFolder, Move
from alfred.storage.metadata import MARKERS, Metadata, metadata_path
from alfred.storage.owners import this_process
from alfred.utils.directory_tree import DirectoryTree, full_git_state
from alfred.utils.storage_names import make_storage_name, reserve_id


@dataclass(frozen=True)
class Experiment:
    """One configuration: every hyper-parameter but `seed`, those that tell it apart, and its seeds."""

    config: Mapping[str, Any]
    unique: Mapping[str, Any]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Preparation:
    """What one preparation lays in one storage directory.

    `variations` (grid) are the lists searched over, with those of algorithms, tasks and seeds; `picture`
    (random) is a PNG of the sampled values; `origin` names the storage directory it was copied or is
    trained again from.
    """

    alg_name: str
    task_name: str
    desc: str
    kind: str
    experiments: tuple[Experiment, ...]
    variations: Mapping[str, Any] | None = None
    picture: bytes | None = None
    sampling_seed: int | None = None
    schedule_file: str = ""
    origin: str = ""


def lay_search(root: Path, searches: Sequence[Preparation], list_file: Path | None = None) -> list[str]:
    """Lay one storage directory for each preparation and return their names.

    They are appended to `list_file` when all stand in their places. Raises as `lay_storage_dirs` does.
    """
    new = [
        NewStorage(
            Metadata("", "", plan.alg_name, plan.task_name, plan.desc, plan.kind, origin=plan.origin),
            partial(_fill, plan=plan),
        )
        for plan in searches
    ]
    return lay_storage_dirs(root, new, list_file)


@dataclass(frozen=True)
class NewStorage:
    """A storage directory to be laid: what it is, but for what laying adds (id, hashes, date), and `fill`,
    which puts its experiments and whatever else it has into the folder."""

    about: Metadata
    fill: Callable[[Path], None]


def lay_storage_dirs(root: Path, new: Sequence[NewStorage], list_file: Path | None) -> list[str]:
    """Lay storage directories, all or none, and return their names.

    They are appended to `list_file` when all stand in their places.

    Raises:
        StorageError: the root can't be made or written, or a name is too long.
    """
    hashes, repositories = DirectoryTree.get_git_hashes(), full_git_state()
    laid = [
        replace(
            one.about,
            id=reserve_id(root),
            git_hashes=hashes,
            repositories=repositories,
            created=time_stamp(),
            alfred_version=__version__,
        )
        for one in new
    ]
    names = [make_storage_name(m.id, m.git_hashes, m.alg_name, m.task_name, m.desc) for m in laid]
    with one_line_errors(root):
        folder = LayingFolder.make(root, this_process())
        try:
            for name, metadata, one in zip(names, laid, new, strict=True):
                _begin(folder.path / name, metadata)
                one.fill(folder.path / name)
            folder.commit([Move(name, name) for name in names], list_file, names)
        except BaseException:
            folder.abandon()
            raise
    return names


def lay_more(root: Path, storage_name: str, more: Preparation) -> tuple[int, int]:
    """Lay the experiments of a preparation in an existing storage directory; first and last of their numbers.

    Raises:
        StorageError: the storage directory can't be written.
    """
    storage_dir = root / storage_name
    with one_line_errors(root):
        folder = LayingFolder.make(root, this_process())
        try:
            mine = preparations.reserve(storage_dir, _preparation_record(more), len(more.experiments))
            for number, experiment in enumerate(more.experiments, start=mine.first):
                build_experiment(folder.path / f"experiment{number}", experiment)
            names = [f"experiment{number}" for number in range(mine.first, mine.last + 1)]
            if more.picture is not None:
                files.create(folder.path / mine.picture, more.picture, durable=False)
                names.append(mine.picture)
            moves = [Move(name, f"{storage_name}/{name}") for name in names]
            folder.commit(moves, None, [])
        except BaseException:
            folder.abandon()
            raise
    return mine.first, mine.last


def _begin(storage_dir: Path, metadata: Metadata) -> None:
    alfred_dir = storage_dir / ".alfred"
    (alfred_dir / "owners").mkdir(parents=True)
    chores.lay(alfred_dir)
    files.create(metadata_path(storage_dir), metadata.to_json().encode(), durable=False)
    if metadata.kind in MARKERS:
        files.create(storage_dir / MARKERS[metadata.kind], durable=False)


def _fill(storage_dir: Path, plan: Preparation) -> None:
    mine = preparations.reserve(storage_dir, _preparation_record(plan), len(plan.experiments))
    if plan.picture is not None:
        files.create(storage_dir / mine.picture, plan.picture, durable=False)
    for number, experiment in enumerate(plan.experiments, start=1):
        build_experiment(storage_dir / f"experiment{number}", experiment)
    preparations.publish_variations(storage_dir)


def build_experiment(experiment_dir: Path, experiment: Experiment) -> None:
    """Make one experiment directory with its seeds, in a folder that is being laid."""
    experiment_dir.mkdir()
    build_runs(experiment_dir, experiment)


def build_runs(experiment_dir: Path, experiment: Experiment) -> None:
    """Make the seed directories in an experiment directory that is being laid. It stays close to the system,
    since a search has thousands of runs."""
    folder = os.fspath(experiment_dir)
    config = dict(experiment.config)
    for seed in experiment.seeds:
        seed_dir = f"{folder}/seed{seed}"
        os.mkdir(seed_dir)
        config["seed"] = seed
        _write_new(f"{seed_dir}/config.json", _as_json(config))
        _write_new(f"{seed_dir}/config_unique.json", _as_json({**experiment.unique, "seed": seed}))
        _write_new(f"{seed_dir}/{UNHATCHED}", b"")


def _write_new(path: str, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if data and os.write(handle, data) != len(data):
            raise OSError(f"{path} could not be written whole")
    finally:
        os.close(handle)


def _as_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=4) + "\n").encode()


def _preparation_record(plan: Preparation) -> dict[str, Any]:
    return {
        "kind": plan.kind,
        "variations": plan.variations,
        "sampling_seed": plan.sampling_seed,
        "schedule_file": plan.schedule_file,
        "prepared": time_stamp(),
        "alfred_version": __version__,
    }


@contextmanager
def one_line_errors(root: Path) -> Iterator[None]:
    """What the disk refuses while something is laid in `root` becomes a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"nothing was laid in {root}: {error.strerror or error} ({error.filename or root}); "
            "make room or make it writable and prepare again"
        ) from error
