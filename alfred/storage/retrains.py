"""Which storage directory trains the best experiment of which search again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alfred.storage import chores
from alfred.storage.leases import Leases
from alfred.storage.metadata import MARKERS, Metadata, read_metadata
from alfred.storage.survey import storage_dirs

RETRAIN = "retrainBest"


def retrain_desc(desc: str, search_id: str) -> str:
    """`random_abc` of search Ju1 becomes `retrainBestJu1_abc`."""
    first, _, rest = desc.partition("_")
    kept = rest if first in MARKERS else desc
    return "_".join(filter(None, (f"{RETRAIN}{search_id}", kept)))


def is_retrain(known: Metadata) -> bool:
    """Whether a storage directory is a retrain itself."""
    return known.desc.startswith(RETRAIN)


def retrains_of(search_dir: Path) -> list[Path]:
    """The retrains of a search in its root, in the order of their ids."""
    search = read_metadata(search_dir)
    named_so = [path for path in storage_dirs(search_dir.parent) if RETRAIN in path.name]
    return [path for path in named_so if _trains_again(read_metadata(path), search, search_dir.name)]


def relatives(storage_dir: Path) -> list[Path]:
    """The retrains of a search, or the searches that a retrain belongs to: their seeds are kept apart, since
    the search's scores chose what is trained again. A copy of a retrain belongs to the search of that one."""
    known = read_metadata(storage_dir)
    if not is_retrain(known):
        return retrains_of(storage_dir)
    known = _first_of_its_copies(known, storage_dir.parent)
    others = [path for path in storage_dirs(storage_dir.parent) if path != storage_dir]
    return [path for path in others if _trains_again(known, read_metadata(path), path.name)]


@contextmanager
def reserved(search_dir: Path, leases: Leases) -> Iterator[bool]:
    """Whether this process alone may lay a retrain of the search, until the `with` ends."""
    leases.hold(search_dir)
    taken = False
    try:
        taken = chores.take(search_dir, chores.RETRAINING, leases.owner)
        yield taken
    finally:
        if taken:
            chores.give_back(search_dir, chores.RETRAINING, leases.owner)
        leases.drop(search_dir)
        leases.leave(search_dir)


def _first_of_its_copies(retrain: Metadata, root: Path) -> Metadata:
    """The retrain that was copied, perhaps by way of other copies, as far as it is still there."""
    seen = {""}
    while retrain.origin not in seen and (root / retrain.origin).is_dir():
        seen.add(retrain.origin)
        source = read_metadata(root / retrain.origin)
        if not is_retrain(source):
            break
        retrain = source
    return retrain


def _trains_again(retrain: Metadata, search: Metadata, search_name: str) -> bool:
    """Told by what is recorded; in older trees, which record nothing, by the id in the description."""
    if not is_retrain(retrain):
        return False
    if retrain.origin:
        return retrain.origin == search_name
    first = retrain.desc.partition("_")[0]
    return (first.lower(), retrain.alg_name, retrain.task_name) == (
        f"{RETRAIN}{search.id}".lower(),
        search.alg_name,
        search.task_name,
    )
