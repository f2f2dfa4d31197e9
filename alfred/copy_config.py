"""Prepare the runs of a search again, with parameters changed: the door `alfred copy`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alfred import cli
from alfred.errors import NothingToDoError, StorageError, UsageError
from alfred.search import wording

if TYPE_CHECKING:
    from alfred.search.copies import PlannedCopy, Request
    from alfred.storage.copies import Copy


@dataclass(frozen=True)
class CopyReport:
    """The names of the copies `made` and of the storage directories `passed_over`, which are not there."""

    made: tuple[str, ...]
    passed_over: tuple[str, ...]


def copy_config(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    *,
    new_desc: str | None = None,
    append_new_desc: bool = True,
    additional_param: Sequence[str] = (),
    allow_new_params: bool = False,
    root_dir: str | Path | None = None,
    ask_for_validation: bool = True,
    dry_run: bool = False,
) -> CopyReport:
    """Lay, for each storage directory of a list file or for one, another with the same experiments and
    seeds, every run waiting, under an id of its own and with the present hashes.

    `additional_param` are changes of parameters, "lr=0.1,float", in every run; `new_desc` is appended to
    the description or, without `append_new_desc`, takes its place. All copies are laid or none; their names
    are appended to the list file. Nothing is made after the answer n or in a dry run.

    Raises:
        UsageError, StorageError: before anything is made, for what can't be done as asked.
        NothingToDoError: every storage directory was passed over.
    """
    from alfred.search.changes import parse_changes
    from alfred.search.copies import Request, plan_copy
    from alfred.storage import laying
    from alfred.storage.copies import lay_copies
    from alfred.utils.directory_tree import get_root
    from alfred.utils.misc import select_storage_dirs

    _check_desc(new_desc, append_new_desc)
    request = Request(parse_changes(additional_param), new_desc, append_new_desc, allow_new_params)
    _load_project()
    root = Path.cwd() / get_root(root_dir)
    there, missing = cli.existing(select_storage_dirs(from_file, storage_name, root))
    if not there:
        raise NothingToDoError(f"{from_file} lists no storage directory: there is nothing to copy")
    passed_over = tuple(missing)
    list_file = None if from_file is None else Path.cwd() / from_file
    if list_file is not None and not os.access(list_file, os.W_OK):
        raise StorageError(f"{list_file} can't be written, where the copies are to be listed: permit it")
    laying.recover(root)
    plans = [plan_copy(source, request) for source in there]
    _check_storage_names(root, plans)
    if not cli.confirm(_summary(root, plans, request), ask_for_validation, dry_run=dry_run):
        return CopyReport((), passed_over)
    names = lay_copies(root, [_with_pictures(plan) for plan in plans], list_file)
    for name, plan in zip(names, plans, strict=True):
        print(f"Made {name}: a copy of {plan.copy.about.origin}, {_runs(plan.copy)}")
    print(_next_step(names, list_file, root_dir))
    return CopyReport(tuple(names), passed_over)


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "copy",
        "Prepare the runs of a search again, with parameters changed: a new storage directory with the same "
        "experiments and seeds, all of them waiting, under the present commit. Only configurations are "
        "copied, whatever state the runs are in; the source stays as it is. Nothing is run yet: "
        "`alfred launch` does that.",
        "examples, in the folder that holds main.py:\n"
        "  alfred copy --storage_name Ju1_f7b375e_sgd_digits_grid_try --new_desc long "
        "--additional_param n_epochs=100,int\n"
        "  alfred copy --from_file schedules/lr/list_searches_lr.txt --new_desc no_clip \\\n"
        "      --additional_param clip=None,float --additional_param use_bias=false,bool",
    )
    cli.add_storage_selection(options)
    options.add_argument("--new_desc", metavar="TEXT", help="what tells the copy from its source, in a word")
    cli.add_boolean(
        options,
        "--append_new_desc",
        default=True,
        help="put --new_desc behind the source's description; false: in its place",
    )
    options.add_argument(
        "--additional_param",
        action="append",
        default=[],
        metavar="NAME=VALUE,TYPE",
        help="change a parameter in every run, as in lr=0.1,float; the types are float, int, str and bool, "
        "and the value None is None; may be given several times (default: none)",
    )
    cli.add_boolean(
        options,
        "--allow_new_params",
        default=False,
        help="take parameters that the configurations do not have yet, too",
    )
    cli.add_root_dir(options)
    cli.add_confirmation(options)
    cli.add_boolean(options, "--dry_run", default=False, help="show what would be laid and make nothing")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = copy_config(**vars(options))
    return cli.NOT_ALL_DONE if report.passed_over else cli.DONE


def _check_desc(new_desc: str | None, append: bool) -> None:
    if new_desc is None and not append:
        raise UsageError("--append_new_desc false puts --new_desc in the place of the description: give both")
    if new_desc is not None and not new_desc:
        raise UsageError("--new_desc is empty: say in a word what the copy is about")


def _load_project() -> None:
    """The present hashes are those of the repositories that set_up_alfred() tracks, so it has to work."""
    from alfred.project import load_project

    if Path("main.py").is_file():
        load_project()


def _check_storage_names(root: Path, plans: Sequence[PlannedCopy]) -> None:
    """A name that can't be must be told before anybody is asked and an id is taken."""
    from alfred.utils.directory_tree import DirectoryTree
    from alfred.utils.storage_names import make_storage_name, next_id

    for plan in plans:
        about = plan.copy.about
        names = (about.alg_name, about.task_name, about.desc)
        make_storage_name(next_id(root), DirectoryTree.get_git_hashes(), *names)


def _summary(root: Path, plans: Sequence[PlannedCopy], request: Request) -> str:
    tables = [_summary_of(plan, request.changes) for plan in plans]
    return "\n\n".join([*tables, f"root  {root}"])


def _summary_of(plan: PlannedCopy, changes: Mapping[str, Any]) -> str:
    about = plan.copy.about
    lines = {
        "copy of": about.origin,
        "algorithm": about.alg_name,
        "task": about.task_name,
        "desc": about.desc,
        "runs": _runs(plan.copy),
    }
    lines |= {f"  {name}": f"{was} -> {changes[name]!r}" for name, was in plan.was.items()}
    return "\n".join([wording.table(lines), *(f"notice: {note}" for note in plan.notes)])


def _runs(copy: Copy) -> str:
    n_runs = sum(map(len, copy.experiments.values()))
    return f"{len(copy.experiments)} experiments, {n_runs} runs"


def _with_pictures(plan: PlannedCopy) -> Copy:
    """Pictures whose values were changed are drawn anew, which draws matplotlib in: last of all."""
    if not plan.redraw:
        return plan.copy
    from alfred.figures.sampled_hyperparams import sampled_hyperparams_png

    drawn = {name: sampled_hyperparams_png(values) for name, values in plan.redraw.items()}
    return replace(plan.copy, pictures={**plan.copy.pictures, **drawn})


def _next_step(names: Sequence[str], list_file: Path | None, root_dir: str | Path | None) -> str:
    """What launches the copies; a list names them all, beside their sources."""
    words = ["--storage_name", *names] if list_file is None else ["--from_file", os.path.relpath(list_file)]
    return cli.next_launch(words, root_dir)


if __name__ == "__main__":
    sys.exit(main())
