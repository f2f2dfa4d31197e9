"""Durable files: what is written here is there whole, or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import re
import secrets
import stat
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

NO_TAG = "0" * 8
_TEMPORARY = re.compile(r"\..*\.([0-9]{1,10})-([0-9a-f]{8})?[0-9a-f]{8}\.tmp", re.DOTALL)

# A shared file system gives these answers now and then although nothing is wrong with the request.
_PASSING_ERRORS = {errno.ESTALE, errno.EIO, errno.EAGAIN, errno.EBUSY, errno.EINTR}
_PAUSES = (0.02, 0.1, 0.5)
_NO_FILE = {errno.ENOENT, errno.ELOOP, errno.ENXIO}  # removed meanwhile, a symlink, a socket
_LOCK_TRIES = 3000  # half a minute


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


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let an error of what is done with an open file, which names none, name this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = os.fspath(path)
        raise


def read_whole(path: str | Path, most: int = 1 << 28) -> bytes:
    """The content of a plain file of at most `most` bytes; OSError for anything else.

    A pipe or a device, in the place of a file, would keep its reader waiting or never end. On NFS a file that
    another machine replaces while it is read is read again.
    """
    return retry(lambda: _read_whole(path, most))


def _read_whole(path: str | Path, most: int) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with naming(path), open(handle, "rb") as file:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))
        return file.read(status.st_size)  # asked for `most`, it would take that much memory first


def temporary_name(path: Path) -> Path:
    """A name in the folder of `path` that nobody else uses: `.<start of the name>.<pid>-<16 hex>.tmp`, of
    which the first 8 are `machine_tag()`."""
    return path.with_name(f".{path.name[:40]}.{os.getpid()}-{machine_tag()}{secrets.token_hex(4)}.tmp")


def made_by(name: str) -> tuple[int, str] | None:
    """The process number and the machine tag in a temporary name; None for any other name."""
    match = _TEMPORARY.fullmatch(name)
    return None if match is None else (int(match[1]), match[2] or NO_TAG)


def machine_tag() -> str:
    """Tells where a process number means the same process: on one machine, since one start of it, in one
    container. 8 hex digits, NO_TAG where that can't be known."""
    try:
        return f"{zlib.crc32((_machine() + os.readlink('/proc/self/ns/pid')).encode()):08x}"
    except OSError:
        return NO_TAG


@functools.cache
def _machine() -> str:
    with open("/etc/machine-id") as machine, open("/proc/sys/kernel/random/boot_id") as boot:
        return machine.read() + boot.read()


def create(path: Path, data: bytes = b"", *, durable: bool = True) -> None:
    """Make a new file with `data`; FileExistsError if the name is taken, by a symlink too.

    With `durable=False` the caller makes sure that the data reaches the disk (`flush_filesystem`).
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags, 0o666)
    with naming(path):
        try:
            _write_all(handle, data)
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(
    path: str | Path, data: bytes, *, before_replacing: Callable[[], object] = lambda: None
) -> None:
    """Replace the content of `path`, whole or not at all; on an error the old file is untouched.

    `before_replacing()` is called when the new content stands beside the old under a temporary name, and once
    more when that was taken away; what it raises is passed on, and the old file stays.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        create(temporary, data)
        before_replacing()
        try:
            _replace(temporary, path)
        except FileNotFoundError:
            before_replacing()
            raise
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:  # nobody knows the other name
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    sync_folder(path.parent)


def write_text(path: str | Path, text: str, *, before_replacing: Callable[[], object] = lambda: None) -> None:
    """Replace the content of `path` by `text` in UTF-8, whole or not at all; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"), before_replacing=before_replacing)


def append_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Add whole lines to the end of a text file, which is made if need be: all, or on an error none.

    A last line without its line end gets one first, so that two entries never run together; one that is the
    beginning of the first line was cut off by a kill and is completed. Of several processes one appends after
    the other, under a lock of the file that ends with its process: on NFS an append alone is not enough, each
    client writes where it believes the end to be. Where the server locks no files (NFS mounted with nolock)
    two clients that append at the same instant may still lose a line.
    """
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    if not data:
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    with naming(path):
        try:
            _lock(handle)
            _append(handle, data)
        finally:
            os.close(handle)


def _append(handle: int, data: bytes) -> None:
    size = os.fstat(handle).st_size
    cut_off = os.pread(handle, 4096, max(0, size - 4096)).rpartition(b"\n")[2]
    if data.startswith(cut_off):
        data = data[len(cut_off) :]
    elif cut_off:
        data = b"\n" + data
    try:
        _write_all(handle, data)
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise


def _lock(handle: int) -> None:
    """Until the file is closed; waits for another process as long as a healthy one could take. It also makes
    an NFS client ask the server anew how long the file is."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                return  # a file system without locks
        time.sleep(0.01)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Inside the block no other process is in one under the same path: a lock on a file, which is there only
    meanwhile and ends with its process. Where the server locks no files it excludes nobody."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        _lock(handle)
        with contextlib.suppress(FileNotFoundError):  # who had it before has removed it
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                break
        os.close(handle)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(handle)


def server_time(folder: Path) -> float:
    """What the clock of the file server says, told from a file made in `folder` for it. Raises OSError."""
    probe = temporary_name(folder / "clock")
    try:
        create(probe, durable=False)
        return os.stat(probe).st_mtime
    finally:
        with contextlib.suppress(OSError):
            os.unlink(probe)


def sync_folder(folder: str | Path) -> None:
    """Wait until the names in `folder` are on disk, where the file system can tell."""
    with contextlib.suppress(OSError):  # some can't; there the rename itself is all there is
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_tree(folder: str | Path) -> None:
    """Wait until every file below `folder` is on disk; symlinks are not followed. What can't be opened (its
    owner may not read it) gets there with the whole file system."""
    closed: list[OSError] = []
    for parent, _, names in os.walk(folder, onerror=closed.append):
        for name in names:
            path = os.path.join(parent, name)
            try:
                handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError as error:
                closed.append(error)
                continue
            with naming(path):
                _sync(handle)
        sync_folder(parent)
    if any(error.errno not in _NO_FILE for error in closed):
        flush_filesystem(folder)


def _sync(handle: int) -> None:
    """To disk, where that means anything, and close."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(handle)


def put_in_place(made: Path, place: Path) -> bool:
    """Give a folder that is not empty its name; False where another, not empty either, has that already."""
    found = os.stat(made)
    try:
        retry(lambda: os.rename(made, place))
    except OSError as error:
        if _is_same(place, found):  # done, and only the answer got lost
            return True
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


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


def _replace(temporary: Path, path: Path) -> None:
    """Where a shared file system lost the answer to a rename that it had done, what is asked for once more is
    not there: then the file itself tells, under its new name."""
    made = os.stat(temporary)
    try:
        retry(lambda: os.replace(temporary, path))
    except OSError:
        if not _is_same(path, made):
            raise


def _is_same(path: Path, made: os.stat_result) -> bool:
    """Whether a name is that of this file or folder, in which nobody has changed anything since."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino, found.st_mtime_ns) == (made.st_dev, made.st_ino, made.st_mtime_ns)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
