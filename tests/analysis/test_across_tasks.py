"""One record holds every number of a comparison, and says what could not be compared."""

import numpy as np
import pytest

from alfred.analysis.across_tasks import by_algorithm, compare_across_tasks, probability
from alfred.analysis.scores import RunScore

TWO = {
    "good": {"easy": [9.0, 10.0, 11.0], "hard": [2.0, 2.5, 3.0]},
    "bad": {"easy": [1.0, 0.0, 2.0], "hard": [1.0, 0.5, 0.0]},
}


def few(scores=TWO, *args, **options):
    return compare_across_tasks(scores, *args, n_replicates=200, **options)


def test_aggregates_are_of_scores_between_the_worst_and_the_best_of_each_task():
    found = few()
    assert found.aggregates["mean"]["good"].point == pytest.approx((10 / 11 + 2.5 / 3) / 2)
    assert found.aggregates["mean"]["bad"].point == pytest.approx((1 / 11 + 0.5 / 3) / 2)
    assert found.normalized.constants == {"easy": (0, 11), "hard": (0, 3)}
    assert probability(found, "good", "bad")[1] == 1
    assert probability(found, "bad", "good")[1] == 0


def test_the_interval_of_a_probability_is_turned_round_with_it():
    rng = np.random.default_rng(0)
    scores = {alg: {task: rng.normal(at, 1, 5) for task in "st"} for at, alg in enumerate("ab")}
    found = few(scores)
    low, point, high = probability(found, "a", "b")
    assert low < point < high < 1
    assert probability(found, "b", "a") == (1 - high, 1 - point, 1 - low)


def test_the_optimality_gap_needs_reference_scores():
    assert set(few().aggregates) == {"mean", "median", "iqm"}
    found = few(TWO, {"easy": (0, 20), "hard": (0, 5)})
    assert found.aggregates["optimality_gap"]["good"].point == pytest.approx(0.5)


@pytest.mark.parametrize("normalization", ["min-max", "none"])
def test_with_goal_min_the_lower_scores_are_the_better_ones(normalization):
    found = few(TWO, normalization, "min")
    assert probability(found, "bad", "good")[1] == 1
    assert found.sentence.startswith("bad is better than good over 2 tasks (")
    assert found.verdicts[0].startswith("bad is better than good on easy by 9")


def test_a_profile_starts_where_nobody_is_worse_and_is_the_share_of_runs_above():
    profile = few(TWO, "none").profiles["bad"]
    assert (profile.tau[0], profile.tau[-1]) == (0, 11)
    assert profile.share[0] == pytest.approx((2 / 3 + 2 / 3) / 2)  # strictly above
    assert profile.share[-1] == 0


def test_one_task_has_tests_and_no_aggregates():
    found = few({alg: {"easy": own["easy"]} for alg, own in TWO.items()})
    assert (found.aggregates, found.profiles, found.improvements) == ({}, {}, ())
    assert found.note == "one task: nothing to aggregate over"
    assert found.sentence == found.verdicts[0]
    assert found.sentence.startswith("good is better than bad on easy by 9")


def test_one_algorithm_has_its_own_estimates_only():
    found = few({"good": TWO["good"]})
    assert set(found.aggregates["iqm"]) == {"good"}
    assert (found.pairs, found.improvements) == ((), ())
    assert found.sentence == "There is only good: nothing to compare it with."


def test_a_task_that_an_algorithm_has_no_run_of_is_left_out_of_aggregates_and_named():
    scores = {"good": TWO["good"] | {"new": [1.0, 2.0]}, "bad": TWO["bad"] | {"new": []}}
    found = few(scores)
    assert found.normalized.left_out == {"new": "no score of bad"}
    assert found.normalized_tasks == ("easy", "hard")
    by_place = {(one.algorithm, one.task): one for one in found.performances}
    assert by_place["bad", "new"].n == 0
    assert np.isnan(by_place["bad", "new"].mean)
    assert by_place["good", "new"].mean == 1.5


def test_where_fewer_than_two_tasks_are_left_it_is_said():
    found = few({"good": {"easy": [1.0, 2.0]}, "bad": {"hard": [1.0, 2.0]}})
    reasons = "easy: no score of bad; hard: no score of good"
    assert found.note == f"0 of 2 tasks can be compared: nothing to aggregate over ({reasons})"
    assert found.sentence == f"Nothing can be said over all tasks, since {found.note}."


