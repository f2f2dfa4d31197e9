"""Measures what a file system does with alfred's own calls, from two processes at once.

Everything happens in a hidden folder of its own, which is removed at the end, on Ctrl-C as well. What the
measurements mean is said by `filesystem_checks`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alfred import files
from alfred.storage import probe_calls
from alfred.storage.probe_clients import Client, Meeting, NoAnswerError, ProbeError


@dataclass(frozen=True)
class Extent:
    """How much is tried: rounds and seconds of each race, seconds to wait for a change to be seen, in all."""

    rounds: int
    race: float
    patience: float
    total: float


QUICK = Extent(rounds=200, race=0.8, patience=2.5, total=10.0)
FULL = Extent(rounds=1500, race=8.0, patience=65.0, total=120.0)


@dataclass(frozen=True)
class Race:
    """Two processes that did the same at the same instant.

    Of `rounds` in all, `overlapped` had both calls under way at once. In `double` both were told that they
    won, or there are two results; in `unclaimed` neither was told and yet it is done; in `lost` there is no
    result. `error` is what else a call answered in the last round.
    """

    kind: str
    rounds: int
    overlapped: int = 0
    double: int = 0
    unclaimed: int = 0
    lost: int = 0
    error: str = ""


@dataclass(frozen=True)
class Sight:
    """How many seconds after a change the other process saw it by one way of looking; None: not within
    `patience`."""

    change: str
    way: str
    seconds: float | None
    patience: float


@dataclass(frozen=True)
class Stamps:
    """Time stamps: seconds between two that differ (None: they never did), and how many seconds the file
    server's clock is ahead of this machine's."""

    granularity: float | None
    ahead: float


@dataclass(frozen=True)
class Syncs:
    """Seconds until a small file is on disk, and a name in a folder (None: that can't be asked for)."""

    file: float
    folder: float | None


@dataclass(frozen=True)
class Names:
    """Bytes of the longest name and path, whether letters' case counts, whether symlinks can be made."""

    longest: int
    path: int
    case: bool
    symlinks: bool


@dataclass(frozen=True)
class Room:
    """What is free: bytes, and inodes (None: they are made as needed)."""

    bytes: int
    inodes: int | None


@dataclass
class Measurements:
    """All that was measured; None what could not be, `failures` says why by the name of the field.

    `refused` says why nothing can be written at all, "" if it can.
    """

    refused: str = ""
    races: list[Race] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    stamps: Stamps | None = None
    syncs: Syncs | None = None
    names: Names | None = None
    room: Room | None = None
    failures: dict[str, str] = field(default_factory=dict)


Waiting = Callable[[str], object]


def measure(folder: Path, other: Path, extent: Extent, waiting: Waiting = lambda doing: None) -> Measurements:
    """Measure the file system of `folder`; `other` is the same folder as the second process sees it.

    `waiting(what)` is called several times a second with what is being measured.
    """
    name = files.temporary_name(folder / "alfred-doctor").name
    meeting = Meeting()
    views = (str(folder / name), str(other / name))
    clients: list[Client] = []
    try:
        for me, view in enumerate(views):
            clients.append(Client(probe_calls.calls(view, me, meeting)))
        return _Probe(clients, meeting, extent, waiting).run()
    finally:
        for client in clients:
            client.close()


class _Probe:
    """One measurement after the other, until all are made or the time is over."""

    def __init__(self, clients: Sequence[Client], meeting: Meeting, extent: Extent, waiting: Waiting) -> None:
        self._writer, self._looker = clients
        self._meeting = meeting
        self._extent = extent
        self._waiting = waiting
        self._end = time.monotonic() + extent.total
        self._found = Measurements()
        self._doing = ""

    def run(self) -> Measurements:
        """Everything, in the order of what matters most."""
        with self._noting("room", "asking for free space"):
            self._found.room = Room(**self._ask(self._writer, "room"))
        try:
            self._ask(self._writer, "make")
        except ProbeError as error:
            self._found.refused = str(error)
            if isinstance(error, NoAnswerError):
                self._remove()
            return self._found
        try:
            self._measure()
        finally:
            self._remove()
        return self._found

    def _measure(self) -> None:
        with self._noting("other", "looking for one folder in the other"):
            self._find_in_other()
        both = "other" not in self._found.failures
        for kind in probe_calls.RACES if both else ():
            with self._noting(kind, f"racing ({kind})"):
                self._found.races.append(self._race(kind))
        with self._noting("stamps", "measuring time stamps"):
            self._found.stamps = Stamps(**self._ask(self._writer, "stamps", min(3.0, self._extent.patience)))
        with self._noting("syncs", "writing to disk"):
            self._found.syncs = Syncs(**self._ask(self._writer, "syncs"))
        with self._noting("names", "trying names"):
            self._found.names = Names(**self._ask(self._writer, "names"))
        if both:
            with self._noting("sights", "waiting until the other process sees what was changed"):
                self._found.sights = self._sights()

    def _remove(self) -> None:
        """Each of both removes what it sees: a cache may hide from one what the other made."""
        self._meeting.give_up()  # after Ctrl-C a race may still be going on
        self._end = time.monotonic() + max(10.0, self._extent.total / 4)
        with self._noting("removal", "removing what was made"):
            for client in (self._writer, self._looker, self._writer, self._looker):
                if self._ask(client, "remove"):
                    return
            raise ProbeError("it can't be emptied")

    def _find_in_other(self) -> None:
        """Raises ProbeError when what is made in the one folder is not seen in the other."""
        end = time.monotonic() + min(5.0, self._extent.patience)
        while not self._ask(self._looker, "there"):
            if time.monotonic() > end:
                raise ProbeError("what is made in the one folder is not there in the other")
            time.sleep(0.1)

    @contextmanager
    def _noting(self, name: str, doing: str) -> Iterator[None]:
        """What can't be measured must not keep the rest from being measured."""
        self._doing = doing
        try:
            yield
        except ProbeError as error:
            self._found.failures[name] = str(error)

    def _ask(self, client: Client, name: str, *arguments: Any) -> Any:
        left = self._time_left()
        client.begin(name, *arguments)
        return self._answer(client, left)

    def _answer(self, client: Client, limit: float) -> Any:
        return client.result(limit, lambda: self._waiting(self._doing))

    def _time_left(self) -> float:
        """Raises ProbeError when there is none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise ProbeError(f"the time of {self._extent.total:g} s was over")
        return left

    def _race(self, kind: str) -> Race:
        self._meeting.clear()
        for client in (self._writer, self._looker):
            client.begin("race", kind, self._extent.rounds, self._extent.race)
        told = [self._answer(client, self._time_left()) for client in (self._writer, self._looker)]
        for pause in (1.0, 1.0, 0.0):  # a listing may be late; what is missing in three of them is missing
            race = referee(kind, told, self._ask(self._writer, "names_of", kind))
            if not race.lost:
                break
            time.sleep(pause)
        return race

    def _sights(self) -> list[Sight]:
        patience = min(self._extent.patience, self._end - time.monotonic() - 1.0)
        moves = self._found.stamps is not None and self._found.stamps.granularity is not None
        self._ask(self._writer, "lay_sights")
        before = self._ask(self._looker, "prime", patience)
        changed = self._ask(self._writer, "change", moves)
        seen = self._ask(self._looker, "watch", before, moves, patience)
        return [
            Sight(change, way, None if late is None else max(0.0, late - done), patience)
            for (change, way), done, late in zip(probe_calls.SIGHTS, changed, seen, strict=True)
            if moves or change != probe_calls.STAMP
        ]


def referee(kind: str, told: Sequence[dict[str, Any]], names: Sequence[str]) -> Race:
    """Who won each round: by what the two processes were told, and by what is there now."""
    there = set(names)
    double = unclaimed = lost = overlapped = 0
    turns = list(zip(told[0]["turns"], told[1]["turns"], strict=False))
    for turn, (first, second) in enumerate(turns, start=1):
        wins = first[0] + second[0]
        left = {f"{turn}", f"{turn}.0", f"{turn}.1"} & there
        results = left - {f"{turn}"} if kind == "rename" else left & {f"{turn}"}
        double += wins > 1 or len(results) > 1
        unclaimed += wins == 0 and len(results) == 1
        refused = told[0]["error"] or told[1]["error"] if turn == len(turns) else ""
        lost += not results and not refused
        overlapped += first[1] < second[2] and second[1] < first[2]
    error = told[0]["error"] or told[1]["error"]
    return Race(kind, len(turns), overlapped, double, unclaimed, lost, error)
