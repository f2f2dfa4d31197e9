"""The intervals that a user can choose from hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from alfred.analysis.intervals import METHODS, caption, intervals, note
from alfred.errors import UsageError

NAN = np.nan


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_default_interval_holds_the_mean_of_normal_data_in_95_percent_of_cases(n):
    """20 000 repetitions: the standard error of the share is 0.15 points."""
    values = np.random.default_rng(n).normal(loc=7, scale=3, size=(20_000, n))
    found = intervals(values, "student_t")
    covered = np.mean((found.low <= 7) & (found.high >= 7))
    assert 0.93 <= covered <= 0.97
    assert covered == pytest.approx(0.95, abs=0.006)


def test_the_bootstrap_of_five_holds_it_in_84_percent_as_measured():
    values = np.random.default_rng(0).normal(size=(4000, 5))
    found = intervals(values, "bootstrapped_CI")
    assert np.mean((found.low <= 0) & (found.high >= 0)) == pytest.approx(0.836, abs=0.02)


def test_stderr_reaches_one_standard_error():
    found = intervals(np.array([[1.0, 2, 3, 6]]), "stderr")
    assert found.centre == [3]
    assert found.high - 3 == pytest.approx(np.sqrt(14 / 3) / 2)
    assert 3 - found.low == pytest.approx(np.sqrt(14 / 3) / 2)


def test_the_10th_quantile_spans_the_middle_of_the_runs_around_the_mean():
    """Of 0..10 the 10th percentile is 1 and the 90th 9; 100 instead of 10 moves only the mean."""
    rows = np.array([np.arange(11.0), np.append(np.arange(10.0), 100.0)])
    found = intervals(rows, "10th_quantile")
    assert found.low.tolist() == pytest.approx([1, 1])
    assert found.high.tolist() == pytest.approx([9, 9])
    assert found.centre.tolist() == pytest.approx([5, 145 / 11])


def test_the_quantiles_of_ragged_rows_are_numpys():
    rng = np.random.default_rng(1)
    rows = np.where(rng.random((50, 7)) < 0.4, NAN, rng.normal(size=(50, 7)))
    rows[:, :2] = rng.normal(size=(50, 2))
    found = intervals(rows, "10th_quantile")
    np.testing.assert_allclose(found.low, np.nanpercentile(rows, 10, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.high, np.nanpercentile(rows, 90, axis=1), rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_one_run_has_no_interval_and_none_has_no_mean(method):
    beside = intervals(np.array([[NAN, 4.0], [5.0, 7.0]]), method)
    assert np.isnan([beside.low[0], beside.high[0]]).all()
    assert np.isnan(beside.low[1]) == (method == "None")
    found = intervals(np.array([[NAN, 4.0], [NAN, NAN]]), method)
    assert found.n.tolist() == [1, 0]
    np.testing.assert_array_equal(found.centre, [4, NAN])
    assert np.isnan([*found.low, *found.high]).all()
    assert note(method, found) == "n = 1: no interval"


def test_none_has_a_mean_and_no_interval():
    for method in (None, "None"):
        found = intervals(np.array([[1.0, 3.0]]), method)
        assert found.centre == [2]
        assert np.isnan([*found.low, *found.high]).all()


@pytest.mark.parametrize("method", [method for method in METHODS if method != "None"])
def test_equal_runs_have_width_0_and_that_is_said(method):
    found = intervals(np.full((2, 4), 0.3), method)
    assert (found.low == found.high).all()
    assert "all runs are equal: width 0" in note(method, found)


def test_a_bootstrap_of_few_runs_is_said_to_be_narrower_than_it_says():
    few, many = (np.random.default_rng(0).normal(size=(3, n)) for n in (9, 10))
    assert "narrower" in note("bootstrapped_CI", intervals(few, "bootstrapped_CI"))
    assert note("bootstrapped_CI", intervals(many, "bootstrapped_CI")) == ""
    assert note("student_t", intervals(few, "student_t")) == ""


def test_the_caption_names_method_and_n():
    assert caption("student_t", np.array([3, 3])) == "95 % interval of the mean (Student t), n = 3"
    assert caption("stderr", np.array([0, 3, 10])) == "standard error, n = 3 to 10"
    assert caption("stderr", np.array([1, 0, 1])) == "standard error, n = 1: no interval"
    assert caption("None", np.array([1])) == "every run, n = 1"
    assert caption(None, np.array([0])) == "every run, n = 0"


def test_an_unknown_method_is_answered_with_the_right_ones():
    with pytest.raises(UsageError, match="bootstrapped_CI"):
        intervals(np.zeros((1, 2)), "bootstraped_CI")
