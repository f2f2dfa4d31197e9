"""What is there: the runs of a storage directory, each with its state."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from alfred.storage import leases
from alfred.storage.flags import Baton, ConflictError, State, look, parse_baton
from alfred.storage.leases import Verdict
from alfred.storage.owners import Owner
from alfred.utils.numbered import misnamed, numbered_folders
from alfred.utils.storage_names import is_storage_name

EXPERIMENT = "experiment"
_SEED = "seed"


class Condition(Enum):
    """What a person wants to know of a run: its state, and for a running one whether its owner lives."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPED = "mysteriously stopped"
    COMPLETED = "completed"
    CRASHED = "crashed"
    CONFLICT = "in conflict"


@dataclass(frozen=True)
class Run:
    """One seed directory and the baton found in it (None: none; `conflict` says what is wrong)."""

    seed_dir: str
    experiment: int
    seed: int
    baton: Baton | None
    conflict: str = ""

    @property
    def ended(self) -> bool:
        """Whether the run has completed or crashed."""
        return self.baton is not None and self.baton.state in (State.COMPLETED, State.CRASHED)


def seed_dirs(storage_dir: Path) -> Iterator[tuple[int, int, str]]:
    """(experiment, seed, path) of every seed directory, in the order of the numbers."""
    for experiment, experiment_dir in numbered_folders(storage_dir, EXPERIMENT):
        with contextlib.suppress(FileNotFoundError):  # removed by hand meanwhile
            for seed, seed_dir in numbered_folders(experiment_dir, _SEED):
                yield experiment, seed, seed_dir


def no_runs(storage_dir: Path) -> list[str]:
    """In a sentence each, what looks like a run or an experiment and is none; see `misnamed`."""
    told = misnamed(storage_dir, EXPERIMENT)
    for _, experiment_dir in numbered_folders(storage_dir, EXPERIMENT):
        with contextlib.suppress(OSError):  # removed meanwhile, or told as what can't be read
            told += misnamed(experiment_dir, _SEED)
    return told


def survey(storage_dir: Path) -> Iterator[Run]:
    """Every run of a storage directory, in the order of the numbers; one removed meanwhile is none."""
    for experiment, seed, seed_dir in seed_dirs(storage_dir):
        try:
            found = _batons(seed_dir)
            yield Run(seed_dir, experiment, seed, found[0] if len(found) == 1 else look(seed_dir))
        except ConflictError as error:
            yield Run(seed_dir, experiment, seed, None, str(error))
        except FileNotFoundError:
            continue
        except PermissionError as error:
            yield Run(seed_dir, experiment, seed, None, f"{seed_dir} can't be read: {error.strerror}")


def _batons(seed_dir: str) -> list[Baton]:
    """The batons in one listing; ConflictError for one that is a folder, a link or a pipe."""
    found = []
    with os.scandir(seed_dir) as entries:
        for entry in entries:
            if (baton := parse_baton(entry.name)) is not None:
                found.append(baton)
                if not entry.is_file(follow_symlinks=False) and _is_odd(entry.path):
                    raise ConflictError(f"{entry.name} is no plain file in {seed_dir}: remove it")
    return found


def _is_odd(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:  # renamed since it was listed
        return False


class Judge:
    """Tells the condition of runs; looks only once at each owner."""

    def __init__(self, storage_dir: Path, observer: Owner) -> None:
        self._storage_dir = storage_dir
        self._observer = observer
        self._verdicts: dict[str, Verdict] = {}

    def verdict(self, owner: str) -> Verdict:
        """What is known of an owner at once."""
        if owner not in self._verdicts:
            self._verdicts[owner] = leases.judge(self._storage_dir, owner, self._observer)
        return self._verdicts[owner]

    def condition(self, run: Run) -> Condition:
        """The condition of a run; a running one whose owner can't be proven dead is running."""
        if run.conflict:
            return Condition.CONFLICT
        if run.baton is None:
            return Condition.STOPPED
        if run.baton.state in (State.RUNNING, State.RESETTING):
            dead = self.verdict(run.baton.owner) is Verdict.DEAD
            return Condition.STOPPED if dead else Condition.RUNNING
        return Condition(run.baton.state.value)


def count(storage_dir: Path, observer: Owner) -> Counter[Condition]:
    """How many runs are in each condition."""
    judge = Judge(storage_dir, observer)
    return Counter(judge.condition(run) for run in survey(storage_dir))


def storage_dirs(root: Path) -> list[Path]:
    """The storage directories of a root, in the order of their ids."""
    found = [
        Path(entry.path)
        for entry in os.scandir(root)
        if is_storage_name(entry.name) and entry.is_dir(follow_symlinks=False) and _holds_runs(entry.path)
    ]
    return sorted(found, key=lambda path: _numbers_as_numbers(path.name))


def _numbers_as_numbers(name: str) -> list[tuple[str, int]]:
    return [(text, int(digits or 0)) for text, digits in re.findall("([^0-9]*)([0-9]*)", name)]


def _holds_runs(folder: str) -> bool:
    return os.path.isdir(f"{folder}/.alfred") or bool(numbered_folders(folder, EXPERIMENT))
