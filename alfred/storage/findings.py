"""Finding what dead owners hold, and watching those of whom that can only be told by their silence."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from alfred.storage import chores, leases, markers
from alfred.storage.leases import Suspect, Verdict
from alfred.storage.owners import Owner
from alfred.storage.survey import Condition, Judge, Run, survey


@dataclass(frozen=True)
class Held:
    """What an owner holds that is no run: a chore by its name, or a marker (see `markers`) by its."""

    what: str
    owner: str


Item = Run | Held


@dataclass
class Findings:
    """The runs of one storage directory by what is known of them, and what was done about them so far.

    `dead` and `doubtful` hold runs and what else dead owners, or such that can't be proven dead, hold.
    `put_back` wait again, `given_up` became crashes by their third death, `failed` says what went wrong.
    `silent` holds, for what is held by an owner found dead by its silence, what was watched and its time
    stamps, `heard` the owners that gave a sign of life while they were watched, `forced` what is put back
    against doubt.
    """

    storage_dir: Path
    runs: list[tuple[Run, Condition]] = field(default_factory=list)
    dead: list[Item] = field(default_factory=list)
    doubtful: list[Item] = field(default_factory=list)
    bare: list[Run] = field(default_factory=list)
    crashed: list[Run] = field(default_factory=list)
    silent: dict[Item, tuple[Suspect, object]] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    forced: set[Item] = field(default_factory=set)
    put_back: list[str] = field(default_factory=list)
    freed: list[Held] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def conditions(self) -> Counter[Condition]:
        """How many runs are in each condition, by all that is known of their owners now."""
        dead = set(self.dead) - self.forced
        return Counter(Condition.STOPPED if run in dead else condition for run, condition in self.runs)

    def dead_runs(self) -> list[Run]:
        """The runs among what is to be put back."""
        return [item for item in self.dead if isinstance(item, Run)]

    def dead_holds(self) -> list[Held]:
        """What is no run among it."""
        return [item for item in self.dead if isinstance(item, Held)]


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
        elif condition is Condition.RUNNING and judge.verdict(owner_of(run)) is Verdict.DOUBT:
            found.doubtful.append(run)
    for held in held_beside_runs(storage_dir):
        verdict = judge.verdict(held.owner)
        if verdict is not Verdict.ALIVE:
            (found.dead if verdict is Verdict.DEAD else found.doubtful).append(held)
    return found


def owner_of(item: Item) -> str:
    """Who holds it; "" for a run without any baton."""
    if isinstance(item, Held):
        return item.owner
    return item.baton.owner if item.baton else ""


def watch(
    findings: Iterable[Findings],
    observer: Owner,
    progress: Callable[[int, int], None] = lambda look, looks: None,
    *,
    also: Iterable[Suspect] = (),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Suspect]:
    """Watch all owners in doubt at once; what those hold that stay silent is to be put back from then on.

    `also` are others to be watched meanwhile; returns those of them that stayed silent.
    """
    also = list(also)
    holders: dict[Suspect, list[tuple[Findings, Item]]] = {suspect: [] for suspect in also}
    for found in findings:
        for suspect, item in _suspects(found):
            holders.setdefault(suspect, []).append((found, item))

    def heard(suspect: Suspect) -> None:
        for found, _ in holders[suspect]:
            found.heard.add(suspect.owner_name)

    silent = leases.watch_silence(holders, observer, clock=clock, sleep=sleep, progress=progress, heard=heard)
    for suspect, stamps in silent.items():
        for found, item in holders[suspect]:
            found.doubtful.remove(item)
            found.dead.append(item)
            found.silent[item] = (suspect, stamps)
    return [suspect for suspect in also if suspect in silent]


def overrule_doubt(found: Findings) -> None:
    """Have what is held by owners that can't be proven dead put back too, but for those heard of."""
    forced = [item for item in found.doubtful if owner_of(item) not in found.heard]
    found.doubtful = [item for item in found.doubtful if item not in forced]
    found.dead += forced
    found.forced.update(forced)


def held_beside_runs(storage_dir: Path) -> Iterator[Held]:
    """The chores and markers that owners, living or dead, hold here."""
    for chore, owner in chores.holders(storage_dir):
        yield Held(chore, owner)
    for name in markers.MARKERS:
        if owner := markers.maker(storage_dir / name):
            yield Held(name, owner)


def _suspects(found: Findings) -> Iterator[tuple[Suspect, Item]]:
    """What to watch for each item in doubt: its owner's lease, or where there is none the folder held."""
    first: dict[str, Path] = {}
    for item in found.doubtful:
        owner = owner_of(item)
        folder = Path(item.seed_dir) if isinstance(item, Run) else _folder_held(found.storage_dir, item)
        if (leases.owners_dir(found.storage_dir) / owner).exists():
            folder = first.setdefault(owner, folder)
        yield Suspect(found.storage_dir, owner, folder), item


def _folder_held(storage_dir: Path, held: Held) -> Path:
    return storage_dir if held.what in markers.MARKERS else chores.folder_of(storage_dir, held.what)
