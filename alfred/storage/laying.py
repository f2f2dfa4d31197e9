"""The hidden folder in which a preparation is built, and what becomes of it when that was killed.

Whose it is stands in its name, `<root>/.alfred/laying.<owner>/`, and who that is in a lease of the root, held
before the folder is made. Who finishes what a dead one left takes the folder over by a rename first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from alfred import files
from alfred.errors import StorageError, say
from alfred.storage import chores, preparations
from alfred.storage.leases import Leases, Suspect, Verdict, judge, owners_dir
from alfred.storage.owners import Owner, this_process
from alfred.utils.storage_names import is_storage_name

_PREFIX = "laying."


@dataclass(frozen=True)
class Move:
    """A built file or folder (a name in the laying folder) and its place (relative to the root)."""

    source: str
    target: str


@dataclass(frozen=True)
class LayingFolder:
    """One preparation being built, under a lease of its own."""

    root: Path
    path: Path
    lease: Leases

    @classmethod
    def make(cls, root: Path, owner: Owner) -> LayingFolder:
        """A new one; what earlier preparations left behind is dealt with first."""
        recover(root, owner, tell=lambda text: None)  # the command has told it already
        folder = cls._signed(root, owner)
        try:
            folder.path.mkdir(exist_ok=True)  # nobody else makes this name: an answer may have got lost
        except OSError:
            folder._let_go()
            raise
        return folder

    @classmethod
    def _signed(cls, root: Path, owner: Owner) -> LayingFolder:
        lease = Leases(owner)
        lease.hold(root)
        return cls(root, root / ".alfred" / f"{_PREFIX}{owner.name}", lease)

    @classmethod
    def take_over(cls, root: Path, dead: str) -> LayingFolder | None:
        """A dead owner's folder as one of our own; None when somebody else took it."""
        folder = cls._signed(root, this_process())
        try:
            files.retry(lambda: os.rename(root / ".alfred" / f"{_PREFIX}{dead}", folder.path))
        except OSError as error:
            if folder.path.is_dir():  # it is done, and only the answer got lost
                return folder
            folder._let_go()
            if isinstance(error, FileNotFoundError):
                return None
            raise
        return folder

    def commit(self, moves: Sequence[Move], list_file: Path | None, lines: Sequence[str]) -> None:
        """Put everything in its place: from the moment the journal stands it will happen."""
        files.flush_filesystem(self.path)
        journal = {
            "moves": [dataclasses.asdict(move) for move in moves],
            "list_file": None if list_file is None else os.path.abspath(list_file),
            "lines": list(lines),
        }
        files.write_text(self.path / "journal.json", json.dumps(journal) + "\n")
        try:
            self._carry_out(moves, list_file, lines)
        except OSError as error:
            raise StorageError(
                f"what was prepared for {self.root} is not all in its place: {error.strerror or error} "
                f"({error.filename or list_file}); put that right, and the next command there finishes it"
            ) from error

    def abandon(self) -> None:
        """Remove what was built, unless the journal stands already: then the next command finishes it."""
        with contextlib.suppress(OSError):  # what can't be removed now the next command removes
            if "journal.json" not in os.listdir(self.path):
                self._remove()

    def give_back(self, dead: str) -> None:
        """What can't be finished now goes back to its dead owner, for the next command."""
        with contextlib.suppress(OSError):  # else we are the dead owner by then
            os.rename(self.path, self.root / ".alfred" / f"{_PREFIX}{dead}")
            self._let_go()

    def finish_or_remove(self, found: Path) -> None:
        """What the next command does with a folder whose owner is dead, `found` under this name. What may
        have been carried out by half is never removed.

        StorageError for a journal that can't be what a preparation wrote, or when it can't be carried out.
        """
        if "journal.json" not in os.listdir(self.path):
            self._remove()
            return
        try:
            journal = json.loads((self.path / "journal.json").read_bytes())
            list_file = journal["list_file"]
            moves = [Move(_plain(move["source"]), _plain(move["target"])) for move in journal["moves"]]
            lines = [_plain(line) for line in journal["lines"]]
            listed = None if list_file is None else _list_file(list_file)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise StorageError(
                f"{found}/journal.json is damaged: look what is in the folder, then remove it"
            ) from error
        try:
            self._carry_out(moves, listed, lines)
        except OSError as error:
            names = sorted({Path(move.target).parts[0] for move in moves})
            raise StorageError(
                f"the preparation of {' and '.join(names)} in {self.root} was cut short and can't be "
                f"finished now: {error.strerror or error} ({error.filename or found}); put that right, and "
                "the next command finishes it"
            ) from error

    def _remove(self) -> None:
        files.remove_tree(self.path)
        self._let_go()

    def _let_go(self) -> None:
        self.lease.drop(self.root)
        self.lease.close()

    def _carry_out(self, moves: Sequence[Move], list_file: Path | None, lines: Sequence[str]) -> None:
        for move in moves:
            self._place(move)
        for folder in {(self.root / move.target).parent for move in moves}:
            files.sync_folder(folder)
        for storage_dir in {self.root / Path(move.target).parts[0] for move in moves if "/" in move.target}:
            if storage_dir.is_dir():  # more runs for a storage directory that stood already
                preparations.publish_variations(storage_dir)
                chores.reopen(storage_dir)
        if list_file is not None and list_file.parent.is_dir():  # else the schedule was removed meanwhile
            known = list_file.read_text("utf-8", "surrogateescape") if list_file.exists() else ""
            listed = known.splitlines()
            files.append_lines(list_file, [line for line in lines if line not in listed])
        self._remove()

    def _place(self, move: Move) -> None:
        """A source that is gone stands in its place already; what somebody else put there stays."""
        try:
            files.retry(lambda: os.rename(self.path / move.source, self.root / move.target))
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def recover(
    root: Path,
    observer: Owner | None = None,
    silent: Collection[str] = (),
    tell: Callable[[str], object] = lambda text: say(f"notice: {text}"),
) -> list[str]:
    """Finish or remove what preparations that are proven dead left in a root; their owners' names.

    `silent` are owners of other machines that were watched and found dead (see `in_doubt`). What can't be
    finished is told in a line and stays for the next command: nothing that stands waits for it.
    """
    me = observer or this_process()
    try:
        laying = _laying(root)
        known = {*laying, *_names(owners_dir(root))}
    except OSError as error:  # a lease must not be removed that may prove something
        tell(f"whether a preparation was cut short in {root} is not known: {error}")
        return []
    dead = [name for name in sorted(known) if name in silent or judge(root, name, me) is Verdict.DEAD]
    done = []
    for name in dead:
        try:
            if name in laying and _finished(root, name):
                done.append(name)
            (owners_dir(root) / name).unlink(missing_ok=True)
        except StorageError as error:
            tell(str(error))
        except OSError as error:
            left = root / ".alfred" / f"{_PREFIX}{name}" if name in laying else owners_dir(root) / name
            tell(f"{left} could not be dealt with: {error.strerror or error} ({error.filename})")
    return done


