"""Put runs whose process died back to waiting: the door `alfred clean`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alfred import cli
from alfred.errors import NothingToDoError

if TYPE_CHECKING:
    from alfred.storage.findings import Findings
    from alfred.storage.leases import Leases
    from alfred.storage.owners import Owner


@dataclass
class CleanReport:
    """What became of a cleaning: the seed directories that wait again, and in a line each what was passed
    over (a missing storage directory, a run in conflict, what could not be put back)."""

    put_back: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def clean_interrupted(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    *,
    clean_crashes: bool = False,
    ask_for_validation: bool = True,
    root_dir: str | Path | None = None,
    no_wait: bool = False,
    force: bool = False,
) -> CleanReport:
    """Report the state of every run and put those back to waiting whose process died; what was done.

    Crashed runs are put back as well with `clean_crashes`. Owners that can't be proven dead at once (on
    another machine) are watched for some beats, unless `no_wait`; who stays in doubt keeps its runs, unless
    `force`. One that is known to live keeps them always.

    Raises:
        UsageError: both or neither of `from_file` and `storage_name`, or no answer to the question.
        StorageError: the root, or the one storage directory, does not exist.
        NothingToDoError: every storage directory was passed over.
    """
    import alfred.defaults
    from alfred.project import set_up
    from alfred.report import cleaning
    from alfred.storage import laying
    from alfred.storage.findings import overrule_doubt
    from alfred.storage.leases import Leases
    from alfred.storage.owners import this_process
    from alfred.utils.directory_tree import get_root
    from alfred.utils.misc import select_storage_dirs

    set_up()
    root = get_root(root_dir)
    laying.recover(root)
    there, missing = cli.existing(select_storage_dirs(from_file, storage_name, root_dir))
    owner = this_process()
    report = CleanReport(passed_over=missing)
    findings = _look(there, owner, report)
    cli.notice_no_runs(there)
    if not no_wait:
        _wait_out(findings, root, owner)
    if force:
        for found in findings:
            overrule_doubt(found)
    cleaning.tell(findings)
    report.passed_over += [run.conflict for found in findings for run, _ in found.runs if run.conflict]
    keep_files = alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS
    todo = [found for found in findings if _to_put_back(found, clean_crashes)]
    if not todo:
        print(cleaning.nothing_to_do(findings))
        return report
    if cli.confirm(cleaning.announcement(todo, clean_crashes, keep_files), ask_for_validation):
        with contextlib.closing(Leases(owner)) as leases:
            for found in todo:
                _put_back(found, leases, clean_crashes, keep_files, report)
        print(f"{cleaning.runs(len(report.put_back))} put back to waiting.")
    return report


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "clean",
        "Put runs whose process died back to waiting, so that `alfred launch` does them again. What they "
        "wrote is put aside in .alfred/attempts of their seed directory. A run that may be alive is not "
        "touched: one on another machine is watched until its silence proves it dead. Plots, summaries and "
        "retrains that such a process was making can be made again.",
        "examples, in the folder that holds main.py:\n"
        "  alfred clean --from_file schedules/lr/list_searches_lr.txt\n"
        "  alfred clean --storage_name Ju1_f7b375e_sgd_digits_grid_try --clean_crashes true",
    )
    cli.add_storage_selection(options)
    cli.add_boolean(
        options, "--clean_crashes", default=False, help="put crashed runs (CRASH.txt) back to waiting as well"
    )
    cli.add_boolean(
        options,
        "--no_wait",
        default=False,
        help="don't watch owners on other machines (a good minute): leave their runs and say 'not proven'",
    )
    cli.add_boolean(
        options,
        "--force",
        default=False,
        help="put back runs too whose process can't be proven dead; one that is heard of, or that runs on "
        "this machine, keeps its runs all the same. Make sure that it is gone: else two work on one run",
    )
    cli.add_root_dir(options)
    cli.add_confirmation(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = clean_interrupted(**vars(options))
    return cli.NOT_ALL_DONE if report.passed_over else cli.DONE


def _look(storage_dirs: Sequence[Path], owner: Owner, report: CleanReport) -> list[Findings]:
    """What stands in each storage directory; one that can't be read is passed over."""
    from alfred.report.tables import escaped
    from alfred.storage.findings import find
    from alfred.utils.progress_bar import LineReporter

    looked = LineReporter(_say, every=2.0)
    findings: list[Findings] = []
    for storage_dir in storage_dirs:
        try:
            findings.append(find(storage_dir, owner))
        except OSError as error:
            report.passed_over.append(f"{storage_dir} can't be read: {error.strerror or error}")
            cli.notice(escaped(report.passed_over[-1]))
        looked(sum(len(found.runs) for found in findings), None, "runs looked at")
    if storage_dirs and not findings:
        raise NothingToDoError("nothing could be worked on: every storage directory was passed over")
    return findings


def _wait_out(findings: Sequence[Findings], root: Path, owner: Owner) -> None:
    """Watch the owners that can't be asked, saying how far it is."""
    from alfred.report.cleaning import runs
    from alfred.storage import laying
    from alfred.storage.findings import watch
    from alfred.storage.survey import Run

    preparing = laying.in_doubt(root, owner)
    doubtful = sum(isinstance(item, Run) for found in findings for item in found.doubtful)
    others = sum(len(found.doubtful) for found in findings) - doubtful + len(preparing)
    if not doubtful + others:
        return
    what = runs(doubtful) + (f" and {others} other tasks" if others else "")
    _say(
        f"{what} held by processes of other machines: watching for a minute or so "
        "whether they are heard of; --no_wait leaves them alone"
    )
    silent = watch(
        findings, owner, lambda look, looks: _say(f"  look {look} of {looks} done"), also=preparing
    )
    if done := laying.recover(root, owner, [suspect.owner_name for suspect in silent]):
        _say(f"Finished or removed what {len(done)} dead preparations had begun.")


def _to_put_back(found: Findings, clean_crashes: bool) -> int:
    return len(found.dead) + len(found.bare) + (len(found.crashed) if clean_crashes else 0)


def _put_back(
    found: Findings, leases: Leases, clean_crashes: bool, keep_files: bool, report: CleanReport
) -> None:
    """Put back what one storage directory has, and note how that went."""
    from alfred.report.cleaning import runs
    from alfred.report.tables import escaped
    from alfred.storage import recovery
    from alfred.utils.progress_bar import LineReporter, PlainProgressBar

    bar = PlainProgressBar(desc=f"{found.storage_dir.name}: put back", report=LineReporter(_say, every=2.0))
    if found.bare:
        _say(escaped(f"{found.storage_dir.name}: looking for two seconds whether runs without flag change"))
    try:
        recovery.put_back(found, leases, clean_crashes=clean_crashes, keep_files=keep_files, each=bar.update)
    except OSError as error:
        found.failed.append(f"{found.storage_dir} can't be cleaned: {error.strerror or error}")
    report.put_back += found.put_back
    report.passed_over += found.failed
    for seed_dir in found.given_up:
        print(escaped(f"{seed_dir} died for the third time: it counts as crashed now, see its CRASH.txt"))
    for text in found.failed:
        cli.notice(escaped(text))
    done = len(found.put_back) + len(found.given_up) + len(found.failed) + len(found.freed)
    if left := _to_put_back(found, clean_crashes) - done:
        print(
            escaped(
                f"{found.storage_dir.name}: {runs(left)} left as they are: taken by another process "
                "or changed less than a minute ago"
            )
        )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
