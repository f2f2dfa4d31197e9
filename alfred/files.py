"""Durable files: what is written here is there whole, or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# A shared file system gives these answers now and then although nothing is wrong with the request.
_PASSING_ERRORS = {errno.ESTALE, errno.EIO, errno.EAGAIN, errno.EBUSY, errno.EINTR}
_PAUSES = (0.02, 0.1, 0.5)


def retry(call: Callable[[], T]) -> T:
    """The result of `call()`, tried again with growing pauses after errors that pass by themselves."""
    for pause in _PAUSES:
        try:
            return call()
        except OSError as error:
            if error.errno not in _PASSING_ERRORS:
                raise
        time.sleep(pause)
    return call()


def read_whole(path: str | Path, most: int = 1 << 28) -> bytes:
    """The content of a plain file of at most `most` bytes; OSError for anything else.

    A pipe or a device, in the place of a file, would keep its reader waiting or never end.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))
        return file.read(most)


def temporary_name(path: Path) -> Path:
    """A name in the folder of `path` that nobody else uses; `.<start of the name>.<pid>-<8 hex>.tmp`."""
    return path.with_name(f".{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def create(path: Path, data: bytes = b"", *, durable: bool = True) -> None:
    """Make a new file with `data`; FileExistsError if the name is taken, by a symlink too.

    With `durable=False` the caller makes sure that the data reaches the disk (`flush_filesystem`).
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags, 0o666)
    try:
        _write_all(handle, data)
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Replace the content of `path`, whole or not at all; on an error the old file is untouched."""
    path = Path(path)
    temporary = temporary_name(path)
    try:
        create(temporary, data)
        retry(lambda: os.replace(temporary, path))
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def write_text(path: str | Path, text: str) -> None:
    """Replace the content of `path` by `text` in UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def append_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Add whole lines to the end of a text file, in one write; the file is made if need be.

    A last line without its line end gets one first, so that two entries never run together.
    """
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    if not data:
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            data = b"\n" + data
        _write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: str | Path) -> None:
    """Wait until the names in `folder` are on disk, where the file system can tell."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass  # some file systems can't sync a folder; there the rename itself is all there is
    finally:
        os.close(handle)


def sync_tree(folder: str | Path) -> None:
    """Wait until every file below `folder` is on disk; symlinks are not followed."""
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                handle = os.open(os.path.join(parent, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue  # removed meanwhile, a symlink or a socket
            try:
                os.fsync(handle)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
                    raise
            finally:
                os.close(handle)
        sync_folder(parent)


def flush_filesystem(folder: str | Path) -> None:
    """Wait until all that was written below `folder` is on disk: one call for any number of files."""
    if sys.platform == "linux":
        handle = os.open(folder, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(handle) == 0:
                return
            code = ctypes.get_errno()
            if code not in (errno.ENOSYS, errno.EINVAL):
                raise OSError(code, os.strerror(code), str(folder))
        finally:
            os.close(handle)
    os.sync()


def remove_tree(path: Path) -> None:
    """Remove a file, a symlink (never what it points to) or a folder with all below; missing is fine.

    `.nfs*` files, which an NFS client keeps while somebody has them open, are left to it.
    """
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        for entry in list(os.scandir(path)):
            if not entry.name.startswith(".nfs"):
                remove_tree(Path(entry.path))
        path.rmdir()
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
