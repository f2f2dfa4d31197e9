"""Lay the directories of a search: `alfred prepare`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alfred import adding_seeds, cli
from alfred.errors import ScheduleError, StorageError, UsageError, did_you_mean
from alfred.search import wording

if TYPE_CHECKING:
    from alfred.search.schedule import Schedule
    from alfred.storage.creation import Preparation


@dataclass(frozen=True)
class Target:
    """Where a search goes: new storage directories, or one that is there."""

    root: Path
    desc: str  # with the kind of search: grid_abc
    pairs: tuple[tuple[str, str], ...]  # (algorithm, task)
    storage_name: str | None = None


def prepare_schedule(
    schedule_file: str | Path | None = None,
    desc: str | None = None,
    add_to_folder: str | None = None,
    resample: bool = True,
    sampling_seed: int | None = None,
    root_dir: str | Path | None = None,
    ask_for_validation: bool = True,
    dry_run: bool = False,
    *,
    add_seeds: int | None = None,
    storage_name: str | None = None,
    experiments: str | None = None,
) -> list[str]:
    """Lay the search of a schedule file, called from the folder of the client project.

    One storage directory is made for each algorithm and task of a new search, called `desc`;
    `add_to_folder` names an existing one that gets more experiments instead. A random search draws anew
    for each algorithm and task with `resample`, always the same for the same `sampling_seed`.
    Without a schedule file, `add_seeds` fresh seeds are laid in the experiments ("3,7"; None: all) of the
    storage directory `storage_name`.
    Returns the names of the storage directories laid or added to: none after the answer n or a dry run.
    Raises AlfredError, before anything is made, when the project, the schedule or the root can't be used.
    """
    from alfred.project import load_project
    from alfred.search.plan import plan_search
    from alfred.search.schedule import load_schedule
    from alfred.storage import laying
    from alfred.utils.directory_tree import get_root

    if add_seeds is not None or storage_name is not None or experiments is not None:
        _check_seeds_alone(schedule_file, desc, add_to_folder, sampling_seed)
        return adding_seeds.add_seeds(
            add_seeds, storage_name, experiments, root_dir, ask_for_validation, dry_run
        )
    _check_request(desc, add_to_folder, sampling_seed)
    if schedule_file is None:
        raise UsageError("give --schedule_file: the schedule whose search is to be laid")
    schedule = load_schedule(schedule_file, load_project())
    root = Path.cwd() / get_root(root_dir)
    _check_writable(schedule, root, takes_list=add_to_folder is None)
    laying.recover(root)
    target = _find_target(schedule, desc, add_to_folder, root)
    sampling_seed = _sampling_seed(schedule, sampling_seed)
    plans = plan_search(schedule, target.pairs, target.desc, sampling_seed=sampling_seed, resample=resample)
    if not cli.confirm(_summary(schedule, target, plans), ask_for_validation, dry_run=dry_run):
        return []
    names = _lay(schedule, target, plans)
    listed = ["--from_file", os.path.relpath(schedule.list_file)]
    print(cli.next_launch(listed if add_to_folder is None else ["--storage_name", *names], root_dir))
    return names


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "prepare",
        "Lay the directories of a hyper-parameter search: one storage directory for each algorithm and task, "
        "one experiment directory for each configuration, one seed directory for each run. "
        "Nothing is run yet: `alfred launch` does that.",
        "examples, in the folder that holds main.py:\n"
        "  alfred prepare --schedule_file schedules/lr/grid_schedule_lr.py --desc try\n"
        "  alfred prepare --schedule_file schedules/lr/grid_schedule_lr.py --add_to_folder Ju1_a_t_grid_try\n"
        "  alfred prepare --add_seeds 5 --storage_name Ju1_a_t_grid_try --experiments 3,7",
    )
    options.add_argument(
        "--schedule_file",
        metavar="FILE",
        help="the schedule, schedules/<name>/grid_schedule_<name>.py or random_schedule_<name>.py: "
        "the file's name tells the kind of search",
    )
    place = options.add_mutually_exclusive_group()
    place.add_argument("--desc", metavar="TEXT", help="a new search, called grid_TEXT or random_TEXT")
    place.add_argument(
        "--add_to_folder",
        metavar="STORAGE_NAME",
        help="more experiments in this storage directory, numbered on; only its algorithm and task are laid",
    )
    cli.add_boolean(
        options,
        "--resample",
        default=True,
        help="random search: draw anew for each algorithm and task; false: the same draws for all",
    )
    options.add_argument(
        "--sampling_seed",
        type=cli.whole_number,
        metavar="INT",
        help="random search: draw as a search with this seed did (default: a new one, shown and recorded)",
    )
    adding_seeds.add_options(options)
    cli.add_root_dir(options)
    cli.add_confirmation(options)
    cli.add_boolean(options, "--dry_run", default=False, help="show what would be laid and make nothing")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    prepare_schedule(**vars(options))
    return cli.DONE


def _check_request(desc: str | None, add_to_folder: str | None, sampling_seed: int | None) -> None:
    if (desc is None) == (add_to_folder is None):
        raise UsageError(
            "give --desc for a new search or --add_to_folder for an existing one, one of the two"
        )
    if desc is not None and not desc:
        raise UsageError("--desc is empty: say in a word what the search is about")
    if sampling_seed is not None and sampling_seed < 0:
        raise UsageError(f"--sampling_seed is {sampling_seed}: give a whole number from 0 on")


def _check_seeds_alone(
    schedule_file: str | Path | None, desc: str | None, add_to_folder: str | None, sampling_seed: int | None
) -> None:
    given = {
        "--schedule_file": schedule_file,
        "--desc": desc,
        "--add_to_folder": add_to_folder,
        "--sampling_seed": sampling_seed,
    }
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"--add_seeds, --storage_name and --experiments are about experiments that stand already: "
                f"leave out {name}, or leave these out"
            )


def _find_target(schedule: Schedule, desc: str | None, add_to_folder: str | None, root: Path) -> Target:
    from alfred.utils.directory_tree import DirectoryTree
    from alfred.utils.storage_names import make_storage_name, next_id

    if add_to_folder is None:
        pairs = tuple((alg, task) for alg in schedule.alg_names for task in schedule.task_names)
        for pair in pairs:  # a name that can't be must be told before an id is taken
            make_storage_name(next_id(root), DirectoryTree.get_git_hashes(), *pair, f"{schedule.kind}_{desc}")
        return Target(root, f"{schedule.kind}_{desc}", pairs)
    return _existing_target(schedule, root, add_to_folder)


def _existing_target(schedule: Schedule, root: Path, storage_name: str) -> Target:
    from alfred.storage.metadata import read_metadata
    from alfred.utils.misc import select_storage_dirs

    (storage_dir,) = select_storage_dirs(None, storage_name, root)
    known = read_metadata(storage_dir)
    if known.kind and known.kind != schedule.kind:
        raise StorageError(
            f"{storage_dir} holds a {known.kind} search, {schedule.path.name} is a {schedule.kind} search: "
            "lay it with --desc as a search of its own"
        )
    for what, name, names in (
        ("algorithm", known.alg_name, schedule.alg_names),
        ("task", known.task_name, schedule.task_names),
    ):
        if name not in names:
            raise ScheduleError(
                f"{storage_dir} is about the {what} {name!r}, which is not in {schedule.path}: "
                + did_you_mean(name, names)
            )
    return Target(root, known.desc, ((known.alg_name, known.task_name),), storage_dir.name)


def _check_writable(schedule: Schedule, root: Path, *, takes_list: bool) -> None:
    """Asked before anything is made, so that nobody confirms what can't be done."""
    folder = root
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent  # a root that is missing will be made
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(
            f"the root directory {root} can't be written ({_why_not(folder)}): "
            "give another --root_dir or change its permissions"
        )
    if takes_list and os.path.lexists(schedule.list_file) and not schedule.list_file.is_file():
        raise StorageError(f"{schedule.list_file} is no file: remove it, the names are to be listed there")
    lists = schedule.list_file if schedule.list_file.exists() else schedule.path.parent
    if takes_list and not os.access(lists, os.W_OK):
        raise StorageError(f"{schedule.list_file} can't be written: change the permissions of {lists}")


