"""Cost of laying a search, per seed directory, against the bare system calls."""

from __future__ import annotations

from pathlib import Path

from measuring import SEEDS_PER_EXPERIMENT, empty_folder, lay_bare, options, row, seconds

from alfred.files import flush_filesystem
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.utils.directory_tree import DirectoryTree

HOW_TO_READ = """Milliseconds per seed directory.

    alfred  what `alfred prepare` does to the disk: build all hidden, flush it, move it into its place
    bare    mkdir and three new files for each run, one rename of the whole, and the same flush
    ratio   alfred / bare: what alfred adds; its aim is to stay below 3
    growth  the ratio at this size / at the smallest: about 1 or less says that alfred's part does not grow; a
            disk takes longer over more files, which is in `bare` too (/dev/shm is no disk: --folder)
"""


def main() -> None:
    asked = options(__doc__ + "\n\n" + HOW_TO_READ)
    DirectoryTree.git_repos_to_track = {}
    row(["directories", "alfred", "bare", "ratio", "growth"])
    smallest = None
    for size in asked.sizes:
        alfred = min(1000 * measure(asked.folder, size, lay_with_alfred) / size for _ in range(asked.repeats))
        bare = min(1000 * measure(asked.folder, size, lay_by_hand) / size for _ in range(asked.repeats))
        smallest = smallest or alfred / bare
        row([size, alfred, bare, alfred / bare, alfred / bare / smallest])


def measure(parent, size, lay) -> float:
    with empty_folder(parent) as root:
        return seconds(lambda: lay(root, size))


def lay_with_alfred(root: Path, size: int) -> None:
    config = {"alg_name": "a", "task_name": "t", "desc": "grid_x"}
    config.update({f"parameter_{number}": number / 7 for number in range(20)})
    count = -(-size // SEEDS_PER_EXPERIMENT)
    seeds = tuple(range(min(size, SEEDS_PER_EXPERIMENT)))
    experiments = tuple(
        Experiment({**config, "parameter_0": number}, {"parameter_0": number}, seeds)
        for number in range(count)
    )
    lay_search(root, [Preparation("a", "t", "grid_x", "grid", experiments, variations={"parameter_0": [1]})])


def lay_by_hand(root: Path, size: int) -> None:
    lay_bare(root / "hidden", size)
    flush_filesystem(root)
    (root / "hidden").rename(root / "in_place")


if __name__ == "__main__":
    main()
