"""What a run's process has to know, and what becomes known of it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class RunTask:
    """One run to be done by a process of its own."""

    seed_dir: str
    root: str
    project: str
    owner: str
    attempt: int
    use_pbar: bool
    log_level: int
    environment: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The task as it is sent to another process."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RunTask:
        """The task that was sent."""
        return cls(**record)


@dataclass(frozen=True)
class Ended:
    """The end of a run's process: its wait status, or None when that is not known.

    `peak_memory` is in bytes, `cpu_seconds` the processor time of the process and the children it waited for.
    """

    pid: int
    status: int | None
    peak_memory: int = 0
    cpu_seconds: float = 0.0


class Starter(Protocol):
    """How a run's process is made: by a fork server, by a fork, or as a fresh interpreter."""

    def start(self, task: RunTask, wire: int) -> int:
        """Start a process for a run; `wire` is the end of the pipe that it writes to. Its number."""
        ...

    def ended(self) -> list[Ended]:
        """The processes that ended since the last call, without waiting."""
        ...

    def handles(self) -> list[int]:
        """What to wait for, besides SIGCHLD, before `ended` may say more."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Versions of Python and of the packages that the project's code has loaded."""
        ...

    def close(self) -> None:
        """Let go of everything; the runs have ended."""
        ...


def ended_from_rusage(pid: int, status: int, usage: Any) -> Ended:
    """The record for what `os.wait4` gave."""
    in_bytes = 1 if os.uname().sysname == "Darwin" else 1024
    return Ended(pid, status, usage.ru_maxrss * in_bytes, usage.ru_utime + usage.ru_stime)


def to_line(message: Mapping[str, Any]) -> bytes:
    """A message between launcher and fork server."""
    return json.dumps(message).encode() + b"\n"
