"""Putting a run back to waiting: what the attempt left is put aside, then UNHATCHED stands again.

Every step can be done twice, so a reset that was cut short is resumed by whoever finds it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
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
        if folder.is_symlink():  # whatever is moved and deleted there would be so elsewhere
            folder.unlink()
    left = _left_by_attempt(seed_dir, keep_files)
    if left:  # else a full disk would keep a run that never began from waiting again
        shelf.mkdir(parents=True, exist_ok=True)
        for path in left:
            _move_to(path, shelf)
        files.sync_folder(shelf)
    _leave_note(seed_dir / mine.name, note)
    with contextlib.suppress(FileNotFoundError):
        files.retry(lambda: os.rename(seed_dir / mine.name, seed_dir / WAITING_BATON.name))
    files.sync_folder(seed_dir)
    with contextlib.suppress(OSError):  # it waits; the next reset deletes what is older
        _delete_older(shelf.parent, number)


def _left_by_attempt(seed_dir: Path, keep_files: bool) -> list[Path]:
    found = []
    if not keep_files:
        for name in files.retry(lambda: os.listdir(seed_dir)):
            if not (name in _STAYS or parse_baton(name) or name.startswith(".nfs")):
                found.append(seed_dir / name)
    with contextlib.suppress(FileNotFoundError):
        for name in files.retry(lambda: os.listdir(attempts.own_dir(seed_dir))):
            if name in ("run.json", "evaluation.json") or name.startswith("report."):
                found.append(attempts.own_dir(seed_dir) / name)
    return found


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
            files.retry(functools.partial(os.rename, path, target))
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _delete_older(shelves: Path, number: int) -> None:
    for name in os.listdir(shelves) if (shelves / str(number)).is_dir() else ():
        if name.isdigit() and int(name) < number:
            files.remove_tree(shelves / name)
