"""What the two processes of a probe do in its folder: each function is one measurement, or a half of one."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from alfred import files
from alfred.storage.probe_clients import Meeting

RACES = ("rename", "create", "mkdir", "folder")
NEW, REMOVED, STAMP = "new", "removed", "stamp"
LISTING, BY_NAME, OPENED = "listing", "stat", "open"
SIGHTS = [(change, way) for change in (NEW, REMOVED) for way in (LISTING, BY_NAME, OPENED)] + [
    (STAMP, way) for way in (BY_NAME, OPENED)
]
_LOST_RACE = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY}
_LONGEST_NAME = 255


def calls(folder: str, me: int, meeting: Meeting) -> dict[str, Callable[..., Any]]:
    """The functions of client `me` (0 writes, 1 looks), which sees the probe's folder as `folder`."""
    return {
        "make": lambda: _make(folder),
        "remove": lambda: _remove(folder),
        "there": lambda: os.path.isdir(folder),
        "race": lambda kind, rounds, seconds: _race(folder, me, meeting, kind, rounds, seconds),
        "names_of": lambda kind: os.listdir(f"{folder}/{kind}"),
        "lay_sights": lambda: _lay_sights(folder),
        "prime": lambda seconds: _prime(folder, seconds),
        "change": lambda stamps_move: _change(folder, stamps_move),
        "watch": lambda before, stamps_move, seconds: _watch(folder, before, stamps_move, seconds),
        "stamps": lambda seconds: _stamps(folder, seconds),
        "syncs": lambda: _syncs(folder),
        "names": lambda: _names(folder),
        "room": lambda: _room(folder),
    }


def _make(folder: str) -> None:
    """The probe's folder, with one for each race."""
    os.mkdir(folder, 0o700)
    try:
        for kind in RACES:
            os.mkdir(f"{folder}/{kind}")
    except OSError:
        _remove(folder)
        raise


def _remove(folder: str) -> bool:
    """Remove the probe as far as this client sees it; whether it is gone by a new listing."""
    files.remove_tree(Path(folder))
    parent, name = os.path.split(folder)
    return name not in os.listdir(parent)


