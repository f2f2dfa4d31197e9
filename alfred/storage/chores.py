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
    """Mark a chore of one's own as done; False when it was taken over."""
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


def holders(storage_dir: Path) -> set[str]:
    """The owners, living or dead, that hold a chore of this storage directory."""
    found: set[str] = set()
    for chore in (*CHORES, CLEANING, RETRAINING):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            names = os.listdir(storage_dir / ".alfred" / chore)
            found.update(name[len(RUNNING_PREFIX) :] for name in names if name.startswith(RUNNING_PREFIX))
    return found


def _folder(storage_dir: Path, chore: str) -> Path:
    """The folder of a chore, made whole where a tree has none yet."""
    folder = storage_dir / ".alfred" / chore
    if not folder.is_dir():
        (storage_dir / ".alfred").mkdir(exist_ok=True)
        made = files.temporary_name(folder)
        made.mkdir()
        files.create(made / WAITING)
        try:
            os.rename(made, folder)  # fails where somebody was faster: that folder is not empty
        except OSError:
            files.remove_tree(made)
    return folder


def _move(source: Path, target: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        os.rename(source, target)
        return True
    return False
