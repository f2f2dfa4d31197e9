"""Cost of exporting a search to each target, per run, and the memory it takes."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from pathlib import Path

from measuring import empty_folder, lay_bare, options, places, row

from alfred.analysis.settings import settings
from alfred.export import csv_file, mlflow, parquet, tensorboard
from alfred.export.base import Order
from alfred.utils.recorder import Recorder

HOW_TO_READ = """Each run has recorded 1000 steps of two metrics; each export is a process of its own.

    seconds   of processor time for the whole export, with rows that are steps where it is a table
    per run   milliseconds for each run
    growth    per run at this size / at the smallest: about 1 says that cost per run does not grow
    of csv    seconds / those of csv at this size
    memory    the most that the process held, in MB
"""
STEPS = 1000
TARGETS = {"csv": csv_file, "parquet": parquet, "tensorboard": tensorboard, "mlflow": mlflow}
# Fewer runs say nothing beside the seconds that MLflow takes to begin, more are not worth the wait.
SIZES = {"mlflow": range(10, 101)}


def main() -> None:
    asked = options(__doc__ + "\n\n" + HOW_TO_READ, sizes="100,1000")
    row(["target", "runs", "seconds", "per run", "growth", "of csv", "memory"])
    smallest: dict[str, float] = {}
    for size in asked.sizes:
        with empty_folder(asked.folder) as root:
            lay_recorded(root / "Ab1_x_a_t_grid", size)
            of_csv = 0.0
            for name in (name for name in TARGETS if size in SIZES.get(name, [size])):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    took, memory = pool.apply(measure, (name, root, size))
                per_run = 1000 * took / size
                first = smallest.setdefault(name, per_run)
                of_csv = of_csv or took
                row([name, size, took, per_run, per_run / first, took / of_csv, memory])


def lay_recorded(storage_dir: Path, size: int) -> None:
    lay_bare(storage_dir, size)
    for experiment, seed in places(size):
        seed_dir = storage_dir / f"experiment{experiment}" / f"seed{seed}"
        (seed_dir / "UNHATCHED").rename(seed_dir / "COMPLETED")
        recorder = Recorder(["episode", "eval_return"])
        recorder.tape = {"episode": list(range(STEPS)), "eval_return": [at / 3 + seed for at in range(STEPS)]}
        recorder.save(seed_dir / "recorders" / "train_recorder.pkl")


def measure(name: str, root: Path, size: int) -> tuple[float, float]:
    output = root / f"exported_{name}"
    place = f"sqlite:///{output}" if name == "mlflow" else str(output)
    order = Order(sorted(root.glob("Ab*")), settings(), "steps", place)
    start = time.process_time()
    outcome = TARGETS[name].export(order)
    took = time.process_time() - start
    assert outcome.runs == size, outcome
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took, peak / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
