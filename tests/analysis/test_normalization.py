"""Tasks are brought to one scale, by constants that are fixed and named."""

from __future__ import annotations

import numpy as np
import pytest

from alfred.analysis.normalization import normalize
from alfred.errors import UsageError

SCORES = {"A": {"t": [0, 5], "u": [7, 7]}, "B": {"t": [10], "u": [7], "v": [1]}}


def test_min_max_looks_at_all_runs_of_all_algorithms_and_names_what_it_leaves_out():
    found = normalize(SCORES)
    assert found.scores["A"]["t"].tolist() == [0, 0.5]
    assert found.scores["B"]["t"].tolist() == [1]
    assert found.constants == {"t": (0, 10)}
    assert found.left_out == {"u": "all scores are equal", "v": "no score of A"}
    assert (found.how, found.goal, found.has_gap) == ("min-max", "max", False)


def test_with_the_goal_min_the_lowest_becomes_1():
    found = normalize(SCORES, goal="min")
    assert found.scores["A"]["t"].tolist() == [1, 0.5]
    assert found.scores["B"]["t"].tolist() == [0]
    assert (found.constants["t"], found.goal) == ((10, 0), "max")


def test_none_leaves_scores_and_goal_as_they_are():
    found = normalize(SCORES, "none", "min")
    assert found.scores["A"]["t"].tolist() == [0, 5]
    assert (found.goal, found.constants, list(found.left_out)) == ("min", {}, ["v"])


@pytest.mark.parametrize(("goal", "expected"), [("max", [-0.2, 0.8]), ("min", [1.2, 0.2])])
def test_references_give_the_ends(goal, expected):
    found = normalize({"A": {"t": [0, 5], "u": [1]}}, {"t": (1, 6)}, goal)
    assert found.scores["A"]["t"].tolist() == pytest.approx(expected)
    assert (found.how, found.has_gap, found.left_out) == ("reference", True, {"u": "no reference score"})


def test_references_in_the_wrong_order_are_a_mistake_unless_lower_is_better():
    with pytest.raises(UsageError, match="the lower one first"):
        normalize({"A": {"t": [0]}}, {"t": (6, 1)})
    assert normalize({"A": {"t": [1]}}, {"t": (6, 1)}, "min").scores["A"]["t"].tolist() == [1]
    assert normalize({"A": {"t": [1]}}, {"t": (2, 2)}).left_out == {"t": "both reference scores are equal"}


def test_what_is_wrong_is_said():
    with pytest.raises(UsageError, match="min-max"):
        normalize(SCORES, "zscore")
    with pytest.raises(ValueError, match="A on t holds scores that are NaN"):
        normalize({"A": {"t": [np.nan]}})
