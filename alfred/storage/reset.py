"""Putting a run back to waiting: what the attempt left is put aside, then UNHATCHED stands again.

Every step can be done twice, so a reset that was cut short is resumed by whoever finds it. While it goes on
the shelf bears the name of who is at it, and changes hands with the baton: one who stood still and goes on
late finds no shelf to which he could move what the next attempt has made.
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

_MOST_ROUNDS = 10
_FENCED = (".run.json.", ".attempts.json.")
_STAYS = {"config.json", "config_unique.json", ".alfred"}


def put_back(seed_dir: Path, mine: Baton, note: str, *, keep_files: bool = False) -> bool:
    """Go from `RESETTING.<owner>` to `UNHATCHED`; outputs move to `.alfred/attempts/<n>/`.

    With `keep_files` they stay in place for the next attempt to go on from. What the attempt before this
    one left is deleted last, when the run waits again, so a reset never loses anything. False: somebody else
    took the reset over, and goes on with it.
    """
    number = attempts.read_attempts(seed_dir).attempt
    shelves = attempts.own_dir(seed_dir) / "attempts"
    for folder in (attempts.own_dir(seed_dir), shelves, shelves / str(number)):
        if folder.is_symlink():  # whatever is moved and deleted there would be so elsewhere
            folder.unlink()
    # Where nothing is left no shelf is made: on a full disk, too, what never began can wait again. One who
    # is late may snatch the shelf once before he sees that he is, so look again whether all has moved.
    for _ in range(_MOST_ROUNDS):
        left = _left_by_attempt(seed_dir, keep_files)
        if not left and not _begun_shelves(shelves, number):
            break
        shelf = _take_shelf(shelves, number, mine.owner)
        is_mine = mine.name in os.listdir(seed_dir)
        for path in left if is_mine else ():
            _move_to(path, shelf)
        files.sync_folder(shelf)
        _give_shelf_its_name(shelf, shelves / str(number))
        if not is_mine:
            return False
    _leave_note(seed_dir / mine.name, note)
    with contextlib.suppress(FileNotFoundError):
        files.retry(lambda: os.rename(seed_dir / mine.name, seed_dir / WAITING_BATON.name))
    files.sync_folder(seed_dir)
    with contextlib.suppress(OSError):  # it waits; the next reset deletes what is older
        _delete_older(shelves, number)
    return True


def fence_off(seed_dir: Path) -> None:
    """Take away what writers of run.json and attempts.json have under temporary names: whoever of them goes
    on late finds nothing that could be given a name. To be called when the baton has changed hands (see
    `batons.fence`).
    """
    own = attempts.own_dir(seed_dir)
    with contextlib.suppress(OSError):
        for name in os.listdir(own):
            if name.startswith(_FENCED) and files.made_by(name) is not None:
                files.remove_tree(own / name)


def _begun_shelves(shelves: Path, number: int) -> list[str]:
    """The shelves of an attempt that bear the name of who is, or was, at its reset."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(name for name in os.listdir(shelves) if name.startswith(f"{number}."))
    return []


def _take_shelf(shelves: Path, number: int, owner: str) -> Path:
    """The shelf of an attempt under a name of our own; one that is there already, if there is one."""
    shelves.mkdir(parents=True, exist_ok=True)
    shelf = shelves / f"{number}.{owner}"
    for name in (*_begun_shelves(shelves, number), str(number)):
        if (shelves / name).is_symlink() or shelf.is_dir():
            continue
        with contextlib.suppress(FileNotFoundError):
            files.retry(functools.partial(os.rename, shelves / name, shelf))
    shelf.mkdir(exist_ok=True)
    return shelf


def _give_shelf_its_name(shelf: Path, named: Path) -> None:
    """Unless another has taken it over, or one with things in it stands there (a late writer's)."""
    with contextlib.suppress(FileNotFoundError):
        try:
            files.retry(lambda: os.rename(shelf, named))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


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
