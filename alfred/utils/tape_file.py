"""The file of a recorder: a pickled dictionary of lists and, while a run goes on, rows added behind it.

A pickle says itself where it ends, so what reads the dictionary never looks at what follows it. Each entry
that follows is a head (`_HEAD`) and a pickle: for every list what was added to its end. The check in the head
is the CRC of the dictionary and of all entries up to this one; the first that doesn't fit ends the file.
"""

from __future__ import annotations

import io
import os
import pickle
import stat
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from alfred import files
from alfred.errors import RecorderError
from alfred.utils import safe_pickle
from alfred.utils.safe_opcodes import CutShortError, end_of
from alfred.utils.tape_columns import Column, Kinds

Tape: TypeAlias = dict[str, list[Any]]

SMALL = 64 * 1024  # bytes; a pickle smaller than this is written anew each time
SYNC_EVERY = 1.0  # seconds; rows added sooner after others that reached the disk wait for it

_HEAD = struct.Struct("<4sIQ")  # _MARK, the check, the length of the pickle that follows
_MARK = b"rows"
_BLOCK = 64 * 1024

# Files that this process has added rows to: which process, and what they looked like then.
_unfolded: dict[Path, tuple[int, _Looks]] = {}


def read(path: Path, *, trusted: bool = False) -> Tape:
    """The tape in a file, with the rows behind it; nothing is written, and what was cut off is left out.

    Only plain data and numpy arrays are read; RecorderError for a file that asks for anything else, is
    damaged or holds no tape. `trusted=True` loads any pickle, and so runs whatever the file says.
    """

    def look() -> Tape | None:
        with _open(path) as file:
            return _read_trusted(file) if trusted else _read(file)

    try:
        tape = files.retry(look)  # on NFS another machine may be replacing the file
    except RecorderError:
        raise
    except FileNotFoundError as error:
        raise RecorderError(f"{path} does not exist") from error
    except OSError as error:
        raise RecorderError(f"{path} can't be read: {error.strerror}") from error
    except safe_pickle.RefusedError as error:
        raise RecorderError(
            f"{path} asks for {_one_line(error)}, which is no plain data and was not loaded; if you made the "
            "file yourself: Recorder.init_from_pickle_file(path, trusted=True)"
        ) from None
    except Exception as error:  # a damaged pickle can fail in any way
        what = f"{type(error).__name__}: {_one_line(error)}"
        raise RecorderError(f"{path} is damaged or no pickle: {what}") from error
    if tape is None:
        raise RecorderError(f"{path} is no recorder file: a dictionary of names and lists expected")
    return tape


class TapeFile:
    """What one recorder knows of the file that it saved to last."""

    def __init__(self) -> None:
        self._last: _Saved | None = None
        self._lock = threading.RLock()  # a handler of signals may save while a save is going on

    def save(
        self, path: Path, tape: Tape, *, was_handed_out: bool, before_writing: Callable[[], None]
    ) -> None:
        """Make the file hold the tape: whole or not at all, or by adding what is new to its end.

        The latter where the file is large, is still what this recorder left there, and the tape is what it
        was with more rows. `was_handed_out` says that others may have changed values inside the tape;
        what `before_writing`, called last of all, raises is passed on, and the file stays as it is.

        RecorderError if a value can't be pickled or the file can't be written.
        """
        absolute = path.absolute()
        with self._lock:
            last, self._last = self._last, None  # after a failure the next save is a whole one
            saved = None
            try:
                if last is not None and last.path == absolute:
                    added = last.added(tape, was_handed_out)
                    saved = added and _append(last, added, before_writing)
                self._last = saved or _replace(absolute, tape, before_writing)
            except OSError as error:
                raise RecorderError(f"{path} can't be written: {error.strerror}") from error
            except pickle.PicklingError as error:
                raise RecorderError(f"{path} was not saved: {error}") from error


def fold_all(before_writing: Callable[[Path], None]) -> None:
    """Make plain pickles of the files that this process has added rows to and that are as it left them.

    What `before_writing`, called last of all for each, raises is passed on.
    RecorderError if one can't be written; its rows are in it still.
    """
    while _unfolded:
        path, (process, looks) = _unfolded.popitem()
        try:
            if process == os.getpid() and _Looks.of(os.stat(path)) == looks:
                data = pickle.dumps(read(path), protocol=4)
                files.write_bytes(path, data, before_replacing=partial(before_writing, path))
        except FileNotFoundError:
            continue  # put aside meanwhile
        except OSError as error:
            raise RecorderError(f"{path} can't be written: {error.strerror}") from error


@dataclass(frozen=True)
class _Looks:
    """By what a file is known to be the same, unchanged."""

    device: int
    inode: int
    size: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> _Looks:
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class _Added:
    """For every list of a tape what was added to its end, and whether all of the tape is fixed still."""

    values: list[list[Any]]
    are_fixed: bool


@dataclass(frozen=True)
class _Saved:
    """What a file holds: the lists of a tape, each up to a length."""

    path: Path
    looks: _Looks
    whole: int  # bytes of the dictionary; what is behind it are rows
    check: int
    names: list[str]
    columns: list[Column]
    lengths: list[int]
    are_fixed: bool
    synced: float

    def added(self, tape: Tape, was_handed_out: bool) -> _Added | None:
        """What the tape holds besides; None if that is not all that has changed, or may not be."""
        if type(tape) is not dict or list(tape) != self.names:
            return None
        for column, values, length in zip(self.columns, tape.values(), self.lengths, strict=True):
            if values is not column or column.edited or len(column) < length:
                return None
        added = [column[length:] for column, length in zip(self.columns, self.lengths, strict=True)]
        kinds = [Kinds(values) for values in added]
        are_fixed = self.are_fixed and all(kind.are_fixed for kind in kinds)
        if not all(kind.are_plain for kind in kinds) or (was_handed_out and not are_fixed):
            return None
        return _Added(added, are_fixed)


