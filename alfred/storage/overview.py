"""How a set of storage directories stands: states, who runs what, how long runs took, what crashed."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from alfred.storage import leases
from alfred.storage.attempts import read_run
from alfred.storage.crashes import CrashGroup, group_crashes
from alfred.storage.flags import State
from alfred.storage.leases import Verdict
from alfred.storage.owners import Owner, host_of, is_owner_name, read_owner
from alfred.storage.scheduler import Job
from alfred.storage.survey import Condition, Judge, Run, survey

_DURATIONS = 600  # records of finished runs that are read in all
_FEWEST_DURATIONS = 5  # for each storage directory, however many there are


@dataclass(frozen=True)
class Durations:
    """Seconds that completed runs took, told from `sampled` of them, spread evenly over all."""

    sampled: int
    completed: int
    median: float
    min: float
    max: float


@dataclass(frozen=True)
class StorageStatus:
    """One storage directory: how many runs are in each condition, and how long they took if that is known."""

    name: str
    path: str
    counts: Counter[Condition]
    durations: Durations | None


@dataclass(frozen=True)
class Holder:
    """The owner of a baton as its lease tells; `heard` is how many seconds ago it was heard of, by this
    machine's clock (None: there is no lease)."""

    name: str
    host: str
    pid: int | None
    job: str
    verdict: Verdict
    heard: float | None


@dataclass(frozen=True)
class ActiveRun:
    """A run that somebody holds: `start` as noted in run.json, `seconds` since then; None: not known."""

    seed_dir: str
    holder: Holder
    being_put_back: bool
    start: str | None
    seconds: float | None


@dataclass
class Overview:
    """All that `alfred status` shows. `completed_beside` are the completed runs of the storage directories in
    which something has crashed; `jobs` are those of clusters, None where nobody answers for them."""

    storages: list[StorageStatus] = dataclasses.field(default_factory=list)
    active: list[ActiveRun] = dataclasses.field(default_factory=list)
    stopped: list[str] = dataclasses.field(default_factory=list)
    crashes: list[CrashGroup] = dataclasses.field(default_factory=list)
    completed_beside: list[str] = dataclasses.field(default_factory=list)
    conflicts: list[str] = dataclasses.field(default_factory=list)
    unreadable: list[str] = dataclasses.field(default_factory=list)
    jobs: list[Job] | None = dataclasses.field(default_factory=list)


def overview(
    storage_dirs: Sequence[Path],
    observer: Owner,
    *,
    now: Callable[[], float] = time.time,
    looked: Callable[[int], object] = lambda how_many: None,
) -> Overview:
    """Look at every run of the storage directories once; nothing is written.

    `looked(n)` is called now and then with the number of runs seen so far.
    """
    result = Overview()
    crashed: list[str] = []
    limit = max(_FEWEST_DURATIONS, _DURATIONS // max(1, len(storage_dirs)))
    seen = 0
    for storage_dir in storage_dirs:
        judge = Judge(storage_dir, observer)
        runs: dict[Condition, list[Run]] = {condition: [] for condition in Condition}
        try:
            for run in survey(storage_dir):
                runs[judge.condition(run)].append(run)
                seen += 1
                if seen % 1000 == 0:
                    looked(seen)
        except OSError as error:
            result.unreadable.append(f"{storage_dir} can't be read whole: {error.strerror or error}")
        counts = Counter({condition: len(found) for condition, found in runs.items()})
        durations = _durations([run.seed_dir for run in runs[Condition.COMPLETED]], limit)
        result.storages.append(StorageStatus(storage_dir.name, str(storage_dir), counts, durations))
        result.active += _active(storage_dir, runs[Condition.RUNNING], judge, now())
        result.stopped += [run.seed_dir for run in runs[Condition.STOPPED]]
        result.conflicts += [run.conflict for run in runs[Condition.CONFLICT]]
        if runs[Condition.CRASHED]:
            crashed += [run.seed_dir for run in runs[Condition.CRASHED]]
            result.completed_beside += [run.seed_dir for run in runs[Condition.COMPLETED]]
    result.crashes = group_crashes(crashed)
    return result


def _durations(completed: Sequence[str], limit: int) -> Durations | None:
    step = max(1, -(-len(completed) // limit))
    seconds = []
    for seed_dir in completed[::step]:
        value = read_run(Path(seed_dir)).get("seconds")
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
            seconds.append(float(value))
    if not seconds:
        return None
    return Durations(len(seconds), len(completed), median(seconds), min(seconds), max(seconds))


def _active(storage_dir: Path, runs: Sequence[Run], judge: Judge, now: float) -> Iterator[ActiveRun]:
    holders: dict[str, Holder] = {}
    for run in runs:
        name = run.baton.owner if run.baton else ""
        if name not in holders:
            holders[name] = holder_of(storage_dir, name, judge.verdict(name), now)
        record = read_run(Path(run.seed_dir))
        start = record.get("start") if record.get("owner") == name else None
        began = _moment(start)
        yield ActiveRun(
            run.seed_dir,
            holders[name],
            run.baton is not None and run.baton.state is State.RESETTING,
            start if began is not None else None,
            max(0.0, now - began) if began is not None else None,
        )


def holder_of(storage_dir: Path, name: str, verdict: Verdict, now: float) -> Holder:
    """What the lease of an owner tells, or its name where there is none."""
    lease = leases.owners_dir(storage_dir) / name
    owner = read_owner(lease)
    try:
        heard = max(0.0, now - os.stat(lease, follow_symlinks=False).st_mtime)
    except OSError:
        heard = None
    if owner is not None and owner.name == name:
        return Holder(name, owner.host, owner.pid, owner.job, verdict, heard)
    known = is_owner_name(name)
    pid = int(name.rsplit("-", 2)[1]) if known else None
    return Holder(name, host_of(name) if known else name, pid, "", verdict, heard)


def _moment(text: object) -> float | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except (ValueError, OverflowError):
        return None
