"""End the jobs of a search on a cluster and let their runs wait again: the door `alfred cancel`."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alfred import cli
from alfred.errors import LaunchError

if TYPE_CHECKING:
    from alfred.storage.scheduler import Job
    from alfred.storage.submissions import Submission

_LIMIT = 120.0  # seconds in which jobs that were told to end are expected to be gone


def cancel(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    *,
    root_dir: str | Path | None = None,
    ask_for_validation: bool = True,
) -> list[str]:
    """End the jobs that were submitted for these storage directories, pending or running; their numbers.

    Their launchers put the runs that they cut off back to waiting; what a job left that was killed before
    it could is put back here, as far as it is proven dead.

    Raises:
        UsageError: both or neither of `from_file` and `storage_name`, or no answer to the question.
        LaunchError: the scheduler does not answer, or refuses.
    """
    from alfred.project import set_up
    from alfred.storage import scheduler, submissions
    from alfred.utils.directory_tree import get_root
    from alfred.utils.misc import select_storage_dirs

    set_up()
    root = get_root(root_dir).absolute()
    storage_dirs, _ = cli.existing(select_storage_dirs(from_file, storage_name, root))
    submitted = submissions.read(root, [path.name for path in storage_dirs])
    jobs = _asked([one.name for one in submitted])
    if not jobs:
        print("No job of these storage directories is pending or runs.")
        return []
    if not cli.confirm(_announcement(jobs, submitted, storage_dirs), ask_for_validation):
        return []
    if problem := scheduler.cancel(jobs):
        raise LaunchError(f"the scheduler did not end the jobs: {problem}")
    _wait_until_gone(sorted({job.name for job in jobs}))
    _put_back(storage_dirs)
    print(f"{_jobs(len(jobs))} ended.")
    return [job.id for job in jobs]


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "cancel",
        "End the jobs that `alfred launch --launcher slurm` has submitted for these storage directories, "
        "pending or running. The runs that they were doing wait again.",
        "examples, in the folder that holds main.py:\n"
        "  alfred cancel --from_file schedules/lr/list_searches_lr.txt\n"
        "  alfred cancel --storage_name Ju1_f7b375e_sgd_digits_grid_try --ask_for_validation false",
    )
    cli.add_storage_selection(options)
    cli.add_root_dir(options)
    cli.add_confirmation(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    cancel(**vars(options))
    return cli.DONE


def _asked(names: Sequence[str]) -> list[Job]:
    from alfred.storage import scheduler

    with cli.waiting_for("squeue"):
        jobs = scheduler.queue(names)
    if jobs is None:
        raise LaunchError("squeue gives no answer here: call this where the jobs were submitted")
    return jobs


def _announcement(jobs: Sequence[Job], submitted: Sequence[Submission], storage_dirs: Sequence[Path]) -> str:
    from alfred.report.tables import escaped

    running = sum(job.state == "RUNNING" for job in jobs)
    lines = [f"To be ended: {_jobs(len(jobs))}, of which {running} running."]
    named = {path.name for path in storage_dirs}
    ending = {job.name for job in jobs}
    others = {name for one in submitted if one.name in ending for name in one.storage_names} - named
    lines += [escaped(f"  they work on {name} as well") for name in sorted(others)]
    return "\n".join(lines)


def _wait_until_gone(names: Sequence[str]) -> None:
    from alfred.utils.progress_bar import LineReporter

    reporter = LineReporter(lambda line: print(line, flush=True), every=2.0)
    end = time.monotonic() + _LIMIT
    while jobs := _asked(names):
        if time.monotonic() > end:
            raise LaunchError(f"{_jobs(len(jobs))} did not end within {_LIMIT:.0f} s: see squeue")
        reporter(len(jobs), None, "jobs are ending")
        time.sleep(0.5)


def _put_back(storage_dirs: Sequence[Path]) -> None:
    import alfred.defaults
    from alfred.storage import recovery
    from alfred.storage.leases import Leases
    from alfred.storage.owners import this_process

    keep_files = alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS
    with contextlib.closing(Leases(this_process())) as leases:
        for seed_dir in recovery.put_back_dead(storage_dirs, leases, keep_files=keep_files, say=print):
            print(f"{seed_dir} waits again: its job was ended")


def _jobs(how_many: int) -> str:
    return "1 job" if how_many == 1 else f"{how_many} jobs"


if __name__ == "__main__":
    sys.exit(main())
