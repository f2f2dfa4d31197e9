"""Show what waits, runs, has ended and has crashed: the door `alfred status`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alfred import cli
from alfred.errors import UsageError

if TYPE_CHECKING:
    from alfred.storage.overview import Overview
    from alfred.storage.scheduler import Job

_JSON_KEYS = """\
keys of --json, one object on standard output; times in seconds, null where something is not known:
  root, time       the root directory, and when this was told
  storage_dirs     of each: name, path, counts {waiting, running, stopped, completed, crashed, conflict,
                   total} and durations of completed runs {median, min, max, sampled, completed} or null
  running          of each: seed_dir, owner, host, pid, job, alive ("alive" or "not proven"), heard (how
                   long ago its owner was heard of), being_put_back, start, seconds (since start)
  stopped          seed directories of runs whose process is gone: `alfred clean` puts them back
  crashes          of each group: count, signature (what its reports have in common), example (path of one
                   report), that one's headline, last_line (the headline, at most 300 letters) and where (in
                   your code, or null), overtaken (true: reports of attempts that the run was taken from),
                   runs (seed directories); with --crashes also only_theirs (the parameters whose value all
                   runs of the group share and no completed run has); most frequent first
  jobs             of each on a cluster: id, number (the job of a running run), name, state, node, reason,
                   seconds_left; null: nobody answers
  conflicts        what is wrong with seed directories that hold several flags
  passed_over      storage directories that are missing or could not be read, each in a sentence"""


def status(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    *,
    root_dir: str | Path | None = None,
    crashes: bool = False,
) -> dict[str, Any]:
    """How the storage directories of a list file stand, or one, or all of the root when neither is given.

    Returns what `alfred status --json` prints (with `crashes` what `--crashes --json` does); nothing is
    written anywhere. Raises AlfredError when nothing can be looked at.
    """
    from alfred.report.overview_record import as_record

    root, found, passed_over = _look(from_file, storage_name, root_dir)
    return as_record(root, found, passed_over, _only_theirs(found) if crashes else None)


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "status",
        "Show how many runs wait, run, have stopped, completed and crashed, who runs what where and since "
        "when, how long completed runs took, and what the crash reports say. Nothing is changed.",
        "examples, in the folder that holds main.py:\n"
        "  alfred status\n"
        "  alfred status --from_file schedules/lr/list_searches_lr.txt\n"
        "  alfred status --crashes\n"
        "  alfred status --json\n\n" + _JSON_KEYS,
    )
    cli.add_storage_selection(options, required=False)
    cli.add_root_dir(options)
    cli.add_boolean(
        options,
        "--crashes",
        default=False,
        help="tell of each kind of crash all there is: where it was, which runs, and the values of "
        "hyper-parameters that all of them share and no completed run has",
    )
    cli.add_boolean(options, "--json", default=False, help="print one JSON object, for scripts")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    from alfred.report.overview_record import as_record
    from alfred.report.overview_tables import print_overview

    root, found, passed_over = _look(options.from_file, options.storage_name, options.root_dir)
    only_theirs = _only_theirs(found) if options.crashes else None
    if options.json:
        print(json.dumps(as_record(root, found, passed_over, only_theirs), indent=1))
    else:
        print_overview(root, found, only_theirs)
    return cli.NOT_ALL_DONE if passed_over else cli.DONE


def _look(
    from_file: str | Path | None, storage_name: str | None, root_dir: str | Path | None
) -> tuple[Path, Overview, list[str]]:
    """The root, what is there, and in a sentence each what was passed over."""
    from alfred.project import set_up
    from alfred.report.tables import escaped
    from alfred.storage.overview import overview
    from alfred.storage.owners import this_process
    from alfred.utils.directory_tree import get_root
    from alfred.utils.progress_bar import LineReporter

    set_up()
    root = get_root(root_dir).absolute()
    storage_dirs, missing = _select(from_file, storage_name, root)
    progress = LineReporter(lambda line: print(line, file=sys.stderr), every=2.0)
    found = overview(
        storage_dirs, this_process(), looked=lambda how_many: progress(how_many, None, "runs looked at")
    )
    found.jobs = _jobs(root, storage_dirs)
    for text in found.unreadable:
        cli.notice(escaped(text))
    cli.notice_no_runs(storage_dirs)
    return root, found, missing + found.unreadable


def _jobs(root: Path, storage_dirs: Sequence[Path]) -> list[Job] | None:
    from alfred.storage import scheduler, submissions

    submitted = submissions.read(root, [path.name for path in storage_dirs])
    with cli.waiting_for("squeue"):
        return scheduler.queue([one.name for one in submitted])


def _select(
    from_file: str | Path | None, storage_name: str | None, root: Path
) -> tuple[list[Path], list[str]]:
    from alfred.storage.survey import storage_dirs
    from alfred.utils.misc import check_root, select_storage_dirs

    if from_file is not None and storage_name is not None:
        raise UsageError("give only one of --from_file and --storage_name: both were given")
    if from_file is not None or storage_name is not None:
        return cli.existing(select_storage_dirs(from_file, storage_name, root))
    check_root(root)
    return storage_dirs(root), []


def _only_theirs(found: Overview) -> list[dict[str, Any]]:
    """Of each group of crashes the values that its runs share and no completed run has."""
    from alfred.storage.shared_values import only_theirs, values_of

    others = values_of(found.completed_beside)
    if not others:  # compared with nothing, everything would be theirs alone
        return [{} for _ in found.crashes]
    return [only_theirs([report.seed_dir for report in group.reports], others) for group in found.crashes]


if __name__ == "__main__":
    sys.exit(main())
