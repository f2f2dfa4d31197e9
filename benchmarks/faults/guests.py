"""A lab on one machine: a file server and clients, each with a kernel and caches of its own (no program).

Namespaces would not do: they share one kernel, so what one client changes the others see at once. So each
machine is a user-mode Linux that sees this one's disk as its own, and runs this very checkout and its Python.
Needs root and the Debian packages user-mode-linux, nfs-kernel-server, nfs-common, rpcbind, kmod, iproute2.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
EXPORT = "/srv/export"
VERSIONS = ("4.2", "3")  # by which each client has mounted the export from the beginning
LIMIT = 180.0  # seconds that a command may take unless its caller says otherwise
_PREFIX = "alfred-nfs-"
_PORT = 9000
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


class Process:
    """A command that runs in a guest; `pid` is its number there."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")
        self.pid: int = self._answer()["pid"]

    def wait(self, limit: float = LIMIT) -> tuple[int, str]:
        """Its exit status (-9 after SIGKILL) and all that it printed; TimeoutError when it goes on."""
        self._connection.settimeout(limit)
        with self._connection, self._answers:
            ended = self._answer()
        return ended["status"], ended["output"]

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise ConnectionError("the guest was switched off")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Guest:
    """One machine of the lab."""

    def __init__(self, name: str, address: str, connect: Callable[[str], socket.socket]) -> None:
        self.name = name
        self.address = address
        self._connect = connect

    def start(self, *command: object, cwd: object = "/", **env: object) -> Process:
        """Begin a command, in a session of its own; `env` are more environment variables."""
        told = {name: str(value) for name, value in env.items()}
        asked = {"command": [*map(str, command)], "cwd": str(cwd), "env": told}
        connection = self._connect(self.address)
        connection.sendall(json.dumps(asked).encode() + b"\n")
        return Process(connection)

    def run(self, *command: object, cwd: object = "/", limit: float = LIMIT) -> str:
        """What a command prints; it has to succeed."""
        status, output = self.start(*command, cwd=cwd).wait(limit)
        assert status == 0, f"{self.name}: {command} ended with {status}: {output}"
        return output

    def python(self, *words: object, cwd: object = "/", **env: object) -> Process:
        """Begin a Python that may import alfred."""
        return self.start(sys.executable, *words, cwd=cwd, **env)

    def mount(self, server: Guest, version: str, place: str, more: str = "") -> None:
        """Mount what the server exports, by the defaults of mount but for the version and `more`."""
        path = EXPORT if version == "3" else "/"
        self.run("mkdir", "-p", place)
        self.run("mount", "-t", "nfs", "-o", f"vers={version}{more}", f"{server.address}:{path}", place)


