"""What one process alone does in a storage directory: plots and summary, cleaning, laying its retrain.

Each is a baton in `.alfred/<chore>/`: WAITING, RUNNING.<owner> or DONE, moved by rename only, so that of any
number of launchers exactly one does it, and one that died doing it blocks nobody.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from alfred import files
from alfred.storage import leases
from alfred.storage.leases import Verdict
from alfred.storage.owners import Owner

PLOTS, SUMMARY = "plots", "summary"
CHORES = (PLOTS, SUMMARY)  # done once; the others may be done again and again
CLEANING = "cleaning"
RETRAINING = "retraining"
WAITING, DONE, RUNNING_PREFIX = "WAITING", "DONE", "RUNNING."


def lay(alfred_dir: Path) -> None:
    """Make the batons of a new storage directory."""
    for chore in CHORES:
        (alfred_dir / chore).mkdir()
        files.create(alfred_dir / chore / WAITING, durable=False)


def take(storage_dir: Path, chore: str, me: Owner) -> bool:
    """Take a chore that waits, or one whose owner is proven dead; False when it is done or being done.

    The caller holds a lease in this storage directory, and looks once more whether all runs have ended.
    """
    folder = _folder(storage_dir, chore)
    mine = folder / (RUNNING_PREFIX + me.name)
    for name in os.listdir(folder):
        if name == WAITING and _move(folder / name, mine):
            return True
        owner = name.removeprefix(RUNNING_PREFIX)
        dead = owner != name and leases.judge(storage_dir, owner, me) is Verdict.DEAD
        if dead and _move(folder / name, mine):
            return True
    return False


def done(storage_dir: Path, chore: str, me: Owner) -> bool:
    """Mark a chore of one's own as done; False when it was taken over, or the answer got lost."""
    folder = _folder(storage_dir, chore)
    return _move(folder / (RUNNING_PREFIX + me.name), folder / DONE)


def give_back(storage_dir: Path, chore: str, me: Owner) -> bool:
    """Let a chore of one's own wait again: it was cut off, or runs have come back."""
    folder = _folder(storage_dir, chore)
    return _move(folder / (RUNNING_PREFIX + me.name), folder / WAITING)


def reopen(storage_dir: Path) -> None:
    """Let done chores wait again, because runs were added or put back."""
    for chore in CHORES:
        folder = _folder(storage_dir, chore)
        _move(folder / DONE, folder / WAITING)


def holders(storage_dir: Path) -> list[tuple[str, str]]:
    """(chore, owner) of every chore that somebody, living or dead, holds here."""
    found = []
    for chore in (*CHORES, CLEANING, RETRAINING):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(folder_of(storage_dir, chore)):
                if name.startswith(RUNNING_PREFIX):
                    found.append((chore, name[len(RUNNING_PREFIX) :]))
    return found


def free(storage_dir: Path, chore: str, dead: str) -> bool:
    """Let a chore wait again whose owner is proven dead; False when somebody else took it."""
    folder = folder_of(storage_dir, chore)
    return _move(folder / (RUNNING_PREFIX + dead), folder / WAITING)


def folder_of(storage_dir: Path, chore: str) -> Path:
    """Where the baton of a chore is."""
    return storage_dir / ".alfred" / chore


def _folder(storage_dir: Path, chore: str) -> Path:
    """The folder of a chore, made whole where a tree has none yet."""
    folder = folder_of(storage_dir, chore)
    if not folder.is_dir():
        (storage_dir / ".alfred").mkdir(exist_ok=True)
        made = files.temporary_name(folder)
        try:
            made.mkdir()
            files.create(made / WAITING)
            with contextlib.suppress(OSError):  # somebody was faster: that folder is not empty
                os.rename(made, folder)
        finally:
            files.remove_tree(made)
    return folder


def _move(source: Path, target: Path) -> bool:
    """Rename a baton; False when it is not there. Where the answer to a rename got lost that was done, a
    name with an owner in it tells: nobody else makes that."""
    try:
        files.retry(lambda: os.rename(source, target))
    except FileNotFoundError:
        return target.name.startswith(RUNNING_PREFIX) and target.name in os.listdir(target.parent)
    return True
