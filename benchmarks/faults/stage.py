"""What can be done with launchers, cleaners and three runs, while a model looks on (no program).

Whatever is done, the disk is held against the model after it (`Stage.look`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interference import NONE, Trouble
from model import Model, Op
from stoppable import Actor, RunProcess, wait_until

from alfred.storage import leases
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.flags import COMPLETED_BATON, CRASHED_BATON, WAITING_BATON, State

SEEDS = 3
HOSTS = ("near", "far")


def template(folder: Path) -> Path:
    """A storage directory of waiting runs, to be copied."""
    experiments = tuple(Experiment({"lr": n}, {"lr": n}, (n,)) for n in range(SEEDS))
    plan = Preparation("any", "thing", "grid_x", "grid", experiments, variations={"lr": list(range(SEEDS))})
    (name,) = lay_search(folder, [plan])
    return folder / name


class Stage:
    """A copy of the storage directory `laid`, whoever works on it, and their runs."""

    def __init__(self, laid: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="alfred-steps-", dir=laid.parent))
        self.storage_dir = self.folder / laid.name
        shutil.copytree(laid, self.storage_dir)
        seed_dirs = [self.storage_dir / f"experiment{n + 1}" / f"seed{n}" for n in range(SEEDS)]
        self.model = Model(self.storage_dir, seed_dirs)
        self.actors: list[Actor] = []
        self.runs: list[RunProcess] = []
        for host in HOSTS:
            self.start(host)

    # --- who there is

    def launchers(self, *states: str) -> list[Actor]:
        return [actor for actor in self.among(*states) if actor.kind == "launcher"]

    def among(self, *states: str) -> list[Actor]:
        return [actor for actor in self.actors if actor.state in states]

    def free_launchers(self) -> list[Actor]:
        return [actor for actor in self.launchers("idle") if self.free_slots(actor)]

    def free_slots(self, actor: Actor) -> list[int]:
        taken = {run.slot for run in self.runs if run.actor is actor and not run.heard}
        return [slot for slot in (0, 1) if slot not in taken]

    def living_runs(self, *states: str) -> list[RunProcess]:
        return [run for run in self.runs if run.state in states]

    def attended_runs(self) -> list[RunProcess]:
        """Those of which a launcher that waits for nothing else has not heard the end."""
        return [run for run in self.runs if not run.heard and run.actor.state == "idle"]

    def some_wait(self) -> bool:
        return WAITING_BATON in [seen.baton for seen in self.model.seen]

    # --- launchers and cleaners

    def start(self, host: str, kind: str = "launcher") -> Actor:
        self.actors.append(Actor(kind, self.storage_dir, host))
        return self.actors[-1]

    def do(self, actor: Actor, op: Op, words: Sequence[Any], trouble: Trouble) -> dict[str, Any] | None:
        """Have an actor begin something; what it said in the end, None while it is stopped in the midst."""
        op.lossy = bool(trouble.lose)
        actor.op = op
        actor.begin(op.do, words, trouble)
        return self.listen(actor)

    def listen(self, actor: Actor) -> dict[str, Any] | None:
        op = actor.op
        while True:
            said = actor.answer()
            if "sleep" in said:
                self.live_on()
                actor.tell({})
            elif "judged" in said:
                self._judged(actor, said)
            elif "stopping" in said:
                actor.state = "midst"
                op.stops += 1
                self.model.counts["stopped in the midst"] += 1
                self.look(op)
                return None
            elif "failed" in said:
                self.model.wrong(f"{op} failed: {said['failed']}")
                self.check()
            else:
                actor.state = "idle"
                self.look(op, said["done"])
                return said["done"]

    def _judged(self, cleaner: Actor, said: dict[str, Any]) -> None:
        """A cleaner has judged who is dead: it must be right, but for those that it was told to overrule."""
        op = cleaner.op
        silent = {actor.owner: actor for actor in self.among("dead", "paused", "midst")}
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
        folder = leases.owners_dir(self.storage_dir)
        owners = os.listdir(folder) if folder.is_dir() else []
        idle = [actor for actor in self.launchers("idle") if actor.owner in owners]
        if idle:
            time.sleep(0.011)  # the grain of time stamps
        for actor in idle:
            self._beat(actor)

    def _beat(self, actor: Actor) -> None:
        actor.begin("beat")
        said = actor.answer()
        for slot in said["done"]["killed"]:
            for run in self.runs:
                if run.actor is actor and run.slot == slot and not run.heard:
                    self.model.counts["overtaken runs killed at a beat"] += 1
                    run.state = "ended"

    def clean(self, host: str, clean_crashes: bool, watch: bool, force: bool, trouble: Trouble) -> None:
        """A cleaner comes, and goes when it is not stopped in the midst."""
        cleaner = self.start(host, "cleaner")
        op = Op("clean", cleaner.owner, clean_crashes=clean_crashes)
        if any(other.kind == "cleaner" for other in self.among("midst")):
            self.model.counts["cleaners beside a stopped one"] += 1
        self.cleaned(cleaner, self.do(cleaner, op, (clean_crashes, watch, force), trouble))

    def cleaned(self, cleaner: Actor, said: dict[str, Any] | None) -> None:
        """It ends; runs whose processes it has ended are so."""
        if said is not None:
            cleaner.kill()
            cleaner.state = "gone"
        for run in self.runs:
            if run.state != "ended" and not run.lives:
                run.state = "ended"

    def kill(self, actor: Actor) -> None:
        """The runs of a launcher go with it, but for those that survive it."""
        self.model.counts[f"kills of {actor.state}"] += 1
        actor.kill()
        for run in self.runs:
            if run.actor is actor and run.state != "ended" and not (run.survives and run.state == "main"):
                wait_until(run.pid, "")
                run.state = "ended"
        self.look()

    # --- runs

    def take_one(self, actor: Actor, survives: bool = False) -> bool:
        """Let a launcher take the first run that waits, undisturbed; False: none waits."""
        before = len(self.runs)
        self.take(actor, 0, 1, survives, 0, NONE)
        return len(self.runs) > before

    def take(
        self, actor: Actor, slot: int, first: int, survives: bool, run_stop: int, trouble: Trouble
    ) -> None:
        """Let a launcher take a run of experiment `first` or a later one."""
        actor.take = (slot, survives)
        words = (slot, list(range(first, SEEDS + 1)), survives, run_stop)
        self.took(actor, self.do(actor, Op("take", actor.owner), words, trouble))

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
        said = run.answer()
        if said is None:
            run.state = "ended"
        elif "main" in said:
            run.state = "main"
        else:
            wait_until(run.pid, "T")
            self.model.counts["runs stopped at their birth"] += 1

    def tell(self, run: RunProcess, word: str) -> None:
        """Tell a run what to do, and wait until that is done."""
        mine = self.model.holder(run.seed) == run.actor.owner
        mine = mine and self.model.seen[run.seed].baton.state is State.RUNNING
        run.tell({"word": word})
        said = run.answer()
        if said is None:
            run.state = "ended"
            run.how = COMPLETED_BATON if word == "return" and mine else CRASHED_BATON
        if word == "save" and mine is (said is None):
            self.model.wrong(f"a save of {run} was {'refused' if said is None else 'done'}")
        if word == "save" and not mine:
            self.model.counts["late saves refused"] += 1
        self.look()

    def hear_of(self, run: RunProcess, trouble: Trouble = NONE) -> None:
        """Let its launcher hear that it has ended."""
        run.heard = True
        self.do(run.actor, Op("hear", run.actor.owner, run.seed, run.how), (run.slot,), trouble)

    # --- whether all is as it must be

    def look(self, op: Op | None = None, said: dict[str, Any] | None = None) -> None:
        """Hold the disk against the model after a step of `op`, the last one if `said` is what it said."""
        self.model.step(op, said)
        self.check()

    def check(self) -> None:
        """AssertionError for anything that is wrong by now."""
        self._no_overlap()
        if self.model.violations:
            raise AssertionError("\n".join(self.model.violations))

    def _no_overlap(self) -> None:
        """Of one run at most one process lives that a cleaner could have ended, and none beside UNHATCHED."""
        for number, seen in enumerate(self.model.seen):
            alive = [run for run in self.runs if run.seed == number and not run.strange and run.lives]
            for run in alive:
                if seen.baton.owner != run.actor.owner and self._taken_from_afar(run):
                    run.strange = True
            alive = [run for run in alive if not run.strange]
            if len(alive) > 1 or (alive and seen.baton == WAITING_BATON):
                self.model.wrong(f"seed {number} is {seen.baton.name}, and of it live {alive}")

    def _taken_from_afar(self, run: RunProcess) -> bool:
        """Whether a cleaner of another host has it, or had it."""
        return any(
            actor.host != run.actor.host and any(before.owner == run.actor.owner for before, _ in moves)
            for actor in self.actors
            if actor.kind == "cleaner" and actor.op
            for moves in [actor.op.moved.get(run.seed, [])]
        )

    # --- the end

    def finish(self) -> None:
        """Kill all there is; a plain cleaner and a plain launcher bring every run to its end."""
        for actor in self.among("idle", "paused", "midst"):
            self.kill(actor)
        for _ in range(2):  # what died for the third time waits only after the second
            self.clean("near", True, True, False, NONE)
        for run in self.runs:
            if run.lives and not run.strange:
                self.model.wrong(f"{run} lives on")
        last = self.start("near")
        for _ in range(SEEDS):
            if self.take_one(last):
                self.tell(self.runs[-1], "return")
                self.hear_of(self.runs[-1])
        last.begin("leave")
        last.answer()
        for number, seen in enumerate(self.model.seen):
            if seen.baton != COMPLETED_BATON:
                self.model.wrong(f"seed {number} is {seen.baton.name} in the end")
        self.check()
        self.model.counts["examples brought to their end"] += 1

    def close(self) -> None:
        """Leave nothing of it."""
        for run in self.runs:
            if run.lives:
                run.kill()
        for actor in self.actors:
            actor.close()
        shutil.rmtree(self.folder, ignore_errors=True)
