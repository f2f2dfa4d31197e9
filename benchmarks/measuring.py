"""What the benchmarks of the storage share (no benchmark itself): options, folders, clocks, tables."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

SEEDS_PER_EXPERIMENT = 10


def options(description: str, sizes: str = "100,1000,10000") -> argparse.Namespace:
    """`--sizes`, `--repeats` and `--folder`, understood."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default=sizes, help="numbers of seed directories")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest of so many is printed")
    parser.add_argument("--folder", default=None, help="where to work: another file system, say NFS")
    asked = parser.parse_args()
    asked.sizes = [int(size) for size in asked.sizes.split(",")]
    return asked


@contextlib.contextmanager
def empty_folder(parent: str | None) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="alfred-benchmark-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def places(size: int) -> Iterator[tuple[int, int]]:
    """(experiment, seed) of `size` runs."""
    for number in range(size):
        yield number // SEEDS_PER_EXPERIMENT + 1, number % SEEDS_PER_EXPERIMENT


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes, what was written before being on disk already."""
    os.sync()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def row(cells: Sequence[object]) -> None:
    """Print one line of a table."""
    print(
        "  ".join(f"{cell:>12.4f}" if isinstance(cell, float) else f"{cell:>12}" for cell in cells),
        flush=True,
    )


def lay_bare(storage_dir: Path, size: int) -> None:
    """The tree of a search of `size` runs by system calls alone: one mkdir and three new files a run."""
    config, unique = b'{"alg_name": "a", "task_name": "t"}' * 20, b'{"seed": 1}'
    storage_dir.mkdir(parents=True)
    for experiment, seed in places(size):
        folder = f"{storage_dir}/experiment{experiment}"
        if seed == 0:
            os.mkdir(folder)
        os.mkdir(f"{folder}/seed{seed}")
        for name, data in (("config.json", config), ("config_unique.json", unique), ("UNHATCHED", b"")):
            handle = os.open(f"{folder}/seed{seed}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            os.write(handle, data)
            os.close(handle)
