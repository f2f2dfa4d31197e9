"""The loop: claim a run, have it done by a process of its own, note how it ended, take the next.

One process supervises any number of slots and never runs the user's code, so nothing that a run does can take
the launcher along. It lives on the main thread, since the kernel ties the life of a run to the thread that
started it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import alfred.defaults
from alfred.errors import LaunchError, OvertakenError
from alfred.launchers import crash_report, notes
from alfred.launchers.base import STOP_SIGNALS, Hooks, LaunchPlan, LaunchReport
from alfred.launchers.hooks import HookCaller
from alfred.launchers.progress import Display, Tally
from alfred.launchers.queue import Claimed, Queue
from alfred.launchers.starters import ForkServerGoneError
from alfred.launchers.tasks import Ended, RunTask, Starter
from alfred.launchers.wire import WireReader
from alfred.storage import batons, processes
from alfred.storage.flags import State
from alfred.storage.leases import Leases

_PATIENCE = 1.0  # seconds in which a signal that hit a run is expected to hit its launcher too
_LEAVING = 30.0  # seconds that a run may take to leave after main() has returned
_MAX_SERVERS_LOST = 3


@dataclass
class _Active:
    """A run that is being done."""

    claimed: Claimed
    begun: notes.Begun
    wire: WireReader
    pid: int
    token: str
    name: str
    deadline: float
    done: bool = False
    raised: Mapping[str, Any] | None = None
    ended: Ended | None = None
    told: str = ""
    kill_at: float = float("inf")
    decide_at: float = 0.0


@dataclass
class _Slot:
    """One place in which runs are done one after the other."""

    environment: Mapping[str, str]
    left: float
    active: _Active | None = None


@dataclass
class Worker:
    """Supervises the slots of one launch. `say` is told what happened, in lines for the log."""

    plan: LaunchPlan
    starter: Starter
    leases: Leases
    display: Display
    tally: Tally
    say: Callable[[Path | None, str], None]
    hooks: Hooks
    report: LaunchReport = field(default_factory=LaunchReport)

    def __post_init__(self) -> None:
        self._queue = Queue(self.plan, self.leases, self._pass_over)
        self._slots = [_Slot(env, self.plan.max_runs or float("inf")) for env in self.plan.environments]
        self._hook_caller = HookCaller(self.hooks, self.leases, self.say)
        self._signals: list[int] = []
        self._servers_lost = 0
        self._next_fence = time.monotonic() + self.leases.owner.beat

    def work(self) -> LaunchReport:
        """Do runs until none waits any more or a signal ends it; how it went."""
        with self._listening() as selector:
            while True:
                self._fill()
                if not any(slot.active for slot in self._slots):
                    break
                self._wait(selector)
                self._take_in()
                self._enforce()
                self.tally.look_on()
                self.display.tick()
        self.report.failed_hooks = self._hook_caller.finish(self.plan.storage_dirs, self._stopping)
        return self.report

    @property
    def _stopping(self) -> bool:
        return self.report.stopped_by is not None

    # --- taking up runs

    def _fill(self) -> None:
        for slot in self._slots:
            if slot.active or slot.left < 1 or self._stopping or self._signals:
                continue
            claimed = self._queue.claim()
            if claimed is None:
                return
            slot.left -= 1
            slot.active = self._begin(slot, claimed)

    def _begin(self, slot: _Slot, claimed: Claimed) -> _Active | None:
        seed_dir = Path(claimed.seed_dir)
        name = f"{claimed.storage_dir.name}/{seed_dir.parent.name}/{seed_dir.name}"
        readable, writable = os.pipe()
        try:
            begun = notes.begin(seed_dir, self.leases.owner, self.starter.versions())
            pid = self.starter.start(self._task(slot, claimed, begun), writable)
        except (OSError, ForkServerGoneError) as error:
            os.close(readable)
            self._give_up(claimed, name, error)
            return None
        finally:
            os.close(writable)
        self.tally.moved(State.WAITING, State.RUNNING)
        self.display.started(name)
        deadline = begun.since + (self.plan.timeout or float("inf"))
        token = processes.start_token(pid) or ""
        return _Active(claimed, begun, WireReader(readable), pid, token, name, deadline)

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

    def _give_up(self, claimed: Claimed, name: str, error: Exception) -> None:
        """A run that could not even be started waits again."""
        self.leases.drop(claimed.storage_dir)
        self._pass_over(f"{name} could not be started: {error}")
        with contextlib.suppress(OSError, OvertakenError):
            batons.release(Path(claimed.seed_dir), self.leases.owner.name, f"could not be started: {error}")
        if isinstance(error, ForkServerGoneError):
            self._lost_a_server()

    def _lost_a_server(self) -> None:
        self._servers_lost += 1
        if self._servers_lost > _MAX_SERVERS_LOST:
            raise LaunchError(
                f"the process that starts the runs died {self._servers_lost} times: try --start_method spawn"
            )

    # --- waiting and listening

    @contextlib.contextmanager
    def _listening(self) -> Iterator[selectors.BaseSelector]:
        """Signals wake the loop up instead of interrupting it."""
        woken, wakes = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wakes, False)
        before = {number: signal.signal(number, self._came) for number in (*STOP_SIGNALS, signal.SIGCHLD)}
        wakeup = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(woken, selectors.EVENT_READ)
        try:
            yield selector
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            selector.close()
            os.close(woken)
            os.close(wakes)
            self._end_all()

    def _came(self, number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            self._signals.append(number)

    def _wait(self, selector: selectors.BaseSelector) -> None:
        """Until something happens, a deadline is near or the display wants to be drawn."""
        active = [slot.active for slot in self._slots if slot.active]
        now = time.monotonic()
        deadlines = [now + 0.25, *(min(a.kill_at, a.deadline) for a in active)]
        watched = {handle: True for handle in self.starter.handles()}
        watched |= {a.wire.handle: True for a in active}
        for handle in watched:
            selector.register(handle, selectors.EVENT_READ)
        try:
            for key, _ in selector.select(max(0.0, min(deadlines) - now)):
                if key.fd not in watched:
                    with contextlib.suppress(BlockingIOError):
                        os.read(key.fd, 4096)
        finally:
            for handle in watched:
                selector.unregister(handle)

    def _take_in(self) -> None:
        for slot in self._slots:
            if slot.active:
                self._read(slot.active)
        by_pid = {slot.active.pid: slot for slot in self._slots if slot.active}
        for ended in self.starter.ended():
            slot = by_pid.get(ended.pid)
            if slot and slot.active:
                slot.active.ended = ended
                self._read(slot.active)
                slot.active.decide_at = time.monotonic() + self._patience(slot.active)
        if self._signals:
            self._stop()
        for slot in self._slots:
            active = slot.active
            if active and active.ended and (self._stopping or time.monotonic() >= active.decide_at):
                slot.active = None
                self._conclude(active)

    def _read(self, active: _Active) -> None:
        for message in active.wire.read():
            if "log" in message:
                self.display.line(str(message["log"]))
            elif "bar" in message:
                self.display.bar(active.name, *message["bar"])
            elif "raised" in message:
                active.raised = message["raised"]
            elif "done" in message:
                active.done = True
                active.kill_at = min(active.kill_at, time.monotonic() + _LEAVING)

    def _patience(self, active: _Active) -> float:
        """A batch system tells all processes at once: a run that was hit may be heard of first."""
        hit = active.raised is not None and active.raised.get("signal") and not active.told
        return _PATIENCE if hit else 0.0

    # --- ending runs

    def _stop(self) -> None:
        """The first signal tells the runs and gives them `grace` seconds, the second ends them."""
        first = not self._stopping
        number = self._signals[0]
        self.report.stopped_by = self.report.stopped_by or signal.Signals(number)
        hard = not first or len(self._signals) > 1
        self._signals.clear()
        self.say(None, f"{signal.Signals(number).name}: {'ending' if hard else 'stopping'} the runs")
        for slot in self._slots:
            if slot.active and not slot.active.done:
                self._tell(slot.active, number, f"stopped by {signal.Signals(number).name}")
                if hard:
                    slot.active.kill_at = 0.0

    def _tell(self, active: _Active, number: int, why: str) -> None:
        active.told = active.told or why
        active.kill_at = min(active.kill_at, time.monotonic() + self.plan.grace)
        if processes.start_token(active.pid) == active.token:
            with contextlib.suppress(ProcessLookupError):
                os.kill(active.pid, number)

    def _enforce(self) -> None:
        """Deadlines, and the look whether each run is still ours."""
        now = time.monotonic()
        fence = now >= self._next_fence
        if fence:
            self._next_fence = now + self.leases.owner.beat
        for slot in self._slots:
            active = slot.active
            if active is None or active.ended:
                continue
            if now >= active.kill_at or (fence and not self._is_mine(active)):
                processes.kill_session(active.pid, active.token)
                active.kill_at = float("inf")
            elif now >= active.deadline and not active.told and not active.done:
                limit = f"ran out of its time: --timeout {self.plan.timeout:g} seconds"
                self._tell(active, signal.SIGTERM, limit)

    def _is_mine(self, active: _Active) -> bool:
        try:
            return batons.is_mine(active.claimed.seed_dir, self.leases.owner.name)
        except OSError:
            return True  # no answer is no proof

    def _end_all(self) -> None:
        """Whatever ends the loop, no run is left behind."""
        for slot in self._slots:
            if slot.active:
                processes.kill_session(slot.active.pid, slot.active.token)

    # --- noting how they ended

    def _conclude(self, active: _Active) -> None:
        active.wire.close()
        self._end_leftovers(active)
        self.display.ended(active.name)
        ended = active.ended
        server_lost = ended is not None and ended.status is None
        if server_lost:
            self._lost_a_server()
        try:
            if active.done and not active.told:
                target = self._complete(active)
            elif self._stopping or server_lost:
                target = self._put_back(active)
            else:
                target = self._crash(active)
            self.tally.moved(State.RUNNING, target)
        except OvertakenError as error:
            self.report.overtaken += 1
            self.say(active.claimed.storage_dir, str(error))
        except OSError as error:
            self._pass_over(f"{active.name}: its end could not be noted: {error}")
        self.leases.drop(active.claimed.storage_dir)
        self._hook_caller.run_ended(active.claimed.storage_dir, self._storage_is_idle(active.claimed))

    def _end_leftovers(self, active: _Active) -> None:
        """Data loaders and the like end with the run; after a clean end a look at its group is enough."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(active.pid, signal.SIGKILL)
        if not active.done:
            processes.kill_session(active.pid, active.token)

    def _complete(self, active: _Active) -> State:
        seed_dir = Path(active.claimed.seed_dir)
        self._note_end(active, "completed")
        with contextlib.suppress(OSError):
            (seed_dir / ".alfred" / "faults.out").unlink()
        batons.finish(seed_dir, self.leases.owner.name)
        self.report.completed += 1
        self.say(active.claimed.storage_dir, f"{active.name} completed")
        return State.COMPLETED

    def _put_back(self, active: _Active) -> State:
        why = active.told or "the process that starts the runs died"
        keep_files = alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS
        self._note_end(active, f"put back: {why}")
        batons.release(Path(active.claimed.seed_dir), self.leases.owner.name, why, keep_files=keep_files)
        self.report.put_back += 1
        self.say(active.claimed.storage_dir, f"{active.name} waits again: {why}")
        return State.WAITING

    def _crash(self, active: _Active) -> State:
        headline = crash_report.what_happened(active.ended, active.raised, active.told)
        self._note_end(active, f"crashed: {headline}"[:1000])
        facts = {
            "Attempt": active.begun.attempt,
            "Host": self.leases.owner.host,
            "Process": active.pid,
            "Cluster job": self.leases.owner.job,
            "Seconds": round(time.monotonic() - active.begun.since, 1),
            "Peak memory": f"{active.ended.peak_memory / 2**20:.0f} MiB" if active.ended else "",
        }
        text = crash_report.compose(active.claimed.seed_dir, headline, facts, active.raised)
        batons.crash(Path(active.claimed.seed_dir), self.leases.owner.name, text)
        self.report.crashed += 1
        self.say(active.claimed.storage_dir, f"{active.name} crashed: {headline}")
        return State.CRASHED

    def _note_end(self, active: _Active, how: str) -> None:
        ended = active.ended
        usage = (
            {"peak_memory": ended.peak_memory, "cpu_seconds": round(ended.cpu_seconds, 3)} if ended else {}
        )
        status = {} if ended is None else {"wait_status": ended.status}
        if not batons.is_mine(active.claimed.seed_dir, self.leases.owner.name):
            raise OvertakenError(f"{active.name} was taken over by another process: nothing is published")
        with contextlib.suppress(OSError):
            notes.end(
                Path(active.claimed.seed_dir),
                active.begun,
                {"process": active.pid, "how": how, **usage, **status},
            )

    def _storage_is_idle(self, claimed: Claimed) -> bool:
        others = (slot.active.claimed.storage_dir for slot in self._slots if slot.active)
        return claimed.storage_dir not in others and not self._queue.is_open(claimed.storage_dir)

    def _pass_over(self, text: str) -> None:
        self.report.passed_over.append(text)
        self.say(None, text)
