"""Where the runs of a search stand: storage directory, experiment directory, seed directory.

`from alfred.utils.directory_tree import *` also brings `os` and `Path`, as client code expects.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, cast

import alfred.defaults
from alfred.errors import StorageError
from alfred.utils import git
from alfred.utils.numbered import HIGHEST_NUMBER, next_number, number, number_in, numbered_paths
from alfred.utils.storage_fields import storage_fields
from alfred.utils.storage_names import (
    StorageFields,
    make_storage_name,
    next_id,
    reserve_id,
)

__all__ = [
    "DirectoryTree",
    "Path",
    "SeedDirectoryExistsError",
    "full_git_state",
    "get_all_seeds",
    "get_git_hash",
    "get_git_name",
    "get_root",
    "get_some_seeds",
    "os",
    "sanity_check_exists",
    "sanity_check_hash",
]

Number = int | str  # 3 or "3": of an experiment or a seed


class SeedDirectoryExistsError(StorageError, FileExistsError):
    """The directory of a new run is there already: it may hold another run's results."""


class _Settings(type):
    """Two class attributes that are `alfred.defaults` under another name, so that there is one truth."""

    @property
    def default_root(cls) -> str | Path:
        return alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT

    @default_root.setter
    def default_root(cls, root: str | Path) -> None:
        alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT = cast(str, root)

    @property
    def git_repos_to_track(cls) -> MutableMapping[str, str]:
        return alfred.defaults.DEFAULT_DIRECTORY_TREE_GIT_REPOS_TO_TRACK

    @git_repos_to_track.setter
    def git_repos_to_track(cls, repos: MutableMapping[str, str]) -> None:
        alfred.defaults.DEFAULT_DIRECTORY_TREE_GIT_REPOS_TO_TRACK = cast(Any, repos)


class DirectoryTree(metaclass=_Settings):
    """The directories of one run. Making the object touches nothing; `create_directories()` does.

    `id` None stands for the next free one of `root`, `experiment_num` None for the next in the storage
    directory, `git_hashes` None for the present ones of the tracked repositories; "" leaves a field out.
    """

    attempt: int = 1  # how often this run was begun, with this time; the launcher sets it

    def __init__(
        self,
        alg_name: str | None,
        task_name: str | None,
        desc: str | None,
        seed: Number,
        experiment_num: Number | None = None,
        git_hashes: str | None = None,
        id: str | None = None,
        root: str | Path | None = None,
    ) -> None:
        self.root = get_root(root)
        self._has_own_id = id is not None
        self._chooses_experiment = experiment_num is None
        self._seed = number(seed, "seed")
        self._fields = StorageFields(
            id=next_id(self.root) if id is None else id,
            git_hashes=self.get_git_hashes() if git_hashes is None else git_hashes,
            alg_name=alg_name or "",
            task_name=task_name or "",
            desc=desc or "",
        )
        self._place(self._named(), None if experiment_num is None else number(experiment_num, "experiment"))

    default_root = property(lambda self: type(self).default_root)
    git_repos_to_track = property(lambda self: type(self).git_repos_to_track)

    def create_directories(self) -> None:
        """Make the storage, experiment, seed and recorders directories.

        What the constructor chose itself (id, experiment number) is chosen anew if somebody else took it.
        SeedDirectoryExistsError if the seed directory is there, StorageError if a directory can't be made.
        """
        if not self._has_own_id:
            self._take_id(reserve_id(self.root))
        try:
            self._make_experiment()
            self.seed_dir.mkdir()
            self.recorders_dir.mkdir()
        except FileExistsError as error:
            raise SeedDirectoryExistsError(
                f"{error.filename} is there already: take another seed or experiment number"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{error.filename or self.seed_dir} can't be made: {error.strerror}"
            ) from error

    def get_run_name(self) -> str:
        """The names of storage, experiment and seed directory, joined by `_`."""
        return "_".join([self.storage_dir.name, self.experiment_dir.name, self.seed_dir.name])

    @staticmethod
    def get_all_experiments(storage_dir: str | Path) -> list[Path]:
        """The experiment directories of a storage directory, by number."""
        return numbered_paths(Path(storage_dir), "experiment")

    @staticmethod
    def get_all_seeds(experiment_dir: str | Path) -> list[Path]:
        """The seed directories of an experiment directory, by number."""
        return numbered_paths(Path(experiment_dir), "seed")

    @classmethod
    def init_from_seed_path(cls, seed_path: str | Path, root: str | Path | None = None) -> DirectoryTree:
        """The tree of a seed directory, whose path stays as it is given; it need not exist."""
        seed_path = Path(seed_path)
        experiment_dir, storage_dir = seed_path.parent, seed_path.parent.parent
        tree = cls.__new__(cls)
        tree.root = storage_dir.parent if root is None else Path(root)
        tree._has_own_id, tree._chooses_experiment = True, False
        tree._seed = number_in(seed_path.name, "seed")
        tree._fields = storage_fields(storage_dir)
        tree._place(storage_dir, number_in(experiment_dir.name, "experiment"))
        return tree

    @classmethod
    def init_from_branching_info(
        cls, root_dir: str | Path | None, storage_name: str, experiment_num: Number, seed_num: Number
    ) -> DirectoryTree:
        """The tree of a run that is named by its parts; `root_dir` None is the default root."""
        experiment = f"experiment{number(experiment_num, 'experiment')}"
        seed = f"seed{number(seed_num, 'seed', least=-HIGHEST_NUMBER)}"  # older tools laid negative ones
        root = get_root(root_dir)
        return cls.init_from_seed_path(root / storage_name / experiment / seed, root)

    @staticmethod
    def extract_info_from_storage_name(
        storage_name: str, root: str | Path | None = None
    ) -> tuple[str, str, str, str, str]:
        """(id, git_hashes, alg_name, task_name, desc) of a storage directory, "" for one left out.

        Read from the directory if it stands in `root` (None: the default root), else split from the name.
        """
        fields = storage_fields(get_root(root) / storage_name)
        return fields.id, fields.git_hashes, fields.alg_name, fields.task_name, fields.desc

    @staticmethod
    def get_git_hashes() -> str:
        """Short hashes of the tracked repositories joined by `-`, "" when none is tracked."""
        return "-".join(get_git_hash(path) for path in DirectoryTree.git_repos_to_track.values())

    def _named(self) -> Path:
        fields = self._fields
        name = make_storage_name(fields.id, fields.git_hashes, fields.alg_name, fields.task_name, fields.desc)
        return self.root / name

    def _take_id(self, id: str) -> None:
        self._has_own_id = True
        if id != self._fields.id:
            old = self._fields
            self._fields = StorageFields(id, old.git_hashes, old.alg_name, old.task_name, old.desc)
            self._place(self._named(), None if self._chooses_experiment else self._experiment)

    def _place(self, storage_dir: Path, experiment: int | None) -> None:
        """Set all paths; `experiment` None is the next number of the storage directory."""
        self.storage_dir = storage_dir
        self.summary_dir = storage_dir / "summary"
        self.benchmark_dir = storage_dir / "benchmark"
        self._experiment = next_number(storage_dir, "experiment") if experiment is None else experiment
        self.current_experiment = f"experiment{self._experiment}"
        self.experiment_dir = storage_dir / self.current_experiment
        self.seed_dir = self.experiment_dir / f"seed{self._seed}"
        self.recorders_dir = self.seed_dir / "recorders"
        self.incrementals_dir = self.seed_dir / "incrementals"

    def _make_experiment(self) -> None:
        self.storage_dir.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                self.experiment_dir.mkdir(exist_ok=not self._chooses_experiment)
                break
            except FileExistsError:
                if not self._chooses_experiment:
                    raise
                self._place(self.storage_dir, self._experiment + 1)
        self._chooses_experiment = False


