"""Make config_unique.json agree with config.json where that was edited by hand: the door `alfred update`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alfred import cli
from alfred.errors import NothingToDoError, StorageError

if TYPE_CHECKING:
    from alfred.storage.config_unique import Correction


@dataclass
class UpdateReport:
    """The files `changed` (in a dry run: that would be), of how many runs config.json could be read and
    of how many not, what could not be done, and the storage directories passed over, which are not there."""

    changed: list[Path] = field(default_factory=list)
    n_runs: int = 0
    n_unread: int = 0
    failed: list[StorageError] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def update_config_unique(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    root_dir: str | Path | None = None,
    dry_run: bool = False,
) -> UpdateReport:
    """Bring config_unique.json of every run in line with its config.json, which is never touched, and print
    what was changed in which file.

    Values are taken over; a name that config.json has no more is removed, one that it has more is not
    added. A file that is missing or can't be read is written anew. A run whose config.json can't be read
    is told, and the others go on. With `dry_run` nothing is written.

    Raises:
        UsageError: both or neither of the first two.
        StorageError: there is no root directory, or no storage directory of this name.
        NothingToDoError: no storage directory is there, or none of its runs can be read.
    """
    from alfred.project import set_up
    from alfred.utils.misc import select_storage_dirs

    set_up()
    there, missing = cli.existing(select_storage_dirs(from_file, storage_name, root_dir))
    report = UpdateReport(passed_over=missing)
    for storage_dir in there:
        _update(storage_dir, report, dry_run)
    if not report.n_runs:
        raise NothingToDoError("there is no run whose config.json could be read")
    counted = f"{len(report.changed)} of {report.n_runs + report.n_unread} config_unique.json"
    failed = f"; {len(report.failed)} passed over, as told above" if report.failed else ""
    print(f"Dry run: {counted} would be changed{failed}." if dry_run else f"{counted} changed{failed}.")
    return report


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "update",
        "Where config.json of a run was edited by hand, bring its config_unique.json in line and say what "
        "was changed: values are taken over, names that config.json has no more are removed, and none are "
        "added. config.json itself is never touched.",
        "examples, in the folder that holds main.py:\n"
        "  alfred update --storage_name Ju1_f7b375e_sgd_digits_grid_try --dry_run\n"
        "  alfred update --from_file schedules/lr/list_searches_lr.txt\n\n"
        "exit status: 0 all in line, 1 a storage directory was passed over or a file could not be read or\n"
        "written, 2 a mistake, 3 no run could be read",
    )
    cli.add_storage_selection(options)
    cli.add_root_dir(options)
    cli.add_boolean(options, "--dry_run", default=False, help="show what would be changed and change nothing")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = update_config_unique(**vars(options))
    return cli.NOT_ALL_DONE if report.failed or report.passed_over else cli.DONE


def _update(storage_dir: Path, report: UpdateReport, dry_run: bool) -> None:
    from alfred.storage.config_unique import corrections

    read: list[Correction] = []
    changed: list[Path] = []
    for found in list(corrections(storage_dir)):
        if isinstance(found, StorageError):
            report.n_unread += 1
            _fail(found, report)
            continue
        read.append(found)
        if found.seed_note:
            cli.notice(found.seed_note)
        if not found.changes:
            continue
        try:
            if not dry_run:
                found.write()
        except StorageError as error:
            _fail(error, report)
            continue
        changed.append(found.path)
        print(f"{found.path}: {'; '.join(found.changes)}")
    report.n_runs += len(read)
    report.changed += changed
    _tell_what_is_left(storage_dir, changed, read)


def _fail(error: StorageError, report: UpdateReport) -> None:
    print(f"alfred: {error}: passed over", file=sys.stderr)
    report.failed.append(error)


def _tell_what_is_left(storage_dir: Path, changed: Sequence[Path], read: Sequence[Correction]) -> None:
    """What the command does not do by itself."""
    from alfred.storage.config_unique import differing, uneven
    from alfred.storage.flags import UNHATCHED

    begun = [path for path in changed if not (path.parent / UNHATCHED).exists()]
    if begun:
        cli.notice(
            f"{len(begun)} of these runs of {storage_dir.name} have begun already, with the values of then; "
            "figures made before show the old ones: make them anew with `alfred plot` and "
            "`alfred benchmark --re_run_if_exists true`"
        )
    for number, names in uneven(read).items():
        cli.notice(
            f"runs of {storage_dir / f'experiment{number}'} differ in {', '.join(names)}: let all of them "
            "have one value, since they count as one configuration"
        )
    if names := differing(read):
        cli.notice(
            f"experiments of {storage_dir.name} differ in {', '.join(names)}, which no config_unique.json "
            "holds: add it there by hand if it is to tell them apart"
        )


if __name__ == "__main__":
    sys.exit(main())
