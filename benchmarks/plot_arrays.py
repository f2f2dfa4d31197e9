"""How long the plot array of 200 runs x 200 points takes, beside one pair of axes for each run.

Call it as `python benchmarks/plot_arrays.py`; seconds are of the processor, reading included. The plain way
is timed on a sample of the runs and told for all of them.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from pathlib import Path

import numpy as np

N_EXPERIMENTS, N_SEEDS, N_POINTS = 20, 10, 200
N_SAMPLE = 40  # runs drawn the plain way
LIMIT = 12.0  # seconds


def lay_tree(storage_dir: Path) -> None:
    from alfred.utils.recorder import Recorder

    rng = np.random.default_rng(0)
    alfred_dir = storage_dir / ".alfred"
    alfred_dir.mkdir(parents=True)
    fields = {"alg_name": "ppo", "task_name": "cartpole"}
    metadata = {"id": "Ju1", "git_hashes": "", **fields, "desc": "random_try", "kind": "random"}
    (alfred_dir / "storage.json").write_text(json.dumps(metadata))
    (storage_dir / "RANDOM_SEARCH").touch()
    for experiment in range(1, N_EXPERIMENTS + 1):
        for seed in range(N_SEEDS):
            seed_dir = storage_dir / f"experiment{experiment}" / f"seed{seed}"
            (seed_dir / "recorders").mkdir(parents=True)
            unique = {**fields, "lr": 0.1 / experiment, "width": 8 * experiment, "seed": seed}
            for name in ("config.json", "config_unique.json"):
                (seed_dir / name).write_text(json.dumps(unique))
            recorder = Recorder(["episode", "eval_return"])
            for episode, value in enumerate(rng.normal(size=N_POINTS).cumsum().tolist()):
                recorder.write_to_tape({"episode": episode, "eval_return": value})
            recorder.save(seed_dir / "recorders" / "train_recorder.pkl")
            (seed_dir / "COMPLETED").touch()


def alfreds_way(storage_dir: Path) -> float:
    from alfred.figures.array_plan import Definition
    from alfred.figures.plot_arrays import plot_storage_dir

    start = time.process_time()
    plot_storage_dir(storage_dir, [Definition("episode", "eval_return")])
    return time.process_time() - start


def plain_way(storage_dir: Path, n_runs: int) -> float:
    """One pair of axes, two titles and one tight layout: what first comes to mind."""
    from alfred.analysis.gather import gather, series
    from alfred.utils.plots import create_fig, plot_curves

    start = time.process_time()
    runs = gather(storage_dir).runs[:n_runs]
    figure, axes = create_fig((n_runs // N_SEEDS, N_SEEDS))
    for ax, run in zip(np.ravel(axes), runs, strict=True):
        pairs = series(run, "episode", "eval_return")
        assert pairs is not None
        plot_curves(ax, [pairs.y], [pairs.x], xlabel="episode", ylabel="eval_return", title=str(run.unique))
    for suffix in ("png", "pdf"):
        figure.savefig(io.BytesIO(), format=suffix)
    return time.process_time() - start


def main() -> int:
    n_runs = N_EXPERIMENTS * N_SEEDS
    with tempfile.TemporaryDirectory() as folder:
        storage_dir = Path(folder) / "Ju1_ppo_cartpole_random_try"
        lay_tree(storage_dir)
        mine = alfreds_way(storage_dir)
        plain = plain_way(storage_dir, N_SAMPLE) * n_runs / N_SAMPLE
    print(
        f"plot array of {n_runs} runs x {N_POINTS} points: {mine:.1f} s of processor time (limit {LIMIT:g})"
    )
    print(f"one pair of axes per run, told from {N_SAMPLE}: {plain:.1f} s, {plain / mine:.0f} times that")
    return int(mine > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
