"""A random search to copy into `schedules/` of your project and to edit."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import numpy as np

# One storage directory is made for each algorithm on each task.
# The names are yours: alfred only hands them to main() as config.alg_name and config.task_name.
ALG_NAMES: list[str] = ["sgd", "mlp"]
TASK_NAMES: list[str] = ["wine", "breast_cancer"]

# Each experiment is run once with each of these, as config.seed.
SEEDS: list[int] = [1, 2, 3]

# How many times sample_experiment is called for each algorithm on each task.
N_EXPERIMENTS: int = 5


# One draw is one experiment. alfred seeds numpy.random and random before it calls this, so that
# `--sampling_seed` lays the same search again. A function that takes a parameter named rng is handed a
# numpy.random.Generator instead.
def sample_experiment() -> dict[str, Any]:
    """The values of one experiment; each name must be one that get_run_args knows."""
    return {
        # What may span several powers of ten is drawn by its exponent: here from 0.001 to 0.1.
        "lr": float(10 ** np.random.uniform(-3, -1)),
        # config.json holds plain Python values, so numpy's are converted with float(), int() or bool().
        "batch_size": int(np.random.choice([16, 32, 64])),
    }


# The defaults of all that is not drawn. Delete this function to take get_run_args from your main.py,
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