def _finished(root: Path, dead: str) -> bool:
    """Finish or remove what a dead owner left; False when somebody else does it."""
    folder = LayingFolder.take_over(root, dead)
    if folder is None:
        return False
    try:
        folder.finish_or_remove(root / ".alfred" / f"{_PREFIX}{dead}")
    except (OSError, StorageError):
        folder.give_back(dead)
        raise
    return True


def in_doubt(root: Path, observer: Owner) -> list[Suspect]:
    """The preparations that only silence can prove dead: they were begun on another machine."""
    try:
        names = sorted(_laying(root))
    except OSError:  # `recover` has told it
        return []
    return [
        Suspect(root, name, root / ".alfred" / f"{_PREFIX}{name}")
        for name in names
        if judge(root, name, observer) is Verdict.DOUBT
    ]


def _laying(root: Path) -> set[str]:
    """The owners of what is being laid in a root."""
    return {name.removeprefix(_PREFIX) for name in _names(root / ".alfred") if name.startswith(_PREFIX)}


def _names(folder: Path) -> list[str]:
    try:
        return files.retry(lambda: os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _plain(name: str) -> str:
    """A journal is data: what it names must stay inside the root."""
    if os.path.isabs(name) or ".." in Path(name).parts or "\n" in name:
        raise ValueError(name)
    return name


def _list_file(path: str) -> Path | None:
    """Only what is called like a list of storage directories, or reads like one, is written to."""
    name = os.path.basename(path)
    if name.startswith("list_") and name.endswith(".txt"):
        return Path(path)
    if not os.path.exists(path):
        return None  # a list under a name of the user's own, removed meanwhile
    lines = Path(path).read_text("utf-8", "surrogateescape").splitlines()
    if not any(is_storage_name(line.partition("#")[0].strip()) for line in lines):
        raise ValueError(path)
    return Path(path)
