"""Values that a project may reassign in `main.set_up_alfred()`.

Read them at call time, as `alfred.defaults.NAME`: a copy made at import time (in a signature, a class
body or by `from alfred.defaults import ...`) would not see what the project assigned.
"""

from __future__ import annotations

from collections import OrderedDict

Limits = tuple[float | None, float | None]

# Where storage directories live.
DEFAULT_DIRECTORY_TREE_ROOT: str = "./storage"

# name -> path of each git repository whose commit names the code of a search.
DEFAULT_DIRECTORY_TREE_GIT_REPOS_TO_TRACK: OrderedDict[str, str] = OrderedDict()

# What the summary of a search and the comparisons look at.
DEFAULT_BENCHMARK_X_METRIC: str = "episode"
DEFAULT_BENCHMARK_Y_METRIC: str = "eval_return"
DEFAULT_BENCHMARK_PERFORMANCE_METRIC: str = "eval_return"
DEFAULT_BENCHMARK_PERFORMANCE_GOAL: str = "max"

# (x metric, y metric, limits of x, limits of y) of each plot array; None stands for no limit.
DEFAULT_PLOTS_ARRAYS_TO_MAKE: list[tuple[str, str, Limits, Limits]] = [
    ("episode", "eval_return", (None, None), (None, None)),
    ("episode", "return", (None, None), (None, None)),
]

# Names under which projects keep the length of training, in order of preference.
DEFAULT_TRAIN_TIME_PARAMS: list[str] = [
    "max_episodes",
    "max_steps",
    "max_transitions",
    "num_steps",
    "max_episode",
    "max_step",
    "n_epochs",
    "max_epochs",
]

# True: a run that was cut off finds its files in place and goes on from its own checkpoints.
DEFAULT_RESUME_FROM_CHECKPOINTS: bool = False

# What `alfred launch --launcher slurm` asks the cluster for unless the command says otherwise: names of
# options (partition, time, mem, n_jobs, setup, any long option of sbatch), each with a text or a number.
DEFAULT_SLURM_PROFILE: dict[str, str | int] = {}
