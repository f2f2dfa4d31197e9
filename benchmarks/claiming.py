"""Cost of claiming a run, at more and more runs, by one process and by two that share them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from measuring import empty_folder, lay_bare, options, places, row

from alfred.launchers.base import LaunchPlan
from alfred.launchers.queue import Queue
from alfred.storage.flags import COMPLETED
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process

HOW_TO_READ = """Milliseconds per claim; every claimed run is left running.

    alfred  the queue of a launcher: a listing of all runs, then a rename for each and a look beside it
    bare    a rename of UNHATCHED for each run
    ratio   alfred / bare
    growth  alfred at this size / alfred at the smallest: 1 or less says that cost per run does not grow
    two     two processes share the runs: from the start of both to the end of both, per run
The aim is 0.1 ms for a claim. The runs claimed are counted: each once, or the program stops with an error.
"""


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--share":
        share(Path(sys.argv[2]))
        return
    asked = options(__doc__ + "\n\n" + HOW_TO_READ)
    row(["directories", "alfred", "bare", "ratio", "growth", "two"])
    smallest = None
    for size in asked.sizes:
        alfred = min(alone(asked.folder, size) for _ in range(asked.repeats))
        bare = min(by_hand(asked.folder, size) for _ in range(asked.repeats))
        two = min(by_two(asked.folder, size) for _ in range(asked.repeats))
        smallest = smallest or alfred
        row([size, alfred, bare, alfred / bare, alfred / smallest, two])


def claim_all(storage_dir: Path) -> int:
    leases = Leases(this_process())
    plan = LaunchPlan(project=storage_dir, root=storage_dir.parent, storage_dirs=(storage_dir,))
    queue = Queue(plan, leases, pass_over=sys.exit)
    claimed = 0
    while queue.claim() is not None:
        claimed += 1
    leases.close()
    return claimed


def alone(parent: str | None, size: int) -> float:
    with empty_folder(parent) as root:
        lay_bare(root / "Ab1_x", size)
        start = time.perf_counter()
        claimed = claim_all(root / "Ab1_x")
        took = time.perf_counter() - start
    assert claimed == size, f"{claimed} of {size} were claimed"
    return 1000 * took / size


def by_hand(parent: str | None, size: int) -> float:
    with empty_folder(parent) as root:
        lay_bare(root / "Ab1_x", size)
        names = [f"{root}/Ab1_x/experiment{experiment}/seed{seed}/" for experiment, seed in places(size)]
        start = time.perf_counter()
        for name in names:
            os.rename(name + "UNHATCHED", name + COMPLETED)
        return 1000 * (time.perf_counter() - start) / size


def by_two(parent: str | None, size: int) -> float:
    with empty_folder(parent) as root:
        lay_bare(root / "Ab1_x", size)
        command = [sys.executable, __file__, "--share", str(root / "Ab1_x")]
        both = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(2)]
        for process in both:
            process.stdout.readline()  # it is ready
        start = time.perf_counter()
        for process in both:
            process.stdin.write("go\n")
            process.stdin.flush()
        counts = [int(process.stdout.readline()) for process in both]
        took = time.perf_counter() - start
        for process in both:
            process.communicate()
    assert sum(counts) == size, f"{counts} of {size} were claimed"
    return 1000 * took / size


def share(storage_dir: Path) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    print(claim_all(storage_dir), flush=True)


if __name__ == "__main__":
    main()