def test_the_mean_of_a_task_has_students_interval():
    easy = next(one for one in few().performances if (one.algorithm, one.task) == ("good", "easy"))
    reach = 4.302653 * 1 / 3**0.5  # t(0.975, 2) s / sqrt(n)
    assert (easy.mean, easy.low, easy.high) == pytest.approx((10, 10 - reach, 10 + reach), rel=1e-6)


def test_the_mean_of_a_task_has_the_interval_that_was_asked_for():
    found = few(interval="stderr")
    easy = next(one for one in found.performances if (one.algorithm, one.task) == ("good", "easy"))
    assert (easy.low, easy.high) == pytest.approx((10 - 1 / 3**0.5, 10 + 1 / 3**0.5))
    assert found.interval == "stderr"


def test_no_difference_is_claimed_from_the_bootstrap_of_few_runs_alone():
    """Two runs that are better on each task leave no overlap, and yet no test is significant."""
    found = few({"a": {f"t{t}": [1.0, 5.0] for t in range(3)}, "b": {f"t{t}": [0.0, 0.9] for t in range(3)}})
    assert probability(found, "a", "b")[0] > 0.5
    assert found.sentence.startswith("No difference between a and b over 3 tasks was shown (")


@pytest.mark.parametrize(("goal", "best", "second"), [("max", "a", "b"), ("min", "b", "a")])
def test_tests_on_single_tasks_are_counted_for_the_algorithm_that_each_shows_better(goal, best, second):
    high, low = [10.0, 11.0, 12.0], [0.0, 1.0, 2.0]
    found = few({"a": {"s": high, "t": high, "u": low}, "b": {"s": low, "t": low, "u": high}}, "none", goal)
    assert found.sentence.startswith(f"No difference between {best} and {second} over 3 tasks was shown (")
    counts = f"tests on single tasks that show {best} better: 2 of 3, {second} better: 1"
    assert found.sentence.endswith(f"; {counts}).")


@pytest.mark.parametrize(("goal", "best", "mean"), [("max", "a", 5.5), ("min", "b", 3)])
def test_on_one_task_the_best_is_shown_to_be_better_by_the_corrected_p_alone(goal, best, mean):
    """t = 2.5 with 8 degrees of freedom has p = 0.037, three times that after the correction."""
    b = np.arange(1.0, 6.0)
    found = few({"a": {"t": b + 2.5}, "b": {"t": b}, "c": {"t": b}}, goal=goal)
    assert min(pair.p_welch for pair in found.pairs) == pytest.approx(0.0369, abs=1e-4)
    assert found.sentence == (
        f"{best} has the best mean on t, {mean:g}, and was shown to be better than 0 of 2 others "
        "(Welch's test at 0.05, Holm-corrected over 3 tests)."
    )


def test_single_runs_give_points_without_intervals():
    found = few({"a": {"s": [1.0], "t": [2.0]}, "b": {"s": [0.0], "t": [3.0]}})
    estimate = found.aggregates["mean"]["a"]
    assert estimate.point == 0.5
    assert np.isnan([estimate.low, estimate.high]).all()
    assert found.verdicts[0] == "a and b on s can't be compared: n = 1: no test (n = 1)."


def test_same_scores_give_the_same_numbers():
    first, second = few().aggregates["iqm"]["bad"], few().aggregates["iqm"]["bad"]
    assert (first.low, first.high) == (second.low, second.high)
    assert first.low < first.point < first.high


def test_runs_without_a_score_are_counted_by_reason():
    runs = [RunScore(0, 1, 0.5), RunScore(0, 2, np.nan, "crashed"), RunScore(0, 3, np.nan, "crashed")]
    found = by_algorithm([("a", "t", runs), ("b", "t", runs[:1])])
    assert found.scores["a"]["t"].tolist() == [0.5]
    assert found.left_out == {"a": {"t": {"crashed": 2}}, "b": {"t": {}}}
    compared = few(found.scores, left_out=found.left_out)
    assert compared.performances[0].left_out == {"crashed": 2}
