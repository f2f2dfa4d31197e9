"""What a summary looks at, and in what two of them differ."""

from __future__ import annotations

import re

import pytest

import alfred.defaults
from alfred.analysis.settings import differences, settings
from alfred.errors import UsageError


def test_what_is_not_given_is_the_projects_default_as_it_is_now(monkeypatch):
    for name in ("X_METRIC", "Y_METRIC", "PERFORMANCE_METRIC"):
        monkeypatch.setattr(alfred.defaults, f"DEFAULT_BENCHMARK_{name}", name.lower())
    monkeypatch.setattr(alfred.defaults, "DEFAULT_BENCHMARK_PERFORMANCE_GOAL", "min")
    made = settings()
    assert (made.x_metric, made.y_metric, made.metric) == ("x_metric", "y_metric", "performance_metric")
    assert (made.goal, made.aggregation, made.interval) == ("min", "mean_on_last_20_percents", "student_t")
    assert made.n_eval_runs == 100


def test_no_interval_is_written_as_None_or_as_the_word():
    assert settings(y_error_bars=None) == settings(y_error_bars="None")


@pytest.mark.parametrize(
    ("option", "word", "right"),
    [
        ("y_error_bars", "student", "student_t"),
        ("performance_aggregation", "average", "avg"),
        ("performance_goal", "maximum", "max"),
    ],
)
def test_an_unknown_word_is_answered_with_the_option_and_the_right_words(option, word, right):
    with pytest.raises(UsageError, match=rf"^--{option} {word}: .*{right}[^\n]*$"):
        settings(**{option: word})


def test_at_least_one_episode_is_evaluated():
    with pytest.raises(UsageError, match="--n_eval_runs 0"):
        settings(n_eval_runs=0)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"performance_metric": "loss"}, "metric 'eval_return' instead of 'loss'"),
        ({"performance_aggregation": "max"}, "aggregation 'mean_on_last_20_percents' instead of 'max'"),
        ({"performance_goal": "min"}, "goal 'max' instead of 'min'"),
        ({"performance_metric": "loss", "performance_goal": "min"}, "metric .*, goal .*"),
    ],
)
def test_differences_name_what_the_best_depends_on(changed, named):
    found = differences(settings().as_record(), settings(**changed))
    assert found == named or re.fullmatch(named, found)


@pytest.mark.parametrize("changed", [{"y_metric": "loss"}, {"y_error_bars": "stderr"}, {"n_eval_runs": 7}])
def test_what_only_the_looks_depend_on_is_no_difference(changed):
    assert differences(settings().as_record(), settings(**changed)) == ""


def test_evaluations_differ_by_their_number_and_not_by_the_aggregation():
    def made(**more):
        return settings(performance_metric="evaluation_runs", **more)

    assert differences(made().as_record(), made(performance_aggregation="max")) == ""
    assert differences(made().as_record(), made(n_eval_runs=7)) == "n_eval_runs 100 instead of 7"


def test_a_record_that_says_nothing_differs_in_everything():
    assert differences({}, settings()).count(" instead of ") == 3
