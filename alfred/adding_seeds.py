"""More seeds for experiments that stand already, as a user asks for them: `alfred prepare --add_seeds`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from alfred import cli
from alfred.errors import UsageError
from alfred.search import wording

_MOST = 1_000_000


def add_options(options: argparse.ArgumentParser) -> None:
    """How many, and where."""
    group = options.add_argument_group("instead of a schedule")
    group.add_argument(
        "--add_seeds",
        type=cli.whole_number,
        metavar="INT",
        help="lay that many fresh seeds, the same for all, in the experiments of --storage_name; a search "
        "and its retrain never get the same ones",
    )
    group.add_argument("--storage_name", metavar="NAME", help="the storage directory that gets more seeds")
    group.add_argument(
        "--experiments", metavar="3,7|1-5", help="more seeds in these experiments only (default: all)"
    )


def check_number(option: str, how_many: int) -> None:
    """UsageError unless that many seeds can be laid."""
    if not 0 < how_many < _MOST:
        raise UsageError(f"{option} is {how_many}: give a whole number from 1 on")


def add_seeds(
    how_many: int | None,
    storage_name: str | None,
    experiments: str | None,
    root_dir: str | Path | None,
    ask_for_validation: bool,
    dry_run: bool,
) -> list[str]:
    """Lay fresh seeds in the experiments ("3,7"; None: all) of a storage directory; its name, or none after
    the answer n or a dry run.

    Raises AlfredError, before anything is made, for what can't be done as asked.
    """
    from alfred.project import set_up
    from alfred.storage import laying
    from alfred.storage.more_seeds import choose_experiments, lay_seeds, next_seeds
    from alfred.utils.directory_tree import get_root
    from alfred.utils.misc import select_storage_dirs

    if how_many is None or storage_name is None:
        raise UsageError("give both --add_seeds, how many, and --storage_name, where")
    check_number("--add_seeds", how_many)
    set_up()
    (storage_dir,) = select_storage_dirs(None, storage_name, Path.cwd() / get_root(root_dir))
    laying.recover(storage_dir.parent)
    chosen = choose_experiments(storage_dir, cli.numbers("--experiments", experiments))
    summary = _summary(storage_dir, chosen, next_seeds(storage_dir, chosen, how_many))
    if not cli.confirm(summary, ask_for_validation, dry_run=dry_run):
        return []
    seeds = lay_seeds(storage_dir.parent, storage_dir.name, chosen, how_many)
    print(f"Added the seeds {wording.joined(seeds)} to {storage_dir.name}")
    print(cli.next_launch(["--storage_name", storage_dir.name], root_dir))
    return [storage_dir.name]


def _summary(storage_dir: Path, experiments: Sequence[int], seeds: Sequence[int]) -> str:
    lines = {
        "added to": storage_dir.name,
        "experiments": wording.told(experiments),
        "seeds": wording.joined(seeds),
        "runs": f"{len(experiments)} x {len(seeds)} = {len(experiments) * len(seeds)}",
        "root": str(storage_dir.parent),
    }
    return wording.table(lines)
