"""Runs of different length are laid over one another on x."""

from __future__ import annotations

import numpy as np
import pytest

from alfred.analysis.curves import Series, align, band, thin
from alfred.utils.stats import get_95_confidence_interval

NAN = np.nan


def run(x, y):
    return Series(np.array(x, dtype=float), np.array(y, dtype=float))


def test_runs_are_interpolated_inside_their_own_range_and_never_outside():
    x, ys = align([run([0, 10, 20], [0, 1, 3]), run([5, 15], [10, 20]), run([7], [4])])
    assert x.tolist() == [0, 5, 7, 10, 15, 20]
    expected = [[0, 0.5, 0.7, 1, 2, 3], [NAN, 10, 12, 15, 20, NAN], [NAN, NAN, 4, NAN, NAN, NAN]]
    np.testing.assert_allclose(ys, expected)


def test_what_was_recorded_stands_there_exactly():
    rng = np.random.default_rng(0)
    runs = [run(np.sort(rng.random(50)), rng.normal(size=50)) for _ in range(5)]
    x, ys = align(runs)
    assert len(x) == 250
    for row, one in zip(ys, runs, strict=True):
        assert np.array_equal(row[np.searchsorted(x, one.x)], one.y)


def test_beside_a_nan_or_an_infinity_too():
    _, ys = align([run([0, 1, 2, 3, 4], [5, NAN, 6, np.inf, 7]), run([0.5, 2.5, 3.5], [1, 1, 1])])
    np.testing.assert_array_equal(ys[0], [5, NAN, NAN, 6, np.inf, np.inf, np.inf, 7])


def test_x_out_of_order_is_ordered_and_an_x_recorded_twice_has_the_mean():
    x, ys = align([run([2, 0, 1, 1, NAN], [5, 1, 2, 4, 99])])
    assert x.tolist() == [0, 1, 2]
    assert ys.tolist() == [[1, 3, 5]]


def test_nothing_to_align_is_no_trouble():
    x, ys = align([])
    assert (x.shape, ys.shape) == ((0,), (0, 0))
    assert band([], "student_t").x.shape == (0,)
    assert align([run([], [])])[1].shape == (1, 0)


def test_a_given_x_is_looked_at_instead_of_the_union():
    x, ys = align([run([0, 10], [0, 1])], np.array([-1.0, 0, 5, 11]))
    assert x.tolist() == [-1, 0, 5, 11]
    np.testing.assert_array_equal(ys, [[NAN, 0, 0.5, NAN]])


@pytest.mark.parametrize("method", ["student_t", "bootstrapped_CI"])
def test_the_band_of_ragged_runs_is_at_each_x_the_interval_of_those_that_are_there(method):
    lengths = [3, 5, 5, 8]
    rng = np.random.default_rng(2)
    runs = [run(range(length), rng.normal(size=length)) for length in lengths]
    found = band(runs, method)
    assert found.n.tolist() == [4, 4, 4, 3, 3, 1, 1, 1]
    assert found.runs == tuple(runs)
    for at in range(8):
        present = [one.y[at] for one in runs if at < len(one.y)]
        mean, up, down = get_95_confidence_interval(present, method)
        got = [found.centre[at], found.high[at] - mean, mean - found.low[at]]
        assert got == pytest.approx([mean, up, down], nan_ok=True, abs=0.05 if "boot" in method else 1e-12)


def test_the_same_generator_gives_the_same_band():
    runs = [run(range(4), y) for y in np.random.default_rng(0).normal(size=(5, 4))]
    one, other = (band(runs, "bootstrapped_CI", np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.low, other.low)


def test_a_run_with_nan_is_left_out_as_a_whole_and_counted():
    found = band([run([0, 1], [1, 2]), run([0, 1], [5, NAN]), run([0, 1], [3, 4])], "student_t")
    assert found.centre.tolist() == [2, 3]
    assert found.n.tolist() == [2, 2]
    assert (found.left_out, found.note) == (1, "1 of 3 runs left out: NaN")


def test_a_band_of_one_run_says_so():
    found = band([run([0, 1], [1, 2])], "student_t")
    assert found.note == "n = 1: no interval"
    assert np.isnan(found.low).all()


def test_thin_keeps_the_ends_and_no_more_than_asked_for():
    x = np.arange(1000.0)
    kept = thin(x, 30)
    assert len(kept) == 30
    assert (kept[0], kept[-1]) == (0, 999)
    assert thin(x[:30], 30).tolist() == x[:30].tolist()
