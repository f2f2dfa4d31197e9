"""Is one algorithm better than another, and how many seeds would tell.

C. Colas, O. Sigaud, P.-Y. Oudeyer, "How Many Random Seeds? Statistical Power Analysis in Deep Reinforcement
Learning Experiments", 2018.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alfred.analysis.goal import sign
from alfred.analysis.normalization import checked

Floats = NDArray[np.float64]
ALPHA, POWER = 0.05, 0.8
MOST_SEEDS = 1000
PERMUTED_UP_TO = 8  # runs on either side; 12 870 ways to share out 16 runs


@dataclass(frozen=True)
class Pair:
    """Algorithm a against algorithm b on one task.

    `difference` is mean of a - mean of b, with its unadjusted 95 % interval of Welch from `low` to `high`.
    `p_welch` is two-sided, `p_holm` the same corrected over all `n_tests` comparisons made together;
    `p_permutation` is exact, None above 8 runs, `smallest_p` the smallest that it could be. `seeds_needed` is
    the rough number for each side, None beyond 1 000. Where there is no test, `note` says why, and p and
    `seeds_needed` are None, interval and `hedges_g` NaN.
    """

    difference: float
    low: float
    high: float
    p_welch: float | None
    p_permutation: float | None
    smallest_p: float | None
    hedges_g: float
    n_a: int
    n_b: int
    note: str = ""
    seeds_needed: int | None = None
    p_holm: float | None = None
    n_tests: int = 1
    a: str = "a"
    b: str = "b"
    task: str = ""


def compare_pair(a: ArrayLike, b: ArrayLike) -> Pair:
    """The scores (n_a,) of one algorithm against those (n_b,) of another: Welch (1947), exact permutation.

    With fewer than two runs on a side, or equal runs on each, there is no test. ValueError for NaN.
    """
    x, y = checked(a, "a"), checked(b, "b")
    n_a, n_b = len(x), len(y)
    difference = float(x.mean() - y.mean()) if n_a and n_b else math.nan
    if min(n_a, n_b) < 2:
        note = f"n = {min(n_a, n_b)}: no test"
        return Pair(difference, math.nan, math.nan, None, None, None, math.nan, n_a, n_b, note)
    if np.ptp(x) == np.ptp(y) == 0:
        note = "no variance in both: no test"
        return Pair(difference, math.nan, math.nan, None, None, None, math.nan, n_a, n_b, note)
    error, df = _welch(x, y)
    reach = float(_t_quantile(np.array(df), 1 - ALPHA / 2)) * error
    is_small = max(n_a, n_b) <= PERMUTED_UP_TO
    return Pair(
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        p_welch=_two_sided(difference / error, df),
        p_permutation=permutation_p(x, y) if is_small else None,
        smallest_p=(2 if n_a == n_b else 1) / math.comb(n_a + n_b, n_a) if is_small else None,
        hedges_g=hedges_g(x, y),
        n_a=n_a,
        n_b=n_b,
        seeds_needed=seeds_needed(x, y),
    )


def compare_all(scores: Mapping[str, Mapping[str, ArrayLike]]) -> tuple[Pair, ...]:
    """Every pair of algorithms on every task that both have, of scores algorithm -> task -> (n_runs,).

    p is corrected over all of these tests together (Holm 1979).
    """
    pairs = [
        dataclasses.replace(compare_pair(scores[a][task], scores[b][task]), a=a, b=b, task=task)
        for a, b in combinations(scores, 2)
        for task in scores[a]
        if task in scores[b]
    ]
    tested = [at for at, pair in enumerate(pairs) if pair.p_welch is not None]
    corrected = holm([pairs[at].p_welch or 0.0 for at in tested])
    for at, p in zip(tested, corrected.tolist(), strict=True):
        pairs[at] = dataclasses.replace(pairs[at], p_holm=p, n_tests=len(tested))
    return tuple(pairs)


def holm(p: Sequence[float]) -> Floats:
    """The p values (m,) corrected for all m being looked at together, in their order (Holm 1979)."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def permutation_p(a: Floats, b: Floats) -> float:
    """Share of all ways to share out the runs (n_a,) and (n_b,) whose means differ as much or more."""
    pooled = np.concatenate([a, b])
    pooled = pooled - pooled.mean()
    chosen = np.array(list(combinations(range(len(pooled)), len(a))))
    sums = pooled[chosen].sum(axis=1)  # of centred values: the difference of means is proportional to it
    rounding = 1e-12 * np.abs(pooled).sum()
    return float(np.mean(np.abs(sums) >= abs(pooled[: len(a)].sum()) - rounding))


