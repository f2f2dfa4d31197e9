"""Tests between two algorithms, recomputed by scipy or by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from alfred.analysis.comparisons import (
    compare_all,
    compare_pair,
    hedges_g,
    holm,
    more_seeds,
    permutation_p,
    power,
    seeds_needed,
    verdict,
)


def samples(n_a, n_b, shift=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n_a) * 2 + shift, rng.normal(size=n_b)


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 3), (5, 8), (10, 30)])
def test_welch_is_scipys(n_a, n_b):
    a, b = samples(n_a, n_b)
    expected = stats.ttest_ind(a, b, equal_var=False)
    interval = expected.confidence_interval()
    found = compare_pair(a, b)
    assert found.p_welch == pytest.approx(expected.pvalue, rel=1e-10)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-10)
    assert (found.difference, found.n_a, found.n_b) == (pytest.approx(a.mean() - b.mean()), n_a, n_b)


def test_a_permutation_by_hand():
    """Of the 20 ways to choose 3 of 1 2 3 7 8 9 only the two extremes differ as much."""
    found = compare_pair([1, 2, 3], [7, 8, 9])
    assert found.p_permutation == found.smallest_p == 2 / 20
    # of the ten ways to choose 2 of 1..5 only {1, 2} lies 2.5 below the rest, and {4, 5} as much above
    assert permutation_p(np.array([1.0, 2]), np.array([3.0, 4, 5])) == 2 / 10
    assert permutation_p(np.array([1.0, 1]), np.array([1.0, 1])) == 1


@pytest.mark.parametrize(("n_a", "n_b"), [(3, 3), (2, 6), (5, 4)])
def test_the_permutation_p_is_scipys(n_a, n_b):
    a, b = samples(n_a, n_b, seed=n_a)
    expected = stats.permutation_test(
        (a, b), lambda x, y, axis: abs(x.mean(axis) - y.mean(axis)), vectorized=True, alternative="greater"
    )
    assert permutation_p(a, b) == pytest.approx(expected.pvalue, rel=1e-12)


def test_the_smallest_permutation_p():
    assert compare_pair(*samples(4, 4)).smallest_p == 2 / 70
    assert compare_pair(*samples(2, 3)).smallest_p == 1 / 10
    assert compare_pair(*samples(8, 8)).p_permutation is not None
    beyond = compare_pair(*samples(9, 8))
    assert (beyond.p_permutation, beyond.smallest_p) == (None, None)


def test_hedges_g_by_hand():
    """Means 2 and 5, both variances 1, four degrees of freedom: 1 / root 2 times gamma(2) / gamma(1.5)."""
    expected = -3 * math.gamma(2) / (math.sqrt(2) * math.gamma(1.5))
    assert hedges_g(np.array([1.0, 2, 3]), np.array([4.0, 5, 6])) == pytest.approx(expected)


def test_hedges_g_is_without_bias_where_cohens_d_is_not():
    rng = np.random.default_rng(0)
    found = [hedges_g(rng.normal(size=4) + 1, rng.normal(size=4)) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(1, abs=0.045)


def test_holm_by_hand():
    """Sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04, none below the one before."""
    assert holm([0.03, 0.01, 0.04, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert holm([]).tolist() == []


def test_every_pair_on_every_common_task_is_corrected_together():
    a, b = samples(5, 5, 8)
    scores = {"A": {"t": a, "u": b}, "B": {"t": b, "u": b + 1}, "C": {"t": [1, 1.5], "u": [2]}}
    pairs = compare_all(scores)
    assert [(pair.a, pair.b, pair.task) for pair in pairs] == [
        (*names, task) for names in (("A", "B"), ("A", "C"), ("B", "C")) for task in "tu"
    ]
    tested = [pair for pair in pairs if pair.p_welch is not None]
    assert [pair.note for pair in pairs if pair.p_welch is None] == ["n = 1: no test"] * 2
    raw = [stats.ttest_ind(scores[p.a][p.task], scores[p.b][p.task], equal_var=False).pvalue for p in tested]
    assert {pair.n_tests for pair in tested} == {4}
    assert [pair.p_holm for pair in tested] == pytest.approx(holm(raw).tolist())


@pytest.mark.parametrize(
    ("a", "b", "note"),
    [
        ([1.0], [2.0, 3.0], "n = 1: no test"),
        ([], [2.0, 3.0], "n = 0: no test"),
        ([2.0, 2.0], [3.0] * 3, "no variance in both: no test"),
    ],
)
def test_where_no_test_is_possible_that_is_said(a, b, note):
    found = compare_pair(a, b)
    assert (found.note, found.p_welch, found.p_permutation, found.seeds_needed) == (note, None, None, None)
    assert math.isnan(found.low)
    assert verdict(found).startswith("a and b can't be compared: " + note)
    assert more_seeds(found) == ""


def test_one_side_without_variance_is_tested():
    assert compare_pair([2, 2, 2], [3, 4, 5]).p_welch is not None


@pytest.mark.parametrize("spread", [0.3, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("shift", [0.1, 0.7, 1.5, 5.0, 15.566, 30.0])
def test_seeds_needed_has_the_power_and_one_less_has_not(shift, spread):
    """The shift is in spreads of a; large ones are where scipy.special.nctdtr gives NaN."""
    a, b = np.array([-1.0, 0, 1]) * spread + shift * spread, np.array([-1.0, 0, 1])
    n = seeds_needed(a, b)
    if n is None:
        assert wins(1000, shift * spread, spread) < 0.8
        return
    assert wins(n, shift * spread, spread) >= 0.8
    assert n == 2 or wins(n - 1, shift * spread, spread) < 0.8


def wins(n, shift, spread):
    """Power of Welch's two-sided test at 0.05, by normal and chi-square quantiles on a fine grid."""
    df = (n - 1) * (spread**2 + 1) ** 2 / (spread**4 + 1)
    limit = stats.t.ppf(0.975, df) * np.sqrt(stats.chi2.ppf((np.arange(1000) + 0.5) / 1000, df) / df)
    noncentrality = shift / math.sqrt((spread**2 + 1) / n)
    return np.mean(stats.norm.sf(limit - noncentrality) + stats.norm.cdf(-limit - noncentrality))


