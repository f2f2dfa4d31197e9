"""What the best of k experiments of a random search is expected to score.

J. Dodge, S. Gururangan, D. Card, R. Schwartz, N. A. Smith, "Show Your Work: Improved Reporting of
Experimental Results", EMNLP 2019; here without replacement, as the experiments of a search are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alfred.analysis.goal import sign
from alfred.analysis.normalization import checked
from alfred.utils.stats import SEED

Floats = NDArray[np.float64]
REPLICATES = 10_000


@dataclass(frozen=True)
class BestOfK:
    """Expected best score (N,) after `k` (N,) = 1..N experiments, with its own sign whatever the goal.

    `estimate` is NaN while k experiments may all be ones without a score; `low` and `high` are the
    approximate 95 % band, NaN beyond k = N/4, where it would promise too much, and where too many draws of
    the bootstrap have no estimate.
    """

    k: NDArray[np.int_]
    estimate: Floats
    low: Floats
    high: Floats
    n_total: int
    n_scored: int
    method: str


def expected_best(
    scores: ArrayLike,
    n_total: int | None = None,
    goal: str = "max",
    rng: np.random.Generator | None = None,
    n_replicates: int = REPLICATES,
) -> BestOfK:
    """The expected best of k = 1..N experiments, of the scores (n,) of those that have one.

    `n_total` is N with those that have none: they used budget too and sort below all others. E[max of k] is
    the sum over i of x_(i) C(i-1, k-1) / C(N, k), x ascending. The band is the percentile bootstrap over
    experiments. ValueError if n_total is less than n, or a score is NaN.
    """
    direction = sign(goal)
    scored = np.sort(direction * checked(scores, "the search"))
    n = len(scored) if n_total is None else n_total
    if n < len(scored):
        raise ValueError(f"{len(scored)} scores of {n} experiments")
    values = np.concatenate([np.full(n - len(scored), -np.inf), scored])
    estimate = _expected(values[None, :], _weights(n, n))[0]
    low, high = _band(values, n_replicates, np.random.default_rng(SEED) if rng is None else rng)
    if direction == -1:
        low, high = high, low
    return BestOfK(
        k=np.arange(1, n + 1),
        estimate=direction * estimate,
        low=direction * low,
        high=direction * high,
        n_total=n,
        n_scored=len(scored),
        method=f"approximate 95 % band (percentile bootstrap, {n_replicates} replicates)",
    )


def _weights(n: int, most: int) -> Floats:
    """(most, n) the probability that the best of k = 1..most is the i-th of n: C(i-1, k-1) / C(n, k).

    From the top: k/n for the n-th, and (i-k)/(i-1) times its own for the one below the i-th.
    """
    if n == 0:
        return np.empty((0, 0))
    k = np.arange(1, most + 1)[:, None]
    i = np.arange(n, 1, -1)
    steps = np.maximum(i - k, 0) / (i - 1)
    from_top = np.cumprod(np.concatenate([k / n, steps], axis=1), axis=1)
    return from_top[:, ::-1]


def _expected(ordered: Floats, weights: Floats) -> Floats:
    """(r, m) expected best of each row of ordered (r, n), -inf for no score, NaN where that could be best."""
    finite = np.where(np.isneginf(ordered), 0, ordered)
    unscored = np.isneginf(ordered).sum(axis=1)
    k = np.arange(1, len(weights) + 1)
    return np.where(k > unscored[:, None], finite @ weights.T, np.nan)


def _band(values: Floats, n_replicates: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Percentiles 2.5 and 97.5, (n,) each; a draw whose best may have no score is worse than all others.

    NaN where that reaches into the percentiles.
    """
    n = len(values)
    most = n // 4
    low, high = np.full(n, np.nan), np.full(n, np.nan)
    if most:
        drawn = np.sort(values[rng.integers(n, size=(n_replicates, n))], axis=1)
        best = np.sort(np.nan_to_num(_expected(drawn, _weights(n, most)), nan=-np.inf), axis=0)
        ends = best[[int(0.025 * n_replicates), int(np.ceil(0.975 * n_replicates)) - 1]]
        low[:most], high[:most] = np.where(np.isfinite(ends).all(axis=0), ends, np.nan)
    return low, high