def _race(folder: str, me: int, meeting: Meeting, kind: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Both clients do the same at the same instant, round after round; what this one was told.

    `turns` has for each round whether it was told that it won, and when its call began and ended.
    """
    place = f"{folder}/{kind}"
    turns: list[tuple[bool, float, float]] = []
    error, end = "", time.monotonic() + seconds
    for turn in range(1, rounds + 1):
        try:
            _set_up_round(place, me, kind, turn)
        except OSError as failure:
            error = failure.strerror or str(failure)
        if error or (me == 0 and time.monotonic() > end):
            meeting.stop_at(turn)
        if not meeting.meet(me, turn):
            break
        begin = time.monotonic()
        try:
            won = files.retry(partial(_act, place, me, kind, turn))
        except OSError as failure:
            won = False
            if failure.errno not in _LOST_RACE:
                error = failure.strerror or str(failure)
        turns.append((won, begin, time.monotonic()))
    return {"turns": turns, "error": error}


def _set_up_round(place: str, me: int, kind: str, turn: int) -> None:
    if kind == "rename" and me == 0:
        _make_file(f"{place}/{turn}")
    elif kind == "folder":
        os.mkdir(f"{place}/{turn}.{me}")
        _make_file(f"{place}/{turn}.{me}/inside")


def _act(place: str, me: int, kind: str, turn: int) -> bool:
    if kind == "rename":
        os.rename(f"{place}/{turn}", f"{place}/{turn}.{me}")
    elif kind == "create":
        _make_file(f"{place}/{turn}")
    elif kind == "mkdir":
        os.mkdir(f"{place}/{turn}")
    else:
        os.rename(f"{place}/{turn}.{me}", f"{place}/{turn}")
    return True


def _make_file(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


def _path(folder: str, change: str, way: str) -> str:
    return f"{folder}/sights/{change}-{way}/file"


def _lay_sights(folder: str) -> None:
    """A folder of its own for each sight: looking one way must not refresh what another remembers."""
    os.mkdir(f"{folder}/sights")
    for change, way in SIGHTS:
        os.mkdir(f"{folder}/sights/{change}-{way}")
        if change != NEW:
            _make_file(_path(folder, change, way))


def _prime(folder: str, seconds: float) -> list[list[Any]]:
    """What is seen once all is seen that was laid; from here on a cache may answer."""
    end = time.monotonic() + seconds
    while True:
        seen = [_seen(folder, change, way) for change, way in SIGHTS]
        laid = [there for (there, _), (change, _) in zip(seen, SIGHTS, strict=True) if change != NEW]
        if all(laid) or time.monotonic() > end:
            return seen
        time.sleep(0.01)


def _seen(folder: str, change: str, way: str) -> list[Any]:
    path = _path(folder, change, way)
    try:
        if way == LISTING:
            return ["file" in os.listdir(os.path.dirname(path)), 0]
        if way == BY_NAME:
            stamp = os.stat(path).st_mtime_ns
        else:
            handle = os.open(path, os.O_RDONLY)
            try:
                stamp = os.fstat(handle).st_mtime_ns
            finally:
                os.close(handle)
    except OSError as error:
        gone = error.errno == errno.ENOENT
        # An NFS client that finds a file's handle void has seen that the file is gone.
        if gone or (error.errno == errno.ESTALE and change == REMOVED):
            return [False, 0]
        raise
    return [True, stamp if change == STAMP else 0]


def _change(folder: str, stamps_move: bool) -> list[float]:
    """Make every change; when each was done, by the clock that both processes share. Where time stamps never
    move none is waited for."""
    done = []
    for change, way in SIGHTS:
        path = _path(folder, change, way)
        if change == NEW:
            _make_file(path)
        elif change == REMOVED:
            os.unlink(path)
        elif stamps_move:
            _touch_until_new(path)
        done.append(time.monotonic())
    return done


def _touch_until_new(path: str) -> None:
    before = os.stat(path).st_mtime_ns
    end = time.monotonic() + 3.0  # the coarsest stamps that are known are two seconds apart
    os.utime(path)
    while os.stat(path).st_mtime_ns == before and time.monotonic() < end:
        time.sleep(0.002)
        os.utime(path)


def _watch(folder: str, before: list[list[Any]], stamps_move: bool, seconds: float) -> list[float | None]:
    """Look again and again for up to `seconds`; when each change was seen first, None: it was not."""
    found: dict[int, float] = {}
    wanted = [change for change, _ in SIGHTS if stamps_move or change != STAMP]
    begin = time.monotonic()
    while True:
        for number, (change, way) in enumerate(SIGHTS):
            if number not in found and _seen(folder, change, way) != before[number]:
                found[number] = time.monotonic()
        now = time.monotonic() - begin
        if len(found) == len(wanted) or now > seconds:
            return [found.get(number) for number in range(len(SIGHTS))]
        time.sleep(0.01 if now < 1 else 0.2)


def _stamps(folder: str, seconds: float) -> dict[str, Any]:
    """How far apart time stamps can be told, and how far the file server's clock is ahead of ours."""
    path = f"{folder}/stamps"
    _make_file(path)
    stamps: list[int] = []  # those that differ from the one before
    begin = time.monotonic()
    before = time.time()
    while True:
        os.utime(path)
        stamp = os.stat(path).st_mtime_ns
        if not stamps:
            ahead = stamp / 1e9 - (before + time.time()) / 2
        if not stamps or stamp != stamps[-1]:
            stamps.append(stamp)
        if time.monotonic() - begin > seconds or len(stamps) >= 20:
            gaps = [later - earlier for earlier, later in pairwise(stamps) if later > earlier]
            return {"granularity": min(gaps) / 1e9 if gaps else None, "ahead": ahead}
        time.sleep(0.001)


def _syncs(folder: str) -> dict[str, Any]:
    """Seconds until a small file, and a new name in a folder, are on disk; None: can't be asked for."""
    of_files, of_folders = [], []
    begin = time.monotonic()
    for number in range(5):
        start = time.perf_counter()
        handle = os.open(f"{folder}/sync{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(handle, b"x" * 1000)
            os.fsync(handle)
        finally:
            os.close(handle)
        of_files.append(time.perf_counter() - start)
        of_folders.append(_folder_sync(folder))
        if time.monotonic() - begin > 1.0:
            break
    known = [seconds for seconds in of_folders if seconds is not None]
    return {"file": median(of_files), "folder": median(known) if known else None}


def _folder_sync(folder: str) -> float | None:
    start = time.perf_counter()
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        return None
    return time.perf_counter() - start


def _names(folder: str) -> dict[str, Any]:
    place = f"{folder}/names"
    os.mkdir(place)
    _make_file(f"{place}/Letters")
    return {
        "longest": _longest_name(place),
        "path": os.pathconf(folder, "PC_PATH_MAX"),
        "case": not os.path.lexists(f"{place}/lETTERS"),
        "symlinks": _takes_symlinks(place),
    }


def _longest_name(place: str) -> int:
    """Tried, since what the system says is not always what the file system does."""
    low, high = 0, _LONGEST_NAME
    while low < high:
        length = high if low == 0 and high == _LONGEST_NAME else (low + high + 1) // 2
        path = f"{place}/{'n' * length}"
        try:
            _make_file(path)
            os.unlink(path)
            low = length
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.EINVAL):
                raise
            high = length - 1
    return low


def _takes_symlinks(place: str) -> bool:
    try:
        os.symlink("Letters", f"{place}/symlink")
        return os.readlink(f"{place}/symlink") == "Letters"
    except OSError:
        return False


def _room(folder: str) -> dict[str, Any]:
    """Bytes and inodes that this user may still take; None inodes: they are made as needed."""
    found = os.statvfs(os.path.dirname(folder))
    return {"bytes": found.f_bavail * found.f_frsize, "inodes": found.f_favail if found.f_files else None}
