"""Putting back what dead owners hold: runs, chores and markers."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from alfred import files
from alfred.storage import adoption, batons, chores, leases, markers, processes, scheduler
from alfred.storage.findings import Findings, Held, Item, find, held_beside_runs, owner_of
from alfred.storage.flags import Baton, State
from alfred.storage.leases import Leases, Suspect, Verdict
from alfred.storage.owners import Owner, read_owner
from alfred.storage.peek import start_of
from alfred.storage.survey import Judge, Run, survey

_LONGEST_NOTE = 400  # bytes of a baton: its owner, and the process that works the run
_SESSION = re.compile(r"[^\n]*\n([0-9]{1,10}) (\S+)\n")  # whole: a part of a number is another's
_MADE_WHEN_ALL_ENDED = (
    "PLOT_ARRAYS_ONGOING",
    "PLOT_ARRAYS_COMPLETED",
    "SUMMARY_ONGOING",
    "SUMMARY_COMPLETED",
    "SUMMARY_FAILED",
    "summary",
)


def put_back(
    found: Findings,
    me: Leases,
    *,
    clean_crashes: bool = False,
    keep_files: bool = False,
    each: Callable[[], object] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Reset the runs found dead, those without any baton and, if asked, the crashed ones.

    Returns the seed directories that wait again; a run that somebody else took meanwhile is not among them.
    Plots and summary, which showed the runs as they were, go. `each()` is called after each run.
    What fails is noted in `found.failed`; our lease then stays as long as we live, since a reset may stand
    half done: whoever comes next sees at once that its owner is dead.
    """
    me.hold(found.storage_dir)
    try:
        for item in _still_dead(found, me.owner):
            with _noting(
                found, item.seed_dir if isinstance(item, Run) else f"{found.storage_dir}: {item.what}"
            ):
                if isinstance(item, Run):
                    _reap(found, item, me.owner, keep_files)
                else:
                    _free(found, item)
            each()
        if found.bare:
            with _noting(found, str(found.storage_dir)):
                found.put_back += _adopt(found, me.owner, sleep)
            each()
        for run in found.crashed if clean_crashes else ():
            with _noting(found, run.seed_dir):
                if batons.clean_crash(Path(run.seed_dir), me.owner.name):
                    found.put_back.append(run.seed_dir)
            each()
    finally:
        if found.put_back:
            _forget_figures(found.storage_dir)
    if not found.failed:
        me.drop(found.storage_dir)
        me.leave(found.storage_dir)
    _remove_dead_leases(found.storage_dir, me.owner)
    return found.put_back


def put_back_dead(
    storage_dirs: Iterable[Path],
    me: Leases,
    *,
    keep_files: bool = False,
    say: Callable[[str], object] = lambda text: None,
) -> list[str]:
    """Put back every run that is proven dead at once; returns those that wait again.

    Crashed runs and those whose owner is in doubt stay as they are. `say` is told in a line what failed.
    """
    done = []
    for storage_dir in storage_dirs:
        found = find(storage_dir, me.owner)
        try:
            done += put_back(found, me, keep_files=keep_files)
        except OSError as error:
            found.failed.append(f"{storage_dir} can't be cleaned: {error.strerror or error}")
        for text in found.failed:
            say(text)
    return done


def _still_dead(found: Findings, me: Owner) -> list[Item]:
    """The dead but those whose silent owner was heard of again since, say while the user was asked, and those
    in doubt that are known to live by now."""
    heard = {suspect for suspect, seen in set(found.silent.values()) if _stamps_or_none(suspect) != seen}
    judge = Judge(found.storage_dir, me)
    return [
        item
        for item in found.dead
        if (item not in found.silent or found.silent[item][0] not in heard)
        and (item not in found.forced or judge.verdict(owner_of(item)) is not Verdict.ALIVE)
    ]


