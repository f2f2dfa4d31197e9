"""What every target of an export is told, and what it answers."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alfred import files
from alfred.analysis.cells import Kind
from alfred.analysis.rows import Published
from alfred.analysis.settings import Settings
from alfred.errors import UsageError
from alfred.storage.survey import Condition


@dataclass(frozen=True)
class Order:
    """What to export: the runs of these storage directories, scored in this way, to this place.

    `rows` is "runs" or "steps" where the target is a table. `heard(what, n)` is told how far it is.
    """

    storage_dirs: Sequence[Path]
    chosen: Settings
    rows: str
    output: str
    heard: Callable[[str, int], object] = lambda what, n: None

    def reading(self, n: int) -> None:
        """`n` runs were looked at, to know the columns."""
        self.heard("runs looked at", n)

    def writing(self, n: int) -> None:
        """`n` runs were written."""
        self.heard("runs written", n)


@dataclass
class Outcome:
    """Where it is, how many runs of each state and rows (of the table, or values) it has, and what a reader
    must know.

    `passed_over` says in a sentence each which storage directories are missing.
    """

    where: str
    states: Counter[Condition] = field(default_factory=Counter)
    rows: int = 0
    notes: list[str] = field(default_factory=list)
    passed_over: Sequence[str] = ()

    @property
    def runs(self) -> int:
        """How many runs it has, of all states together."""
        return self.states.total()

    def count(self, one: Published) -> None:
        """`one` was written."""
        self.states[one.run.condition] += 1


@contextlib.contextmanager
def whole(output: str) -> Iterator[Path]:
    """A place for a new file or folder, which gets its name when the block has ended without an error.

    UsageError, before the block and after it, if something of that name is there: it is never replaced.
    """
    path = Path(output)
    refuse_existing(path)
    if not path.parent.is_dir():
        raise UsageError(f"--output {path}: the folder {path.parent} does not exist, make it first")
    temporary = files.temporary_name(path)
    try:
        yield temporary
        _sync(temporary)
        refuse_existing(path)
        temporary.rename(path)
    finally:
        files.remove_tree(temporary)
    files.sync_folder(path.parent)


def refuse_existing(path: Path) -> None:
    """UsageError if there is something at `path`."""
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists and is never overwritten: give another --output, or remove it")


def mixed(kinds: Mapping[str, Kind]) -> list[str]:
    """In words which columns hold text for values that are none."""
    named = [name for name, kind in kinds.items() if kind is Kind.MIXED]
    return [f"written as text, since not of one simple kind: {', '.join(named)}"] if named else []


def _sync(path: Path) -> None:
    if path.is_dir():
        files.sync_tree(path)
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
