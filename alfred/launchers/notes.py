"""What a launcher notes about a run when it begins and when it ends (run.json, attempts.json)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alfred import __version__
from alfred.storage import attempts, batons
from alfred.storage.owners import Owner


@dataclass(frozen=True)
class Begun:
    """A run that was begun: its attempt, what is noted of it, and since when by both clocks."""

    attempt: int
    record: dict[str, Any]
    since: float
    wall: float


def begin(seed_dir: Path, owner: Owner, versions: Mapping[str, str]) -> Begun:
    """Count the attempt and note who runs it, where, with which versions.

    Raises:
        OvertakenError: the run was taken over meanwhile.
    """
    fence = batons.fence(seed_dir, batons.running(owner.name))
    before = attempts.read_attempts(seed_dir)
    attempts.write_attempts(seed_dir, attempts.Attempts(before.attempt + 1, before.deaths), fence)
    record: dict[str, Any] = {
        "owner": owner.name,
        "attempt": before.attempt + 1,
        "host": owner.host,
        "job": owner.job,
        "start": attempts.time_stamp(),
        "alfred": __version__,
        "versions": dict(versions),
    }
    attempts.write_run(seed_dir, record, fence)
    return Begun(before.attempt + 1, record, time.monotonic(), time.time())


def end(seed_dir: Path, begun: Begun, how: Mapping[str, Any]) -> None:
    """Note how the run ended: `how` is added to what was noted at the start.

    Raises:
        OvertakenError: the run was taken over meanwhile.
    """
    fence = batons.fence(seed_dir, batons.running(begun.record["owner"]))
    seconds = round(time.monotonic() - begun.since, 3)
    times = {"end": attempts.time_stamp(begun.wall + seconds), "seconds": seconds}
    attempts.write_run(seed_dir, {**begun.record, **times, **how}, fence)
