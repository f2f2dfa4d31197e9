"""The expected best of k experiments is the mean over all ways to choose them."""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest

from alfred.analysis.best_of_k import expected_best

SCORES = [3.0, -1.0, 7.0, 7.0, 0.5, 2.0, 11.0]


@pytest.mark.parametrize(("goal", "best"), [("max", max), ("min", min)])
def test_it_equals_brute_force(goal, best):
    found = expected_best(SCORES, goal=goal)
    expected = [np.mean([best(chosen) for chosen in combinations(SCORES, k)]) for k in range(1, 8)]
    assert found.k.tolist() == [1, 2, 3, 4, 5, 6, 7]
    np.testing.assert_allclose(found.estimate, expected, rtol=1e-12)


@pytest.mark.parametrize("goal", ["max", "min"])
def test_experiments_without_a_score_used_budget_and_sort_below_all_others(goal):
    """Two of nine have none: the line starts at k = 3, where no choice can be of those alone."""
    worst = -np.inf if goal == "max" else np.inf
    values = [*SCORES, worst, worst]
    best = max if goal == "max" else min
    expected = [np.mean([best(chosen) for chosen in combinations(values, k)]) for k in range(3, 10)]
    found = expected_best(SCORES, n_total=9, goal=goal)
    assert np.isnan(found.estimate[:2]).all()
    np.testing.assert_allclose(found.estimate[2:], expected, rtol=1e-12)
    assert (found.n_total, found.n_scored) == (9, 7)


def test_many_experiments_are_no_trouble():
    scores = np.random.default_rng(0).normal(size=500)
    found = expected_best(scores, n_replicates=200)
    assert found.estimate[0] == pytest.approx(scores.mean())
    assert found.estimate[-1] == scores.max()
    assert (np.diff(found.estimate) > 0).all()


def test_the_band_is_shown_up_to_a_quarter():
    found = expected_best(np.random.default_rng(0).normal(size=22))
    has_band = ~np.isnan(found.low)
    assert has_band.tolist() == [True] * 5 + [False] * 17
    assert (found.low[:5] < found.estimate[:5]).all()
    assert (found.estimate[:5] < found.high[:5]).all()
    assert np.isnan(expected_best([1, 2, 3]).low).all()


def test_the_band_at_k_1_is_that_of_a_mean_of_resamples():
    """All 4^4 resamples of four values, each as likely as the next."""
    values = np.array([0.0, 1, 5, 20])
    means = np.sort([np.mean([values[i], values[j], values[k], values[m]]) for i in range(4) for j in range(4)
                     for k in range(4) for m in range(4)])  # fmt: skip
    found = expected_best(values, rng=np.random.default_rng(0))
    assert found.low[0] in means[3:10]
    assert found.high[0] in means[-10:-3]
    assert len(list(combinations_with_replacement(values, 4))) == 35  # so few that percentiles are steps


def test_the_band_covers_at_small_k_as_measured():
    """STATISTICS.md: 93 % at k = 1 of 30; the standard error is 1.3 points here."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        found = expected_best(rng.normal(size=30), rng=rng, n_replicates=500)
        covered += found.low[0] <= 0 <= found.high[0]
    assert covered / 400 == pytest.approx(0.93, abs=0.04)


def test_the_band_with_the_goal_min_is_the_mirror_of_that_with_max():
    scores = np.random.default_rng(0).lognormal(size=20)
    up = expected_best(scores, rng=np.random.default_rng(1))
    down = expected_best(-scores, goal="min", rng=np.random.default_rng(1))
    np.testing.assert_array_equal(down.low, -up.high)
    np.testing.assert_array_equal(down.high, -up.low)


def test_a_band_is_not_drawn_where_the_draws_have_no_score():
    """Half have no score: almost no draw of 16 is defined at k = 4."""
    found = expected_best(np.arange(8.0), n_total=16)
    assert np.isnan([*found.low, *found.high]).all()


def test_no_experiment_and_no_score_are_no_trouble_and_too_many_scores_are():
    assert expected_best([]).k.shape == (0,)
    assert np.isnan(expected_best([], n_total=5).estimate).all()
    with pytest.raises(ValueError, match="7 scores of 3"):
        expected_best(SCORES, n_total=3)
