"""Times the bootstraps: a search's curves of 20 x 10 x 1000, and an IQM of 10 x 26 with 50 000 replicates.

Run it as `python benchmarks/bootstrap.py`. Times are processor seconds of all threads. Beside the curves
stands what one scipy.stats.bootstrap call per point would take, reckoned from a few points.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from alfred.analysis.aggregates import Floats, estimate
from alfred.analysis.curves import Series, band

EXPERIMENTS, SEEDS, POINTS = 20, 10, 1000
TIMED_POINTS = 40


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print a line for each."""
    rng = np.random.default_rng(0)
    x = np.arange(POINTS, dtype=float)
    searches = [[Series(x, y) for y in rng.normal(size=(SEEDS, POINTS))] for _ in range(EXPERIMENTS)]
    ragged = [
        [Series(one.x[: POINTS - 50 * at], one.y[: POINTS - 50 * at]) for at, one in enumerate(runs)]
        for runs in searches
    ]
    print(f"{EXPERIMENTS} experiments x {SEEDS} seeds x {POINTS} points:")
    student = seconds(lambda: [band(runs, "student_t") for runs in searches])
    print(f"  Student t                                {student:6.2f} s")
    bootstrap = seconds(lambda: [band(runs, "bootstrapped_CI") for runs in searches])
    print(f"  bootstrap                                {bootstrap:6.2f} s")
    of_ragged = seconds(lambda: [band(runs, "bootstrapped_CI") for runs in ragged])
    print(f"  bootstrap of runs of different length    {of_ragged:6.2f} s")
    points = rng.normal(size=(TIMED_POINTS, SEEDS))
    naive = seconds(lambda: [one_call(point) for point in points]) * EXPERIMENTS * POINTS / TIMED_POINTS
    print(f"  one scipy.stats.bootstrap call per point {naive:6.2f} s, {naive / bootstrap:.0f} times as much")
    scores = rng.normal(size=(10, 26))
    iqm = seconds(lambda: estimate("iqm", scores, 50_000))
    print(f"IQM of 10 runs x 26 tasks, 50 000 replicates: {iqm:.2f} s")


def one_call(point: Floats) -> object:
    """The straightforward way, with as many draws."""
    return stats.bootstrap((point,), np.mean, n_resamples=10_000, method="percentile")


if __name__ == "__main__":
    main()
