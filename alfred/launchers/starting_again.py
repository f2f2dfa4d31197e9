"""A job whose time is up starts again while runs wait."""

from __future__ import annotations

import os

from alfred.launchers.base import LaunchPlan, LaunchReport
from alfred.launchers.submitting import count_waiting
from alfred.storage import scheduler


def start_again(report: LaunchReport, plan: LaunchPlan, most: int) -> None:
    """Have the scheduler start this job again, `most` times in all, if its time is up and runs still wait.

    Why it does not is told and noted in `report`, which is out of time no more where none waits.
    """
    if not report.out_of_time or not count_waiting(plan.storage_dirs, plan.experiments, plan.seeds):
        report.out_of_time = False
        return
    if why_not := _why_not(report, plan, most):
        report.passed_over.append(why_not)
        print(why_not)
        return
    print("runs still wait: this job starts again", flush=True)  # SLURM ends it before it could say more
    if problem := scheduler.requeue(os.environ):
        report.passed_over.append(f"the job could not be started again: {problem}")
        print(report.passed_over[-1])


def _why_not(report: LaunchReport, plan: LaunchPlan, most: int) -> str:
    """Why this job would be started again in vain, or once too often; "" if it would not."""
    started = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    if started >= most:
        why = f"it was started again {started} times; --requeue allows {most}" if most else "see --requeue"
        return f"runs wait although the job's time is up: {why}"
    if not report.began and plan.walltime and not plan.walltime.resumes:
        needed = plan.walltime.needed()
        return f"no run begins: it would need {needed:.0f} s, more than this job had; give a longer --time"
    return ""
