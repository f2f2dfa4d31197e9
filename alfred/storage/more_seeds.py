"""More seeds for experiments that stand already: all of them are laid, or none.

New seeds are the numbers after the highest that the chosen experiments have, the same for all of them, and
the retrains of a search (or the search of a retrain) don't have them either. Each addition first reserves its
seeds in `.alfred/more_seeds/<number>/`, so that of two at once each gets seeds of its own; seeds reserved
by one that was killed before it laid them are not used again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from alfred import files
from alfred.errors import StorageError
from alfred.storage.attempts import read_record, read_whole, time_stamp
from alfred.storage.creation import Experiment, build_experiment, one_line_errors
from alfred.storage.flags import UNHATCHED
from alfred.storage.laying import LayingFolder, Move
from alfred.storage.owners import this_process
from alfred.storage.retrains import relatives
from alfred.storage.survey import seed_dirs
from alfred.utils.numbered import numbered_folders

HIGHEST_SEED = 2**32 - 1  # what numpy takes
_TRIES = 1000


def fresh_seeds(taken: Iterable[int], how_many: int) -> tuple[int, ...]:
    """The numbers after the highest taken; where numpy takes none of them any more, the lowest free ones."""
    known = set(taken)
    first = max([0, *known]) + 1
    if first + how_many - 1 > HIGHEST_SEED:
        first = 0
    free = (seed for seed in itertools.count(first) if seed not in known)
    return tuple(itertools.islice(free, how_many))


def runs_by_experiment(storage_dir: Path) -> dict[int, dict[int, Path]]:
    """experiment -> seed -> seed directory, in the order of the numbers."""
    runs: dict[int, dict[int, Path]] = {}
    for experiment, seed, path in seed_dirs(storage_dir):
        runs.setdefault(experiment, {})[seed] = Path(path)
    return runs


def choose_experiments(storage_dir: Path, chosen: Collection[int] | None) -> list[int]:
    """The experiments to add seeds to, None for all; StorageError unless each stands and can be read."""
    runs = runs_by_experiment(storage_dir)
    if not runs:
        raise StorageError(f"{storage_dir} holds no runs: there is nothing to add seeds to")
    missing = sorted(set(chosen or ()) - set(runs))
    if missing:
        raise StorageError(
            f"there is no experiment{missing[0]} with runs in {storage_dir}: its experiments are "
            f"{', '.join(map(str, runs))}"
        )
    experiments = sorted(runs if chosen is None else chosen)
    for number in experiments:
        read_experiment(runs[number].values(), ())
    return experiments


def next_seeds(storage_dir: Path, experiments: Sequence[int], how_many: int) -> tuple[int, ...]:
    """The seeds that these experiments would get now; nothing is made."""
    noted = _records(storage_dir)  # before the runs: what is laid meanwhile was noted before
    return fresh_seeds(_taken(storage_dir, experiments, noted), how_many)


def read_experiment(runs: Iterable[Path], seeds: Sequence[int]) -> Experiment:
    """The configuration that the seed directories of one experiment share, with other seeds.

    A run's main() may add keys to its files: a run that still waits says best what was laid, and a key that
    some of the runs lack was not. StorageError when no config.json can be read.
    """
    paths = sorted(runs, key=lambda path: not (path / UNHATCHED).exists())
    found = [(path, config) for path in paths if (config := read_record(path / "config.json"))]
    if not found:
        where = paths[0].parent if paths else "an experiment without any run"
        raise StorageError(f"no config.json can be read in {where}: put a whole one there")
    _, config = found[0]
    shared = set.intersection(*(set(other) for _, other in found)) - {"seed"}
    config = {name: value for name, value in config.items() if name in shared}
    uniques = (read_record(path / "config_unique.json") for path, _ in found)
    unique = next(filter(None, uniques), {"alg_name": None, "task_name": None})
    return Experiment(config, {name: config[name] for name in unique if name in config}, tuple(seeds))


def lay_seeds(root: Path, storage_name: str, experiments: Sequence[int], how_many: int) -> tuple[int, ...]:
    """Lay fresh seeds in experiments of an existing storage directory; the seeds.

    Raises:
        StorageError: an experiment's configuration can't be read, or the storage directory not be written.
    """
    storage_dir = root / storage_name
    with one_line_errors(root):
        runs = runs_by_experiment(storage_dir)
        laid = {number: read_experiment(runs[number].values(), ()) for number in experiments}
        folder = LayingFolder.make(root, this_process())
        try:
            seeds = _reserve(storage_dir, experiments, how_many)
            moves = []
            for number, experiment in laid.items():
                name = f"experiment{number}"
                build_experiment(folder.path / name, replace(experiment, seeds=seeds))
                places = [f"{name}/seed{seed}" for seed in seeds]
                moves += [Move(place, f"{storage_name}/{place}") for place in places]
            folder.commit(moves, None, [])
        except BaseException:
            folder.abandon()
            raise
    return seeds


def _reserve(storage_dir: Path, experiments: Sequence[int], how_many: int) -> tuple[int, ...]:
    """A folder with something in it can't be renamed over: who gets the next number knew all before it."""
    folder = storage_dir / ".alfred" / "more_seeds"
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        noted = _records(storage_dir)
        seeds = fresh_seeds(_taken(storage_dir, experiments, noted), how_many)
        place = folder / str(1 + max(noted, default=0))
        made = files.temporary_name(place)
        made.mkdir()
        record = {"experiments": list(experiments), "seeds": list(seeds), "laid": time_stamp()}
        files.create(made / "seeds.json", (json.dumps(record) + "\n").encode())
        try:
            if files.put_in_place(made, place):
                return seeds
        finally:
            files.remove_tree(made)
    raise StorageError(f"no new seeds could be reserved in {folder}")


def _taken(storage_dir: Path, experiments: Sequence[int], noted: dict[int, dict[str, Any]]) -> set[int]:
    runs = runs_by_experiment(storage_dir)
    taken = {seed for number in experiments for seed in runs.get(number, ())}
    for record in noted.values():
        if _numbers(record, "experiments") & set(experiments):
            taken.update(_numbers(record, "seeds"))
    for other in relatives(storage_dir):
        taken.update(seed for _, seed, _ in seed_dirs(other))
    return taken


def _numbers(record: dict[str, Any], name: str) -> set[int]:
    """A list of a record, which is data: what is no number in it is nothing."""
    found = record.get(name)
    return {number for number in found if isinstance(number, int)} if isinstance(found, list) else set()


def _records(storage_dir: Path) -> dict[int, dict[str, Any]]:
    folder = storage_dir / ".alfred" / "more_seeds"
    if not folder.is_dir():
        return {}
    numbers = numbered_folders(folder, "")
    return {number: read_whole(Path(path, "seeds.json")) for number, path in numbers}