def hedges_g(a: Floats, b: Floats) -> float:
    """The difference of means in pooled standard deviations, without the bias of small n (Hedges 1981)."""
    from scipy.special import gammaln

    df = len(a) + len(b) - 2
    pooled = math.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / df)
    unbiased = math.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / math.sqrt(df / 2)
    return float((a.mean() - b.mean()) / pooled * unbiased)


def seeds_needed(a: ArrayLike, b: ArrayLike) -> int | None:
    """The smallest equal n whose two-sided Welch test at 0.05 finds this difference in 80 % of cases.

    Of scores (n_a,), (n_b,) the observed difference and spreads are taken for the true ones, so the number
    is rough (Colas et al. 2018). None: more than 1 000, or fewer than two runs or no variance to go by.
    """
    x, y = checked(a, "a"), checked(b, "b")
    if min(len(x), len(y)) < 2 or np.ptp(x) == np.ptp(y) == 0:
        return None
    spread, difference = float(x.var(ddof=1) + y.var(ddof=1)), abs(float(x.mean() - y.mean()))
    share = float(x.var(ddof=1)) / spread

    def is_enough(n: int) -> bool:
        df = (n - 1) / (share**2 + (1 - share) ** 2)
        return power(difference / math.sqrt(spread / n), df) >= POWER

    counts = range(2, MOST_SEEDS + 1)
    at = bisect_left(counts, True, key=is_enough)  # power grows with n
    return counts[at] if at < len(counts) else None


def power(shift: float, df: float) -> float:
    """How often a two-sided t test at 0.05 rejects when the true difference is `shift` standard errors.

    The tails of the noncentral t distribution, integrated over the estimate of the standard error:
    scipy.special.nctdtr gives NaN for some shifts above 10.
    """
    from scipy.special import gammaincinv, ndtr

    nodes, weights = _nodes()
    error = np.sqrt(gammaincinv(df / 2, nodes) * 2 / df)  # estimated / true
    limit = _t_quantile(np.array(df), 1 - ALPHA / 2) * error
    return float(weights @ (ndtr(shift - limit) + ndtr(-shift - limit)))


def more_seeds(pair: Pair) -> str:
    """One sentence on how many seeds would tell, "" where nothing can be said."""
    if pair.p_welch is None:
        return ""
    count = f"more than {MOST_SEEDS:,}".replace(",", " ") if pair.seeds_needed is None else pair.seeds_needed
    return (
        f"If the observed difference and spreads were the true ones, {count} seeds each would show it in "
        f"{POWER:.0%} of cases: a rough number, since the observed difference is itself noisy."
    )


def verdict(pair: Pair, goal: str = "max") -> str:
    """One sentence: which is better, by how much and how sure that is, or that no difference was shown."""
    where = f" on {pair.task}" if pair.task else ""
    counts = f"n = {pair.n_a}" if pair.n_a == pair.n_b else f"n = {pair.n_a} and {pair.n_b}"
    if pair.p_welch is None:
        return f"{pair.a} and {pair.b}{where} can't be compared: {pair.note} ({counts})."
    p = pair.p_welch if pair.p_holm is None else pair.p_holm
    corrected = "" if pair.n_tests == 1 else f", Holm-corrected over {pair.n_tests} tests"
    how_sure = f"Welch's p = {p:.2g}{corrected}, {counts}"
    if p >= ALPHA:
        between = f"95 % interval of the difference {pair.low:.3g} to {pair.high:.3g}"
        return f"No difference between {pair.a} and {pair.b}{where} was shown ({between}; {how_sure})."
    is_a = pair.difference * sign(goal) > 0
    better, worse = (pair.a, pair.b) if is_a else (pair.b, pair.a)
    ends = (pair.low, pair.high) if pair.difference > 0 else (-pair.high, -pair.low)
    by = f"by {abs(pair.difference):.3g}, 95 % interval {ends[0]:.3g} to {ends[1]:.3g}"
    return f"{better} is better than {worse}{where} {by} ({how_sure})."


def _welch(a: Floats, b: Floats) -> tuple[float, float]:
    """Standard error of the difference of means and its degrees of freedom."""
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    parts_df = np.array([len(a) - 1, len(b) - 1])
    return math.sqrt(parts.sum()), float(parts.sum() ** 2 / (parts**2 / parts_df).sum())


@cache
def _nodes() -> tuple[Floats, Floats]:
    """Probabilities (100,) and their weights for an integral from 0 to 1 (Gauss and Legendre)."""
    nodes, weights = np.polynomial.legendre.leggauss(100)
    return (nodes + 1) / 2, weights / 2


def _t_quantile(df: Floats, share: float) -> Floats:
    from scipy.special import stdtrit

    return np.asarray(stdtrit(df, share), dtype=np.float64)


def _two_sided(t: float, df: float) -> float:
    from scipy.special import stdtr

    return float(2 * stdtr(df, -abs(t)))
