"""Cost of saving a recorder after every step, against whole files and bare appends."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from measuring import empty_folder, row

from alfred.utils import tape_file
from alfred.utils.recorder import Recorder, fold_files

HOW_TO_READ = """Microseconds per step of a run that records four numbers a step and saves after each.

    alfred  write_to_tape and save, all steps, and the fold at the end of the run
    whole   the whole tape written durably at every step, as small files are: measured at 20 lengths up to the
            number of steps and averaged
    bare    one append of 100 bytes for each step: open, fstat, write, fstat, close
    gain    whole / alfred
    ratio   alfred / bare, in this run
    folds   how often the whole tape was written once the file was large

Up to the size from which files grow (its number of steps is printed first) alfred does what `whole` does;
beyond it the cost per step does not grow. Bare appends wait for no disk, alfred's do once a second, and
small files every time.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__ + "\n\n" + HOW_TO_READ, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", default="1000,10000,100000", help="lengths of the run")
    parser.add_argument("--folder", default=None, help="where to work: another file system, say NFS")
    asked = parser.parse_args()
    print(f"files grow from {tape_file.SMALL} bytes on, which is reached after {steps_until_large()} steps")
    row(["steps", "alfred", "whole", "bare", "gain", "ratio", "folds"])
    for steps in map(int, asked.steps.split(",")):
        with empty_folder(asked.folder) as folder:
            alfred, folds = saved_by_alfred(folder / "alfred.pkl", steps)
            whole = saved_whole(folder / "whole.pkl", steps)
            bare = appended(folder / "bare", steps)
        row([steps, alfred, whole, bare, whole / alfred, alfred / bare, folds])


def step_of(number: int) -> dict[str, float | int]:
    return {"episode": number, "return": number / 7, "loss": 1 / (number + 1), "length": 200 + number % 50}


def recorded(steps: int) -> Recorder:
    recorder = Recorder(step_of(0))
    for number in range(steps):
        recorder.write_to_tape(step_of(number))
    return recorder


def steps_until_large() -> int:
    return 1000 * next(
        thousands
        for thousands in range(1, 1000)
        if len(tape_file._pickled(recorded(1000 * thousands)._tape)) >= tape_file.SMALL
    )


def saved_by_alfred(path: Path, steps: int) -> tuple[float, int]:
    """(microseconds per step, whole saves of the file once it was large)."""
    recorder, folds, inode = Recorder(step_of(0)), 0, 0
    spent = 0.0
    for number in range(steps):
        start = time.perf_counter()
        recorder.write_to_tape(step_of(number))
        recorder.save(path)
        spent += time.perf_counter() - start
        found = os.stat(path)
        folds += found.st_ino != inode and found.st_size >= tape_file.SMALL
        inode = found.st_ino
    start = time.perf_counter()
    fold_files()
    return 1e6 * (spent + time.perf_counter() - start) / steps, folds


def saved_whole(path: Path, steps: int) -> float:
    spent = 0.0
    for part in range(1, 21):
        recorder = recorded(steps * part // 20)
        start = time.perf_counter()
        tape_file._replace(path, recorder._tape, lambda: None)
        spent += time.perf_counter() - start
    return 1e6 * spent / 20


def appended(path: Path, steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.fstat(handle)
        os.write(handle, b"x" * 100)
        os.fstat(handle)
        os.close(handle)
    return 1e6 * (time.perf_counter() - start) / steps


if __name__ == "__main__":
    main()
