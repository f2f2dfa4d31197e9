"""The three ways to make a run's process: from a fork server, by a fork, as a fresh interpreter."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import alfred.errors
from alfred.errors import AlfredError, LaunchError, ProjectError
from alfred.launchers import child
from alfred.launchers.tasks import Ended, RunTask, Starter, ended_from_rusage, to_line


class ForkServerGoneError(LaunchError):
    """The fork server ended while it was needed."""


def load(method: str, project: Path, environment: Mapping[str, str]) -> Starter:
    """A starter with the project loaded and its settings applied to alfred.defaults here.

    Raises:
        ProjectError: main.py can't be used.
    """
    if method == "fork":
        return ForkStarter(project, environment)
    server = ForkServerStarter(project, environment)
    if method == "forkserver":
        return server
    versions = server.versions()
    server.close()  # it was needed for what set_up_alfred() sets and for the versions
    return SpawnStarter(environment, versions)


class ForkServerStarter:
    """Asks a fork server (alfred.launchers.fork_server), which has the project loaded once and for all."""

    def __init__(self, project: Path, environment: Mapping[str, str]) -> None:
        self._project = project
        self._environment = dict(environment)
        self._ended: list[Ended] = []
        self._running: set[int] = set()
        self._connect()

    def start(self, task: RunTask, wire: int) -> int:
        """Start a process for a run."""
        try:
            socket.send_fds(self._connection, [to_line(task.to_json())], [wire])
            while (pid := self._receive()) is None:
                pass
        except (ConnectionError, EOFError):
            self._mourn()
            raise ForkServerGoneError("the process that starts the runs has died") from None
        self._running.add(pid)
        return pid

    def ended(self) -> list[Ended]:
        """The processes that ended; all of them without a status if the fork server itself has died."""
        self._connection.setblocking(False)
        try:
            while True:
                self._receive()
        except BlockingIOError:
            pass
        except (ConnectionError, EOFError):
            self._mourn()
        finally:
            self._connection.setblocking(True)
        gone, self._ended = self._ended, []
        return gone

    def handles(self) -> list[int]:
        """The socket on which the fork server tells."""
        return [self._connection.fileno()]

    def versions(self) -> Mapping[str, str]:
        """As the fork server found them after it had loaded the project."""
        return self._versions

    def close(self) -> None:
        """End the fork server and what it started."""
        self._connection.close()
        self._process.wait()

    def _connect(self) -> None:
        from alfred.launchers.fork_server import apply_settings

        ours, theirs = socket.socketpair()
        command = [
            sys.executable,
            "-m",
            "alfred.launchers.fork_server",
            str(theirs.fileno()),
            str(os.getpid()),
            str(self._project),
        ]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, **self._environment},
            cwd=self._project,
            start_new_session=True,
        )
        theirs.close()
        self._connection = ours
        self._lines = b""
        hello = self._next_line()
        if hello is None:
            self.close()
            status = self._process.returncode
            raise ProjectError(
                f"{self._project / 'main.py'} ended Python when it was imported (status {status})"
            )
        if "failed" in hello:
            self.close()
            kind = getattr(alfred.errors, hello["kind"], AlfredError)
            raise kind(hello["failed"])
        self._versions: dict[str, str] = hello["versions"]
        apply_settings(hello["settings"])

    def _receive(self) -> int | None:
        """Take in one message; the number of a process that was started, None for any other."""
        message = self._next_line()
        if message is None:
            raise EOFError
        if "ended" in message:
            ended = Ended(*message["ended"])
            self._running.discard(ended.pid)
            self._ended.append(ended)
            return None
        if "refused" in message:
            raise OSError(*message["refused"])
        pid: int = message["started"]
        return pid

    def _next_line(self) -> dict[str, Any] | None:
        while b"\n" not in self._lines:
            data = self._connection.recv(65_536)
            if not data:
                return None
            self._lines += data
        line, _, self._lines = self._lines.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _mourn(self) -> None:
        """The fork server is dead, and with it the runs that it started; make another for the next."""
        self._ended += [Ended(pid, None) for pid in self._running]
        self._running.clear()
        self.close()
        self._connect()


class _OwnChildren:
    """What starters have in common whose runs are children of this very process."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self._versions = versions
        self._pids: set[int] = set()

    def ended(self) -> list[Ended]:
        """The processes that ended."""
        found = []
        for pid in list(self._pids):
            waited, status, usage = os.wait4(pid, os.WNOHANG)
            if waited:
                self._pids.discard(pid)
                found.append(ended_from_rusage(pid, status, usage))
        return found

    def handles(self) -> list[int]:
        """None: SIGCHLD tells."""
        return []

    def versions(self) -> Mapping[str, str]:
        """As found once at the start."""
        return self._versions

    def close(self) -> None:
        """Nothing to let go of."""


class ForkStarter(_OwnChildren):
    """Forks this very process, which has the project loaded."""

    def __init__(self, project: Path, environment: Mapping[str, str]) -> None:
        from alfred.launchers.fork_server import package_versions
        from alfred.project import load_project

        os.environ.update(environment)  # before the project imports what reads it
        self._main = load_project(project).main
        self._handlers = child.project_handlers()
        super().__init__(package_versions())

    def start(self, task: RunTask, wire: int) -> int:
        """Start a process for a run."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            child.forget_exit_functions()
            child.work(task, self._main, wire, parent, self._handlers)
        self._pids.add(pid)
        return pid


class SpawnStarter(_OwnChildren):
    """Starts a fresh interpreter for each run (alfred.launchers.spawned), which loads the project itself."""

    def __init__(self, environment: Mapping[str, str], versions: Mapping[str, str]) -> None:
        super().__init__(versions)
        self._environment = dict(environment)

    def start(self, task: RunTask, wire: int) -> int:
        """Start a process for a run."""
        module = "alfred.launchers.spawned"
        arguments = [str(wire), str(os.getpid()), json.dumps(task.to_json())]
        command = [sys.executable, "-m", module, *arguments]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=[wire],
            env={**os.environ, **self._environment, **task.environment},
            cwd=task.project,
            start_new_session=True,
        )
        process.returncode = 0  # waited for by `ended`, so that its memory and time are known
        self._pids.add(process.pid)
        return process.pid