@pytest.mark.parametrize("df", [1, 2, 3.7, 18, 500])
@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0, 4.0])
def test_the_power_is_that_of_the_noncentral_t_distribution(df, shift):
    limit = stats.t.ppf(0.975, df)
    expected = stats.nct.sf(limit, df, shift) + stats.nct.cdf(-limit, df, shift)
    assert power(shift, df) == pytest.approx(expected, abs=1e-5)


def test_so_many_seeds_find_the_difference_in_80_percent_of_cases():
    n = seeds_needed([-1, 0, 1], [0, 1, 2])
    a, b = np.random.default_rng(0).normal(size=(2, 4000, n))
    found = stats.ttest_ind(a, b + 1, axis=1, equal_var=False).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_more_than_1000_seeds_are_not_counted():
    assert seeds_needed([0, 1, 2], [0.01, 1, 2]) is None
    assert seeds_needed([0, 1, 2], [0, 1, 2]) is None
    assert "more than 1 000 seeds each" in more_seeds(compare_pair([0, 1, 2], [0.01, 1, 2]))
    assert "rough" in more_seeds(compare_pair([0, 1, 2], [1, 2, 3]))


def test_the_verdict_names_the_better_one_by_the_goal_with_a_positive_difference():
    pair = dataclasses.replace(compare_pair([1.0, 2, 3], [11, 12, 13]), a="sac", b="ppo", task="cartpole")
    up, down = verdict(pair), verdict(pair, "min")
    assert up.startswith("ppo is better than sac on cartpole by 10, 95 % interval 7.73 to 12.3 (Welch's p = ")
    assert down.startswith("sac is better than ppo on cartpole by 10, 95 % interval 7.73 to 12.3 (")
    assert up.endswith("n = 3).")


def test_the_verdict_goes_by_the_corrected_p():
    pair = dataclasses.replace(compare_pair([1.0, 2, 3], [4, 5, 6]), p_holm=0.2, n_tests=9)
    assert pair.p_welch < 0.05
    assert verdict(pair).startswith("No difference between a and b was shown")
    assert "Welch's p = 0.2, Holm-corrected over 9 tests" in verdict(pair)


def test_nan_is_no_score():
    with pytest.raises(ValueError, match="a holds scores that are NaN"):
        compare_pair([1, np.nan], [1, 2])
