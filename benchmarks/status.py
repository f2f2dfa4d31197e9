"""Cost of counting the runs of a search by state, per seed directory, against listing each directory."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from measuring import empty_folder, lay_bare, options, places, row, seconds

from alfred.storage.flags import COMPLETED
from alfred.storage.owners import this_process
from alfred.storage.survey import count

HOW_TO_READ = """Milliseconds per seed directory; half of the runs wait, half have completed.

    alfred  what `alfred status` asks the disk: find every run and tell its state
    bare    os.listdir of every seed directory
    ratio   alfred / bare; the aim is to stay below 3
    growth  alfred at this size / alfred at the smallest: 1 or less says that cost per directory does not grow
"""


def main() -> None:
    asked = options(__doc__ + "\n\n" + HOW_TO_READ)
    row(["directories", "alfred", "bare", "ratio", "growth"])
    smallest = None
    for size in asked.sizes:
        with empty_folder(asked.folder) as root:
            names = lay_half_done(root / "Ab1_x", size)
            alfred = 1000 / size * min(seconds(partial(look, root, size)) for _ in range(asked.repeats))
            bare = 1000 / size * min(seconds(partial(list_all, names)) for _ in range(asked.repeats))
        smallest = smallest or alfred
        row([size, alfred, bare, alfred / bare, alfred / smallest])


def lay_half_done(storage_dir: Path, size: int) -> list[str]:
    lay_bare(storage_dir, size)
    names = [f"{storage_dir}/experiment{experiment}/seed{seed}" for experiment, seed in places(size)]
    for name in names[::2]:
        os.rename(f"{name}/UNHATCHED", f"{name}/{COMPLETED}")
    return names


def look(root: Path, size: int) -> None:
    found = count(root / "Ab1_x", this_process())
    assert found.total() == size, found


def list_all(names: list[str]) -> None:
    for name in names:
        os.listdir(name)


if __name__ == "__main__":
    main()
