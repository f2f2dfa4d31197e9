"""The rules by which launchers and cleaners of two hosts take turns, are stopped and killed (no program).

Every rule ends with a look at what stands on disk (`Model.step`). `state_machine.py` and
tests/storage/test_state_machine.py let hypothesis choose the rules.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from model import Model, Op
from steps import Actor, wait_until

from alfred.storage import attempts, leases, processes
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.flags import COMPLETED_BATON, CRASHED_BATON, WAITING_BATON, State

SEEDS = 3
HOSTS = ("near", "far")
LIVING = 4  # launchers at the same time
QUIET = (WAITING_BATON, COMPLETED_BATON)  # nothing here to be cleaned
picks = st.integers(0, 11)
hosts = st.sampled_from(HOSTS)
stops = st.one_of(st.just(0), st.just(0), st.integers(1, 16))
long_stops = st.one_of(st.just(0), st.integers(1, 48))
losses = st.one_of(st.just(0), st.just(0), st.integers(1, 4))
codes = st.sampled_from((errno.ENOENT, errno.EIO, errno.ESTALE))


@dataclass
class RunProcess:
    """The process of a run.

    `state`: born (stopped at its birth), main (waits to be told), ended. `how` is what its launcher has to
    make of it. `strange`: its run was taken over from another host, which can't end it.
    """

    seed: int
    pid: int
    actor: Actor
    slot: int
    survives: bool
    state: str = "born"
    how: Any = CRASHED_BATON
    heard: bool = False
    strange: bool = False

    @property
    def lives(self) -> bool:
        return processes.start_token(self.pid) is not None


def template(folder: Path) -> Path:
    """A storage directory of waiting runs, to be copied."""
    experiments = tuple(Experiment({"lr": n}, {"lr": n}, (n,)) for n in range(SEEDS))
    plan = Preparation("any", "thing", "grid_x", "grid", experiments, variations={"lr": list(range(SEEDS))})
    (name,) = lay_search(folder, [plan])
    return folder / name


class Machine(RuleBasedStateMachine):
    """Any number of launchers and cleaners at work on three runs."""

    laid: Path  # the storage directory that each example copies, and works on beside it
    total: ClassVar[Counter[str]] = Counter()  # over all examples
    last: ClassVar[Model]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="alfred-steps-", dir=self.laid.parent))
        storage_dir = self.folder / self.laid.name
        shutil.copytree(self.laid, storage_dir)
        self.storage_dir = storage_dir
        seed_dirs = [storage_dir / f"experiment{n + 1}" / f"seed{n}" for n in range(SEEDS)]
        self.model = type(self).last = Model(storage_dir, seed_dirs)
        self.actors: list[Actor] = []
        self.runs: list[RunProcess] = []
        for host in HOSTS:
            self.start(host)

    # --- who there is

    def launchers(self, *states: str) -> list[Actor]:
        return [actor for actor in self.actors if actor.kind == "launcher" and actor.state in states]

    def living_runs(self, *states: str) -> list[RunProcess]:
        return [run for run in self.runs if run.state in states]

    def to_hear(self) -> list[RunProcess]:
        """Ended runs of which the launcher, which waits for nothing else, hasn't heard."""
        return [r for r in self.runs if r.state == "ended" and not r.heard and r.actor.state == "idle"]

    def free_slots(self, actor: Actor) -> list[int]:
        taken = {run.slot for run in self.runs if run.actor is actor and not run.heard}
        return [slot for slot in (0, 1) if slot not in taken]

    def free_launchers(self) -> list[Actor]:
        return [actor for actor in self.launchers("idle") if self.free_slots(actor)]

    # --- steps

    def do(
        self, actor: Actor, op: Op, words: Sequence[Any], stop: int, lose: int, code: int
    ) -> dict[str, Any] | None:
        """Have an actor begin something; what it said in the end, None while it is stopped in the midst."""
        op.lossy = bool(lose)
        actor.op = op
        actor.tell({"do": op.do, "words": words, "stop": stop, "lose": lose, "code": code})
        return self.listen(actor)

    def listen(self, actor: Actor) -> dict[str, Any] | None:
        op = actor.op
        while True:
            said = actor.answer()
            if "sleep" in said:
                self.live_on()
                actor.tell({})
            elif "judged" in said:
                self.judged(actor, said)
            elif "stopping" in said:
                actor.state = "midst"
                op.stops += 1
                self.model.counts["stopped in the midst"] += 1
                self.model.step(op)
                self.check()
                return None
            elif "failed" in said:
                self.model.wrong(f"{op} failed: {said['failed']}")
                self.check()
            else:
                actor.state = "idle"
                self.model.step(op, said["done"])
                self.check()
                return said["done"]

    def judged(self, cleaner: Actor, said: dict[str, Any]) -> None:
        """A cleaner has judged who is dead: it must be right, but for those that it was told to overrule."""
        op = cleaner.op
        silent = {actor.owner: actor for actor in self.actors if actor.state in ("dead", "paused", "midst")}
        known = {actor.owner: actor for actor in self.actors}
        for owner in set(said["judged"]) - set(said["forced"]):
            actor = silent.get(owner)
            if actor is None or (actor.host == cleaner.host and actor.state != "dead"):
                self.model.wrong(f"{owner} lives ({known[owner].state}), and was judged dead: {op}")
            elif actor.host != cleaner.host:
                self.model.counts["judged by its silence"] += 1
        op.may_take = frozenset(said["judged"])

    def live_on(self) -> None:
        """Time goes by for all who are not stopped: their leases beat, and they look after their runs."""
        idle = [actor for actor in self.launchers("idle") if actor.owner in self.owners()]
        if idle:
            time.sleep(0.011)  # the grain of time stamps
        for actor in idle:
            self.beat(actor)

    def owners(self) -> list[str]:
        folder = leases.owners_dir(self.storage_dir)
        return os.listdir(folder) if folder.is_dir() else []

    def beat(self, actor: Actor) -> None:
        actor.tell({"do": "beat", "words": (), "stop": 0, "lose": 0, "code": 0})
        said = actor.answer()
        for slot in said["done"]["killed"]:
            for run in self.runs:
                if run.actor is actor and run.slot == slot and not run.heard:
                    self.model.counts["overtaken runs killed at a beat"] += 1
                    run.state = "ended"

    def check(self) -> None:
        """What holds after every step."""
        self._no_overlap()
        self._counts_of_dead()
        if self.model.violations:
            raise AssertionError("\n".join(self.model.violations))

    def _no_overlap(self) -> None:
        """Of one run at most one process lives that a cleaner could have ended, and none beside UNHATCHED."""
        for number, seen in enumerate(self.model.seen):
            alive = [run for run in self.runs if run.seed == number and not run.strange and run.lives]
            for run in alive:
                if seen.baton.owner != run.actor.owner and self.taken_from_afar(run):
                    run.strange = True
            alive = [run for run in alive if not run.strange]
            if len(alive) > 1 or (alive and seen.baton == WAITING_BATON):
                self.model.wrong(f"seed {number} is {seen.baton.name}, and of it live {alive}")

    def taken_from_afar(self, run: RunProcess) -> bool:
        """Whether a cleaner of another host has it, or had it."""
        return any(
            actor.host != run.actor.host and any(before.owner == run.actor.owner for before, _ in moves)
            for actor in self.actors
            if actor.kind == "cleaner" and actor.op
            for moves in [actor.op.moved.get(run.seed, [])]
        )

    def _counts_of_dead(self) -> None:
        for number, seen in enumerate(self.model.seen):
            if seen.deaths > attempts.MAX_DEATHS:
                self.model.wrong(f"seed {number} counts {seen.deaths} deaths")

    @invariant()
    def one_more(self) -> None:
        self.model.counts["steps"] += 1

    # --- rules: launchers

    @precondition(
        lambda self: not self.free_launchers() and len(self.launchers("idle", "paused", "midst")) < LIVING
    )
    @rule(host=hosts)
    def start(self, host: str) -> None:
        self.actors.append(Actor("launcher", self.storage_dir, host))

    @precondition(lambda self: self.free_launchers())
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
        free = self.free_launchers()
        actor = free[pick % len(free)]
        slot = self.free_slots(actor)[0]
        words = (slot, list(range(first, SEEDS + 1)), survives, run_stop)
        actor.take = (slot, survives)
        self.took(actor, self.do(actor, Op("take", actor.owner), words, stop, lose, code))

    @precondition(lambda self: WAITING_BATON in [seen.baton for seen in self.model.seen])
    @rule(host=hosts, survives=st.booleans())
    def take_and_die(self, host: str, survives: bool) -> None:
        """A launcher comes, takes the first run that waits and is killed: its third death is one too many."""
        self.start(host)
        self.took_one(self.actors[-1], survives)
        self.kill_actor(self.actors[-1])

    def took_one(self, actor: Actor, survives: bool = False) -> bool:
        """Let a launcher take the first run that waits, undisturbed; False: none waits."""
        actor.take = (0, survives)
        words = (0, list(range(1, SEEDS + 1)), survives, 0)
        before = len(self.runs)
        self.took(actor, self.do(actor, Op("take", actor.owner), words, 0, 0, 0))
        return len(self.runs) > before

    def took(self, actor: Actor, said: dict[str, Any] | None) -> None:
        """If it began a run, wait until that stands in main() or where it stops itself."""
        if not said or not said["took"] or not said["pid"]:
            return
        slot, survives = actor.take
        number = self.model.seed_dirs.index(Path(said["took"]))
        run = RunProcess(number, said["pid"], actor, slot, survives)
        self.runs.append(run)
        self.wait_for_main(run)
        self.check()

    def wait_for_main(self, run: RunProcess) -> None:
        said = self.hear_from(run)
        if said is None:
            run.state = "ended"
        elif "main" in said:
            run.state = "main"
        else:
            wait_until(run.pid, "T")
            self.model.counts["runs stopped at their birth"] += 1

    def hear_from(self, run: RunProcess) -> dict[str, Any] | None:
        """What a run says; None when it ends instead."""
        talk = run.actor.slots[run.slot]
        with contextlib.suppress(EOFError):  # nobody is left who could say anything
            while run.lives or talk.poll(0):
                if talk.poll(0.002):
                    said: dict[str, Any] = talk.recv()
                    if run.pid in said.values():
                        return said
        wait_until(run.pid, "")
        return None

    @precondition(lambda self: self.living_runs("born"))
    @rule(pick=picks)
    def be_born(self, pick: int) -> None:
        born = self.living_runs("born")
        run = born[pick % len(born)]
        run.actor.slots[run.slot].send({"stop": 0})
        os.kill(run.pid, signal.SIGCONT)
        self.wait_for_main(run)
        self.model.step(None)
        self.check()

    @precondition(lambda self: self.living_runs("main"))
    @rule(pick=picks, word=st.sampled_from(("save", "return", "return", "return", "raise", "exit")))
    def tell_run(self, pick: int, word: str) -> None:
        told = self.living_runs("main")
        self.tell(told[pick % len(told)], word)

    def tell(self, run: RunProcess, word: str) -> None:
        """Tell a run what to do, and wait until that is done."""
        mine = self.model.holder(run.seed) == run.actor.owner
        mine = mine and self.model.seen[run.seed].baton.state is State.RUNNING
        run.actor.slots[run.slot].send({"word": word})
        said = self.hear_from(run)
        if said is None:
            run.state = "ended"
            run.how = COMPLETED_BATON if word == "return" and mine else CRASHED_BATON
        if word == "save" and mine is (said is None):
            self.model.wrong(f"a save of {run} was {'refused' if said is None else 'done'}")
        if word == "save" and not mine:
            self.model.counts["late saves refused"] += 1
        self.model.step(None)
        self.check()

    @precondition(lambda self: self.attended())
    @rule(pick=picks, word=st.sampled_from(("return", "raise")), stop=stops, lose=losses, code=codes)
    def end(self, pick: int, word: str, stop: int, lose: int, code: int) -> None:
        """A run ends, and its launcher hears of it."""
        attended = self.attended()
        run = attended[pick % len(attended)]
        self.tell(run, word)
        self.hear_of(run, stop, lose, code)

    def attended(self) -> list[RunProcess]:
        return [run for run in self.living_runs("main") if run.actor.state == "idle"]

    @precondition(lambda self: WAITING_BATON in [seen.baton for seen in self.model.seen])
    @rule(host=hosts, then=st.sampled_from(("", "return", "raise")), stop=stops)
    def stand_still_beyond_the_lease(self, host: str, then: str, stop: int) -> None:
        """A launcher that has taken a run stands still until another host has put that back; its run ends."""
        self.start(host)
        actor = self.actors[-1]
        self.took_one(actor)
        run = self.runs[-1]
        self.pause_actor(actor)
        self.clean("far" if host == "near" else "near", False, True, False, 0, 0, 0)
        self.resume_actor(actor)
        if then:
            self.tell(run, then)
            self.hear_of(run, stop, 0, 0)

    @precondition(lambda self: self.living_runs("main", "born"))
    @rule(pick=picks)
    def kill_run(self, pick: int) -> None:
        living = self.living_runs("main", "born")
        run = living[pick % len(living)]
        os.kill(run.pid, signal.SIGKILL)
        wait_until(run.pid, "")
        run.state = "ended"
        self.model.counts["runs killed"] += 1
        self.model.step(None)
        self.check()

    @precondition(lambda self: self.to_hear())
    @rule(pick=picks, stop=stops, lose=losses, code=codes)
    def hear(self, pick: int, stop: int, lose: int, code: int) -> None:
        ended = self.to_hear()
        self.hear_of(ended[pick % len(ended)], stop, lose, code)

    def hear_of(self, run: RunProcess, stop: int, lose: int, code: int) -> None:
        run.heard = True
        op = Op("hear", run.actor.owner, run.seed, run.how)
        self.do(run.actor, op, (run.slot,), stop, lose, code)

    @precondition(lambda self: [run for run in self.runs if not run.heard and run.actor.state == "idle"])
    @rule(pick=picks, stop=stops, lose=losses, code=codes)
    def put_back(self, pick: int, stop: int, lose: int, code: int) -> None:
        """A launcher is told to end this run."""
        open_ones = [run for run in self.runs if not run.heard and run.actor.state == "idle"]
        run = open_ones[pick % len(open_ones)]
        run.heard, run.state = True, "ended"
        op = Op("put_back", run.actor.owner, run.seed, WAITING_BATON)
        self.do(run.actor, op, (run.slot,), stop, lose, code)

    # --- rules: cleaners

    @precondition(lambda self: any(seen.baton not in QUIET for seen in self.model.seen))
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
        actor = Actor("cleaner", self.storage_dir, host)
        self.actors.append(actor)
        op = Op("clean", actor.owner, clean_crashes=clean_crashes)
        if any(other.kind == "cleaner" and other.state == "midst" for other in self.actors):
            self.model.counts["cleaners beside a stopped one"] += 1
        self.cleaned(actor, self.do(actor, op, (clean_crashes, watch, force), stop, lose, code))

    def cleaned(self, actor: Actor, said: dict[str, Any] | None) -> None:
        """It ends; runs whose processes it has ended are so."""
        if said is not None:
            actor.kill()
            actor.state = "gone"
        for run in self.runs:
            if run.state != "ended" and not run.lives:
                run.state = "ended"

    # --- rules: interruptions

    @precondition(lambda self: [actor for actor in self.actors if actor.state == "midst"])
    @rule(pick=picks, stop=stops)
    def go_on(self, pick: int, stop: int) -> None:
        stopped = [actor for actor in self.actors if actor.state == "midst"]
        actor = stopped[pick % len(stopped)]
        self.note_late(actor)
        actor.tell({"stop": stop})
        os.kill(actor.pid, signal.SIGCONT)
        said = self.listen(actor)
        if actor.kind == "cleaner":
            self.cleaned(actor, said)
        elif actor.op.do == "take":
            self.took(actor, said)

    def note_late(self, actor: Actor) -> None:
        """What it does by path from here on may hit what is another's by now."""
        op = actor.op
        for number, moves in op.moved.items():
            if self.model.holder(number) != actor.owner and moves[-1][1].owner == actor.owner:
                self.model.late.add(number)
                self.model.counts["went on overtaken in the midst"] += 1
        if op.do in ("hear", "put_back") and self.model.holder(op.seed) != actor.owner and not op.moved:
            self.model.late.add(op.seed)
            self.model.counts["went on overtaken in the midst"] += 1

    @precondition(lambda self: [actor for actor in self.actors if actor.state in ("idle", "paused", "midst")])
    @rule(pick=picks)
    def kill(self, pick: int) -> None:
        living = [actor for actor in self.actors if actor.state in ("idle", "paused", "midst")]
        self.kill_actor(living[pick % len(living)])

    def kill_actor(self, actor: Actor) -> None:
        self.model.counts[f"kills of {actor.state}"] += 1
        actor.kill()
        for run in self.runs:
            if run.actor is actor and run.state != "ended":
                if run.survives and run.state == "main":
                    continue
                wait_until(run.pid, "")
                run.state = "ended"
        self.model.step(None)
        self.check()

    @precondition(lambda self: self.launchers("idle"))
    @rule(pick=picks)
    def pause(self, pick: int) -> None:
        idle = self.launchers("idle")
        self.pause_actor(idle[pick % len(idle)])

    def pause_actor(self, actor: Actor) -> None:
        os.kill(actor.pid, signal.SIGSTOP)
        os.waitpid(actor.pid, os.WUNTRACED)
        actor.state = "paused"

    @precondition(lambda self: self.launchers("paused"))
    @rule(pick=picks)
    def resume(self, pick: int) -> None:
        paused = self.launchers("paused")
        self.resume_actor(paused[pick % len(paused)])

    def resume_actor(self, actor: Actor) -> None:
        os.kill(actor.pid, signal.SIGCONT)
        actor.state = "idle"

    @precondition(lambda self: self.launchers("idle"))
    @rule()
    def let_time_pass(self) -> None:
        self.live_on()
        self.model.step(None)
        self.check()

    # --- the end

    def teardown(self) -> None:
        """Kill all there is; a plain cleaner and a plain launcher bring every run to its end."""
        try:
            if not self.model.violations and sys.exc_info()[0] is None:
                self.finish()
            self.total.update(self.model.counts)
        finally:
            for run in self.runs:
                if run.lives:
                    os.kill(run.pid, signal.SIGKILL)
            for actor in self.actors:
                actor.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self) -> None:
        for actor in self.actors:
            if actor.state in ("idle", "paused", "midst"):
                self.kill_actor(actor)
        for _ in range(2):  # what died for the third time waits only after the second
            self.clean("near", True, True, False, 0, 0, 0)
        for run in self.runs:
            if run.lives and not run.strange:
                self.model.wrong(f"{run} lives on")
        self.start("near")
        last = self.actors[-1]
        for _ in range(SEEDS):
            if self.took_one(last):
                self.tell(self.runs[-1], "return")
                self.hear_of(self.runs[-1], 0, 0, 0)
        last.tell({"do": "leave", "words": (), "stop": 0, "lose": 0, "code": 0})
        last.answer()
        for number, seen in enumerate(self.model.seen):
            if seen.baton != COMPLETED_BATON:
                self.model.wrong(f"seed {number} is {seen.baton.name} in the end")
        self.check()
        self.model.counts["examples brought to their end"] += 1
