"""Runs one after the other in this very process: for a debugger, and to look closely at one run."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import alfred.defaults
from alfred.errors import OvertakenError
from alfred.files import sync_tree
from alfred.launchers import crash_report, deaths, notes
from alfred.launchers.active import name_of
from alfred.launchers.base import Hooks, LaunchPlan, LaunchReport, heeded_signals
from alfred.launchers.child import project_handlers, short_name
from alfred.launchers.fork_server import package_versions
from alfred.launchers.hooks import HookCaller
from alfred.launchers.launch_log import LaunchLog
from alfred.launchers.memory import Memory
from alfred.launchers.progress import PlainDisplay, Tally, plain_line
from alfred.launchers.queue import Claimed, Queue
from alfred.launchers.raised import Raised, describe
from alfred.launchers.same_deaths import SameDeaths
from alfred.launchers.tasks import Ended, ended_from_rusage
from alfred.project import Project, call_main
from alfred.storage import batons
from alfred.storage.leases import Leases
from alfred.storage.owners import Owner
from alfred.utils import misc, recorder
from alfred.utils.config import load_config_from_json
from alfred.utils.directory_tree import DirectoryTree
from alfred.utils.progress_bar import LineReporter, PlainProgressBar


class InProcessLauncher:
    """Calls the project's main() here. A run that takes this process down takes the launch along."""

    def __init__(self, owner: Owner, project: Project) -> None:
        self._owner = owner
        self._project = project
        self._report = LaunchReport()
        self._log = LaunchLog(owner.name)
        self._open: set[Claimed] = set()  # runs whose end could not be noted
        self._in_main = False
        self._handlers = project_handlers()
        self._memory = Memory()
        self._processor_time = 0.0  # when the run began

    def launch(self, plan: LaunchPlan, hooks: Hooks) -> LaunchReport:
        """Work until nothing waits or a signal ends it."""
        leases = Leases(self._owner, helper=True)
        tally = Tally(plan.storage_dirs)
        self._log.display = PlainDisplay(tally, plain_line)
        queue = Queue(plan, leases, self._pass_over)
        hook_caller = HookCaller(hooks, leases, self._log)
        left = plan.max_runs or float("inf")
        same_deaths = SameDeaths(plan.max_identical_crashes)
        try:
            with self._listening():
                while left >= 1 and not self._stopping and (claimed := queue.claim()):
                    left -= 1
                    death = self._do(claimed, plan)
                    if claimed not in self._open:  # else it is ours, and our lease proves us dead afterwards
                        queue.let_go(claimed)
                        leases.drop(claimed.storage_dir)
                    if death is not None and same_deaths.ended(claimed, death):
                        queue.close(claimed.storage_dir)
                        self._log(claimed.storage_dir, same_deaths.told(claimed, death))
                if not self._stopping:
                    hook_caller.call_where_ended(plan.storage_dirs)
                while hook_caller.take_in() and not self._stopping:
                    time.sleep(0.02)
        finally:
            hook_caller.cancel()
            self._report.failed_hooks = hook_caller.failed
            tally.look_now()
            self._log.display.close()
            leases.close()
        return self._report

    def _do(self, claimed: Claimed, plan: LaunchPlan) -> str | None:
        """Do a run; the signature of its crash, "" when it completed, None when it did neither."""
        seed_dir = Path(claimed.seed_dir)
        self._processor_time = time.process_time()
        try:
            begun = notes.begin(seed_dir, self._owner, package_versions())
            raised = None
            try:
                self._call_main(seed_dir, begun.attempt, plan)
                sync_tree(seed_dir)
            except BaseException as error:
                raised = describe(error, plan.project)
            if self._stopping:
                self._put_back(claimed, begun)
            elif raised is not None:  # the error itself is gone by now, with all that it kept in memory
                return self._crash(claimed, begun, raised)
            else:
                return self._complete(claimed, begun)
        except OvertakenError as error:
            self._report.overtaken += 1
            self._log(claimed.storage_dir, str(error))
        except OSError as error:
            self._open.add(claimed)
            self._pass_over(f"{name_of(claimed)}: its end could not be noted: {error}")
        return None

    def _call_main(self, seed_dir: Path, attempt: int, plan: LaunchPlan) -> None:
        dir_tree = DirectoryTree.init_from_seed_path(seed_dir, plan.root)
        dir_tree.attempt = attempt
        dir_tree.recorders_dir.mkdir(exist_ok=True)
        name = short_name(seed_dir)
        logger = misc.create_logger(name, plan.log_level, seed_dir / "logger.out")
        config = load_config_from_json(seed_dir / "config.json")
        pbar = PlainProgressBar(desc=name, report=LineReporter()) if plan.use_pbar else None
        recorder.may_publish = lambda: batons.is_mine(str(seed_dir), self._owner.name)
        try:
            self._in_main = True
            if self._stopping:
                raise KeyboardInterrupt
            call_main(self._project.main, config=config, dir_tree=dir_tree, logger=logger, pbar=pbar)
            recorder.fold_files()
        finally:
            self._in_main = False
            recorder.may_publish = None
            misc.close_logger(logger)
            if pbar is not None:
                pbar.close()

    def _complete(self, claimed: Claimed, begun: notes.Begun) -> str:
        seed_dir = Path(claimed.seed_dir)
        notes.end(seed_dir, begun, {"process": os.getpid(), "how": "completed"})
        batons.finish(seed_dir, self._owner.name)
        self._report.completed += 1
        self._log(claimed.storage_dir, f"{name_of(claimed)} completed")
        return ""

    def _put_back(self, claimed: Claimed, begun: notes.Begun) -> None:
        seed_dir = Path(claimed.seed_dir)
        stopped_by = self._report.stopped_by
        why = f"stopped by {stopped_by.name}" if stopped_by else "stopped"
        notes.end(seed_dir, begun, {"process": os.getpid(), "how": f"put back: {why}"})
        keep_files = alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS
        batons.release(seed_dir, self._owner.name, why, keep_files=keep_files)
        self._report.put_back += 1
        self._log(claimed.storage_dir, f"{name_of(claimed)} waits again: {why}")

    def _crash(self, claimed: Claimed, begun: notes.Begun, raised: Raised) -> str:
        death = deaths.of_raised(raised)
        seed_dir = Path(claimed.seed_dir)
        notes.end(seed_dir, begun, {"process": os.getpid(), "how": f"crashed: {death.headline}"})
        known = crash_report.facts(begun, self._owner, self._used(), self._memory.limit(), 0)
        batons.crash(seed_dir, self._owner.name, crash_report.compose(seed_dir, death, known, raised))
        self._report.crashed += 1
        self._log(claimed.storage_dir, f"{name_of(claimed)} crashed: {death.short}")
        return death.signature

    def _used(self) -> Ended:
        """What this process has used: of memory since its start, of time since the run began."""
        now = ended_from_rusage(os.getpid(), 0, resource.getrusage(resource.RUSAGE_SELF))
        return dataclasses.replace(now, status=None, cpu_seconds=time.process_time() - self._processor_time)

    @property
    def _stopping(self) -> bool:
        return self._report.stopped_by is not None

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """The signals that end a launch raise KeyboardInterrupt in main(), or go to its own handlers."""

        def stop(number: int, frame: object) -> None:
            self._report.stopped_by = signal.Signals(number)
            if self._in_main and number in self._handlers:
                self._handlers[number](number, frame)
            elif self._in_main:
                raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

        before = {number: signal.signal(number, stop) for number in heeded_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_over(self, text: str) -> None:
        self._report.passed_over.append(text)
        self._log(None, text)
