"""Who is alive: each owner of batons keeps a small file fresh, and observers judge by it.

What a lease does not promise: a process that stood still (SIGSTOP, a sleeping laptop) for longer than
five beats may be judged dead by an observer on another machine and go on later. Its results are refused then,
because its baton has changed hands, but files that it writes by path until its next beat are its own doing.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from alfred import files
from alfred.storage import processes, scheduler
from alfred.storage.owners import Owner, read_owner

LOOKS = 5


class Verdict(Enum):
    """What is known of an owner. Doubt means alive."""

    ALIVE = "alive"
    DEAD = "dead"
    DOUBT = "not proven"


def owners_dir(storage_dir: Path) -> Path:
    """Where the leases of a storage directory are."""
    return storage_dir / ".alfred" / "owners"


class Leases:
    """The leases of one owner: one file for each storage directory in which it holds a baton.

    A thread beats them, so that a stopped terminal or a slow disk doesn't make the owner look dead. Where
    the user's code runs in this very process, a helper process does (`helper=True`): code may hold the
    interpreter for minutes, or stand in a debugger.
    """

    def __init__(self, owner: Owner, *, helper: bool = False) -> None:
        self.owner = owner
        self._batons: Counter[Path] = Counter()
        self._heart: _Heart = _HelperHeart(owner.beat) if helper else _ThreadHeart(owner.beat)

    def hold(self, storage_dir: Path) -> None:
        """Say that this owner is about to take a baton here: call it before. OSError: no lease is held."""
        if self._batons[storage_dir] <= 0:
            path = self._written(storage_dir)
            beat(path)
            self._heart.add(path)
        self._batons[storage_dir] += 1

    def restore(self) -> None:
        """Write leases again that somebody removed although batons are held: without it we look dead."""
        for storage_dir, held in self._batons.items():
            if held > 0 and storage_dir.is_dir():
                self._written(storage_dir)

    def _written(self, storage_dir: Path) -> Path:
        path = owners_dir(storage_dir) / self.owner.name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(path, self.owner.to_json())
        return path

    def drop(self, storage_dir: Path) -> None:
        """Say that a baton taken here is given back; the lease stays until `leave`."""
        self._batons[storage_dir] = max(0, self._batons[storage_dir] - 1)

    def leave(self, storage_dir: Path) -> None:
        """Remove the lease here, if no baton is held any more."""
        if self._batons[storage_dir] <= 0:
            with contextlib.suppress(OSError):
                (owners_dir(storage_dir) / self.owner.name).unlink()

    def close(self) -> None:
        """Stop beating and remove all leases but those under which a baton is still held."""
        self._heart.stop()
        for storage_dir in list(self._batons):
            self.leave(storage_dir)


class _ThreadHeart:
    """Beats leases from a thread of this process."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._paths: set[Path] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, path: Path) -> None:
        self._paths.add(path)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="alfred-lease", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            for path in list(self._paths):
                beat(path)


class _HelperHeart:
    """Beats leases from a process of its own (alfred.storage.heart), which ends with this one."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._paths: set[Path] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, path: Path) -> None:
        is_new = path not in self._paths
        self._paths.add(path)
        if self._process is None or self._process.poll() is not None:  # killed: another takes over
            self.stop()
            command = [sys.executable, "-m", "alfred.storage.heart", str(self._interval), str(os.getpid())]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
            self._name(self._paths)
        elif is_new:
            self._name([path])

    def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate()

    def _name(self, paths: Iterable[Path]) -> None:
        pipe = self._process.stdin if self._process is not None else None
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):  # seen at the next call
                pipe.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
                pipe.flush()


_Heart = _ThreadHeart | _HelperHeart


def beat(path: Path) -> None:
    """Give a lease a new time stamp: needs no disk space and can't be torn."""
    with contextlib.suppress(OSError):  # the next beat may reach the server again
        os.utime(path)


def judge(storage_dir: Path, owner_name: str, observer: Owner) -> Verdict:
    """What is known of an owner at once: proof needs the same host and the same boot, or a scheduler that
    saw its job end; else there is doubt."""
    owner = read_owner(owners_dir(storage_dir) / owner_name)
    return judge_owner(owner, owner_name, observer)


def judge_owner(owner: Owner | None, owner_name: str, observer: Owner) -> Verdict:
    """As `judge`, for an identity that was read already (None: it could not be read)."""
    if owner is None or owner.name != owner_name:
        return Verdict.DOUBT
    if not same_processes(owner, observer):
        over = scheduler.ended(owner.job, owner.restarts, owner.node, owner.cluster)
        return Verdict.DOUBT if over is None else Verdict.DEAD
    start = processes.start_token(owner.pid)
    if start is not None and "" in (start, owner.start):
        return Verdict.DOUBT  # hidden from this user, or from the owner itself
    return Verdict.ALIVE if start == owner.start else Verdict.DEAD


