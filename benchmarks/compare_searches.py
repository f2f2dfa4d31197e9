"""How long `alfred benchmark` takes to compare a search of 20 experiments x 10 seeds x 1000 points.

Call it as `python benchmarks/compare_searches.py`; seconds are of the processor, for the command as it is
typed: start, summary and comparison. Beside it the plain way, one bootstrap call for each point, timed on a
sample of the points and told for all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import alfred

N_EXPERIMENTS, N_SEEDS, N_POINTS = 20, 10, 1000
N_SAMPLE = 100  # points bootstrapped the plain way
LIMITS = {"bootstrapped_CI": 8.0, "student_t": 4.0}  # seconds
NAME = "Ju1_ppo_cartpole_random_try"


def lay_tree(storage_dir: Path) -> None:
    from alfred.utils.recorder import Recorder

    rng = np.random.default_rng(0)
    (storage_dir / ".alfred").mkdir(parents=True)
    fields = {"alg_name": "ppo", "task_name": "cartpole"}
    metadata = {"id": "Ju1", "git_hashes": "", **fields, "desc": "random_try", "kind": "random"}
    (storage_dir / ".alfred" / "storage.json").write_text(json.dumps(metadata))
    (storage_dir / "RANDOM_SEARCH").touch()
    for experiment in range(1, N_EXPERIMENTS + 1):
        for seed in range(N_SEEDS):
            seed_dir = storage_dir / f"experiment{experiment}" / f"seed{seed}"
            (seed_dir / "recorders").mkdir(parents=True)
            unique = {**fields, "lr": 0.1 / experiment, "seed": seed}
            for name in ("config.json", "config_unique.json"):
                (seed_dir / name).write_text(json.dumps(unique))
            recorder = Recorder(["episode", "return", "eval_return"])
            for episode, value in enumerate(rng.normal(size=N_POINTS).cumsum().tolist()):
                recorder.write_to_tape({"episode": episode, "return": value, "eval_return": value})
            recorder.save(seed_dir / "recorders" / "train_recorder.pkl")
            (seed_dir / "COMPLETED").touch()


def seconds_of_command(folder: Path, method: str) -> float:
    """Of the processor, user and system, of the command in a process of its own."""
    words = ["--benchmark_type", "compare_searches", "--storage_names", NAME, "--y_error_bars", method]
    command = [sys.executable, "-m", "alfred", "benchmark", *words, "--re_run_if_exists", "true"]
    environment = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # most users' Python keeps what it has compiled
    before = os.times()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def seconds_of_plain_way() -> float:
    """One bootstrap call for each point of each experiment: what first comes to mind."""
    from alfred.utils.stats import get_95_confidence_interval

    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(N_SAMPLE):
        get_95_confidence_interval(rng.normal(size=N_SEEDS), "bootstrapped_CI")
    return (time.process_time() - start) * N_EXPERIMENTS * N_POINTS / N_SAMPLE


def main() -> int:
    slow = False
    with tempfile.TemporaryDirectory() as folder:
        lay_tree(Path(folder) / "storage" / NAME)
        for method, limit in LIMITS.items():
            taken = seconds_of_command(Path(folder), method)
            slow = slow or taken > limit
            print(f"compare_searches with {method}: {taken:.1f} s of processor time (limit {limit:g})")
    print(f"one bootstrap call for each point alone, told from {N_SAMPLE}: {seconds_of_plain_way():.0f} s")
    return int(slow)


if __name__ == "__main__":
    raise SystemExit(main())
