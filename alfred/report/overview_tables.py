"""How the storage directories stand, for people: what `alfred status` prints."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alfred.report.jobs import print_jobs
from alfred.report.tables import Column, escaped, print_states, print_table
from alfred.storage.crashes import CrashGroup
from alfred.storage.leases import Verdict
from alfred.storage.overview import ActiveRun, Durations, Holder, Overview
from alfred.utils.misc import formatted_time_diff

_SHOWN_RUNS = 40
_SHOWN_CRASHES = 20


def print_overview(root: Path, found: Overview, only_theirs: Sequence[dict[str, Any]] | None) -> None:
    """Tables of the storage directories by state, of what runs, of jobs and of crashes. With `only_theirs`,
    the values of each kind of crash, each kind is a paragraph."""
    if not found.storages:
        print(escaped(f"No storage directories in {root}"))
        return
    took = [_took(storage.durations) for storage in found.storages]
    rows = [(storage.name, storage.counts) for storage in found.storages]
    print_states(rows, {"time per completed run": took} if any(took) else {})
    if any(s.durations and s.durations.sampled < s.durations.completed for s in found.storages):
        print("Times per completed run: median (shortest to longest), from a sample where it says so.")
    _print_active(root, found.active, {job.number: job.id for job in found.jobs or ()})
    _print_jobs(found)
    if found.stopped:
        print(f"\nStopped: {len(found.stopped)}, their processes are gone; `alfred clean` puts them back.")
    if found.conflicts:
        print("\nConflicts")
        print("\n".join(escaped(f"  {text}") for text in found.conflicts))
    if only_theirs is None:
        _print_crashes(root, found)
    else:
        _print_kinds(root, found, only_theirs)


def _took(durations: Durations | None) -> str:
    if durations is None:
        return ""
    text = _time(durations.median)
    if durations.sampled > 1:
        text += f" ({_time(durations.min)} to {_time(durations.max)})"
    if durations.sampled < durations.completed:
        text += f", from {durations.sampled} of {durations.completed}"
    return text


def _print_active(root: Path, active: Sequence[ActiveRun], ids: Mapping[str, str]) -> None:
    """A row a run; `ids` are what the jobs are called in their own table, by their numbers."""
    if not active:
        return
    print()
    columns = [Column(name) for name in ("run", "host", "process", "job", "since", "for", "owner")]
    print_table(
        columns,
        [
            (
                os.path.relpath(run.seed_dir, root),
                run.holder.host,
                "" if run.holder.pid is None else str(run.holder.pid),
                ids.get(run.holder.job, run.holder.job),
                "being put back" if run.being_put_back else _clock_time(run.start),
                "" if run.seconds is None else _time(run.seconds),
                _known_of(run.holder),
            )
            for run in active[:_SHOWN_RUNS]
        ],
        title="Running",
    )
    if len(active) > _SHOWN_RUNS:
        print(f"... and {len(active) - _SHOWN_RUNS} more; --json lists all")


def _print_jobs(found: Overview) -> None:
    if found.jobs:
        print()
        print_jobs(found.jobs, Counter(run.holder.job for run in found.active))
    elif found.jobs is None:
        print("\nJobs were submitted to a cluster; squeue gives no answer here on whether any are left.")


def _known_of(holder: Holder) -> str:
    if holder.verdict is Verdict.ALIVE:
        return "alive"
    if holder.heard is None:
        return "not proven, never heard from"
    return f"not proven, heard from {_time(holder.heard)} ago"


def _print_crashes(root: Path, found: Overview) -> None:
    if not found.crashes:
        return
    print()
    shown = found.crashes[:_SHOWN_CRASHES]
    print_table(
        [Column("runs", is_number=True), Column("last line of the report"), Column("for example")],
        [
            (str(len(group.reports)), group.last_line, os.path.relpath(group.example.path, root))
            for group in shown
        ],
        title="Crashed",
    )
    if len(found.crashes) > _SHOWN_CRASHES:
        print(f"... and {len(found.crashes) - _SHOWN_CRASHES} other kinds; --json lists all")


def _print_kinds(root: Path, found: Overview, only_theirs: Sequence[dict[str, Any]]) -> None:
    """One paragraph for each group of crashes."""
    if not found.crashes:
        print("\nNothing has crashed.")
    for group, values in zip(found.crashes[:_SHOWN_CRASHES], only_theirs, strict=False):
        example, count = group.example, len(group.reports)
        whose = ", reports of attempts that the run was taken from" if example.overtaken else ""
        facts = {
            "error": example.headline,
            "where": example.where,
            "report": os.path.relpath(example.path, root),
            "runs": _names_of_runs(root, group),
            "only they have": ", ".join(f"{name}={json.dumps(value)}" for name, value in values.items()),
        }
        print()
        print(escaped(f"{count} crashed run{'s' * (count > 1)}{whose}: {example.signature}"))
        for name, told in facts.items():
            if told:
                print(escaped(f"  {name:<14}  {told}"))
    if len(found.crashes) > _SHOWN_CRASHES:
        print(f"\n... and {len(found.crashes) - _SHOWN_CRASHES} other kinds; --json lists all")


def _names_of_runs(root: Path, group: CrashGroup) -> str:
    """`<storage directory>: experiment2 (seed1, seed2), experiment5 (seed1)`."""
    seeds: dict[str, dict[str, list[str]]] = {}
    for report in group.reports[:_SHOWN_RUNS]:
        experiment_dir, seed = os.path.split(report.seed_dir)
        storage_dir, experiment = os.path.split(os.path.relpath(experiment_dir, root))
        seeds.setdefault(storage_dir, {}).setdefault(experiment, []).append(seed)
    told = "; ".join(
        f"{storage_dir}: " + ", ".join(f"{name} ({', '.join(of)})" for name, of in experiments.items())
        for storage_dir, experiments in seeds.items()
    )
    left = len(group.reports) - _SHOWN_RUNS
    return told + (f" and {left} more; --json lists all" if left > 0 else "")


def _clock_time(stamp: str | None) -> str:
    """A time stamp as people read it: 2024-05-01T12:30:00+0200 is 2024-05-01 12:30:00."""
    return "" if stamp is None else stamp[:19].replace("T", " ")


def _time(seconds: float) -> str:
    return f"{seconds:.2g}s" if seconds < 10 else formatted_time_diff(seconds)
