"""Which run comes next: goes through the seed directories and claims the first that waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alfred.launchers.base import LaunchPlan
from alfred.storage import batons
from alfred.storage.flags import ConflictError
from alfred.storage.leases import Leases
from alfred.storage.survey import seed_dirs

_LONGEST_STEP = 1024


@dataclass(frozen=True)
class Claimed:
    """A run that is ours now."""

    storage_dir: Path
    seed_dir: str


class Queue:
    """The runs of a plan, claimed one by one for the owner of `leases`.

    `pass_over` is told each run that can't be worked on, once.
    """

    def __init__(self, plan: LaunchPlan, leases: Leases, pass_over: Callable[[str], None]) -> None:
        self._plan = plan
        self._leases = leases
        self._skipped: set[str] = set()
        self._held: set[str] = set()
        self._pass_over = pass_over
        self._open = [_Scan(storage_dir, plan) for storage_dir in plan.storage_dirs]

    def claim(self) -> Claimed | None:
        """The next run; None when a whole scan of every storage directory found nothing that waits.

        The lease in its storage directory is held then, to be dropped with the baton.
        """
        while self._open:
            scan = self._open[0]
            try:
                self._leases.hold(scan.storage_dir)
                if (seed_dir := next(filter(self._claimed, scan), None)) is not None:
                    self._held.add(seed_dir)
                    scan.hit()
                    return Claimed(scan.storage_dir, seed_dir)
            except OSError as error:  # it can't be written to, or was removed meanwhile
                self._pass_over(f"{scan.storage_dir} is passed over: {error}")
            self._leases.drop(scan.storage_dir)
            self._open.pop(0)
        return None

    def let_go(self, claimed: Claimed, *, again: bool = False) -> None:
        """Say that a run claimed here has ended; `again`: it waits, and is to be found once more."""
        self._held.discard(claimed.seed_dir)
        if not again:
            return
        for scan in self._open:
            if scan.storage_dir == claimed.storage_dir:
                scan.hit()
                return
        self._open.append(_Scan(claimed.storage_dir, self._plan))

    def skip(self, seed_dir: str) -> None:
        """Leave a run to others."""
        self._skipped.add(seed_dir)

    def close(self, storage_dir: Path) -> None:
        """Claim nothing more in a storage directory."""
        self._open = [scan for scan in self._open if scan.storage_dir != storage_dir]

    def is_open(self, storage_dir: Path) -> bool:
        """Whether runs of a storage directory may still be claimed."""
        return any(scan.storage_dir == storage_dir for scan in self._open)

    def _claimed(self, seed_dir: str) -> bool:
        if seed_dir in self._skipped or seed_dir in self._held:
            return False
        try:
            return batons.claim(seed_dir, self._leases.owner.name)
        except (ConflictError, OSError) as error:
            self._skipped.add(seed_dir)
            self._pass_over(f"{seed_dir} is passed over: {error}")
            if isinstance(error, OSError) and batons.may_be_mine(seed_dir, self._leases.owner.name):
                self._leases.hold(Path(seed_dir).parent.parent)  # for good
            return False


class _Scan:
    """Goes through one storage directory, again as long as something was found.

    Another launcher that works in the same order leaves a stretch of claimed runs ahead: after a miss the
    first scan gallops (1, 2, 4, ... further on). Where that finds a run, what it leapt over last is looked
    at before it goes on, so that the order is kept but for that one run.
    """

    def __init__(self, storage_dir: Path, plan: LaunchPlan) -> None:
        self.storage_dir = storage_dir
        self._plan = plan
        self._steps = self._walk()
        self._hit = False
        self._found = False

    def __iter__(self) -> Iterator[str]:
        return self._steps

    def hit(self) -> None:
        """Say that the run given last was free."""
        self._found = self._hit = True

    def _walk(self) -> Iterator[str]:
        yield from self._gallop(self._candidates())
        self._found = True
        while self._found:
            self._found = False
            yield from self._candidates()

    def _gallop(self, candidates: list[str]) -> Iterator[str]:
        before, place, step = -1, 0, 1
        while place < len(candidates):
            self._hit = False
            yield candidates[place]
            if free := self._hit:
                yield from candidates[before + 1 : place]
            before, place = place, place + (1 if free else step)
            step = 1 if free else min(2 * step, _LONGEST_STEP)

    def _candidates(self) -> list[str]:
        plan = self._plan
        found = [
            (experiment, seed, path)
            for experiment, seed, path in seed_dirs(self.storage_dir)
            if plan.takes(experiment, seed)
        ]
        if plan.order == "seed":
            ranks: dict[int, int] = {}
            ranked = []
            for experiment, _, path in found:
                ranks[experiment] = ranks.get(experiment, 0) + 1
                ranked.append((ranks[experiment], path))
            ranked.sort(key=lambda pair: pair[0])  # stable: within a rank by experiment
            return [path for _, path in ranked]
        return [path for _, _, path in found]
