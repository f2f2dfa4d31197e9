"""The rules by which launchers and cleaners of two hosts take turns, are stopped and killed (no program).

`state_machine.py` and tests/storage/test_state_machine.py let hypothesis choose the rules.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from interference import NONE, Trouble
from model import Op
from stage import HOSTS, SEEDS, Stage
from stoppable import Actor, RunProcess

from alfred.storage.flags import COMPLETED_BATON, WAITING_BATON

LIVING = 4  # launchers at the same time
QUIET = (WAITING_BATON, COMPLETED_BATON)  # nothing here to be cleaned
picks = st.integers(0, 11)
hosts = st.sampled_from(HOSTS)
stops = st.one_of(st.just(0), st.just(0), st.integers(1, 16))
long_stops = st.one_of(st.just(0), st.integers(1, 48))
losses = st.one_of(st.just(0), st.just(0), st.integers(1, 4))
codes = st.sampled_from((errno.ENOENT, errno.EIO, errno.ESTALE))

T = TypeVar("T")


def picked(pick: int, among: Sequence[T]) -> T:
    return among[pick % len(among)]


class Machine(RuleBasedStateMachine):
    """Any number of launchers and cleaners at work on three runs."""

    laid: Path  # the storage directory that each example copies, and works on beside it
    total: ClassVar[Counter[str]] = Counter()  # over all examples

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(self.laid)

    @invariant()
    def one_more(self) -> None:
        self.stage.model.counts["steps"] += 1

    # --- launchers

    @precondition(
        lambda self: (
            not self.stage.free_launchers() and len(self.stage.launchers("idle", "paused", "midst")) < LIVING
        )
    )
    @rule(host=hosts)
    def start(self, host: str) -> None:
        self.stage.start(host)

    @precondition(lambda self: self.stage.free_launchers())
    @rule(
        pick=picks,
        first=st.integers(1, SEEDS),
        stop=stops,
        lose=losses,
        code=codes,
        survives=st.booleans(),
        run_stop=st.sampled_from((0, 0, 0, 1, 2, 3)),
    )
    def take(
        self, pick: int, first: int, stop: int, lose: int, code: int, survives: bool, run_stop: int
    ) -> None:
        actor = picked(pick, self.stage.free_launchers())
        slot = self.stage.free_slots(actor)[0]
        self.stage.take(actor, slot, first, survives, run_stop, Trouble(stop, lose, code))

    @precondition(lambda self: self.stage.some_wait())
    @rule(host=hosts, survives=st.booleans())
    def take_and_die(self, host: str, survives: bool) -> None:
        """A launcher comes, takes the first run that waits and is killed: its third death is one too many."""
        actor = self.stage.start(host)
        self.stage.take_one(actor, survives)
        self.stage.kill(actor)

    @precondition(lambda self: self.ended_unheard())
    @rule(pick=picks, stop=stops, lose=losses, code=codes)
    def hear(self, pick: int, stop: int, lose: int, code: int) -> None:
        self.stage.hear_of(picked(pick, self.ended_unheard()), Trouble(stop, lose, code))

    def ended_unheard(self) -> list[RunProcess]:
        return [run for run in self.stage.attended_runs() if run.state == "ended"]

    @precondition(lambda self: self.stage.attended_runs())
    @rule(pick=picks, stop=stops, lose=losses, code=codes)
    def put_back(self, pick: int, stop: int, lose: int, code: int) -> None:
        """A launcher is told to end this run."""
        run = picked(pick, self.stage.attended_runs())
        run.heard, run.state = True, "ended"
        op = Op("put_back", run.actor.owner, run.seed, WAITING_BATON)
        self.stage.do(run.actor, op, (run.slot,), Trouble(stop, lose, code))

    @precondition(lambda self: self.stage.launchers("idle"))
    @rule()
    def let_time_pass(self) -> None:
        self.stage.live_on()
        self.stage.look()

    # --- runs

    @precondition(lambda self: self.stage.living_runs("born"))
    @rule(pick=picks)
    def be_born(self, pick: int) -> None:
        run = picked(pick, self.stage.living_runs("born"))
        run.tell({"stop": 0})
        os.kill(run.pid, signal.SIGCONT)
        self.stage.wait_for_main(run)
        self.stage.look()

    @precondition(lambda self: self.stage.living_runs("main"))
    @rule(pick=picks, word=st.sampled_from(("save", "return", "return", "return", "raise", "exit")))
    def tell_run(self, pick: int, word: str) -> None:
        self.stage.tell(picked(pick, self.stage.living_runs("main")), word)

    @precondition(lambda self: self.in_main_attended())
    @rule(pick=picks, word=st.sampled_from(("return", "raise")), stop=stops, lose=losses, code=codes)
    def end(self, pick: int, word: str, stop: int, lose: int, code: int) -> None:
        """A run ends, and its launcher hears of it."""
        run = picked(pick, self.in_main_attended())
        self.stage.tell(run, word)
        self.stage.hear_of(run, Trouble(stop, lose, code))

    def in_main_attended(self) -> list[RunProcess]:
        return [run for run in self.stage.attended_runs() if run.state == "main"]

    @precondition(lambda self: self.stage.living_runs("main", "born"))
    @rule(pick=picks)
    def kill_run(self, pick: int) -> None:
        picked(pick, self.stage.living_runs("main", "born")).kill()
        self.stage.model.counts["runs killed"] += 1
        self.stage.look()

    # --- cleaners

    @precondition(lambda self: any(seen.baton not in QUIET for seen in self.stage.model.seen))
    @rule(
        host=hosts,
        clean_crashes=st.booleans(),
        watch=st.sampled_from((True, True, False)),
        force=st.sampled_from((False, False, False, True)),
        stop=long_stops,
        lose=losses,
        code=codes,
    )
    def clean(
        self, host: str, clean_crashes: bool, watch: bool, force: bool, stop: int, lose: int, code: int
    ) -> None:
        self.stage.clean(host, clean_crashes, watch, force, Trouble(stop, lose, code))

    # --- interruptions

    @precondition(lambda self: self.stage.among("midst"))
    @rule(pick=picks, stop=stops)
    def go_on(self, pick: int, stop: int) -> None:
        actor = picked(pick, self.stage.among("midst"))
        self.note_late(actor)
        actor.tell({"stop": stop})
        os.kill(actor.pid, signal.SIGCONT)
        said = self.stage.listen(actor)
        if actor.kind == "cleaner":
            self.stage.cleaned(actor, said)
        elif actor.op.do == "take":
            self.stage.took(actor, said)

    def note_late(self, actor: Actor) -> None:
        """What it does by path from here on may hit what is another's by now."""
        op, model = actor.op, self.stage.model
        for number, moves in op.moved.items():
            if model.holder(number) != actor.owner and moves[-1][1].owner == actor.owner:
                model.late.add(number)
                model.counts["went on overtaken in the midst"] += 1
        if op.do in ("hear", "put_back") and model.holder(op.seed) != actor.owner and not op.moved:
            model.late.add(op.seed)
            model.counts["went on overtaken in the midst"] += 1

    @precondition(lambda self: self.stage.among("idle", "paused", "midst"))
    @rule(pick=picks)
    def kill(self, pick: int) -> None:
        self.stage.kill(picked(pick, self.stage.among("idle", "paused", "midst")))

    @precondition(lambda self: self.stage.launchers("idle"))
    @rule(pick=picks)
    def pause(self, pick: int) -> None:
        picked(pick, self.stage.launchers("idle")).pause()

    @precondition(lambda self: self.stage.launchers("paused"))
    @rule(pick=picks)
    def resume(self, pick: int) -> None:
        picked(pick, self.stage.launchers("paused")).resume()

    @precondition(lambda self: self.stage.some_wait())
    @rule(host=hosts, then=st.sampled_from(("", "return", "raise")), stop=stops)
    def stand_still_beyond_the_lease(self, host: str, then: str, stop: int) -> None:
        """A launcher that has taken a run stands still until another host has put that back; its run ends."""
        actor = self.stage.start(host)
        self.stage.take_one(actor)
        run = self.stage.runs[-1]
        actor.pause()
        self.stage.clean("far" if host == "near" else "near", False, True, False, NONE)
        actor.resume()
        if then:
            self.stage.tell(run, then)
            self.stage.hear_of(run, Trouble(stop=stop))

    # --- the end

    def teardown(self) -> None:
        try:
            if not self.stage.model.violations and sys.exc_info()[0] is None:
                self.stage.finish()
            self.total.update(self.stage.model.counts)
        finally:
            self.stage.close()
