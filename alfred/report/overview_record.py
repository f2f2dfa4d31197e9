"""How the storage directories stand as a record for scripts: what `alfred status --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alfred.report.tables import HEADINGS
from alfred.storage.attempts import time_stamp
from alfred.storage.crashes import CrashGroup
from alfred.storage.overview import ActiveRun, Overview


def as_record(
    root: Path, found: Overview, passed_over: Sequence[str], only_theirs: Sequence[dict[str, Any]] | None
) -> dict[str, Any]:
    """The keys that `alfred status --help` explains; `only_theirs` has the values of each kind of crash."""
    return {
        "root": str(root),
        "time": time_stamp(),
        "storage_dirs": [
            {
                "name": storage.name,
                "path": storage.path,
                "counts": {heading: storage.counts[condition] for condition, heading in HEADINGS.items()}
                | {"total": storage.counts.total()},
                "durations": vars(storage.durations) if storage.durations else None,
            }
            for storage in found.storages
        ],
        "running": [_running_record(run) for run in found.active],
        "stopped": found.stopped,
        "crashes": [
            _crash_record(group) | ({} if only_theirs is None else {"only_theirs": only_theirs[at]})
            for at, group in enumerate(found.crashes)
        ],
        "jobs": None if found.jobs is None else [vars(job) for job in found.jobs],
        "conflicts": found.conflicts,
        "passed_over": list(passed_over),
    }


def _crash_record(group: CrashGroup) -> dict[str, Any]:
    return {
        "count": len(group.reports),
        "signature": group.example.signature,
        "example": group.example.path,
        "headline": group.example.headline,
        "last_line": group.last_line,
        "where": group.example.where or None,
        "overtaken": group.example.overtaken,
        "runs": [report.seed_dir for report in group.reports],
    }


def _running_record(run: ActiveRun) -> dict[str, Any]:
    return {
        "seed_dir": run.seed_dir,
        "owner": run.holder.name,
        "host": run.holder.host,
        "pid": run.holder.pid,
        "job": run.holder.job or None,
        "alive": run.holder.verdict.value,
        "heard": _rounded(run.holder.heard),
        "being_put_back": run.being_put_back,
        "start": run.start,
        "seconds": _rounded(run.seconds),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