class Lab:
    """The server and its clients, from start to stop in a network namespace of their own.

    Each client has the server's export at /mnt/4.2 and /mnt/3, named by the version of NFS.
    """

    def __init__(self, clients: int = 2) -> None:
        _sweep()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = _locked(self._folder / "lock")
        self._network = self._folder.name
        self._guests: dict[str, subprocess.Popen[bytes]] = {}
        self._lives: dict[str, socket.socket] = {}
        self._connections: list[socket.socket] = []
        names = ["server", *(f"client{number}" for number in range(1, clients + 1))]
        guests = [Guest(name, f"10.77.0.{number}", self._connect) for number, name in enumerate(names, 10)]
        self.server, self.clients = guests[0], guests[1:]
        try:
            self._make_network()
            for guest in guests:
                self._boot(guest)
            for guest in guests:
                self._await(guest)
            for client in self.clients:
                for version in VERSIONS:
                    client.mount(self.server, version, f"/mnt/{version}")
        except BaseException:
            self.stop()
            raise

    def log(self, guest: Guest) -> str:
        """What the kernel and the first process of a guest said."""
        return (self._folder / f"{guest.name}.log").read_text(errors="replace")

    def cut_power(self, guest: Guest) -> None:
        """Let a machine be gone from one instant to the next."""
        os.killpg(self._guests[guest.name].pid, 9)
        self._guests[guest.name].wait()

    def stop(self) -> None:
        """Switch everything off and remove what was made for it."""
        for connection in self._connections:
            if (handle := connection.detach()) >= 0:  # not close(), which would wait for its readers
                os.close(handle)
        for process in self._guests.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3 if self._lives else 0)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
        _remove(self._folder)
        os.close(self._lock)

    def _make_network(self) -> None:
        inside = f"ip -n {self._network}"
        for command in (
            f"ip netns add {self._network}",
            f"{inside} link set lo up",
            f"{inside} link add bridge type bridge",
            f"{inside} addr add 10.77.0.1/24 dev bridge",
            f"{inside} link set bridge up",
        ):
            subprocess.run(command.split(), check=True)

    def _boot(self, guest: Guest) -> None:
        network, folder, tap = self._network, self._folder, f"tap-{guest.name}"
        subprocess.run(f"ip netns exec {network} ip tuntap add dev {tap} mode tap".split(), check=True)
        subprocess.run(f"ip -n {network} link set {tap} master bridge up".split(), check=True)
        settings = {"name": guest.name, "address": guest.address, "export": EXPORT, "port": _PORT}
        settings |= {"python": sys.executable, "here": HERE / "guest", "checkout": CHECKOUT}
        lines = [f"{key}={shlex.quote(str(value))}\n" for key, value in settings.items()]
        (folder / f"{guest.name}.settings").write_text("".join(lines))
        shutil.copy(HERE / "guest" / "init.sh", folder)
        words = f"ip netns exec {network} linux.uml mem=768M umid={guest.name} uml_dir={folder} "
        words += "rootfstype=hostfs rootflags=/ rw con=null con0=null,fd:1 ssl=null quiet "
        words += f"eth0=tuntap,{tap} init={folder}/init.sh guest={guest.name}"
        if guest.name == "server":
            with open(folder / "disk", "wb") as disk:
                disk.truncate(300 << 20)
            words += f" ubda={folder}/disk"
        with open(folder / f"{guest.name}.log", "wb") as log:
            self._guests[guest.name] = subprocess.Popen(
                words.split(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": _place_for_memory(folder)},
                start_new_session=True,
            )

    def _await(self, guest: Guest) -> None:
        """Until it answers. The connection stays: a guest whose connection ends switches itself off."""
        end = time.monotonic() + 100
        while True:
            assert self._guests[guest.name].poll() is None, self.log(guest)
            assert time.monotonic() < end, self.log(guest)
            with contextlib.suppress(OSError):
                self._lives[guest.name] = self._connect(guest.address)
                self._lives[guest.name].sendall(b'"stay"\n')
                return
            time.sleep(0.1)

    def _connect(self, address: str) -> socket.socket:
        """A connection from inside the namespace; a thread enters it and this process stays outside."""
        made: list[socket.socket | OSError] = []

        def enter() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/run/netns/{self._network}") as network:
                if libc.setns(network.fileno(), _NEW_NETWORK) != 0:
                    made.append(OSError(ctypes.get_errno(), f"setns to {self._network}"))
                    return
            try:
                made.append(socket.create_connection((address, _PORT), timeout=20))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        self._connections.append(made[0])
        return made[0]


@contextlib.contextmanager
def lab(clients: int = 2) -> Iterator[Lab]:
    """A lab for the time of a `with`."""
    made = Lab(clients)
    try:
        yield made
    finally:
        made.stop()


def _place_for_memory(folder: Path) -> str:
    """Where the file that is a guest's memory can be mapped: best in memory."""
    with contextlib.suppress(OSError):
        found = os.statvfs("/dev/shm")
        if not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize > 1 << 30:
            return "/dev/shm"
    return str(folder)


def _locked(path: Path) -> int:
    """The handle of a file that nobody else can lock while this process lives; OSError when somebody has."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _sweep() -> None:
    """Remove what is left of labs whose process was killed; their guests switched themselves off then."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/lock"):
        with contextlib.suppress(OSError):
            os.close(_locked(lock))
            _remove(lock.parent)


def _remove(folder: Path) -> None:
    """Take away a lab: its folder, and the namespace called like it with all that runs there."""
    found = subprocess.run(["ip", "netns", "pids", folder.name], capture_output=True, text=True)
    for pid in map(int, found.stdout.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
    subprocess.run(["ip", "netns", "del", folder.name], stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)
