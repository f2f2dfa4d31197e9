"""Cost of a crash report when a run has printed a lot: only the end of what it printed is read."""

from __future__ import annotations

import os
from pathlib import Path

from measuring import empty_folder, options, row, seconds

from alfred.launchers.crash_report import compose
from alfred.launchers.deaths import Death

HOW_TO_READ = """Milliseconds for the text of one report; `--sizes` are mebibytes of output.out.

    report  the report of a run that printed so much
    growth  this size / the smallest: near 1 says that the cost does not grow with what was printed
"""
_LINE = b"\r 10%|#         | 1/10" * 20 + b"\nstep 1000: loss 0.123\n" * 20


def main() -> None:
    asked = options(__doc__ + "\n\n" + HOW_TO_READ)
    row(["MiB", "report", "growth"])
    smallest = None
    for size in asked.sizes:
        with empty_folder(asked.folder) as seed_dir:
            fill(seed_dir / "output.out", size << 20)
            took = min(seconds(lambda: report(seed_dir)) for _ in range(asked.repeats)) * 1000
        smallest = smallest or took
        row([size, took, took / smallest])


def fill(path: Path, size: int) -> None:
    block = _LINE * (1 + (1 << 20) // len(_LINE))
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)
        os.fsync(file.fileno())


def report(seed_dir: Path) -> None:
    text = compose(seed_dir, Death("boom", "boom"), {}, None)
    assert "step 1000" in text


if __name__ == "__main__":
    main()
