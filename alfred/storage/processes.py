"""Processes of this machine: who exists, since when, and the end of a whole session."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_LINUX = sys.platform == "linux"
# Positions in /proc/<pid>/stat, counted from the state, which follows the name in brackets.
_STATE, _SESSION, _START = 0, 3, 19


def is_number(pid: int) -> bool:
    """Whether a number read from a file can be that of a process other than the first; 0, as a session, are
    those of the kernel and of outside this container."""
    return 1 < pid < 1 << 31


def start_token(pid: int) -> str | None:
    """When process `pid` started, as text that no later process of the same number has; None: no such
    process, or a zombie; "": it exists, but the system hides it (/proc mounted with hidepid)."""
    if _LINUX:
        fields = _stat(pid)
        if fields is None:
            return "" if _is_hidden(pid) else None
        return fields[_START] if fields[_STATE] not in "ZX" else None
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.NoSuchProcess:
        return None


def session_members(session: int) -> list[int]:
    """The processes of a session that are no zombies (elsewhere than on Linux: of its process group)."""
    if _LINUX:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [pid for pid in pids if _is_member(pid, session)]
    import psutil

    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
    return members


def kill_session(session: int, token: str, limit: float = 10.0) -> bool:
    """Kill every process of the session whose leader started at `token`; True once all are gone.

    A process that left the session on its own (a daemon) is not reached.
    """
    leader = start_token(session)
    if leader == "":
        return False  # somebody else's process, which may be the leader
    if leader is not None and leader != token:
        return True  # the number belongs to another process now, so nothing of the session is left
    end = time.monotonic() + limit
    while members := session_members(session):
        for pid in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def die_with_parent(parent: int) -> None:
    """End this process when its parent ends. On Linux the kernel sees to it (it watches the thread that
    forked), elsewhere a thread looks once a second."""
    if _LINUX:
        _prctl(1, int(signal.SIGKILL))  # 1 is PR_SET_PDEATHSIG
    else:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def end_with_parent(parent: int) -> None:
    """Have this process get SIGTERM when its parent ends, also after an exec (Linux; elsewhere not)."""
    if _LINUX:
        _prctl(1, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(1)


@contextlib.contextmanager
def dying_with_parent(parent: int) -> Iterator[None]:
    """As die_with_parent, only inside the block (Linux; elsewhere not at all)."""
    if _LINUX:
        die_with_parent(parent)
    yield
    if _LINUX:
        _prctl(1, 0)


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


@functools.cache
def machine_id() -> str:
    """What tells this machine from others; empty when it can't be known."""
    if _LINUX:
        return _first_line("/etc/machine-id") or _first_line("/var/lib/dbus/machine-id")
    return _sysctl("kern.uuid")


@functools.cache
def boot_id() -> str:
    """What tells this start of the machine from others; empty when it can't be known."""
    return _first_line("/proc/sys/kernel/random/boot_id") if _LINUX else _sysctl("kern.bootsessionuuid")


def pid_namespace() -> str:
    """What tells the numbers and start times of these processes from a container's, whose clock since boot
    may be another; empty when it can't be known."""
    if not _LINUX:
        return "the only one"
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    with contextlib.suppress(FileNotFoundError):  # Linux before 5.6 has one clock for all
        return f"{numbers} {os.readlink('/proc/self/ns/time')}"
    return numbers


@functools.cache
def _libc_prctl() -> object:
    import ctypes

    return ctypes.CDLL(None, use_errno=True).prctl


def _prctl(option: int, argument: int) -> None:
    call = _libc_prctl()
    call(option, argument, 0, 0, 0)  # type: ignore[operator]


def _stat(pid: int) -> list[str] | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("ascii", "replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _is_member(pid: int, session: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[_SESSION] == str(session) and fields[_STATE] not in "ZX"


def _is_hidden(pid: int) -> bool:
    """Whether a process of which /proc tells nothing exists all the same: signals are always answered."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid) is None


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _sysctl(name: str) -> str:
    try:
        return subprocess.run(["sysctl", "-n", name], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""
