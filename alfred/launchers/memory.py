"""Who says that a run was killed for want of memory: the kernel's counter for its control group, its log.

A signal alone says nothing: kill -9 by hand, by a batch system and by the kernel look the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from alfred.launchers import control_groups
from alfred.storage import processes

_MOST_RECORDS = 200_000  # of the kernel's log; each is read by a call of its own
_CLOCKS_APART = 5.0  # seconds by which the log's clock may be off
_FIRST_PID_NAMESPACE = "pid:[4026531836]"  # the kernel's log numbers processes as this one does
_RECORD = re.compile(rb"^\d+,\d+,(\d+),[^;]*;(.*Killed process (\d+)[ ,].*)$", re.MULTILINE)
_NO_LIMIT = 1 << 60


class Memory:
    """What is known of the memory of this process and the runs that it starts.

    `groups` is where control groups are mounted, `mine` says which this process is in, `log` is the
    kernel's log.
    """

    def __init__(
        self, groups: str = control_groups.MOUNTED, mine: str = control_groups.MINE, log: str = "/dev/kmsg"
    ) -> None:
        self._log = log
        self._explained = 0
        self._folders = control_groups.folders("memory", groups, mine)

    def kills(self) -> int:
        """How often the kernel has killed in this control group for want of memory; 0 if it isn't known."""
        for folder in self._folders[:1]:
            for name in ("memory.events", "memory.oom_control"):  # version 2, version 1
                found = re.search(r"^oom_kill (\d+)$", control_groups.text(folder / name), re.MULTILINE)
                if found:
                    return int(found[1])
        return 0

    def evidence(self, pid: int, before: int, since: float) -> str:
        """What says that process `pid`, killed by SIGKILL, was killed for want of memory; "": nothing does.

        `before` is what `kills()` was when the run began, `since` when that was (monotonic clock). Of
        several runs that were killed each needs a kill of its own.
        """
        kills = self.kills() - max(before, self._explained)
        if kills > 0:
            self._explained = max(before, self._explained) + 1
        if line := self._line_of_log(pid, since):
            return f"the kernel's log says: {line}"
        return "the kernel killed for want of memory in its control group" if kills > 0 else ""

    def limit(self) -> int | None:
        """The bytes that the control group may use, None when there is no limit."""
        limits = [
            int(text)
            for folder in self._folders
            for name in ("memory.max", "memory.limit_in_bytes")
            if (text := control_groups.text(folder / name).strip()).isdecimal()
        ]
        least = min(limits, default=_NO_LIMIT)
        return least if least < _NO_LIMIT else None

    def _line_of_log(self, pid: int, since: float) -> str:
        if _FIRST_PID_NAMESPACE not in processes.pid_namespace().split():
            return ""
        for record in _records(self._log):
            for when, line, number in _RECORD.findall(record):
                if int(number) == pid and int(when) / 1e6 > since - _CLOCKS_APART:
                    return str(line.decode("ascii", "replace"))
        return ""


def of_machine() -> int | None:
    """The bytes of memory that this machine has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _records(log: str) -> Iterator[bytes]:
    """What the kernel's log holds, if it may be read."""
    try:
        handle = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        for _ in range(_MOST_RECORDS):
            try:
                record = os.read(handle, 65_536)
            except BrokenPipeError:  # what was to be read next has been overwritten
                continue
            if not record:
                return
            yield record
    except OSError:  # BlockingIOError: that was all
        return
    finally:
        os.close(handle)
