"""Looks through a storage tree for everything that is not as it should be; changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alfred import files
from alfred.errors import RecorderError
from alfred.storage import chores, leases, markers
from alfred.storage.flags import State
from alfred.storage.leases import Verdict
from alfred.storage.leftovers import find_leftovers
from alfred.storage.owners import Owner, read_owner
from alfred.storage.survey import EXPERIMENT, Judge, Run, storage_dirs, survey
from alfred.storage.tree_damage import Damage, Kind
from alfred.utils.numbered import numbered_folders
from alfred.utils.storage_names import is_storage_name

_LAYING = "laying."
_MARKERS = {"PLOT_ARRAYS_ONGOING": chores.PLOTS, "SUMMARY_ONGOING": chores.SUMMARY}
_RECORDS = (
    "variations.json",
    ".alfred/storage.json",
    ".alfred/preparations/*/preparation.json",
    ".alfred/more_seeds/*/seeds.json",
)
_RECORDS_OF_RUNS = ("config_unique.json", ".alfred/run.json", ".alfred/attempts.json")
_MARKER_AGE = 3600.0  # `alfred plot` and `alfred benchmark` make such markers too, and hold no baton
_FEWEST_RECORDERS, _RECORDERS = 3, 60
_RECORDER_SECONDS = 2.0

Doing = Callable[[str], object]


@dataclass(frozen=True)
class Tree:
    """What is to be looked through: storage directories, and their root as a whole if `whole`."""

    root: Path
    storage_dirs: tuple[Path, ...]
    whole: bool


@dataclass
class Examination:
    """What was found: `runs` looked at, `completed` among them, `recorders` read; leases and runs that only
    another machine can judge; ids without a storage directory."""

    damages: list[Damage] = field(default_factory=list)
    runs: int = 0
    completed: list[str] = field(default_factory=list)
    recorders: int = 0
    leases_in_doubt: int = 0
    runs_in_doubt: int = 0
    gaps: int = 0

    def asides(self) -> dict[Kind, str]:
        """What belongs beside the number of damages of a kind."""
        told = {Kind.CONFLICT: f"of {self.runs:,} runs"}
        if self.runs_in_doubt:
            told[Kind.STOPPED] = f"{self.runs_in_doubt} held elsewhere can't be judged from here"
        if self.leases_in_doubt:
            told[Kind.DEAD_LEASE] = f"{self.leases_in_doubt} of elsewhere can't be judged from here"
        if self.completed:
            told[Kind.BAD_RECORDER] = f"of {self.recorders:,} read, {len(self.completed):,} completed"
        return told


def tree_at(folder: Path) -> Tree | None:
    """The tree that `folder` is the root or a storage directory of; None when it is neither."""
    if is_storage_name(folder.name) and (
        (folder / ".alfred").is_dir() or numbered_folders(folder, EXPERIMENT)
    ):
        return Tree(folder.parent, (folder,), whole=False)
    found = tuple(storage_dirs(folder))
    if found or (folder / ".alfred").is_dir():
        return Tree(folder, found, whole=True)
    return None


def examine(
    tree: Tree, observer: Owner, *, server_ahead: float = 0.0, doing: Doing = lambda what: None
) -> Examination:
    """Look at everything once. `server_ahead` is how far the file server's clock is ahead of this one.

    `doing(what)` is called with how far it is.
    """
    found = Examination()
    end = time.monotonic() + _RECORDER_SECONDS
    for storage_dir in tree.storage_dirs:
        try:
            _StorageLook(storage_dir, observer, found, doing).look(time.time() + server_ahead)
        except OSError as error:
            place = Path(os.fsdecode(error.filename or storage_dir))
            found.damages.append(Damage(Kind.UNREADABLE, storage_dir, place, error.strerror or str(error)))
    for number, seed_dir in enumerate(_sample(found.completed, len(tree.storage_dirs))):
        if number >= _FEWEST_RECORDERS and time.monotonic() > end:
            break
        doing(f"{number} recorders read")
        found.recorders += 1
        found.damages += _recorder_damages(Path(seed_dir))
    if tree.whole:
        _look_at_root(tree, observer, found)
    doing("looking for temporary files")
    for leftover in find_leftovers(tree.root if tree.whole else tree.storage_dirs[0]):
        found.damages.append(Damage(Kind.TEMPORARY, tree.root, leftover.path, leftover.why))
    return found


def missing_in_lists(project: Path, root: Path) -> list[Damage]:
    """What the list files of a project's schedules name that is not in the root."""
    from alfred.errors import UsageError
    from alfred.utils.misc import select_storage_dirs

    damages = []
    for list_file in sorted(project.glob("schedules/*/list_*.txt")):
        with contextlib.suppress(UsageError):  # the command that is given the file says what is wrong with it
            named = select_storage_dirs(list_file, None, root)
            gone = [path.name for path in named if not path.is_dir()]
            damages += [Damage(Kind.LISTED, root, list_file, name) for name in gone]
    return damages