def same_machine(owner: Owner, observer: Owner) -> bool:
    """Whether both name the same machine, by more than its name: names are given twice."""
    return owner.host == observer.host and owner.machine == observer.machine != ""


def same_processes(owner: Owner, observer: Owner) -> bool:
    """Whether a process number means the same to both: one machine, one start of it, one pid namespace.

    Images of machines may share ids, and a container has those of its host; a start of a machine and a
    namespace are told by numbers of their own.
    """
    return (
        same_machine(owner, observer)
        and owner.boot == observer.boot != ""
        and owner.pid_namespace == observer.pid_namespace != ""
    )


def rebooted(owner: Owner, observer: Owner) -> bool:
    """Whether the observer's machine is the owner's, started anew since."""
    known = owner.boot != "" and observer.boot != ""
    return known and same_machine(owner, observer) and owner.boot != observer.boot


@dataclass(frozen=True)
class Suspect:
    """An owner in doubt, to be watched: in whose `.alfred/owners` its lease is, and a folder that it holds (a
    seed directory, the folder of a chore, a preparation)."""

    storage_dir: Path
    owner_name: str
    held: Path


def watch_silence(
    suspects: Iterable[Suspect],
    observer: Owner,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    progress: Callable[[int, int], None] = lambda look, looks: None,
    heard: Callable[[Suspect], object] = lambda suspect: None,
) -> dict[Suspect, object]:
    """The suspects that stay silent for five looks of the observer's own clock, one interval apart, each
    with the time stamps (see `stamps`) that never changed.

    A look that fails or takes longer than an interval starts the count anew; after three times as many
    looks whoever is not proven dead stays in doubt. An owner of an earlier boot of this very host needs two.
    `progress(look, looks)` is called after each round, `heard` with each suspect that gave a sign of life.
    """
    watched = {suspect: _Watch(suspect, observer) for suspect in suspects}
    for turn in range(1, 3 * LOOKS + 1):
        open_ones = [watch for watch in watched.values() if watch.verdict is Verdict.DOUBT]
        if not open_ones:
            break
        interval = max(watch.interval for watch in open_ones)
        for watch in open_ones:
            watch.look(clock)
            if watch.verdict is Verdict.ALIVE:
                heard(watch.suspect)
        progress(min(turn, LOOKS), LOOKS)
        if any(watch.verdict is Verdict.DOUBT for watch in open_ones):
            sleep(interval)
    return {suspect: watch.seen for suspect, watch in watched.items() if watch.verdict is Verdict.DEAD}


def stamps(suspect: Suspect) -> object:
    """All that a beat changes, asked by name and by an open file: an NFS client may answer either from its
    cache. Without a lease the folder that is held is looked at. Raises OSError."""
    lease = owners_dir(suspect.storage_dir) / suspect.owner_name
    try:
        handle = os.open(lease, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        found = os.stat(suspect.held)
        return (found.st_mtime_ns, *sorted(os.listdir(suspect.held)))
    try:
        opened = os.fstat(handle)
    finally:
        os.close(handle)
    named = os.stat(lease)
    return (opened.st_mtime_ns, opened.st_ino, named.st_mtime_ns, named.st_ino)


class _Watch:
    """The looks at one suspect."""

    def __init__(self, suspect: Suspect, observer: Owner) -> None:
        self.suspect = suspect
        owner = read_owner(owners_dir(suspect.storage_dir) / suspect.owner_name)
        self.interval = owner.beat if owner else observer.beat
        self.needed = 2 if owner is not None and rebooted(owner, observer) else LOOKS
        self.verdict = Verdict.DOUBT
        self.seen: object = None
        self.silent = 0
        self.last = 0.0

    def look(self, clock: Callable[[], float]) -> None:
        before = clock()
        try:
            seen = stamps(self.suspect)
        except OSError:
            seen = None
        after = clock()
        if seen is None or after - before > self.interval:
            self.silent, self.seen = 0, None
        elif self.seen is None:
            self.seen, self.silent, self.last = seen, 1, after
        elif seen != self.seen:
            self.verdict = Verdict.ALIVE
        elif before - self.last >= self.interval:
            self.silent, self.last = self.silent + 1, after
        if self.silent >= self.needed:
            self.verdict = Verdict.DEAD
