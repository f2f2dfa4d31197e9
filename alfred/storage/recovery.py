"""Finding the runs whose owner is dead, and putting them back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from alfred import files
from alfred.storage import batons, chores, leases, processes
from alfred.storage.flags import RUNNING_PREFIX, State
from alfred.storage.leases import Leases, Suspect, Verdict
from alfred.storage.owners import Owner, read_owner
from alfred.storage.survey import Condition, Judge, Run, survey

_MADE_WHEN_ALL_ENDED = (
    "PLOT_ARRAYS_ONGOING",
    "PLOT_ARRAYS_COMPLETED",
    "SUMMARY_ONGOING",
    "SUMMARY_COMPLETED",
    "SUMMARY_FAILED",
    "summary",
)


@dataclass
class Findings:
    """The runs of one storage directory by what is known of them; `put_back` are those reset so far."""

    storage_dir: Path
    runs: list[tuple[Run, Condition]] = field(default_factory=list)
    dead: list[Run] = field(default_factory=list)
    doubtful: list[Run] = field(default_factory=list)
    bare: list[Run] = field(default_factory=list)
    crashed: list[Run] = field(default_factory=list)
    put_back: list[str] = field(default_factory=list)


def find(storage_dir: Path, observer: Owner) -> Findings:
    """Look at every run once; owners on this machine are proven alive or dead at once."""
    found = Findings(storage_dir)
    judge = Judge(storage_dir, observer)
    for run in survey(storage_dir):
        condition = judge.condition(run)
        found.runs.append((run, condition))
        if condition is Condition.CRASHED:
            found.crashed.append(run)
        elif condition is Condition.STOPPED:
            (found.dead if run.baton else found.bare).append(run)
        elif condition is Condition.RUNNING and run.baton and judge.verdict(run.baton.owner) is Verdict.DOUBT:
            found.doubtful.append(run)
    return found


def watch(findings: Iterable[Findings], observer: Owner, progress: Callable[[int, int], None]) -> None:
    """Watch all owners in doubt at once; the runs of those that stay silent are dead from then on."""
    holders: dict[tuple[Path, str], list[tuple[Findings, Run]]] = {}
    for found in findings:
        for run in found.doubtful:
            owner = run.baton.owner if run.baton else ""
            holders.setdefault((found.storage_dir, owner), []).append((found, run))
    suspects = {Suspect(*key, Path(held[0][1].seed_dir)): held for key, held in holders.items()}
    for suspect in leases.watch_silence(suspects, observer, progress=progress):
        for found, run in suspects[suspect]:
            found.doubtful.remove(run)
            found.dead.append(run)


def put_back(
    found: Findings, me: Leases, *, clean_crashes: bool = False, keep_files: bool = False
) -> list[str]:
    """Reset the runs found dead, those without any baton and, if asked, the crashed ones.

    Returns the seed directories that wait again; a run that somebody else took meanwhile is not among them.
    Plots and summary, which showed the runs as they were, go.
    """
    me.hold(found.storage_dir)
    try:
        for run in found.dead:
            if _reap(run, found.storage_dir, me.owner, keep_files):
                found.put_back.append(run.seed_dir)
        if found.bare:
            found.put_back += _adopt(found, me.owner)
        if clean_crashes:
            cleaned = [run for run in found.crashed if batons.clean_crash(Path(run.seed_dir), me.owner.name)]
            found.put_back += [run.seed_dir for run in cleaned]
    finally:
        if found.put_back:
            _forget_figures(found.storage_dir)
        me.drop(found.storage_dir)
        me.leave(found.storage_dir)
    _remove_dead_leases(found.storage_dir, me.owner)
    return found.put_back


def _reap(run: Run, storage_dir: Path, me: Owner, keep_files: bool) -> bool:
    if run.baton is None:
        return False
    owner = read_owner(leases.owners_dir(storage_dir) / run.baton.owner)
    same_boot = owner is not None and owner.boot == me.boot and owner.machine == me.machine
    if same_boot and run.baton.state is State.RUNNING and not _end_processes(run, run.baton.owner):
        return False  # something of it can't be killed: it still works in that directory
    rebooted = owner is not None and owner.machine == me.machine and owner.boot != me.boot
    return batons.reap(Path(run.seed_dir), run.baton, me.name, keep_files=keep_files, death=not rebooted)


def _end_processes(run: Run, owner: str) -> bool:
    """End what is left of a dead owner's run on this machine, before its baton changes hands."""
    try:
        text = Path(run.seed_dir, RUNNING_PREFIX + owner).read_text("ascii", "replace")
    except OSError:
        return True
    _, _, process = text.partition("\n")
    session, _, token = process.strip().partition(" ")
    return not session.isdigit() or processes.kill_session(int(session), token)


def _adopt(found: Findings, me: Owner) -> list[str]:
    """Put back the runs without any baton, unless another cleaner is at it."""
    if not chores.take(found.storage_dir, chores.CLEANING, me):
        return []
    try:
        adopted = batons.adopt_all([Path(run.seed_dir) for run in found.bare], me.name)
    finally:
        chores.give_back(found.storage_dir, chores.CLEANING, me)
    return [str(path) for path in adopted]


def _forget_figures(storage_dir: Path) -> None:
    chores.reopen(storage_dir)
    for name in _MADE_WHEN_ALL_ENDED:
        files.remove_tree(storage_dir / name)


def _remove_dead_leases(storage_dir: Path, me: Owner) -> None:
    """Leases of owners that are proven dead and have no baton left."""
    held = {run.baton.owner for run in survey(storage_dir) if run.baton}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(leases.owners_dir(storage_dir)):
            if name not in held and leases.judge(storage_dir, name, me) is Verdict.DEAD:
                (leases.owners_dir(storage_dir) / name).unlink(missing_ok=True)
