"""The jobs of a cluster as a table: which wait, which run, where, for how long still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alfred.report.tables import Column, print_table
from alfred.storage.scheduler import Job
from alfred.utils.misc import formatted_time_diff


def print_jobs(jobs: Sequence[Job], runs: Mapping[str, int]) -> None:
    """A row a job; `runs` is how many runs each works on now, by the job's own number."""
    columns = [Column(name) for name in ("job", "state", "node", "time left", "reason")]
    print_table(
        [*columns, Column("runs", is_number=True)],
        [
            (
                job.id,
                job.state.lower(),
                job.node,
                "" if job.seconds_left is None else formatted_time_diff(job.seconds_left),
                "" if job.reason == "None" else job.reason,
                str(runs.get(job.number, "")),
            )
            for job in jobs
        ],
        title="Jobs",
    )
