"""The hidden folder in which a preparation is built, and what becomes of it when that was killed."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alfred import files
from alfred.errors import StorageError
from alfred.storage import chores, preparations
from alfred.storage.attempts import read_record
from alfred.storage.leases import Verdict, judge_owner
from alfred.storage.owners import Owner, is_owner_name, read_owner, this_process

_PREFIX = "laying."


@dataclass(frozen=True)
class Move:
    """A built file or folder (a name in the laying folder) and its place (relative to the root)."""

    source: str
    target: str


@dataclass(frozen=True)
class LayingFolder:
    """One preparation being built."""

    root: Path
    path: Path

    @classmethod
    def make(cls, root: Path, owner: Owner) -> LayingFolder:
        """A new one; what earlier preparations left behind is dealt with first."""
        recover(root, owner)
        path = root / ".alfred" / f"{_PREFIX}{owner.name}"
        path.mkdir(parents=True)
        files.create(path / "owner.json", owner.to_json().encode())
        return cls(root, path)

    def commit(self, moves: Sequence[Move], list_file: Path | None, lines: Sequence[str]) -> None:
        """Put everything in its place: from the moment the journal stands it will happen."""
        files.flush_filesystem(self.path)
        journal = {
            "moves": [dataclasses.asdict(move) for move in moves],
            "list_file": None if list_file is None else os.path.abspath(list_file),
            "lines": list(lines),
        }
        files.write_text(self.path / "journal.json", json.dumps(journal) + "\n")
        self._carry_out(moves, list_file, lines)

    def abandon(self) -> None:
        """Remove what was built, unless the journal stands already: then the next command finishes it."""
        if not (self.path / "journal.json").exists():
            files.remove_tree(self.path)

    def finish_or_remove(self) -> None:
        """What the next command does with a folder whose owner is dead."""
        journal = read_record(self.path / "journal.json")
        if journal:
            list_file = journal["list_file"]
            moves = [Move(_plain(move["source"]), _plain(move["target"])) for move in journal["moves"]]
            lines = [_plain(line) for line in journal["lines"]]
            self._carry_out(moves, None if list_file is None else _list_file(list_file), lines)
        else:
            files.remove_tree(self.path)

    def _carry_out(self, moves: Sequence[Move], list_file: Path | None, lines: Sequence[str]) -> None:
        for move in moves:
            self._place(move)
        for folder in {(self.root / move.target).parent for move in moves}:
            files.sync_folder(folder)
        for storage_dir in {self.root / Path(move.target).parts[0] for move in moves if "/" in move.target}:
            if storage_dir.is_dir():  # more runs for a storage directory that stood already
                preparations.publish_variations(storage_dir)
                chores.reopen(storage_dir)
        if list_file is not None:
            listed = list_file.read_text("utf-8").splitlines() if list_file.exists() else []
            files.append_lines(list_file, [line for line in lines if line not in listed])
        files.remove_tree(self.path)

    def _place(self, move: Move) -> None:
        """A source that is gone stands in its place already; what somebody else put there stays."""
        try:
            os.rename(self.path / move.source, self.root / move.target)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def recover(root: Path, observer: Owner | None = None) -> list[str]:
    """Finish or remove what preparations that are proven dead left in a root; their owners' names."""
    hidden = root / ".alfred"
    names = [
        name for name in _names(hidden) if name.startswith(_PREFIX) and is_owner_name(name[len(_PREFIX) :])
    ]
    done = []
    for name in names:
        folder = LayingFolder(root, hidden / name)
        owner = read_owner(folder.path / "owner.json")
        if judge_owner(owner, name[len(_PREFIX) :], observer or this_process()) is not Verdict.DEAD:
            continue
        try:
            folder.finish_or_remove()
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"{folder.path}/journal.json is damaged: look what is in the folder, then remove it"
            ) from error
        done.append(name[len(_PREFIX) :])
    return done


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _plain(name: str) -> str:
    """A journal is data: what it names must stay inside the root."""
    if os.path.isabs(name) or ".." in Path(name).parts or "\n" in name:
        raise ValueError(name)
    return name


def _list_file(path: str) -> Path:
    name = os.path.basename(path)
    if not (name.startswith("list_") and name.endswith(".txt")):
        raise ValueError(path)
    return Path(path)
