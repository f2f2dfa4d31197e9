"""What a step of a launcher or a cleaner may change in a tree, and whether it did just that (no program)."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steps import RECORDER

from alfred.errors import AlfredError
from alfred.storage import attempts, leases
from alfred.storage.batons import resetting, running
from alfred.storage.flags import (
    COMPLETED_BATON,
    CRASHED_BATON,
    WAITING_BATON,
    Baton,
    State,
    batons_among,
)
from alfred.storage.owners import read_owner
from alfred.utils.recorder import Recorder

Output = tuple[str, int]  # the owner and the attempt that wrote a recorder


@dataclass(frozen=True)
class Seen:
    """What stands in one seed directory."""

    batons: tuple[Baton, ...]
    attempt: int
    deaths: int
    output: Output | None
    text: str

    @property
    def baton(self) -> Baton:
        return self.batons[0]


def see(seed_dir: Path) -> Seen:
    """Look, while nobody does anything."""
    found = tuple(batons_among(os.listdir(seed_dir)))
    count = attempts.read_attempts(seed_dir)
    text = (seed_dir / found[0].name).read_text("utf-8", "replace") if found else ""
    return Seen(found, count.attempt, count.deaths, output_in(seed_dir / "recorders" / RECORDER), text)


def output_in(path: Path) -> Output | None:
    """Who wrote a recorder last; None when there is none."""
    if not path.exists():
        return None
    tape = Recorder.init_from_pickle_file(path).tape
    return tape["owner"][-1], tape["attempt"][-1]


def outputs_anywhere(seed_dir: Path) -> set[Output]:
    """Whose recorders are kept, in place or put aside."""
    return {found for path in seed_dir.rglob(f"{RECORDER}*") if (found := output_in(path))}


@dataclass
class Op:
    """One thing that an actor was told, from its beginning to its end, however often it was stopped.

    `may_take` are the owners whose batons it may take away, `how` is the end of the run that it may note,
    `moved` says which seed directories it has brought from where to where, `counted` in which it has raised
    the number of attempts. Of a `lossy` one an answer gets lost.
    """

    do: str
    me: str
    seed: int | None = None
    how: Baton | None = None
    may_take: frozenset[str] = frozenset()
    clean_crashes: bool = False
    lossy: bool = False
    stops: int = 0
    moved: dict[int, list[tuple[Baton, Baton]]] = field(default_factory=dict)
    counted: set[int] = field(default_factory=set)

    def next(self, seed: int, baton: Baton, deaths: int) -> Iterator[Baton]:
        """The batons that this may make of one by a single rename."""
        mine = self.seed in (None, seed)
        if self.do == "take" and mine and baton == WAITING_BATON:
            yield running(self.me)
        if self.do in ("hear", "put_back") and mine and baton == running(self.me) and self.how:
            yield resetting(self.me) if self.how is WAITING_BATON else self.how
        if self.do == "clean":
            if baton.state in (State.RUNNING, State.RESETTING) and baton.owner in self.may_take:
                yield resetting(self.me)
            if baton == CRASHED_BATON and self.clean_crashes:
                yield resetting(self.me)
            if baton == resetting(self.me) and deaths + 1 >= attempts.MAX_DEATHS:
                yield CRASHED_BATON
        if baton == resetting(self.me):
            yield WAITING_BATON

    def reaches(self, seed: int, before: Seen, after: Baton) -> bool:
        """Whether this may have come from one baton to another in one step."""
        reached, open_ones = set(), [before.baton]
        while open_ones:
            baton = open_ones.pop()
            if baton in reached:
                continue
            reached.add(baton)
            if baton == CRASHED_BATON and baton != before.baton:
                continue  # what it has just given up it does not clean as well
            open_ones += self.next(seed, baton, before.deaths)
        return after in reached


@dataclass
class Model:
    """The seed directories as they should be; `violations` says in lines where they are not.

    `outputs` is whose recorder counts in each that is completed, `late` the directories into whose baton one
    that was overtaken in the midst of a step may have written, `counts` how often the telling things were.
    """

    storage_dir: Path
    seed_dirs: list[Path]
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    outputs: dict[int, Output] = field(default_factory=dict)
    late: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.seen = [see(seed_dir) for seed_dir in self.seed_dirs]

    def wrong(self, text: str) -> None:
        self.violations.append(text)

    def holder(self, seed: int) -> str:
        """Who may hold a run now; "" for nobody."""
        return self.seen[seed].baton.owner

    def step(self, op: Op | None, said: dict[str, Any] | None = None) -> None:
        """Somebody did a step of `op` (None: a thing that changes no baton); `said` when that was its end."""
        for seed, (seed_dir, before) in enumerate(zip(self.seed_dirs, self.seen, strict=True)):
            try:
                after = see(seed_dir)
            except AlfredError as error:
                self.wrong(f"seed {seed}: {error}")
                continue
            if len(after.batons) != 1:
                self.wrong(f"seed {seed}: holds {[baton.name for baton in after.batons]} after {op}")
                return
            self.seen[seed] = after
            self._moved(op, seed, before, after)
            self._counted(op, seed, before, after)
            self._outputs(seed, before, after)
        self._leases()
        if op and said:
            self._told(op, said)

    def _moved(self, op: Op | None, seed: int, before: Seen, after: Seen) -> None:
        if before.baton == after.baton:
            return
        change = f"seed {seed}: {before.baton.name} -> {after.baton.name}"
        if op is None or not op.reaches(seed, before, after.baton):
            self.wrong(f"{change} by {op}")
            return
        op.moved.setdefault(seed, []).append((before.baton, after.baton))
        if op.do == "take":
            op.seed = seed
            self.counts["claims"] += 1
        if op.do == "clean" and before.baton.owner not in ("", op.me):
            self.counts[f"{before.baton.state.value} taken over"] += 1
        if after.baton == COMPLETED_BATON:
            self._completed(op, seed)
        if after.baton.state in (State.COMPLETED, State.CRASHED):
            self.counts[after.baton.state.value if op.do != "clean" else "third deaths"] += 1

    def _counted(self, op: Op | None, seed: int, before: Seen, after: Seen) -> None:
        """Attempts go up by one with each begin, deaths by one when a dead one is put back and to nothing
        when a crash is cleaned; by nothing else."""
        if before.attempt != after.attempt:
            first = op is not None and op.do == "take" and op.seed == seed and seed not in op.counted
            if not first or after.attempt != before.attempt + 1:
                self.wrong(f"seed {seed}: attempts {before.attempt} -> {after.attempt} by {op}")
            elif op:
                op.counted.add(seed)
        if after.deaths > attempts.MAX_DEATHS:
            self.wrong(f"seed {seed} counts {after.deaths} deaths")
        if before.deaths != after.deaths:
            cleans = op is not None and op.do == "clean"
            legal = cleans and (after.deaths == before.deaths + 1 or after.deaths == 0)
            if not legal:
                self.wrong(f"seed {seed}: deaths {before.deaths} -> {after.deaths} by {op}")

    def _outputs(self, seed: int, before: Seen, after: Seen) -> None:
        if seed in self.outputs and after.output != self.outputs[seed]:
            self.wrong(f"seed {seed}: is completed by {self.outputs[seed]}, its recorder is {after.output}'s")
        if after.output not in (None, before.output) and after.output[0] != before.baton.owner:
            self.wrong(f"seed {seed}: {after.output} saved while it was {before.baton.name}")
        if (
            before.output
            and after.output is None
            and before.output not in outputs_anywhere(self.seed_dirs[seed])
        ):
            self.wrong(f"seed {seed}: lost the recorder of {before.output}")

    def _leases(self) -> None:
        """Who holds a baton has a lease that can be read: without one nothing is ever proven at once."""
        folder = leases.owners_dir(self.storage_dir)
        for seed, seen in enumerate(self.seen):
            owner = seen.baton.owner
            if owner and read_owner(folder / owner) is None:
                self.wrong(f"seed {seed}: {seen.baton.name} without a lease")

    def _told(self, op: Op, said: dict[str, Any]) -> None:
        """What an actor says in the end has to be what it did."""
        for text in said.get("said", []):
            if ("could not" in text or "passed over" in text) and "taken over by another" not in text:
                self.wrong(f"{text} ({op})")
        for text in said.get("failed", []):
            self.wrong(f"{text} ({op})")
        if op.do == "take":
            took = [seed for seed, path in enumerate(self.seed_dirs) if str(path) == said["took"]]
            if took != list(op.moved):
                self.wrong(f"says that it took {took}, took {list(op.moved)}: {op}")
        elif op.do in ("hear", "put_back"):
            self._told_the_end(op, said["state"])
        elif op.do == "clean":
            self._told_what_was_cleaned(op, said)

    def _told_the_end(self, op: Op, state: str) -> None:
        ended = [after for _, after in op.moved.get(op.seed if op.seed is not None else -1, [])]
        if state == "overtaken":
            self.counts["late ends refused"] += 1
            if op.how in ended:
                self.wrong(f"says that it was overtaken, and was not: {op}")
        elif state == "waiting" and ended == [resetting(op.me)] and self.holder(op.seed or 0) != op.me:
            pass  # another went on with its reset: it waits, or did
        elif not ended or state != ended[-1].state.value:
            self.wrong(f"says {state}, did {ended}: {op}")

    def _completed(self, op: Op, seed: int) -> None:
        seen, run = self.seen[seed], attempts.read_run(self.seed_dirs[seed])
        self.outputs[seed] = wanted = (op.me, seen.attempt)
        if seen.output != wanted:
            self.wrong(f"seed {seed}: completed by {wanted} with the recorder of {seen.output}")
        if (run.get("owner"), run.get("attempt")) != wanted:
            self.wrong(f"seed {seed}: completed by {wanted}, and run.json says {json.dumps(run)}")
        if seed not in self.late and op.me not in seen.text.split():
            self.wrong(f"seed {seed}: completed by {wanted}, and COMPLETED says {seen.text!r}")

    def _told_what_was_cleaned(self, op: Op, said: dict[str, Any]) -> None:
        for told, batons in (("put_back", WAITING_BATON), ("given_up", CRASHED_BATON)):
            for path in said[told]:
                seed = self.seed_dirs.index(Path(path))
                if not op.moved.get(seed):
                    self.wrong(f"says that it brought seed {seed} to {batons.name}, and did nothing: {op}")
