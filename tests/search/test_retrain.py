"""A retrain has seeds that no run of its search had, and the training time multiplied."""

from pathlib import Path

from alfred.search.retrain import TrainTime, longer, plan_retrain
from alfred.storage.creation import Experiment, Preparation, lay_search


def test_its_seeds_are_those_of_no_experiment_of_the_search(tmp_path):
    own = {"alg_name": "a", "task_name": "t", "desc": "grid_x"}
    experiments = tuple(
        Experiment({**own, "lr": lr}, {"lr": lr}, seeds) for lr, seeds in ((0.1, (1, 2)), (0.2, (1, 2, 7)))
    )
    (name,) = lay_search(tmp_path, [Preparation("a", "t", "grid_x", "grid", experiments)])
    planned = plan_retrain(tmp_path / name, 1, 3, TrainTime(factor=1))
    assert planned.preparation.experiments[0].seeds == (8, 9, 10)


def test_a_truth_value_is_no_training_time():
    assert longer({"max_episodes": True, "n_epochs": 5}, TrainTime(), Path("x")) == {"n_epochs": 10}
