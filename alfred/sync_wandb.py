"""Upload offline W&B runs: the door `alfred sync`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alfred import cli
from alfred.errors import NothingToDoError, StorageError, UsageError

if TYPE_CHECKING:
    from alfred.export.wandb import WandbRun


@dataclass
class SyncReport:
    """The W&B runs of `root`: uploaded now, uploaded before, left because their run still writes them, and
    failed, each of these with the reason in a line."""

    root: Path
    synced: list[WandbRun] = field(default_factory=list)
    already_there: list[WandbRun] = field(default_factory=list)
    running: list[WandbRun] = field(default_factory=list)
    failed: dict[WandbRun, str] = field(default_factory=dict)

    def name(self, run: WandbRun) -> str:
        """The place of a W&B run below the root directory."""
        return str(run.folder.relative_to(self.root))

    def counts(self, runs: Sequence[WandbRun]) -> Counter[str]:
        """How many of these W&B runs each storage directory holds."""
        return Counter(run.folder.relative_to(self.root).parts[0] for run in runs)


def sync_wandb(
    root_dir: str | Path | None = None,
    tag: str = "",
    project: str | None = None,
    entity: str | None = None,
    ask_for_validation: bool = True,
    timeout: float = 300.0,
) -> SyncReport:
    """Upload every offline W&B run of the storage directories whose name holds `tag`; what came of it.

    What wandb has marked as uploaded is passed over, and so is what a living run still writes. A W&B run
    has `timeout` seconds; one that fails is tried once more after the others. `project` and `entity` are by
    default those of the environment's WANDB_PROJECT and WANDB_ENTITY, else what each run was begun with.

    Raises:
        UsageError: a timeout that is none, or no answer to the question.
        StorageError: there is no root directory.
        NothingToDoError: no storage directory has the tag in its name.
        MissingDependencyError: there is no program called wandb.
    """
    from alfred.export import wandb
    from alfred.project import set_up
    from alfred.utils.directory_tree import get_root

    if not timeout > 0:
        raise UsageError(f"--timeout {timeout:g} leaves no time: give a number of seconds greater than 0")
    set_up()
    report = SyncReport(get_root(root_dir).absolute())
    todo: list[WandbRun] = []
    for run, is_running in _found(report.root, tag):
        pile = report.already_there if run.is_synced else report.running if is_running else todo
        pile.append(run)
    if not todo:
        print("Nothing to upload.")
        return report
    options, program = wandb.options_of(project, entity), wandb.program()
    if cli.confirm(_announcement(report.counts(todo), options), ask_for_validation):
        _upload_all(todo, lambda run, waiting: wandb.upload(run, program, options, timeout, waiting), report)
    return report


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "sync",
        "Upload every offline W&B run found in the seed directories, with the `wandb` program. What is "
        "uploaded already is passed over, and so is what a living run still writes; a W&B run that fails is "
        "told with the reason and tried again once, after the others.",
        "examples, in the folder that holds main.py:\n"
        "  alfred sync\n"
        "  alfred sync --tag benchmarkv1 --project paper --entity my-team --ask_for_validation no\n\n"
        "exit status: 0 all is uploaded, 1 a W&B run failed, 2 a mistake, 3 no storage directory has the tag",
    )
    cli.add_root_dir(options)
    options.add_argument(
        "--tag",
        default="",
        metavar="TEXT",
        help="only the storage directories whose name holds this text (default: all)",
    )
    options.add_argument(
        "--project",
        help="the W&B project to upload to (default: WANDB_PROJECT, else what each run was begun with)",
    )
    options.add_argument(
        "--entity",
        help="the W&B user or team to upload to (default: WANDB_ENTITY, else what each run was begun with)",
    )
    options.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long one W&B run may take: wandb itself tries for ever when its server is away",
    )
    cli.add_confirmation(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = sync_wandb(**vars(options))
    _print(report)
    return cli.NOT_ALL_DONE if report.failed else cli.DONE


def _found(root: Path, tag: str) -> Iterator[tuple[WandbRun, bool]]:
    """Every W&B run, and whether the run that began it is still at work."""
    from alfred.export.wandb import wandb_runs
    from alfred.storage.owners import this_process
    from alfred.storage.survey import Condition, Judge, storage_dirs, survey

    if not root.is_dir():
        raise StorageError(f"the root directory {root} does not exist: give another --root_dir")
    tagged = [path for path in storage_dirs(root) if tag in path.name]
    if tag and not tagged:
        raise NothingToDoError(f"no storage directory in {root} has {tag!r} in its name: check --tag")
    for storage_dir in tagged:
        judge = Judge(storage_dir, this_process())
        for run in survey(storage_dir):
            is_running = judge.condition(run) is Condition.RUNNING
            for found in wandb_runs(Path(run.seed_dir)):
                yield found, is_running


def _announcement(counts: Counter[str], options: Sequence[str]) -> str:
    from alfred.report.tables import escaped

    where = " ".join(options) or "the project and entity that each was begun with"
    lines = [f"  {escaped(name)}: {count}" for name, count in counts.items()]
    return "\n".join([f"{counts.total()} W&B runs are uploaded to {escaped(where)}:", *lines])


def _upload_all(
    todo: Sequence[WandbRun], upload: Callable[[WandbRun, Callable[[], object]], str], report: SyncReport
) -> None:
    """Upload one after the other, then once more those that failed; the report says what came of each."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # wandb must not outlive us
    try:
        _upload_turn(todo, "", upload, report)
        _upload_turn(list(report.failed), ", second try", upload, report)
    finally:
        signal.signal(signal.SIGTERM, before)


def _upload_turn(
    todo: Sequence[WandbRun],
    turn: str,
    upload: Callable[[WandbRun, Callable[[], object]], str],
    report: SyncReport,
) -> None:
    """Upload each once; a line for each, and on a terminal a bar below the lines."""
    from tqdm import tqdm

    from alfred.report.tables import escaped

    with tqdm(total=len(todo), desc="W&B runs", unit="run", leave=False, disable=None) as bar:
        for number, run in enumerate(todo, start=1):
            began = time.monotonic()
            if reason := upload(run, bar.refresh):
                report.failed[run] = reason
            else:
                report.failed.pop(run, None)
                report.synced.append(run)
            took = f"{time.monotonic() - began:.0f} s{turn}"
            said = f"failed ({took}): {reason}" if reason else f"synced ({took})"
            bar.write(escaped(f"{number}/{len(todo)} {report.name(run)}: {said}"))
            sys.stdout.flush()
            bar.update()


def _print(report: SyncReport) -> None:
    from alfred.report.tables import Column, print_table

    piles = (report.synced, report.already_there, list(report.failed), report.running)
    counts = [report.counts(pile) for pile in piles]
    names = sorted(set().union(*counts))
    if not names:
        return
    headings = ("synced", "already there", "failed", "still running")
    columns = [Column("storage directory"), *(Column(heading, is_number=True) for heading in headings)]
    print_table(columns, [(name, *(str(count[name]) for count in counts)) for name in names])
    if report.failed:
        print()
        rows = [(report.name(run), reason) for run, reason in report.failed.items()]
        print_table([Column("W&B run"), Column("reason")], rows, title="Failed")


if __name__ == "__main__":
    sys.exit(main())
