"""The jobs of a cluster as a table: which wait, which run, where, for how long still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from alfred.report.tables import Column, print_table
from alfred.search.wording import ranges
from alfred.storage.scheduler import Job
from alfred.utils.misc import formatted_time_diff


def print_jobs(jobs: Sequence[Job], runs: Mapping[str, int]) -> None:
    """A row a job, those of an array that wait for the same reason in one; `runs` is how many runs each
    works on now, by the job's own number."""
    columns = [Column(name) for name in ("job", "state", "node", "time left", "reason")]
    print_table(
        [*columns, Column("runs", is_number=True)],
        [
            (
                id,
                job.state.lower(),
                job.node,
                "" if job.seconds_left is None else formatted_time_diff(job.seconds_left),
                "" if job.reason == "None" else job.reason,
                str(runs.get(job.number, "")),
            )
            for id, job in _rows(jobs)
        ],
        title="Jobs",
    )


def _rows(jobs: Iterable[Job]) -> list[tuple[str, Job]]:
    """(id, job) of each row: a job that shows its like stands under an id as in 7_[3-9, 12]."""
    alike: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        array = job.id.partition("_")[0] if job.state == "PENDING" else job.id
        alike.setdefault((array, job.state, job.reason, job.seconds_left), []).append(job)
    return [(_id([job.id for job in group]), group[0]) for group in alike.values()]


def _id(ids: Sequence[str]) -> str:
    array, _, _ = ids[0].partition("_")
    return ids[0] if len(ids) == 1 else f"{array}_[{ranges(int(id.partition('_')[2]) for id in ids)}]"
