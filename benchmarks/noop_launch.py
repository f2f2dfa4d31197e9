"""Cost of a run that does nothing, launched in every way there is, beside a bare fork and wait."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import alfred

HOW_TO_READ = """One whole launch for each line, in milliseconds per run. What a launch of nothing takes (it
imports main.py, starts a fork server and so on) is measured as well and taken off.

    processor  time of all processes together: launcher, fork server, runs
    wall       time from the start to the end of the launch
    x fork     processor time / that of os.fork() and wait in a process as small, measured in the same minute

The aim is a run under 20 ms of processor time with the fork server. `spawn` does ten runs only.
"""

MAIN = """\
from argparse import Namespace
def get_run_args(_): return Namespace(alg_name="a", task_name="t", desc="", seed=0)
def main(config, dir_tree, logger, pbar): pass
"""
WAYS = {
    "in process": ["--in_process"],
    "fork": ["--start_method", "fork"],
    "fork server": [],
    "fork server, 2 processes": ["--n_processes", "2"],
    "spawn": ["--start_method", "spawn", "--n_experiments_per_proc", "10"],
}


@dataclass(frozen=True)
class Cost:
    """Seconds of a launch."""

    processor: float
    wall: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{HOW_TO_READ}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="100,1000", help="numbers of runs (10000 takes some minutes)")
    parser.add_argument("--repeats", type=int, default=3, help="the cheapest of so many is printed")
    parser.add_argument("--folder", help="where to work: another file system, say")
    asked = parser.parse_args()
    print(f"{'runs':>6}  {'':26}{'processor':>10}{'wall':>10}{'x fork':>10}")
    for size in map(int, asked.sizes.split(",")):
        fork = cheapest(bare_fork() for _ in range(asked.repeats))
        print(
            f"{size:6}  {'os.fork and wait':26}{1000 * fork.processor:10.2f}{1000 * fork.wall:10.2f}{1:10.1f}"
        )
        for way, words in WAYS.items():
            runs = min(size, 10) if way == "spawn" else size
            nothing = cheapest(launch(asked.folder, 0, words) for _ in range(asked.repeats))
            everything = cheapest(launch(asked.folder, size, words, runs) for _ in range(asked.repeats))
            processor = (everything.processor - nothing.processor) / runs
            wall = (everything.wall - nothing.wall) / runs
            ratio = processor / fork.processor
            print(f"{size:6}  {way:26}{1000 * processor:10.2f}{1000 * wall:10.2f}{ratio:10.1f}", flush=True)


def cheapest(costs: Iterable[Cost]) -> Cost:
    """The one that was disturbed least."""
    return min(costs, key=lambda cost: cost.processor)


def launch(parent: str | None, size: int, words: list[str], expected: int = 0) -> Cost:
    """What `alfred launch` takes for `size` directories, of which it does `expected`; one more is done."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        (folder / "main.py").write_text(MAIN)
        storage_dir = folder / "storage" / "Ab1_a_t_grid_x"
        storage_dir.mkdir(parents=True)
        last = size // 10 + 1
        for number in range(size):
            lay(storage_dir, number)
        lay(storage_dir, 10 * last - 1, "COMPLETED")  # a launch of nothing has something to look at
        lay(storage_dir, 10 * last)  # stays waiting, so that nothing is plotted
        command = [sys.executable, "-m", "alfred.launch_schedule", "--storage_name", storage_dir.name]
        command += [*words, "--experiments", f"1-{last}"]
        path = {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **path}, stdout=subprocess.PIPE, text=True, check=True
        )
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if f"{expected + 1} done" not in done.stdout.splitlines()[-1]:
            sys.exit(f"{expected} runs should be done: {done.stdout.splitlines()[-1]}")
        return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def lay(storage_dir: Path, number: int, flag: str = "UNHATCHED") -> None:
    """A run in that state."""
    seed_dir = storage_dir / f"experiment{number // 10 + 1}" / f"seed{number % 10}"
    seed_dir.mkdir(parents=True)
    (seed_dir / "config.json").write_text(f'{{"alg_name": "a", "task_name": "t", "seed": {number % 10}}}')
    (seed_dir / flag).touch()


def bare_fork(times: int = 200) -> Cost:
    """One os.fork() and wait for a child that does nothing; this process has alfred's size about."""
    began, before = time.perf_counter(), os.times()
    for _ in range(times):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    wall, after = time.perf_counter() - began, os.times()
    return Cost((sum(after[:4]) - sum(before[:4])) / times, wall / times)


if __name__ == "__main__":
    main()