def _why_not(folder: Path) -> str:
    return f"{folder} is no directory" if not folder.is_dir() else f"no right to write in {folder}"


def _sampling_seed(schedule: Schedule, given: int | None) -> int | None:
    from alfred.search.random import new_sampling_seed

    if schedule.kind == "random":
        return new_sampling_seed() if given is None else given
    if given is not None:
        raise UsageError(
            f"--sampling_seed is for random searches, {schedule.path.name} is a grid: leave it out"
        )
    return None


def _summary(schedule: Schedule, target: Target, plans: Sequence[Preparation]) -> str:
    from alfred.search.plan import varied_values

    n_experiments = len(plans[0].experiments)
    n_runs = len(plans) * n_experiments * len(schedule.seeds)
    lines = {
        "search": f"{schedule.kind}, from {os.path.relpath(schedule.path)}",
        "algorithms": wording.joined(dict.fromkeys(plan.alg_name for plan in plans)),
        "tasks": wording.joined(dict.fromkeys(plan.task_name for plan in plans)),
        "experiments": f"{n_experiments} for each algorithm and task",
        "seeds": wording.joined(schedule.seeds),
        "runs": f"{len(plans)} x {n_experiments} x {len(schedule.seeds)} = {n_runs}",
        "desc": target.desc,
        "root": f"{target.root}{'' if target.root.exists() else ' (will be made)'}",
    }
    if target.storage_name is not None:
        lines["added to"] = target.storage_name
    if plans[0].sampling_seed is not None:
        lines["sampling seed"] = str(plans[0].sampling_seed)
    varied = {f"  {name}": wording.told(values) for name, values in varied_values(plans).items()}
    lines |= varied or {"varied": "nothing: every run has the defaults of get_run_args"}
    return wording.table(lines)


def _lay(schedule: Schedule, target: Target, plans: Sequence[Preparation]) -> list[str]:
    from alfred.storage.creation import lay_more, lay_search

    plans = [_with_picture(plan, schedule) for plan in plans]
    if target.storage_name is None:
        names = lay_search(target.root, plans, schedule.list_file)
        print("Made in " + str(target.root) + ":", *(f"  {name}" for name in names), sep="\n")
        return names
    first, last = lay_more(target.root, target.storage_name, plans[0])
    print(f"Added experiment{first} to experiment{last} to {target.storage_name}")
    return [target.storage_name]


def _with_picture(plan: Preparation, schedule: Schedule) -> Preparation:
    """A random search keeps a picture of what was drawn, which draws matplotlib in: last of all."""
    from dataclasses import replace

    if schedule.kind != "random":
        return plan
    from alfred.figures.sampled_hyperparams import sampled_hyperparams_png
    from alfred.search.plan import varied_values

    return replace(plan, picture=sampled_hyperparams_png(varied_values([plan])))


if __name__ == "__main__":
    sys.exit(main())
