"""The process that has the project's main.py loaded and forks one process for each run.

Started by alfred.launchers.starters as `python -m alfred.launchers.fork_server HANDLE LAUNCHER PROJECT`; the
handle is a socket to the launcher, which is named by the number of its process. First this process says what
set_up_alfred() has set, or what is wrong with the project.
Then each request to start a run comes with the end of a pipe for that run's messages; the answer is the
process's number, and later how it ended. When the launcher is gone, so are all runs and this process.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import alfred.defaults
from alfred.errors import AlfredError, ProjectError
from alfred.launchers import child
from alfred.launchers.base import STOP_SIGNALS
from alfred.launchers.tasks import RunTask, ended_from_rusage, to_line
from alfred.project import Project, load_project
from alfred.storage import processes


class ForkServer:
    """Serves one launcher until its socket closes."""

    def __init__(self, connection: socket.socket, project: Project, handlers: child.Handlers) -> None:
        self._connection = connection
        self._project = project
        self._handlers = handlers
        self._children: dict[int, str] = {}
        self._received = b""
        self._wires: list[int] = []

    def serve(self) -> None:
        """Start runs and tell their ends until the launcher is gone."""
        woken, wakes = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        selector = selectors.DefaultSelector()
        selector.register(self._connection, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(timeout=1.0):
                if key.fd == woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(woken, 4096)
                elif not self._receive():
                    return
            self._reap()

    def end_all(self) -> None:
        """Kill whatever still runs."""
        for pid, token in list(self._children.items()):
            processes.kill_session(pid, token)

    def _receive(self) -> bool:
        """Do what was asked; False when the launcher is gone."""
        try:
            data, wires, _, _ = socket.recv_fds(self._connection, 65_536, 8)
        except ConnectionError:
            return False
        if not data:
            return False
        self._wires += wires
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._start(RunTask.from_json(json.loads(line)), self._wires.pop(0))
        return True

    def _start(self, task: RunTask, wire: int) -> None:
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # the limit of processes, or no memory: the other runs go on
            os.close(wire)
            self._send({"refused": [error.errno, str(error.strerror)]})
            return
        if pid == 0:
            self._connection.close()
            child.forget_exit_functions()
            child.work(task, self._project.main, wire, server, self._handlers)
        os.close(wire)
        self._children[pid] = processes.start_token(pid) or ""
        self._send({"started": pid})

    def _reap(self) -> None:
        for pid in list(self._children):
            found, status, usage = os.wait4(pid, os.WNOHANG)
            if found:
                del self._children[pid]
                ended = ended_from_rusage(pid, status, usage)
                self._send({"ended": [pid, status, ended.peak_memory, ended.cpu_seconds]})

    def _send(self, message: dict[str, Any]) -> None:
        _tell(self._connection, message)


def _tell(connection: socket.socket, message: dict[str, Any]) -> None:
    """A launcher that is gone hears nothing; that its socket is closed is seen at the next look."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(to_line(message))


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages loaded by now that tell theirs."""
    found = {"python": sys.version.split()[0]}
    for name, module in sorted(sys.modules.items()):
        is_package = "." not in name and name not in sys.stdlib_module_names and name != "__main__"
        try:
            version = getattr(module, "__version__", None) if is_package else None
        except Exception:  # modules that import themselves when they are asked for a name
            continue
        if isinstance(version, str):
            found[name] = version
    return found


def settings() -> str:
    """What the project has set in alfred.defaults, as text for another process of the same user."""
    found = {name: value for name, value in vars(alfred.defaults).items() if name.isupper()}
    try:
        return base64.b64encode(pickle.dumps(found)).decode()
    except Exception as error:
        raise ProjectError(
            f"set_up_alfred() has set something in alfred.defaults that can't be handed to another process: "
            f"{error}: set plain values"
        ) from error


def apply_settings(text: str) -> None:
    """Set alfred.defaults as another process has it."""
    for name, value in pickle.loads(base64.b64decode(text)).items():
        setattr(alfred.defaults, name, value)


def main(handle: int, launcher: int, folder: str) -> None:
    """Load the project and serve."""
    connection = socket.socket(fileno=handle)
    connection.set_inheritable(False)
    try:
        with processes.dying_with_parent(launcher):  # an import may take long; afterwards the socket tells
            project = load_project(Path(folder))
        hello = {"settings": settings(), "versions": package_versions()}
    except AlfredError as error:
        _tell(connection, {"failed": str(error), "kind": type(error).__name__})
        return
    handlers = child.project_handlers()
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the launcher decides who is told
    _tell(connection, hello)
    server = ForkServer(connection, project, handlers)
    try:
        server.serve()
    finally:
        server.end_all()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
