"""One number for each run and experiment, and which experiment may be the best."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alfred.analysis.gather import gather
from alfred.analysis.scores import aggregate, score_run, score_search
from alfred.errors import UsageError

NAN = float("nan")


def scored(tree, goal="max", **more):
    return score_search(gather(tree.dir), "eval_return", "last", goal, **more)


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("min", 1), ("max", 9), ("avg", 4.5), ("last", 3), ("mean_on_last_20_percents", 2.5)],
)
def test_aggregations_of_ten_values(aggregation, expected):
    values = np.array([4.0, 9, 5, 7, 8, 5, 1, 1, 2, 3])
    assert aggregate(values, aggregation) == pytest.approx(expected)


@pytest.mark.parametrize(("length", "used"), [(1, 1), (4, 1), (5, 1), (6, 2), (9, 2), (10, 2), (11, 3)])
def test_the_last_20_percents_start_at_the_floor_of_four_fifths(length, used):
    values = np.arange(length, dtype=float)
    assert aggregate(values, "mean_on_last_20_percents") == values[-used:].mean()


def test_nothing_or_nan_has_no_number():
    assert math.isnan(aggregate(np.empty(0), "max"))
    assert math.isnan(aggregate(np.array([1, NAN, 2]), "last"))


def test_experiments_have_the_mean_of_their_runs_and_students_interval(tree):
    tree.scored({1: [1, 2, 3]})
    one = scored(tree).experiment(1)
    assert (one.mean, one.n_runs, one.unscored) == (2, 3, ())
    assert one.scores.tolist() == [1, 2, 3]
    assert one.err_up == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert one.err_down == pytest.approx(one.err_up)


def test_ranking_is_best_first_and_the_lower_number_wins_a_tie(tree):
    tree.scored({1: [1, 3], 2: [4, 6], 3: [6, 4], 4: [2, 2]})
    assert scored(tree).ranking == (2, 3, 1, 4)
    assert scored(tree).best == 2


def test_the_goal_min_ranks_the_lowest_first_and_keeps_the_sign(tree):
    tree.scored({1: [1, 3], 2: [4, 6], 3: [0, 4]})
    found = scored(tree, "min")
    assert (found.ranking, found.best) == ((1, 3, 2), 1)
    assert found.experiment(1).mean == 2
    assert found.runs[0].score == 1


def test_only_experiments_whose_every_run_has_a_score_may_be_the_best(tree):
    tree.scored({1: [1, 1], 2: [100, None], 3: [2, 2], 4: [None, None]})
    found = scored(tree)
    assert (found.best, found.candidates, found.note) == (3, (1, 3), "")
    assert found.ranking == (3, 1, 2)
    assert [(run.seed, run.why) for run in found.experiment(2).unscored] == [(1, "crashed")]
    assert math.isnan(found.experiment(4).mean)


def test_without_a_complete_experiment_those_with_most_scores_may_be_the_best_and_that_is_said(tree):
    tree.scored({1: [100, None, None], 2: [1, 2, None], 3: [None, 3, 2]})
    found = scored(tree)
    assert (found.best, found.candidates) == (3, (2, 3))
    assert "no experiment has a score for every run" in found.note


def test_without_any_score_there_is_no_best(tree):
    tree.scored({1: [None]})
    found = scored(tree)
    assert (found.best, found.ranking, found.note) == (None, (), "no run has a score")


def test_every_run_without_a_score_is_named_with_the_reason(tree):
    """NaN, crashed, waiting, stopped, cut short, without the metric, infinite, and one that is good."""
    steps = {"episode": [0, 1]}
    tree.run(1, 1, {**steps, "eval_return": [1, NAN]})
    tree.run(1, 2, {**steps, "eval_return": [1, 2]}, "CRASH.txt")
    tree.run(1, 3, {**steps, "eval_return": [1, 2]}, "UNHATCHED")
    tree.run(1, 4, {**steps, "eval_return": [1, 2]}, "")
    broken = tree.run(1, 5, {**steps, "eval_return": [1, 2]}) / "recorders" / "train_recorder.pkl"
    broken.write_bytes(broken.read_bytes()[:-5])
    tree.run(1, 6, steps)
    tree.run(1, 7, {**steps, "eval_return": [1, math.inf]})
    tree.run(1, 8, {**steps, "eval_return": [1, 5]})
    found = scored(tree)
    why = {run.seed: run.why for run in found.runs}
    assert str(broken) in why.pop(5)
    assert why == {
        1: "NaN in eval_return",
        2: "crashed",
        3: "waiting",
        4: "mysteriously stopped",
        6: "no eval_return recorded",
        7: "eval_return is infinite",
        8: "",
    }
    one = found.experiment(1)
    assert (one.n_runs, one.scores.tolist(), len(one.unscored)) == (8, [5], 7)
    assert math.isnan(one.err_up)


def test_a_running_run_is_named_as_running(tree, own_owner):
    tree.run(1, 1, {"eval_return": [1]}, f"RUNNING.{own_owner}")
    assert [run.why for run in scored(tree).runs] == ["running"]


def test_a_score_up_to_an_x_counts_only_what_was_recorded_until_then(tree):
    tree.run(1, 1, {"episode": [0, 10, 20, 30], "eval_return": [1, 2, 3, 4]})
    run = gather(tree.dir).runs[0]
    assert score_run(run, "eval_return", "last", ("episode", 20)).score == 3
    assert score_run(run, "eval_return", "last", ("episode", -1)).why == "no eval_return recorded up to there"


def test_evaluations_replace_what_was_recorded_and_a_failed_one_is_named(tree):
    tree.scored({1: [1, 1, 1, None]})
    dirs = [run.seed_dir for run in gather(tree.dir).runs]
    found = scored(tree, evaluations={dirs[0]: [2, 4], dirs[1]: "evaluate() raised", dirs[3]: [9.0]})
    assert [run.why for run in found.runs] == ["", "evaluate() raised", "not evaluated", "crashed"]
    assert found.experiment(1).scores.tolist() == [3]


def test_unknown_names_are_answered_with_the_right_ones(tree):
    tree.scored({1: [None]})
    search = gather(tree.dir)
    with pytest.raises(UsageError, match="mean_on_last_20_percents"):
        score_search(search, "eval_return", "mean_on_last_20_percent", "max")
    with pytest.raises(UsageError, match="known are max, min"):
        score_search(search, "eval_return", "last", "lowest")
    with pytest.raises(UsageError, match="student_t"):
        score_search(search, "eval_return", "last", "max", "student")