def _replace(path: Path, tape: Tape, before_writing: Callable[[], None]) -> _Saved | None:
    """Write the whole tape; what is known of the file then, if rows may be added to it."""
    columns = [values for values in tape.values() if type(values) is Column] if type(tape) is dict else []
    for column in columns:
        column.edited = False
    names, lengths = list(tape), [len(column) for column in columns]
    data = _pickled(tape)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, data, before_replacing=before_writing)
    _unfolded.pop(path, None)
    if len(data) < SMALL or len(columns) != len(names):
        return None
    kinds = [Kinds(column[:length]) for column, length in zip(columns, lengths, strict=True)]
    if not all(kind.are_plain for kind in kinds):
        return None
    are_fixed = all(kind.are_fixed for kind in kinds)
    looks, check = _Looks.of(os.stat(path)), zlib.crc32(data)
    return _Saved(path, looks, len(data), check, names, columns, lengths, are_fixed, time.monotonic())


def _append(last: _Saved, added: _Added, before_writing: Callable[[], None]) -> _Saved | None:
    """Write what was added behind what is there; None if the file has to be written anew."""
    entry, check = b"", last.check
    if any(added.values):
        data = pickle.dumps(added.values, protocol=4)
        check = zlib.crc32(data, check)
        entry = _HEAD.pack(_MARK, check, len(data)) + data
    if last.looks.size + len(entry) > 2 * last.whole:
        return None  # as much as was added since the dictionary was written pays for writing it again
    try:
        handle = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if _Looks.of(os.fstat(handle)) != last.looks:
            return None  # somebody else wrote it
        before_writing()  # with the file open: it goes with its run when that is put back
        if os.write(handle, entry) < len(entry):
            return None  # a full disk: the whole tape may still find room, or says so
        synced = last.synced
        if time.monotonic() - synced >= SYNC_EVERY:
            os.fsync(handle)
            synced = time.monotonic()
        looks = _Looks.of(os.fstat(handle))
    finally:
        os.close(handle)
    _unfolded[last.path] = (os.getpid(), looks)
    lengths = [length + len(values) for length, values in zip(last.lengths, added.values, strict=True)]
    return replace(last, looks=looks, check=check, lengths=lengths, are_fixed=added.are_fixed, synced=synced)


def _pickled(tape: Tape) -> bytes:
    """The tape as a dictionary of plain lists; PicklingError names the metric that can't be pickled."""
    plain = tape
    if type(tape) is dict:
        plain = {name: list(values) if type(values) is Column else values for name, values in tape.items()}
    try:
        return pickle.dumps(plain, protocol=4)
    except Exception as error:  # whatever the values' own classes raise
        guilty = next((name for name, values in plain.items() if not _can_pickle(values)), "?")
        raise pickle.PicklingError(f"metric {guilty!r} can't be pickled: {error}") from error


def _can_pickle(values: list[Any]) -> bool:
    try:
        pickle.dumps(values, protocol=4)
    except Exception:
        return False
    return True


def _open(path: Path) -> BinaryIO:
    """The file, if it is one: a named pipe, say, would let its reader wait."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise RecorderError(f"{path} is no file")
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")


def _read(file: BinaryIO) -> Tape | None:
    data, end = _first_pickle(file)
    tape = safe_pickle.loads(data, end)
    return _with_rows(tape, data, end, lambda rows: safe_pickle.loads(rows, end_of(rows)))


def _read_trusted(file: BinaryIO) -> Tape | None:
    data = file.read()
    stream = io.BytesIO(data)
    tape = pickle.load(stream)
    return _with_rows(tape, data, stream.tell(), pickle.loads)


def _first_pickle(file: BinaryIO) -> tuple[bytes, int]:
    """What is in the file and where its first pickle ends; what is none is not read to its end."""
    data, block = b"", _BLOCK
    while True:
        more = file.read(block)
        data += more
        try:
            end = end_of(data)
        except CutShortError:
            if len(more) < block:
                raise
            block *= 16
            continue
        data += file.read(_HEAD.size)
        return (data + file.read() if data.startswith(_MARK, end) else data), end


def _with_rows(tape: Any, data: bytes, end: int, loads: Callable[[bytes], Any]) -> Tape | None:
    if not isinstance(tape, dict) or not all(
        isinstance(name, str) and isinstance(values, list) for name, values in tape.items()
    ):
        return None
    for added in _rows(data, end, loads):
        if not isinstance(added, list) or not all(isinstance(values, list) for values in added):
            raise ValueError("rows that are no lists")
        for values, more in zip(tape.values(), added, strict=True):
            values.extend(more)
    return dict(tape)


def _rows(data: bytes, end: int, loads: Callable[[bytes], Any]) -> Iterator[Any]:
    """What stands behind the dictionary, up to the first entry that is not whole."""
    check = zlib.crc32(memoryview(data)[:end])
    while len(data) >= end + _HEAD.size:
        mark, wanted, length = _HEAD.unpack_from(data, end)
        start, end = end + _HEAD.size, end + _HEAD.size + length
        if mark != _MARK or end > len(data):
            return
        check = zlib.crc32(memoryview(data)[start:end], check)
        if check != wanted:
            return
        yield loads(data[start:end])


def _one_line(error: Exception) -> str:
    """What an error says, fit for a terminal: a file may have put anything there."""
    text = " ".join(str(error).split())[:200]
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
