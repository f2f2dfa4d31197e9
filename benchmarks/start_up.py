"""Processor time of `--help` of every command, beside a Python that does nothing."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import alfred
from alfred.umbrella import COMMANDS

TIMES = 5
AIM = 100  # milliseconds


def main() -> None:
    print(f"Milliseconds of processor time, the least of {TIMES}; the aim is under {AIM} for each.\n")
    show("python -c pass", ["-c", "pass"])
    show("alfred --help", ["-m", "alfred", "--help"])
    for name, command in COMMANDS.items():
        try:
            show(f"alfred {name} --help", ["-m", "alfred", name, "--help"])
        except subprocess.CalledProcessError:
            print(f"{command.module:36} can't be measured: it does not start")


def show(title: str, words: list[str]) -> None:
    took = min(milliseconds(words) for _ in range(TIMES))
    print(f"{title:36}{took:6.0f}{'  too slow' if took > AIM else ''}", flush=True)


def milliseconds(words: list[str]) -> float:
    """Processor time of one call."""
    environment = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    main()
