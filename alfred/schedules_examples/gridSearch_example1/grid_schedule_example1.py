"""A grid search to copy into `schedules/` of your project and to edit."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

# One storage directory is made for each algorithm on each task.
# The names are yours: alfred only hands them to main() as config.alg_name and config.task_name.
ALG_NAMES: list[str] = ["sgd", "mlp"]
TASK_NAMES: list[str] = ["wine", "breast_cancer"]

# Each experiment is run once with each of these, as config.seed.
SEEDS: list[int] = [1, 2, 3]

# Every combination of these values is one experiment: here 3 x 2 = 6 for each algorithm on each task.
# Each name must be one that get_run_args knows; alg_name, task_name and seed have their lists above.
VARIATIONS: dict[str, list[Any]] = {
    "lr": [0.1, 0.01, 0.001],
    "batch_size": [16, 64],
}


# The defaults of all that is not varied. Delete this function to take get_run_args from your main.py,
# which is the usual thing to do; one that stands in the schedule wins over it.
def get_run_args(overwritten_cmd_line: str | None = None) -> Namespace:
    """Every hyper-parameter that main() reads, with its default value."""
    return Namespace(
        alg_name="sgd",
        task_name="wine",
        desc="",
        seed=1,
        n_epochs=20,  # or max_episodes, max_steps ...: create_retrainbest multiplies it to train longer
        lr=0.01,
        l2=1e-4,
        input_noise=0.0,
        hidden_size=32,
        batch_size=32,
        root_dir=None,
        log_level="INFO",
    )
