"""Finding the runs whose owner is dead, and putting them back."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from alfred import files
from alfred.storage import batons, chores, leases, processes
from alfred.storage.flags import Baton, State
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
    """The runs of one storage directory by what is known of them, and what was done about them so far.

    `put_back` wait again, `given_up` became crashes by their third death, `failed` says what went wrong.
    `silent` holds, for runs whose owner was found dead by its silence, what was watched and its time stamps.
    """

    storage_dir: Path
    runs: list[tuple[Run, Condition]] = field(default_factory=list)
    dead: list[Run] = field(default_factory=list)
    doubtful: list[Run] = field(default_factory=list)
    bare: list[Run] = field(default_factory=list)
    crashed: list[Run] = field(default_factory=list)
    silent: dict[Run, tuple[Suspect, object]] = field(default_factory=dict)
    put_back: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def conditions(self) -> Counter[Condition]:
        """How many runs are in each condition, by all that is known of their owners now."""
        dead = set(self.dead)
        return Counter(Condition.STOPPED if run in dead else condition for run, condition in self.runs)


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
    holders: dict[Suspect, list[tuple[Findings, Run]]] = {}
    for found in findings:
        for suspect, run in _suspects(found):
            holders.setdefault(suspect, []).append((found, run))
    for suspect, stamps in leases.watch_silence(holders, observer, progress=progress).items():
        for found, run in holders[suspect]:
            found.doubtful.remove(run)
            found.dead.append(run)
            found.silent[run] = (suspect, stamps)


def put_back(
    found: Findings,
    me: Leases,
    *,
    clean_crashes: bool = False,
    keep_files: bool = False,
    each: Callable[[], object] = lambda: None,
) -> list[str]:
    """Reset the runs found dead, those without any baton and, if asked, the crashed ones.

    Returns the seed directories that wait again; a run that somebody else took meanwhile is not among them.
    Plots and summary, which showed the runs as they were, go. `each()` is called after each run.
    What fails is noted in `found.failed`; our lease then stays as long as we live, since a reset may stand
    half done: whoever comes next sees at once that its owner is dead.
    """
    me.hold(found.storage_dir)
    try:
        for run in _still_dead(found):
            with _noting(found, run.seed_dir):
                _reap(found, run, me.owner, keep_files)
            each()
        if found.bare:
            with _noting(found, str(found.storage_dir)):
                found.put_back += _adopt(found, me.owner)
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


def _suspects(found: Findings) -> Iterator[tuple[Suspect, Run]]:
    """What to watch for each run in doubt: its owner's lease, or where there is none its own directory."""
    first: dict[str, Path] = {}
    for run in found.doubtful:
        owner, seed_dir = run.baton.owner if run.baton else "", Path(run.seed_dir)
        if (leases.owners_dir(found.storage_dir) / owner).exists():
            seed_dir = first.setdefault(owner, seed_dir)
        yield Suspect(found.storage_dir, owner, seed_dir), run


def _still_dead(found: Findings) -> list[Run]:
    """The dead but those whose silent owner was heard of again since, say while the user was asked."""
    heard = {suspect for suspect, seen in set(found.silent.values()) if _stamps_or_none(suspect) != seen}
    return [run for run in found.dead if run not in found.silent or found.silent[run][0] not in heard]


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
    same_machine = owner is not None and owner.machine == me.machine
    same_boot = same_machine and owner is not None and owner.boot == me.boot
    # A number of another container's process is somebody else's here.
    reachable = same_boot and owner is not None and owner.pid_namespace == me.pid_namespace
    ends = reachable and run.baton.state is State.RUNNING
    if ends and not _end_processes(run, run.baton):
        found.failed.append(f"{run.seed_dir} was not put back: a process that works in it can't be killed")
        return

    def end_late_ones() -> None:
        """A run whose start was on its way when its launcher died may have noted itself meanwhile."""
        if ends:
            _end_processes(run, batons.resetting(me.name))

    rebooted = same_machine and not same_boot
    state = batons.reap(
        Path(run.seed_dir),
        run.baton,
        me.name,
        keep_files=keep_files,
        death=not rebooted,
        taken=end_late_ones,
    )
    if state is State.WAITING:
        found.put_back.append(run.seed_dir)
    elif state is State.CRASHED:
        found.given_up.append(run.seed_dir)


def _end_processes(run: Run, baton: Baton) -> bool:
    """End what is left of a dead owner's run on this machine: its baton names the session."""
    try:
        text = Path(run.seed_dir, baton.name).read_text("ascii", "replace")
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
    """Leases of owners that are proven dead and have no baton left: the lease is the proof.

    First who is dead, then who holds what: one who lives may take a run while the others are looked at.
    """
    folder = leases.owners_dir(storage_dir)
    names = os.listdir(folder) if folder.is_dir() else []
    dead = {name for name in names if leases.judge(storage_dir, name, me) is Verdict.DEAD}
    held = {run.baton.owner for run in survey(storage_dir) if run.baton} | chores.holders(storage_dir)
    for name in dead - held:
        (folder / name).unlink(missing_ok=True)