def get_root(root: str | Path | None = None) -> Path:
    """`root` as a path; None is the default root."""
    return Path(alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT if root is None else root)


def get_all_seeds(storage_dir: str | Path) -> list[Path]:
    """Every seed directory of a storage directory, by experiment, then by seed."""
    experiments = DirectoryTree.get_all_experiments(storage_dir)
    return [seed_dir for folder in experiments for seed_dir in DirectoryTree.get_all_seeds(folder)]


def get_some_seeds(storage_dir: str | Path, file_check: str = "UNHATCHED") -> list[Path]:
    """The seed directories of a storage directory that hold a file of that name."""
    return [seed_dir for seed_dir in get_all_seeds(storage_dir) if (seed_dir / file_check).exists()]


def get_git_hash(path: str | Path) -> str:
    """Short hash of the present commit of a repository, given as its folder or its `.git`.

    "NoGitHash" if it is no repository, has no commit, or git is missing or refuses to read it.
    """
    return git.short_hash(path)


def get_git_name() -> str:
    """`git config user.name`, "NoGitName" where git knows none."""
    return git.user_name()


def full_git_state() -> dict[str, dict[str, str | bool | None]]:
    """For each tracked repository its full hash (None: no commit) and whether tracked files were changed."""
    repositories = DirectoryTree.git_repos_to_track
    return {
        name: {"hash": git.full_hash(path), "dirty": git.is_dirty(path)}
        for name, path in repositories.items()
    }


def why_no_storage_dir(path: str | Path) -> str:
    """Why a path is no storage directory that can be worked on, in a sentence; "" for one that can.

    Links are not followed, neither in its place nor in its `.alfred`: work on what a list names never leaves
    the root. The root itself may be a link. Raises OSError if it can't be looked at.
    """
    path = Path(path)
    if path.is_symlink():
        return f"{path} is a link, which is not followed: put the folder itself into the root"
    if not path.is_dir():
        return f"{path} is no folder: name another" if path.exists() else f"{path} does not exist"
    own = path / ".alfred"
    with contextlib.suppress(PermissionError):  # told by who looks at the runs
        for place in (own, *(own.iterdir() if own.is_dir() else ())):
            if place.is_symlink():
                return f"{place} is a link, which is not followed: put the folder itself there"
    return ""


def sanity_check_exists(storage_dir: str | Path, master_logger: logging.Logger) -> bool:
    """True if the storage directory is there and no link; else that is logged in one line."""
    why_not = why_no_storage_dir(storage_dir)
    if why_not:
        master_logger.warning(f"{why_not}: passed over")
    return not why_not


def sanity_check_hash(storage_dir: str | Path, master_logger: logging.Logger) -> bool:
    """True if the tracked repositories stand at the commits that the storage directory was laid with.

    Any difference is logged in one line.
    """
    recorded, present = storage_fields(Path(storage_dir)).git_hashes, DirectoryTree.get_git_hashes()
    if _same_hashes(recorded, present):
        return True
    master_logger.warning(
        f"{storage_dir} was laid with git hashes {recorded or 'none'}, the code now stands at "
        f"{present or 'none'}: passed over; --check_hash false runs it anyway"
    )
    return False


def _same_hashes(recorded: str, present: str) -> bool:
    """Git lengthens its short hashes as a repository grows, so the shorter one decides."""
    pairs = list(zip(recorded.split("-"), present.split("-"), strict=False))
    same_number = recorded.count("-") == present.count("-")
    return (
        same_number
        and all(old[: len(new)] == new[: len(old)] for old, new in pairs)
        and (bool(recorded) == bool(present))
    )
