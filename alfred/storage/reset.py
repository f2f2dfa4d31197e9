"""Putting a run back to waiting: what the attempt left is put aside, then UNHATCHED stands again.

Every step can be done twice, so a reset that was cut short is resumed by whoever finds it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from alfred import files
from alfred.storage import attempts
from alfred.storage.flags import WAITING_BATON, Baton, parse_baton

_STAYS = {"config.json", "config_unique.json", ".alfred"}


def put_back(seed_dir: Path, mine: Baton, note: str, *, keep_files: bool = False) -> None:
    """Go from `RESETTING.<owner>` to `UNHATCHED`; outputs move to `.alfred/attempts/<n>/`.

    With `keep_files` they stay in place for the next attempt to go on from. What the attempt before this
    one left is deleted last, when the run waits again, so a reset never loses anything.
    """
    number = attempts.read_attempts(seed_dir).attempt
    shelf = attempts.own_dir(seed_dir) / "attempts" / str(number)
    for folder in (attempts.own_dir(seed_dir), shelf.parent, shelf):
        attempts.make_folder(folder)
    if not keep_files:
        for entry in list(os.scandir(seed_dir)):
            if not (entry.name in _STAYS or parse_baton(entry.name) or entry.name.startswith(".nfs")):
                _move_to(Path(entry.path), shelf)
    for entry in list(os.scandir(attempts.own_dir(seed_dir))):
        if entry.name in ("run.json", "evaluation.json") or entry.name.startswith("report."):
            _move_to(Path(entry.path), shelf)
    files.sync_folder(shelf)
    _leave_note(seed_dir / mine.name, note)
    with contextlib.suppress(FileNotFoundError):
        os.rename(seed_dir / mine.name, seed_dir / WAITING_BATON.name)
    files.sync_folder(seed_dir)
    _delete_older(shelf, number)


def _leave_note(baton: Path, note: str) -> None:
    with contextlib.suppress(OSError):  # on a full disk the note is lost, not the change of state
        handle = os.open(baton, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            os.write(handle, f"waiting again since {attempts.time_stamp()}: {note}\n".encode())
        finally:
            os.close(handle)


def _move_to(path: Path, shelf: Path) -> None:
    """Move into the shelf; a name that is taken there (a late writer's) gets a number."""
    for number in range(1, 1000):
        target = shelf / path.name if number == 1 else shelf / f"{path.name}.{number}"
        if os.path.lexists(target):
            continue
        try:
            os.rename(path, target)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _delete_older(shelf: Path, number: int) -> None:
    for entry in list(os.scandir(shelf.parent)):
        if entry.name.isdigit() and int(entry.name) < number:
            files.remove_tree(Path(entry.path))
