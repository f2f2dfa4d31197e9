"""Overhead of many short runs on two cores: launched here, on SLURM, with Ray, and as one job for each."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import alfred

HOW_TO_READ = """Runs that do nothing but sleep, two at a time, from the call of the command until everything
has ended; beside it the ratio to the ideal, which is the time they sleep divided by two.

    local           alfred launch --n_processes 2
    slurm           --launcher slurm: one job of two cores on a node of two
    a job each      sbatch for each run, which sleeps and does nothing else: no alfred, the least it can cost
    ray             --launcher ray: two launchers on a Ray that is started for it and ended afterwards

SLURM is the one of the tests (tests/launchers/slurm_cluster.py), on this machine, and needs root. The aims:
local less than 5 % over the ideal, and less than a job each.
"""
CORES = 2
MAIN = """\
import time
from argparse import Namespace
def get_run_args(_): return Namespace(alg_name="a", task_name="t", desc="", seed=0)
def main(config, dir_tree, logger, pbar): time.sleep({seconds})
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{HOW_TO_READ}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each sleeps")
    parser.add_argument("--ways", default=",".join(WAYS), help="some of them")
    asked = parser.parse_args()
    ideal = asked.runs * asked.seconds / CORES
    print(f"{'':16}{'seconds':>10}{'/ ideal':>10}")
    print(f"{'ideal':16}{ideal:10.1f}{1:10.3f}", flush=True)
    for way in asked.ways.split(","):
        took = WAYS[way](asked.runs, asked.seconds)
        print(f"{way:16}{took:10.1f}{took / ideal:10.3f}", flush=True)


def local(runs: int, seconds: float) -> float:
    return launch(runs, seconds, ["--n_processes", str(CORES)])


def slurm(runs: int, seconds: float) -> float:
    words = ["--launcher", "slurm", "--wait", "--n_jobs", "1", "--n_processes", str(CORES)]
    with Slurm() as environ:
        return launch(runs, seconds, words, environ)


def a_job_each(runs: int, seconds: float) -> float:
    sbatch = ["sbatch", "--output=/dev/null", "--nodelist=n1", f"--wrap=sleep {seconds}"]
    with Slurm() as environ:
        began = time.perf_counter()
        for _ in range(runs):
            subprocess.run(sbatch, env=environ, stdout=subprocess.DEVNULL, check=True)
        while subprocess.run(["squeue", "--noheader"], env=environ, stdout=subprocess.PIPE).stdout:
            time.sleep(0.2)
        return time.perf_counter() - began


def ray(runs: int, seconds: float) -> float:
    return launch(runs, seconds, ["--launcher", "ray", "--n_jobs", str(CORES)])


WAYS: dict[str, Callable[[int, float], float]] = {
    "local": local,
    "slurm": slurm,
    "a job each": a_job_each,
    "ray": ray,
}


class Slurm:
    """The cluster of the tests; entered, it gives the environment in which its programs find it."""

    def __enter__(self) -> dict[str, str]:
        file = Path(__file__).resolve().parents[1] / "tests" / "launchers" / "slurm_cluster.py"
        spec = importlib.util.spec_from_file_location("slurm_cluster", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._cluster = module.Cluster(Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp")))
        return dict(self._cluster.start().environ)

    def __exit__(self, *_: object) -> None:
        self._cluster.stop()
        shutil.rmtree(self._cluster.folder, ignore_errors=True)


def launch(runs: int, seconds: float, words: list[str], environ: dict[str, str] | None = None) -> float:
    """Seconds of one `alfred launch` that does so many runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "main.py").write_text(MAIN.format(seconds=seconds))
        storage_dir = folder / "storage" / "Ab1_a_t_grid_x"
        for number in range(runs):
            lay(storage_dir / f"experiment{number + 1}" / "seed1")
        for chore in ("plots", "summary"):  # made already
            (storage_dir / ".alfred" / chore).mkdir(parents=True)
            (storage_dir / ".alfred" / chore / "DONE").touch()
        command = [sys.executable, "-m", "alfred.launch_schedule", "--storage_name", storage_dir.name, *words]
        environ = {**(environ or os.environ), "PYTHONPATH": str(Path(alfred.__file__).parents[1])}
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, check=True)
        took = time.perf_counter() - began
        if len(list(storage_dir.glob("*/*/COMPLETED"))) != runs:
            sys.exit("not all runs were done")
        return took


def lay(seed_dir: Path) -> None:
    """A run that waits."""
    seed_dir.mkdir(parents=True)
    (seed_dir / "config.json").write_text('{"alg_name": "a", "task_name": "t", "seed": 1}')
    (seed_dir / "UNHATCHED").touch()


if __name__ == "__main__":
    main()
