"""Intervals of a mean, recomputed by hand or in two plain lines."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import alfred
from alfred.errors import UsageError
from alfred.utils.stats import get_95_confidence_interval, get_95_confidence_interval_of_sequence

METHODS = ["student_t", "bootstrapped_CI", "stderr"]

# t(0.975, df) as printed in the tables
T_TABLE = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262, 29: 2.045}


def test_stderr_is_1_96_times_s_over_root_n():
    mean, up, down = get_95_confidence_interval([1, 2, 3, 6], "stderr")
    s = math.sqrt((4 + 1 + 0 + 9) / 3)  # the mean is 3
    assert mean == 3
    assert up == down == pytest.approx(1.96 * s / 2)


@pytest.mark.parametrize(("df", "t"), T_TABLE.items())
def test_student_t_is_t_times_s_over_root_n(df, t):
    samples = np.random.default_rng(df).normal(size=df + 1)
    mean, up, down = get_95_confidence_interval(samples, "student_t")
    assert mean == pytest.approx(sum(samples) / len(samples))
    assert up == down == pytest.approx(t * np.std(samples, ddof=1) / math.sqrt(df + 1), rel=2e-4)


def test_bootstrap_of_two_values_is_exact():
    """Half of the resamples of {0, 1} are mixed, a quarter each are all 0 or all 1: far beyond 2.5 %."""
    assert get_95_confidence_interval([0, 1], "bootstrapped_CI") == (0.5, 0.5, 0.5)


def test_bootstrap_agrees_with_resampling_one_by_one():
    samples = np.random.default_rng(3).lognormal(size=8)
    mean, up, down = get_95_confidence_interval(samples, "bootstrapped_CI")
    rng = np.random.default_rng(4)
    means = [rng.choice(samples, 8).mean() for _ in range(10_000)]
    low, high = np.percentile(means, [2.5, 97.5])
    assert mean + up == pytest.approx(high, rel=0.03)
    assert mean - down == pytest.approx(low, rel=0.03)
    assert up > down > 0  # skewed to the right


def test_bootstrap_gives_the_same_numbers_again_and_others_for_another_generator():
    samples = np.random.default_rng(1).normal(size=12)
    once, again = (get_95_confidence_interval(samples, "bootstrapped_CI") for _ in range(2))
    assert once == again
    rngs = (np.random.default_rng(seed) for seed in (8, 8, 9))
    first, second, third = (get_95_confidence_interval(samples, "bootstrapped_CI", rng) for rng in rngs)
    assert first == second != third


@pytest.mark.parametrize("method", METHODS)
def test_one_sample_has_a_mean_and_no_interval_and_none_has_neither(method):
    mean, up, down = get_95_confidence_interval([2.5], method)
    assert mean == 2.5
    assert math.isnan(up)
    assert math.isnan(down)
    assert all(map(math.isnan, get_95_confidence_interval([], method)))


@pytest.mark.parametrize("method", METHODS)
def test_equal_samples_have_an_interval_of_width_0(method):
    assert get_95_confidence_interval([0.1] * 7, method) == (pytest.approx(0.1), 0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_none_and_nan_are_no_samples(method):
    with_gaps = get_95_confidence_interval([1, None, 2, math.nan, 4], method)
    assert with_gaps == get_95_confidence_interval([1, 2, 4], method)


@pytest.mark.parametrize("method", METHODS)
def test_an_infinite_sample_has_no_interval(method):
    mean, up, down = get_95_confidence_interval([1, math.inf, 2], method)
    assert mean == math.inf
    assert math.isnan(up)
    assert math.isnan(down)


@pytest.mark.parametrize("method", METHODS)
def test_a_sequence_treats_every_time_step_alone(method):
    steps = [[1, 2, 4], [5, None, 7, 9], [3], [], [2, 2, 2], np.array([0.5, 0.1, 0.7])]
    means, ups, downs = get_95_confidence_interval_of_sequence(steps, method)
    assert means.shape == ups.shape == downs.shape == (6,)
    for at, step in enumerate(steps):
        expected = get_95_confidence_interval(step, method)
        assert (means[at], ups[at], downs[at]) == pytest.approx(expected, nan_ok=True)


def test_a_long_sequence_is_worked_in_parts_alike():
    values = np.random.default_rng(0).normal(size=(1100, 3))
    _, ups, _ = get_95_confidence_interval_of_sequence(values, "bootstrapped_CI")
    for at in (0, 511, 512, 1099):
        assert ups[at] == pytest.approx(get_95_confidence_interval(values[at], "bootstrapped_CI")[1])


def test_student_t_covers_95_percent_and_the_bootstrap_of_5_does_not():
    """STATISTICS.md's table: 94.8 % and 83.6 % for 5 normal samples, standard error 0.5 points here."""
    values = np.random.default_rng(0).normal(size=(4000, 5))
    covered = {}
    for method in METHODS:
        means, ups, downs = get_95_confidence_interval_of_sequence(values, method)
        covered[method] = np.mean((means - downs <= 0) & (means + ups >= 0))
    assert covered["student_t"] == pytest.approx(0.95, abs=0.015)
    assert covered["bootstrapped_CI"] == pytest.approx(0.836, abs=0.02)
    assert covered["stderr"] == pytest.approx(0.88, abs=0.02)  # P(|t| with 4 degrees of freedom < 1.96)


def test_an_unknown_method_is_answered_with_the_right_ones():
    with pytest.raises(UsageError, match="did you mean student_t"):
        get_95_confidence_interval([1, 2], "studentt")


def test_student_t_does_not_wait_for_scipy_stats():
    program = (
        "import sys; from alfred.utils import stats; stats.get_95_confidence_interval([1, 2], 'student_t');"
        "sys.exit('scipy.stats' in sys.modules or 'scipy.special' not in sys.modules)"
    )
    package = str(Path(alfred.__file__).parents[1])
    assert subprocess.run([sys.executable, "-c", program], cwd=package).returncode == 0
