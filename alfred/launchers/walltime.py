"""How long a launcher may go on: its job's time limit, when to tell the runs, what may still begin."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from alfred.storage import scheduler
from alfred.storage.attempts import read_run
from alfred.storage.flags import State
from alfred.storage.survey import survey

_MARGIN = 10.0  # seconds kept for putting runs back, of a notice that is long enough
_SAMPLE = 100  # records of finished runs that are read


@dataclass
class WallTime:
    """The end of a launcher's time, on the monotonic clock.

    `notice`: seconds before it at which the runs are told. `min_left`: seconds that must be left for a run
    to begin; None: the median of what finished runs took. `resumes`: a run that is cut off goes on from its
    checkpoints, so that it need not finish.
    """

    end: float
    notice: float
    min_left: float | None = None
    resumes: bool = False
    durations: list[float] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic

    def is_over(self) -> bool:
        """Whether the runs are to be told now."""
        return self.clock() >= self.end - self.notice

    def grace(self) -> float:
        """How long a run that is told now may take before it is killed."""
        margin = min(_MARGIN, self.notice / 2)
        return max(0.0, self.end - self.clock() - margin)

    def needed(self) -> float:
        """The seconds that a run needs to be worth beginning, the notice before the end left aside."""
        if self.min_left is not None:
            return self.min_left
        return 0.0 if self.resumes or not self.durations else median(self.durations)

    def allows_another(self) -> bool:
        """Whether a run that begins now can finish before the others are told."""
        return self.clock() + self.needed() < self.end - self.notice

    def learn(self, seconds: float) -> None:
        """A run has completed in so many seconds."""
        self.durations.append(seconds)


def of_this_job(
    environ: Mapping[str, str],
    storage_dirs: Sequence[Path],
    signal_delay: float,
    min_left: float | None,
    *,
    resumes: bool,
) -> WallTime | None:
    """The time limit of the job that this process belongs to; None: no job, no limit, or no answer.

    How long a run takes is told from those of `storage_dirs` that have completed.
    """
    end = scheduler.end_of(environ)
    if end is None:
        return None
    left = max(0.0, end - time.time())
    limit = WallTime(time.monotonic() + left, min(signal_delay, left / 2), min_left, resumes)
    limit.durations += _sampled_durations(storage_dirs)
    return limit


def _sampled_durations(storage_dirs: Sequence[Path]) -> list[float]:
    """Seconds that completed runs took, of a sample spread over all of them."""
    completed = [
        run.seed_dir
        for storage_dir in storage_dirs
        for run in survey(storage_dir)
        if run.baton is not None and run.baton.state is State.COMPLETED
    ]
    found = []
    for seed_dir in completed[:: max(1, -(-len(completed) // _SAMPLE))]:
        seconds = read_run(Path(seed_dir)).get("seconds")
        if isinstance(seconds, int | float) and 0 <= seconds < 1e12:
            found.append(float(seconds))
    return found