class _StorageLook:
    """One storage directory, looked through once."""

    def __init__(self, storage_dir: Path, observer: Owner, found: Examination, doing: Doing) -> None:
        self._dir = storage_dir
        self._observer = observer
        self._judge = Judge(storage_dir, observer)
        self._found = found
        self._doing = doing
        self._owners: set[str] = set()

    def look(self, now: float) -> None:
        """Its runs, then what alfred keeps beside them."""
        runs: dict[int, list[Run]] = {number: [] for number, _ in numbered_folders(self._dir, EXPERIMENT)}
        for run in survey(self._dir):
            self._found.runs += 1
            runs.setdefault(run.experiment, []).append(run)
            self._look_at_baton(run)
            if self._found.runs % 200 == 0:
                self._doing(f"{self._found.runs:,} runs looked at")
        for number, of_experiment in runs.items():
            if of_experiment:
                self._look_at_configs(number, of_experiment)
            else:
                self._note(Kind.EMPTY, self._dir / f"experiment{number}")
        self._look_at_records(runs.values())
        self._look_at_leases()
        self._look_at_chores(now)
        for name in ("summary.ready", "summary.old"):
            if (self._dir / ".alfred" / name).is_dir():
                self._note(Kind.SWAP, self._dir / ".alfred" / name)

    def _note(self, kind: Kind, path: str | Path, detail: str = "") -> None:
        self._found.damages.append(Damage(kind, self._dir, Path(path), detail))

    def _look_at_baton(self, run: Run) -> None:
        if run.conflict:
            self._note(Kind.CONFLICT, run.seed_dir, run.conflict)
        elif run.baton is None:
            self._note(Kind.BARE, run.seed_dir)
        elif odd := _odd_flag(run):
            self._note(Kind.CONFLICT, run.seed_dir, odd)
        elif run.baton.state is State.COMPLETED:
            self._found.completed.append(run.seed_dir)
        elif run.baton.owner:
            self._look_at_owner(run, run.baton.owner)

    def _look_at_owner(self, run: Run, owner: str) -> None:
        self._owners.add(owner)
        verdict = self._judge.verdict(owner)
        if verdict is Verdict.DEAD:
            self._note(Kind.STOPPED, run.seed_dir, owner)
        elif read_owner(leases.owners_dir(self._dir) / owner) is None:
            self._note(Kind.NO_LEASE, run.seed_dir, owner)
        elif verdict is Verdict.DOUBT:
            self._found.runs_in_doubt += 1

    def _look_at_configs(self, number: int, runs: Sequence[Run]) -> None:
        configs = {run.seed_dir: _config(run.seed_dir) for run in runs}
        for seed_dir, config in configs.items():
            if config is None:
                self._note(Kind.NO_CONFIG, seed_dir)
        known = [config for config in configs.values() if config is not None]
        differing = _differing(known)
        if not differing:
            return
        searched = {name for run in runs for name in (_read(f"{run.seed_dir}/config_unique.json") or ())}
        unequal, rewritten = differing & searched, differing - searched
        where = self._dir / f"experiment{number}"
        if unequal:
            self._note(Kind.UNEQUAL, where, f"{', '.join(sorted(unequal))} differ")
        if rewritten:
            self._note(Kind.REWRITTEN, where, f"{', '.join(sorted(rewritten))} differ")

    def _look_at_records(self, runs: Iterable[Sequence[Run]]) -> None:
        """The small files of JSON beside config.json: some commands do without them and say nothing."""
        paths = [path for pattern in _RECORDS for path in sorted(self._dir.glob(pattern))]
        paths += [Path(run.seed_dir, name) for some in runs for run in some for name in _RECORDS_OF_RUNS]
        for path in paths:
            if _read(str(path)) is None and os.path.lexists(path):
                self._note(Kind.BAD_RECORD, path)

    def _look_at_leases(self) -> None:
        held = self._owners | {owner for _, owner in chores.holders(self._dir)}
        held.update(markers.maker(self._dir / marker) for marker in _MARKERS)
        for name in _names(leases.owners_dir(self._dir)):
            verdict = self._judge.verdict(name)
            if name not in held and verdict is Verdict.DEAD:
                self._note(Kind.DEAD_LEASE, leases.owners_dir(self._dir) / name)
            elif name not in held and verdict is Verdict.DOUBT and not name.startswith("."):
                self._found.leases_in_doubt += 1

    def _look_at_chores(self, now: float) -> None:
        verdicts: dict[str, Verdict] = {}
        for chore, owner in chores.holders(self._dir):
            verdicts[chore] = self._judge.verdict(owner)
            if verdicts[chore] is Verdict.DEAD:
                baton = f"{chores.RUNNING_PREFIX}{owner}"
                self._note(Kind.CHORE, self._dir / ".alfred" / chore / baton)
        for marker, chore in _MARKERS.items():
            with contextlib.suppress(FileNotFoundError):
                age = now - os.lstat(self._dir / marker).st_mtime
                owner = markers.maker(self._dir / marker)
                holder = self._judge.verdict(owner) if owner else verdicts.get(chore)
                if holder is Verdict.DEAD or (holder is None and age > _MARKER_AGE):
                    self._note(Kind.MARKER, self._dir / marker)


