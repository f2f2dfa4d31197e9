"""Where config_unique.json of a run is not in line with its config.json, and what would bring it there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alfred.errors import StorageError
from alfred.storage.survey import seed_dirs
from alfred.utils.config import load_dict_from_json, same_value, save_dict_to_json

_ALWAYS_UNIQUE = ("alg_name", "task_name", "seed")


@dataclass(frozen=True)
class Correction:
    """What config_unique.json of a run is to hold; `changes` says in words what is not so yet, () if all is.

    `seed_note` says that config.json has another seed than the run's directory, "" if it has not.
    """

    path: Path
    config: Mapping[str, Any]
    unique: Mapping[str, Any]
    changes: tuple[str, ...]
    seed_note: str
    experiment: int

    def write(self) -> None:
        """Replace config_unique.json, whole; StorageError if it can't be written."""
        save_dict_to_json(self.unique, self.path)


def corrections(storage_dir: Path) -> Iterator[Correction | StorageError]:
    """One for each run of a storage directory, in the order of the numbers: its correction, or what is wrong
    with its config.json."""
    runs = [(experiment, seed, Path(path)) for experiment, seed, path in seed_dirs(storage_dir)]
    names = _names_of_others(path for _, _, path in runs)
    for experiment, seed, path in runs:
        try:
            yield _correction(experiment, seed, path, names)
        except StorageError as error:
            yield error


def differing(found: Sequence[Correction]) -> list[str]:
    """The parameters that no config_unique.json holds although they tell experiments apart: one value in all
    runs of an experiment, several in all. Both main() and a person may have written them so."""
    shared = set.intersection(*(set(one.config) for one in found)) if found else set()
    shared -= {name for one in found for name in one.unique}
    return sorted(
        name
        for name in shared
        if not _is_same(name, found) and all(_is_same(name, runs) for runs in _by_experiment(found).values())
    )


def uneven(found: Sequence[Correction]) -> dict[int, list[str]]:
    """experiment -> the parameters that tell experiments apart and don't have one value in all its runs."""
    names = {
        number: sorted(
            name
            for name in set.intersection(*(set(run.unique) for run in runs)) - {"seed"}
            if not _is_same(name, runs)
        )
        for number, runs in _by_experiment(found).items()
    }
    return {number: differ for number, differ in names.items() if differ}


def _by_experiment(found: Sequence[Correction]) -> dict[int, list[Correction]]:
    runs: dict[int, list[Correction]] = {}
    for one in found:
        runs.setdefault(one.experiment, []).append(one)
    return runs


def _is_same(name: str, runs: Sequence[Correction]) -> bool:
    return all(same_value(run.config[name], runs[0].config[name]) for run in runs)


def _correction(experiment: int, seed: int, seed_dir: Path, names_of_others: Sequence[str]) -> Correction:
    config = load_dict_from_json(seed_dir / "config.json")
    path = seed_dir / "config_unique.json"
    unique: dict[str, Any] = {}
    changes = []
    try:
        unique = load_dict_from_json(path)
        names: Sequence[str] = list(unique)
    except StorageError as error:
        names = names_of_others
        changes.append(f"written anew ({str(error).removeprefix(str(path)).lstrip(', :')})")
    for name in names:
        if name not in config:
            changes.append(f"{name} removed, it is not in config.json any more (was {unique.get(name)!r})")
        elif name in unique and not same_value(config[name], unique[name]):
            changes.append(f"{name} {unique[name]!r} -> {config[name]!r}")
    in_line = {name: config[name] for name in names if name in config}
    return Correction(path, config, in_line, tuple(changes), _seed_note(config, seed, seed_dir), experiment)


def _seed_note(config: Mapping[str, Any], seed: int, seed_dir: Path) -> str:
    if "seed" not in config or same_value(config["seed"], seed):
        return ""
    return f"{seed_dir / 'config.json'}: the seed is {config['seed']!r}, that of its directory is {seed}"


def _names_of_others(paths: Iterator[Path]) -> list[str]:
    """What the first config_unique.json that can be read tells apart, for those that can't."""
    for path in paths:
        try:
            return list(load_dict_from_json(path / "config_unique.json"))
        except StorageError:
            continue
    return list(_ALWAYS_UNIQUE)
