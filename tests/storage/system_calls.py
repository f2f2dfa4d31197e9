"""Stands between a process and the operating system: counts the calls that reach a folder, and interferes.

Nothing of alfred is replaced: what is wrapped are the functions of `os` and `open`. A test process that is to
be killed wraps them in a child; one that only sees errors does so for a moment (`calls`).
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import signal

CHANGES = ("write", "pwrite", "rename", "replace", "mkdir", "rmdir", "unlink", "remove", "utime", "ftruncate")
LOOKS = ("stat", "lstat", "fstat", "listdir", "scandir", "pread", "read", "readlink", "close", "fsync")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FULL = (errno.ENOSPC, errno.EDQUOT)
for_good = contextlib.ExitStack()
ERRORS = (*FULL, errno.EROFS, errno.EACCES, errno.ESTALE, errno.EIO, errno.EMFILE)


class Call:
    """One call of a process: its number among those counted, its name and whether it changes anything."""

    def __init__(self, number, name, path, changes, do):
        self.number, self.name, self.path, self.changes, self.do = number, name, path, changes, do

    def may_fail_with(self, code):
        """Whether the system could answer this call with the error: a full disk hinders no reading."""
        if code in (*FULL, errno.EROFS):
            late = self.name in ("close", "fsync") and code != errno.EROFS
            frees = self.name in ("unlink", "remove", "rmdir") and code != errno.EROFS
            return (self.changes and not frees) or late
        if code == errno.EMFILE:
            return self.name in ("open", "listdir", "scandir")
        if code == errno.EACCES:
            return self.name not in ("close", "write", "pwrite", "read", "pread", "fstat", "fsync")
        return True


@contextlib.contextmanager
def calls(folder, interfere, only_changes=False):
    """Inside the block `interfere(call)` stands in for every call that names something below `folder`; it
    returns `call.do()`, or does something else. Yields the list of the calls."""
    folder, seen, real_readlink = os.path.realpath(folder), [], os.readlink

    def below(target):
        if isinstance(target, bool) or target is None:
            return None
        if isinstance(target, int):
            try:
                path = real_readlink(f"/proc/self/fd/{target}")
            except OSError:
                return None
        else:
            path = os.path.abspath(os.fsdecode(target))
        return path if path == folder or path.startswith(folder + "/") else None

    def wrapped(name, real):
        def stand_in(*args, **options):
            path = below(args[0] if args else options.get("path"))
            changes = name in CHANGES or (name == "open" and _opens_to_write(args, options))
            if path is None or (only_changes and not changes):
                return real(*args, **options)
            seen.append(call := Call(len(seen) + 1, name, path, changes, lambda: real(*args, **options)))
            call.args = args
            return interfere(call)

        return stand_in

    kept = [(os, name, getattr(os, name)) for name in ("open", *CHANGES, *LOOKS)]
    kept += [(builtins, "open", builtins.open), (io, "open", io.open)]
    try:
        for place, name, real in kept:
            setattr(place, name, wrapped(name, real))
        yield seen
    finally:
        for place, name, real in kept:
            setattr(place, name, real)


def _opens_to_write(args, options):
    how = args[1] if len(args) > 1 else options.get("flags", options.get("mode", "r"))
    return bool(how & WRITING) if isinstance(how, int) else any(letter in how for letter in "wax+")


def signal_at(number, folder, which=signal.SIGKILL, before_write_into=None):
    """Let this process send itself a signal before its `number`th change (a write counts twice: before it,
    and when half of the data is written), or before it writes into one file. For the rest of its life."""
    left = number

    def interfere(call):
        nonlocal left
        left -= 1
        if left == 0 or (call.name == "write" and call.path == str(before_write_into)):
            os.kill(os.getpid(), which)
        if call.name == "write" and len(call.args[1]) > 1:
            left -= 1
            if left == 0:
                os.pwrite(call.args[0], bytes(call.args[1])[: len(call.args[1]) // 2], _end(call.args[0]))
                os.kill(os.getpid(), which)
        return call.do()

    for_good.enter_context(calls(folder, interfere, only_changes=True))


def _end(handle):
    return os.lseek(handle, 0, os.SEEK_CUR)
