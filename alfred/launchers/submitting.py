"""A launch handed to a cluster: what each job is told, how many there are, how it goes while one waits."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import alfred.defaults
from alfred.errors import LaunchError, UsageError
from alfred.launchers import slurm
from alfred.launchers.base import LaunchReport, is_selected
from alfred.launchers.slurm import Batch, SlurmOptions
from alfred.launchers.watching import watch
from alfred.storage import scheduler, submissions
from alfred.storage.flags import State
from alfred.storage.scheduler import Job
from alfred.storage.submissions import Submission
from alfred.storage.survey import survey

REQUEUE = 3
_ASK_EVERY = 5.0  # seconds between questions to the scheduler
_UNHEARD = 120.0  # seconds without an answer of the scheduler after which waiting is given up
# Options of a launch that its jobs are given as they are.
_TOLD = (
    "from_file",
    "storage_name",
    "n_processes",
    "n_experiments_per_proc",
    "use_pbar",
    "check_hash",
    "log_level",
    "timeout",
    "grace",
    "order",
    "experiments",
    "seeds",
    "threads_per_run",
    "start_method",
    "max_identical_crashes",
    "signal_delay",
    "min_time_left",
)
# Why a job may never start, in the scheduler's words: sbatch takes such a job all the same.
_NEVER = re.compile(
    r"Partition(Config|TimeLimit|NodeLimit)|BadConstraints|Invalid(Account|QOS)|(Account|QOS)NotAllowed"
    r"|(QOS|Assoc)Max\w+Per(Job|Node)(Limit)?"  # while limits on all jobs together pass
)


def plan_batch(
    given: Mapping[str, Any],
    options: SlurmOptions,
    storage_dirs: Sequence[Path],
    root: Path,
    folder: Path | None,
    waiting: int,
) -> Batch:
    """The SLURM jobs for the runs that wait in these storage directories.

    `given` are the options of the launch by name, `folder` the schedule's, which may hold a profile.
    """
    options = options.over(slurm.load_profile(folder, alfred.defaults.DEFAULT_SLURM_PROFILE))
    cores = options.resources.get("cpus_per_task", "")
    at_once = processes_of(given, int(cores) if cores.isdecimal() else 1)
    resources = {"cpus_per_task": str(at_once), **options.resources}
    requeue = REQUEUE if given["requeue"] is None else given["requeue"]
    return slurm.batch(
        root,
        Path.cwd(),
        [path.name for path in storage_dirs],
        SlurmOptions(resources, options.n_jobs, options.max_concurrent_jobs, options.setup),
        slurm.jobs_wanted(options, waiting, at_once, given["n_experiments_per_proc"]),
        job_command(given, root, wants_gpus=_wants_gpus(resources), requeue=requeue),
        given["signal_delay"],
    )


def job_command(
    given: Mapping[str, Any], root: Path, *, wants_gpus: bool, requeue: int | None = None
) -> list[str]:
    """What a launcher on the cluster is called with: the options of the launch that are for it."""
    if given["in_process"]:
        raise UsageError(
            f"--in_process is for this very process: leave it out with --launcher {given['launcher']}"
        )
    told = {name: given[name] for name in _TOLD}
    gpus = given["gpus"] or ("auto" if wants_gpus else None)
    return slurm.launcher_command(
        {**told, "root_dir": root, "run_clean_interrupted": True, "gpus": gpus, "requeue": requeue}
    )


def processes_of(given: Mapping[str, Any], cores: int) -> int:
    """How many runs a job with so many cores does at the same time."""
    return max(1, cores) if given["n_processes"] == "auto" else int(given["n_processes"])


def _wants_gpus(resources: Mapping[str, str]) -> bool:
    """Whether any option asks for graphics processors; 0 is how one says that a profile's are not wanted."""
    return any(name.startswith("gpus") and value != "0" for name, value in resources.items()) or (
        "gpu" in resources.get("gres", "")
    )


def count_waiting(
    storage_dirs: Sequence[Path], experiments: frozenset[int] | None, seeds: frozenset[int] | None
) -> int:
    """How many of the selected runs wait, those of dead launchers not among them."""
    return sum(
        run.baton is not None
        and run.baton.state is State.WAITING
        and is_selected(run.experiment, run.seed, experiments, seeds)
        for storage_dir in storage_dirs
        for run in survey(storage_dir)
    )


def announce(batch: Batch, submission: Submission) -> None:
    """Say what was submitted, what may keep it from starting, and what to type next."""
    jobs = f"{batch.n_jobs} jobs" if batch.n_jobs > 1 else "1 job"
    print(f"submitted {jobs}: array {submission.job}, called {batch.name}")
    print(f"  script: {batch.path}")
    print(f"  output: {batch.path.parent}/{submission.job}_*.out")
    for reason in sorted({job.reason for job in scheduler.queue([batch.name]) or ()}):
        if may_never_start(reason):
            print(f"  NOTE: the scheduler says {reason}: such a job may never start; `alfred cancel` ends it")
    print("You may log out. `alfred status` shows the runs and the jobs, `alfred cancel` ends them.")


def may_never_start(reason: str) -> bool:
    """Whether a job that is pending for this reason asked for what it is not going to get."""
    return _NEVER.fullmatch(reason) is not None


def wait(submission: Submission, storage_dirs: Sequence[Path]) -> LaunchReport:
    """Stay until the jobs have ended, showing how the runs go; what they all did.

    Raises:
        LaunchError: the scheduler gives no answer any more.
    """
    farewell = f"the jobs of array {submission.job} go on without this terminal; `alfred cancel` ends them"
    question = _Question(submission)
    report = watch(storage_dirs, question, farewell, lambda: question.answer)
    for id, state, status in scheduler.outcomes(submission.job) or ():
        if state != "COMPLETED":
            output = submissions.folder(storage_dirs[0].parent) / f"{id}.out"
            report.passed_over.append(
                f"job {id} ended as {state.lower()}, exit status {status}: see {output}"
            )
            print(report.passed_over[-1])
    return report


class _Question:
    """Whether the jobs are over; the scheduler is asked now and then. `answer` is what it said, in a line."""

    def __init__(self, submission: Submission) -> None:
        self.answer = ""
        self._submission = submission
        self._heard = time.monotonic()
        self._next = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _ASK_EVERY
        jobs = scheduler.queue([self._submission.name])
        if jobs is None and now - self._heard > _UNHEARD:
            raise LaunchError(
                f"the scheduler no longer answers: see array {self._submission.job} with squeue"
            )
        if jobs is not None:
            self._heard = now
            self.answer = _told(jobs)
        return jobs == []


def _told(jobs: Sequence[Job]) -> str:
    """How many jobs are in which state, and why they wait: `jobs: 1 running, 3 pending (Resources)`."""
    counts = Counter(job.state.lower() for job in jobs)
    reasons = {job.reason for job in jobs if job.state == "PENDING"} - {"None", ""}
    why = f" ({', '.join(sorted(reasons))})" if reasons else ""
    states = sorted(counts, key=lambda state: (state == "pending", state))
    return "jobs: " + ", ".join(f"{counts[state]} {state}" for state in states) + why if jobs else ""