def _odd_flag(run: Run) -> str:
    """What is wrong with a flag that is a folder or a symlink: no launcher takes it."""
    if run.baton is not None:
        with contextlib.suppress(FileNotFoundError):  # renamed since it was seen
            if not stat.S_ISREG(os.lstat(f"{run.seed_dir}/{run.baton.name}").st_mode):
                return f"{run.baton.name} is no plain file"
    return ""


def _config(seed_dir: str) -> dict[str, Any] | None:
    return _read(f"{seed_dir}/config.json")


def _read(path: str) -> dict[str, Any] | None:
    """A JSON object; None where there is none that can be read."""
    try:
        record = json.loads(files.read_whole(path))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _differing(configs: Sequence[dict[str, Any]]) -> set[str]:
    """The keys that all have, but not with the same value; a run's main() may add keys of its own."""
    if not configs:
        return set()
    shared = set.intersection(*map(set, configs)) - {"seed"}
    first = configs[0]
    return {name for name in shared if any(config[name] != first[name] for config in configs)}


def _recorder_damages(seed_dir: Path) -> Iterator[Damage]:
    from alfred.utils.recorder import Recorder

    storage_dir = seed_dir.parent.parent
    paths = sorted((seed_dir / "recorders").glob("*.pkl"))
    if not paths:
        yield Damage(Kind.NO_RECORDER, storage_dir, seed_dir)
    for path in paths:
        try:
            Recorder.init_from_pickle_file(path)
        except (RecorderError, OSError) as error:
            yield Damage(Kind.BAD_RECORDER, storage_dir, path, str(error))


def _sample(completed: Sequence[str], how_many_dirs: int) -> Sequence[str]:
    """Some of the completed runs, spread evenly over all."""
    wanted = max(_RECORDERS, _FEWEST_RECORDERS * how_many_dirs)
    return completed[:: max(1, -(-len(completed) // wanted))]


def _look_at_root(tree: Tree, observer: Owner, found: Examination) -> None:
    hidden = tree.root / ".alfred"
    laid_by = {name.removeprefix(_LAYING) for name in _names(hidden) if name.startswith(_LAYING)}
    for owner in sorted(laid_by):
        verdict = leases.judge(tree.root, owner, observer)
        if verdict is not Verdict.ALIVE:
            kind = Kind.LAYING if verdict is Verdict.DEAD else Kind.LAYING_DOUBT
            found.damages.append(Damage(kind, tree.root, hidden / f"{_LAYING}{owner}"))
    for name in _names(leases.owners_dir(tree.root)):
        if name not in laid_by and leases.judge(tree.root, name, observer) is Verdict.DEAD:
            path = leases.owners_dir(tree.root) / name
            found.damages.append(Damage(Kind.DEAD_LEASE, tree.root, path))
    for path in sorted((hidden / "jobs").glob("*.json")):
        if _read(str(path)) is None:
            found.damages.append(Damage(Kind.BAD_RECORD, tree.root, path))
    taken = Counter(path.name.split("_", 1)[0].lower() for path in tree.storage_dirs)
    found.gaps = sum(name.lower() not in taken for name in _names(hidden / "ids"))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
