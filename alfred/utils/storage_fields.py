"""What a storage directory is about, told by its files rather than by its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alfred import files
from alfred.errors import StorageError
from alfred.utils.numbered import numbered_paths
from alfred.utils.storage_names import StorageFields, is_storage_name, split_storage_name


def storage_fields(storage_dir: Path) -> StorageFields:
    """Read from `.alfred/storage.json`, else from a run's config.json, else from the directory's name.

    StorageError if there is neither file and the name is no storage name.
    """
    known = _json_object(storage_dir / ".alfred" / "storage.json")
    if known.get("id"):
        return StorageFields(
            *(str(known.get(key) or "") for key in ("id", "git_hashes", "alg_name", "task_name", "desc"))
        )
    config = _any_config(storage_dir)
    if config:
        return _fields_from_config(storage_dir.name, config)
    if not is_storage_name(storage_dir.name):
        raise StorageError(
            f"{storage_dir} holds neither .alfred/storage.json nor a config.json, and its name is not "
            "<id>_<alg_name>_<task_name>_<desc>: name a storage directory"
        )
    return split_storage_name(storage_dir.name)


def _fields_from_config(name: str, config: dict[str, Any]) -> StorageFields:
    """Algorithm and task in the config are sure; id and hashes are what the name holds before them.

    The description may be shorter in the config than in the name, which begins it with the kind of search.
    """
    alg, task, desc = (str(config.get(key) or "") for key in ("alg_name", "task_name", "desc"))
    guess = split_storage_name(name) if is_storage_name(name) else StorageFields("")
    known = "_".join(["", *filter(None, (alg, task, desc))])
    if not known:
        return guess
    head, middle, rest = name.partition(f"_{alg}_{task}_")
    if name.endswith(known):
        head = name.removesuffix(known)
    elif alg and task and middle:
        desc = rest
    id, _, git_hashes = head.partition("_")
    return StorageFields(guess.id, git_hashes if id == guess.id else guess.git_hashes, alg, task, desc)


def _any_config(storage_dir: Path) -> dict[str, Any]:
    if storage_dir.is_dir():
        for seed_dir in _seed_dirs(storage_dir):
            if config := _json_object(seed_dir / "config.json"):
                return config
    return {}


def _json_object(path: Path) -> dict[str, Any]:
    """The object in a file, {} if the file is missing or holds none: then the next source is asked."""
    try:
        read = json.loads(files.read_whole(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _seed_dirs(storage_dir: Path) -> Iterator[Path]:
    for experiment_dir in numbered_paths(storage_dir, "experiment"):
        yield from numbered_paths(experiment_dir, "seed")
