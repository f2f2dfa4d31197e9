"""The loop: claim a run, have it done by a process of its own, note how it ended, take the next.

One process supervises any number of slots and never runs the user's code, so nothing that a run does can take
the launcher along. It lives on the main thread, since the kernel ties the life of a run to the thread that
started it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alfred.errors import AlfredError, LaunchError, OvertakenError
from alfred.launchers import notes
from alfred.launchers.active import NEVER, Active, name_of
from alfred.launchers.base import Hooks, LaunchPlan, LaunchReport
from alfred.launchers.endings import Endings, Say
from alfred.launchers.hooks import HookCaller
from alfred.launchers.memory import Memory
from alfred.launchers.progress import Display, Tally
from alfred.launchers.queue import Claimed, Queue
from alfred.launchers.raised import Raised
from alfred.launchers.same_deaths import SameDeaths
from alfred.launchers.starters import ForkServerGoneError
from alfred.launchers.tasks import RunTask, Starter
from alfred.launchers.waking import Wait, woken_by_signals
from alfred.launchers.wire import WireReader
from alfred.storage import batons, processes
from alfred.storage.flags import State
from alfred.storage.leases import Leases

_PATIENCE = 1.0  # seconds in which a signal that hit a run is expected to hit its launcher too
_LEAVING = 30.0  # seconds that a run may take to leave after main() has returned
_MAX_SERVERS_LOST = 3


@dataclass
class _Slot:
    """One place in which runs are done one after the other; `left` is how many it may still take."""

    environment: Mapping[str, str]
    left: float
    active: Active | None = None


@dataclass
class Worker:
    """Supervises the slots of one launch. `say` is told what happened, in lines for the log."""

    plan: LaunchPlan
    starter: Starter
    leases: Leases
    display: Display
    tally: Tally
    say: Say
    hooks: Hooks
    report: LaunchReport = field(default_factory=LaunchReport)
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self._endings = Endings(self.leases.owner, self.plan.project, self.memory, self.report, self.say)
        self._same_deaths = SameDeaths(self.plan.max_identical_crashes)
        self._queue = Queue(self.plan, self.leases, self._endings.pass_over)
        self._slots = [_Slot(env, self.plan.max_runs or NEVER) for env in self.plan.environments]
        self._hook_caller = HookCaller(self.hooks, self.leases, self.say)
        self._signals: list[int] = []
        self._servers_lost = 0
        self._last_look = False
        self._next_fence = time.monotonic() + self.leases.owner.beat

    def work(self) -> LaunchReport:
        """Do runs until none waits any more or a signal ends it; how it went."""
        with woken_by_signals(self._signals) as wait, self._leaving_no_run():
            self._fill()
            while self._is_busy():
                self._wait(wait)
                self._take_in()
                self._enforce()
                self._fill()
                self.tally.look_on()
                self.display.tick()
            self._heed_signals()
        self.report.failed_hooks = self._hook_caller.failed
        return self.report

    def _is_busy(self) -> bool:
        """Whether a run or a hook is being done; in the end all storage directories are looked at again."""
        if any(slot.active for slot in self._slots) or self._hook_caller.take_in():
            return True
        if self._last_look or self._stopping or self._signals:
            return False
        if self._note_again(stopping=False):
            return True
        self._last_look = True
        self._hook_caller.call_where_ended(self.plan.storage_dirs)
        return self._hook_caller.take_in()

    @property
    def _stopping(self) -> bool:
        return self.report.stopped_by is not None

    # --- taking up runs

    def _fill(self) -> None:
        """Give every free slot a run, as long as there is one."""
        for slot in self._slots:
            while slot.active is None and slot.left >= 1 and self._may_begin():
                claimed = self._queue.claim()
                if claimed is None:
                    return
                slot.active = self._begin(slot, claimed)
                slot.left -= slot.active is not None

    def _may_begin(self) -> bool:
        """Whether a further run is to be begun: nothing ends the launch, and there is time for it."""
        if self._stopping or self._signals:
            return False
        walltime = self.plan.walltime
        if walltime is None or walltime.allows_another():
            return True
        if not self.report.out_of_time:
            self.report.out_of_time = True
            self.say(
                None,
                f"no further run begins: the job's time is nearly up (a run takes {walltime.needed():.0f} s)",
            )
        return False

    def _begin(self, slot: _Slot, claimed: Claimed) -> Active | None:
        try:
            readable, writable = os.pipe()
        except OSError as error:  # too many open files
            self._give_up(claimed, error)
            return None
        try:
            begun = notes.begin(Path(claimed.seed_dir), self.leases.owner, self.starter.versions())
            kills = self.memory.kills()
            pid = self.starter.start(self._task(slot, claimed, begun), writable)
        except (OSError, AlfredError) as error:
            os.close(readable)
            self._give_up(claimed, error)
            return None
        finally:
            os.close(writable)
        self.report.began += 1
        self.tally.moved(State.WAITING, State.RUNNING)
        self.display.started(name_of(claimed))
        active = Active(claimed, begun, WireReader(readable), pid, processes.start_token(pid) or "")
        active.deadline = begun.since + (self.plan.timeout or NEVER)
        active.kills_before = kills
        return active

    def _task(self, slot: _Slot, claimed: Claimed, begun: notes.Begun) -> RunTask:
        return RunTask(
            seed_dir=claimed.seed_dir,
            root=str(self.plan.root),
            project=str(self.plan.project),
            owner=self.leases.owner.name,
            attempt=begun.attempt,
            use_pbar=self.plan.use_pbar,
            log_level=self.plan.log_level,
            environment=slot.environment,
        )

    def _give_up(self, claimed: Claimed, error: Exception) -> None:
        server_lost = isinstance(error, ForkServerGoneError)
        if not server_lost:
            self._queue.skip(claimed.seed_dir)
        waits = self._endings.give_up(claimed, error, for_now=server_lost)
        self._queue.let_go(claimed, again=server_lost)
        if waits:  # else the lease stays and proves us dead once we have ended
            self.leases.drop(claimed.storage_dir)
        if server_lost:
            self._lost_a_server()
        elif isinstance(error, AlfredError) and not isinstance(error, OvertakenError):
            raise error  # the project can't be loaded any more

    def _lost_a_server(self) -> None:
        self._servers_lost += 1
        if self._servers_lost > _MAX_SERVERS_LOST:
            raise LaunchError(
                f"the process that starts the runs died {self._servers_lost} times: try --start_method spawn"
            )

    # --- waiting and listening

    def _wait(self, wait: Wait) -> None:
        """Until something happens, a deadline is near or the display wants to be drawn."""
        active = [slot.active for slot in self._slots if slot.active]
        now = time.monotonic()
        soonest = min([now + 0.25, *(min(run.kill_at, run.deadline, run.decide_at) for run in active)])
        wires = (run.wire.handle for run in active if run.wire.open)
        wait({*self.starter.handles(), *wires}, max(0.0, soonest - now))

    def _take_in(self) -> None:
        """Hear what the runs say, which have ended, and which signals came."""
        runs = [slot.active for slot in self._slots if slot.active]
        ended = {end.pid: end for end in self.starter.ended()}
        for active in runs:
            self._read(active)
            if active.ended is None and active.pid in ended:
                active.has_ended(ended[active.pid], self._patience(active))
        self._heed_signals()
        for slot in self._slots:
            if slot.active and slot.active.ended and (self._stopping or slot.active.is_due()):
                self._conclude(slot, self._stopping)

    def _read(self, active: Active) -> None:
        for message in active.wire.read():
            if "log" in message:
                self.display.line(str(message["log"]))
            elif "bar" in message:
                self.display.bar(active.name, *message["bar"])
            elif "raised" in message:
                active.raised = Raised.from_json(message["raised"])
            elif "done" in message:
                active.is_done(_LEAVING)

    def _patience(self, active: Active) -> float:
        """A batch system tells all processes at once: a run that was hit may be heard of first."""
        hit = active.raised is not None and active.raised.signal is not None and not active.told
        return _PATIENCE if hit else 0.0

    # --- ending runs

    @contextlib.contextmanager
    def _leaving_no_run(self) -> Iterator[None]:
        """Whatever ends the loop."""
        try:
            yield
        finally:
            for slot in self._slots:
                if slot.active:
                    slot.active.kill()
                    self._conclude(slot, stopping=True)
            self._note_again(stopping=True)
            self._hook_caller.cancel()

    def _heed_signals(self) -> None:
        """The first signal tells the runs and gives them `grace` seconds, the second ends them."""
        if not self._signals:
            return
        name = signal.Signals(self._signals[0]).name
        hard = self._stopping or len(self._signals) > 1
        self.report.stopped_by = self.report.stopped_by or signal.Signals(self._signals[0])
        why, grace = f"stopped by {name}", self.plan.grace
        # The scheduler warns, or the clock here.
        if self.plan.walltime and self._signals[0] == signal.SIGUSR1:
            self.report.out_of_time = True
            why, grace = "the time limit of its job is near", max(grace, self.plan.walltime.grace())
        self.say(None, f"{name}: {'ending' if hard else 'stopping'} the runs")
        grace = 0.0 if hard else grace
        for active in [slot.active for slot in self._slots if slot.active]:
            if active.done:
                active.hurry(grace)
            else:
                active.tell(self._signals[0], why, grace)
        self._signals.clear()
        self._hook_caller.cancel()

    def _enforce(self) -> None:
        """Deadlines, and once a beat the look whether each run is still ours."""
        now = time.monotonic()
        if self.plan.walltime and self.plan.walltime.is_over() and not (self._stopping or self._signals):
            self._signals.append(signal.SIGUSR1)
        fence = now >= self._next_fence
        if fence:
            self._next_fence = now + self.leases.owner.beat
            with contextlib.suppress(OSError):
                self.leases.restore()
            self._note_again(self._stopping)
        for active in [slot.active for slot in self._slots if slot.active and not slot.active.ended]:
            if now >= active.kill_at or (fence and not self._is_mine(active)):
                active.kill()
            elif now >= active.deadline:
                active.timed_out = True
                limit = f"ran out of its time: --timeout {self.plan.timeout:g} seconds"
                active.tell(signal.SIGTERM, limit, self.plan.grace)

    def _is_mine(self, active: Active) -> bool:
        try:
            return batons.is_mine(active.claimed.seed_dir, self.leases.owner.name)
        except OSError:
            return True  # no answer is no proof

    def _conclude(self, slot: _Slot, stopping: bool) -> None:
        active, slot.active = slot.active, None
        if active is None:
            return
        active.wire.close()
        active.end_leftovers()
        self.display.ended(active.name)
        state = self._endings.conclude(active, stopping)
        if active.claimed not in self._endings.open:
            self._settle(active, state, stopping)
        if active.ended and active.ended.status is None:
            self._lost_a_server()

    def _note_again(self, stopping: bool) -> bool:
        """Runs whose end could not be noted stay ours until it can be; whether one has been now."""
        noted = list(self._endings.note_again())
        for active, state in noted:
            self._settle(active, state, stopping)
        return bool(noted)

    def _settle(self, active: Active, state: State, stopping: bool) -> None:
        """What follows from the end of a run, once that is noted."""
        self.tally.moved(State.RUNNING, state)
        if state is State.COMPLETED and self.plan.walltime:
            self.plan.walltime.learn(time.monotonic() - active.begun.since)
        self._queue.let_go(active.claimed, again=state is State.WAITING)
        storage_dir = active.claimed.storage_dir
        if state in (State.COMPLETED, State.CRASHED) and self._same_deaths.ended(
            active.claimed, active.death
        ):
            self._queue.close(storage_dir)
            self.say(storage_dir, self._same_deaths.told(active.claimed, active.death))
        self.leases.drop(storage_dir)
        busy = any(other.active.claimed.storage_dir == storage_dir for other in self._slots if other.active)
        if not (busy or stopping or self._queue.is_open(storage_dir)):
            self._hook_caller.call_where_ended([storage_dir])
