"""Schedules turned into experiments: grid, random, and the plan for each algorithm and task."""

import random
from pathlib import Path

import numpy as np
import pytest

from alfred.errors import ScheduleError
from alfred.search.grid import grid_experiments
from alfred.search.plan import plan_search, varied_values
from alfred.search.random import child_seed, new_sampling_seed, random_experiments
from alfred.search.schedule import Schedule

PAIRS = [("sgd", "wine"), ("mlp", "wine")]


def random_schedule(sample, n_draws=5, **defaults):
    return Schedule(
        path=Path("random_schedule_abc.py"),
        kind="random",
        alg_names=("sgd", "mlp"),
        task_names=("wine",),
        seeds=(1, 2),
        defaults={"lr": 0.1, "width": 8, "seed": 0, **defaults},
        n_draws=n_draws,
        sample_experiment=sample,
    )


def grid_schedule(**variations):
    return Schedule(
        path=Path("grid_schedule_abc.py"),
        kind="grid",
        alg_names=("sgd", "mlp"),
        task_names=("wine",),
        seeds=(1, 2),
        defaults={"seed": 0, "lr": 0.1, "width": 8, "depth": 1, "desc": ""},
        variations=variations,
    )


def test_parameters_with_more_values_vary_slowest():
    assert grid_experiments({"few": [1, 2], "many": ["a", "b", "c"]}) == [
        {"many": "a", "few": 1},
        {"many": "a", "few": 2},
        {"many": "b", "few": 1},
        {"many": "b", "few": 2},
        {"many": "c", "few": 1},
        {"many": "c", "few": 2},
    ]


def test_of_parameters_with_equally_many_values_the_first_name_varies_fastest():
    assert [values["b"] for values in grid_experiments({"a": [1, 2], "b": [3, 4]})] == [3, 3, 4, 4]


def test_a_grid_without_variations_is_one_experiment():
    assert grid_experiments({}) == [{}]


@pytest.mark.parametrize(
    "sample",
    [
        lambda: {"lr": random.random()},
        lambda: {"lr": np.random.uniform()},
        lambda rng: {"lr": rng.uniform()},
        lambda generator, /: {"lr": generator.uniform()},
        lambda *, rng=None: {"lr": rng.uniform()},
    ],
    ids=["random", "numpy.random", "rng", "positional", "keyword with a default"],
)
def test_the_same_seed_draws_the_same_and_another_seed_something_else(sample):
    schedule = random_schedule(sample)
    drawn = random_experiments(schedule, 7)
    assert len({values["lr"] for values in drawn}) == 5
    assert {type(values["lr"]) for values in drawn} == {float}
    assert random_experiments(schedule, 7) == drawn
    assert random_experiments(schedule, 8) != drawn


def test_the_global_generators_go_on_as_if_nothing_had_been_drawn():
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.uniform()
    random.seed(1)
    np.random.seed(1)
    random_experiments(random_schedule(lambda: {"lr": random.random() + np.random.uniform()}), 7)
    assert (random.random(), np.random.uniform()) == expected


def test_the_global_generators_are_put_back_after_a_draw_that_failed():
    random.seed(1)
    expected = random.random()
    random.seed(1)
    with pytest.raises(ScheduleError):
        random_experiments(random_schedule(lambda: {"lr": 1 / 0}), 7)
    assert random.random() == expected


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (lambda: [1], ["draw 1", "[1]", "return a dict"]),
        (lambda: {"lrr": 1}, ["draw 1", "'lrr'", "did you mean lr?"]),
        (lambda: {"seed": 1}, ["seed may not be searched over"]),
        (lambda: {"lr": object}, ["draw 1 of sample_experiment()['lr']", "JSON"]),
        (lambda: {"lr": np.float64("nan")}, ["nan", "JSON"]),
        (lambda: 1 / 0, ["sample_experiment()", "ZeroDivisionError"]),
        (lambda a, b: {}, ["sample_experiment(a, b)", "takes too much"]),
    ],
)
def test_a_draw_that_cannot_be_used_is_told_in_one_line(sample, words):
    with pytest.raises(ScheduleError) as error:
        random_experiments(random_schedule(sample), 7)
    assert "random_schedule_abc.py" in str(error.value)
    assert "\n" not in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []


def test_a_grid_is_planned_for_each_algorithm_and_task():
    plans = plan_search(grid_schedule(lr=[1, 2, 3]), PAIRS, "grid_abc")
    assert [(plan.alg_name, plan.task_name, plan.desc, plan.kind) for plan in plans] == [
        ("sgd", "wine", "grid_abc", "grid"),
        ("mlp", "wine", "grid_abc", "grid"),
    ]
    assert plans[1].variations == {
        "lr": [1, 2, 3],
        "alg_name": ["mlp"],
        "task_name": ["wine"],
        "seed": [1, 2],
    }
    second = plans[1].experiments[1]
    assert second.seeds == (1, 2)
    assert second.unique == {"lr": 2, "alg_name": "mlp", "task_name": "wine"}
    assert second.config == {
        "lr": 2,
        "width": 8,
        "depth": 1,
        "desc": "grid_abc",
        "alg_name": "mlp",
        "task_name": "wine",
    }
    assert varied_values(plans) == {"lr": [1, 2, 3]}


def draws_of(plan):
    return [experiment.unique["lr"] for experiment in plan.experiments]


def test_a_random_search_draws_anew_for_each_algorithm_and_task_whatever_their_order():
    schedule = random_schedule(lambda rng: {"lr": rng.uniform()})
    sgd, mlp = plan_search(schedule, PAIRS, "random_abc", sampling_seed=3)
    assert draws_of(sgd) != draws_of(mlp)
    (alone,) = plan_search(schedule, PAIRS[1:], "random_abc", sampling_seed=3)
    assert draws_of(alone) == draws_of(mlp)
    assert alone.sampling_seed == 3


def test_without_resampling_all_algorithms_and_tasks_have_the_same_draws():
    schedule = random_schedule(lambda rng: {"lr": rng.uniform()})
    sgd, mlp = plan_search(schedule, PAIRS, "random_abc", sampling_seed=3, resample=False)
    assert draws_of(sgd) == draws_of(mlp)


def test_what_one_draw_varies_tells_all_experiments_apart():
    drawn = iter([{"lr": 0.5}, {"width": 4}])
    (plan,) = plan_search(
        random_schedule(lambda: next(drawn), n_draws=2), PAIRS[:1], "random_abc", sampling_seed=0
    )
    own = {"alg_name": "sgd", "task_name": "wine"}
    assert [experiment.unique for experiment in plan.experiments] == [
        {"lr": 0.5, "width": 8, **own},
        {"lr": 0.1, "width": 4, **own},
    ]
    assert varied_values([plan]) == {"lr": [0.5, 0.1], "width": [8, 4]}


def test_child_seeds_differ_by_name_and_sampling_seeds_by_chance():
    seeds = {
        child_seed(3),
        child_seed(4),
        child_seed(3, "a", "b"),
        child_seed(3, "b", "a"),
        child_seed(3, "ab"),
    }
    assert len(seeds) == 5
    assert new_sampling_seed() != new_sampling_seed()