def _free(found: Findings, held: Held) -> None:
    """Let a chore wait again, or take a marker away, unless somebody else has it by now."""
    if held.what not in markers.MARKERS:
        if chores.free(found.storage_dir, held.what, held.owner):
            found.freed.append(held)
    elif markers.maker(found.storage_dir / held.what) == held.owner:
        files.remove_tree(found.storage_dir / held.what)
        found.freed.append(held)


def _stamps_or_none(suspect: Suspect) -> object:
    with contextlib.suppress(OSError):
        return leases.stamps(suspect)
    return None


@contextlib.contextmanager
def _noting(found: Findings, path: str) -> Iterator[None]:
    """What fails with one run must not keep the others waiting."""
    try:
        yield
    except OSError as error:
        found.failed.append(f"{path} could not be put back: {error.strerror or error}")


def _reap(found: Findings, run: Run, me: Owner, keep_files: bool) -> None:
    if run.baton is None:
        return
    owner = read_owner(leases.owners_dir(found.storage_dir) / run.baton.owner)
    # A number of another machine's or container's process is somebody else's here.
    reachable = owner is not None and leases.same_processes(owner, me)
    ends = reachable and run.baton.state is State.RUNNING
    if ends and not _end_processes(run, run.baton):
        found.failed.append(f"{run.seed_dir} was not put back: a process that works in it can't be killed")
        return

    def end_late_ones() -> None:
        """A run whose start was on its way when its launcher died may have noted itself meanwhile."""
        if ends:
            _end_processes(run, batons.resetting(me.name))

    # It went down with its machine, its job was taken away, or it may not have died at all.
    excused = run in found.forced or (
        owner is not None and (leases.rebooted(owner, me) or _taken_away(owner))
    )
    state = batons.reap(
        Path(run.seed_dir),
        run.baton,
        me.name,
        keep_files=keep_files,
        death=not excused,
        taken=end_late_ones,
    )
    if state is State.WAITING:
        found.put_back.append(run.seed_dir)
    elif state is State.CRASHED:
        found.given_up.append(run.seed_dir)


def _taken_away(owner: Owner) -> bool:
    """Whether a scheduler says that it ended the owner's job itself, or lost it with its node."""
    over = scheduler.ended(owner.job, owner.restarts, owner.node, owner.cluster)
    return over is not None and over.taken_away


def _end_processes(run: Run, baton: Baton) -> bool:
    """End what is left of a dead owner's run on this machine: its baton names the session."""
    try:
        text = start_of(f"{run.seed_dir}/{baton.name}", _LONGEST_NOTE).data.decode("ascii", "replace")
    except FileNotFoundError:  # somebody else has taken it
        return True
    noted = _SESSION.fullmatch(text)
    if noted is None or not processes.is_number(int(noted[1])):
        return True
    return processes.kill_session(int(noted[1]), noted[2])


def _adopt(found: Findings, me: Owner, sleep: Callable[[float], None]) -> list[str]:
    """Put back the runs without any baton, unless another cleaner is at it."""
    if not chores.take(found.storage_dir, chores.CLEANING, me):
        return []
    try:
        adopted = adoption.adopt_all([Path(run.seed_dir) for run in found.bare], me.name, sleep)
    finally:
        chores.give_back(found.storage_dir, chores.CLEANING, me)
    return [str(path) for path in adopted]


def _forget_figures(storage_dir: Path) -> None:
    chores.reopen(storage_dir)
    for name in _MADE_WHEN_ALL_ENDED:
        files.remove_tree(storage_dir / name)


def _remove_dead_leases(storage_dir: Path, me: Owner) -> None:
    """Leases of owners that are proven dead and have no baton left: the lease is the proof.

    First who is dead, then who holds what: one who lives may take a run while the others are looked at.
    """
    folder = leases.owners_dir(storage_dir)
    names = os.listdir(folder) if folder.is_dir() else []
    dead = {name for name in names if leases.judge(storage_dir, name, me) is Verdict.DEAD}
    held = {run.baton.owner for run in survey(storage_dir) if run.baton}
    held.update(item.owner for item in held_beside_runs(storage_dir))
    for name in dead - held:
        (folder / name).unlink(missing_ok=True)
