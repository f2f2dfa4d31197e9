"""Upload offline W&B runs: the door `alfred sync`, and the only module that knows wandb."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from alfred import cli
from alfred.errors import MissingDependencyError, NothingToDoError, StorageError, UsageError

_FOLDER = re.compile(r"(offline-)?run-.+")
_TROUBLE = re.compile(r"error|exception|panic|warning|incomplete", re.IGNORECASE)
_REFUSED = re.compile(r"^wandb: ERROR ", re.MULTILINE)
_SECRET_NAME = re.compile(r"WANDB\w*(KEY|TOKEN|SECRET|PASSWORD)")
_KEY = re.compile(r"\b(?:[0-9a-f]{40,}|wandb_v\d\w{16,})\b")
_LONGEST_REASON = 300


@dataclass(frozen=True)
class WandbRun:
    """What wandb.init() left: its folder, the data in it, and the storage directory that holds them."""

    storage_dir: Path
    folder: Path
    data: Path

    @property
    def marker(self) -> Path:
        """The file that wandb lays beside the data once they are uploaded."""
        return self.data.with_name(f"{self.data.name}.synced")

    @property
    def name(self) -> str:
        """Its place below the root directory."""
        return str(self.folder.relative_to(self.storage_dir.parent))


@dataclass
class SyncReport:
    """The folders of W&B runs: uploaded now, uploaded before, left because their run still writes them,
    and failed, each of these with the reason in a line."""

    synced: list[WandbRun] = field(default_factory=list)
    already_there: list[WandbRun] = field(default_factory=list)
    running: list[WandbRun] = field(default_factory=list)
    failed: dict[WandbRun, str] = field(default_factory=dict)


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
    from alfred.project import set_up
    from alfred.utils.directory_tree import get_root

    if not timeout > 0:
        raise UsageError(f"--timeout {timeout:g}: a number of seconds greater than 0 expected")
    set_up()
    report = SyncReport()
    todo: list[WandbRun] = []
    for run, is_running in _found(get_root(root_dir).absolute(), tag):
        pile = report.already_there if run.marker.exists() else report.running if is_running else todo
        pile.append(run)
    if not todo:
        print("Nothing to upload.")
        return report
    options = [
        *_option("--project", project or os.environ.get("WANDB_PROJECT")),
        *_option("--entity", entity or os.environ.get("WANDB_ENTITY")),
    ]
    command = [_program(), "sync", *options]
    if cli.confirm(_announcement(todo, options), ask_for_validation):
        _upload_all(todo, command, timeout, report)
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
    from alfred.storage.owners import this_process
    from alfred.storage.survey import Condition, Judge, storage_dirs, survey

    if not root.is_dir():
        raise StorageError(f"the root directory {root} does not exist: give another --root_dir")
    tagged = [path for path in storage_dirs(root) if tag in path.name]
    if tag and not tagged:
        raise NothingToDoError(f"no storage directory in {root} has {tag!r} in its name")
    for storage_dir in tagged:
        judge = Judge(storage_dir, this_process())
        for run in survey(storage_dir):
            is_running = judge.condition(run) is Condition.RUNNING
            for folder, data in _wandb_folders(Path(run.seed_dir)):
                yield WandbRun(storage_dir, folder, data), is_running


def _wandb_folders(seed_dir: Path) -> Iterator[tuple[Path, Path]]:
    """(folder, data) of the W&B runs below a seed directory; links and what was put aside are left out."""
    for parent, names, _ in os.walk(seed_dir):
        folders = sorted(name for name in names if _FOLDER.fullmatch(name))
        for folder in (Path(parent, name) for name in folders):
            if not folder.is_symlink():
                data = sorted(path for path in folder.glob("*.wandb") if path.is_file())
                yield from ((folder, path) for path in data[:1] if not path.is_symlink())
        names[:] = [name for name in names if name not in folders and name != ".alfred"]


def _option(name: str, value: str | None) -> list[str]:
    return [f"{name}={value}"] if value else []


def _program() -> str:
    """The wandb of the environment that alfred runs in, else the one that a shell would find."""
    beside = Path(sys.executable).with_name("wandb")
    found = str(beside) if beside.is_file() else shutil.which("wandb")
    if found is None:
        raise MissingDependencyError("wandb", "wandb", "alfred sync")
    return found


def _announcement(todo: Sequence[WandbRun], options: Sequence[str]) -> str:
    from alfred.report.tables import escaped

    counts = Counter(run.storage_dir.name for run in todo)
    where = " ".join(options) or "the project and entity that each was begun with"
    lines = [f"  {escaped(name)}: {count}" for name, count in counts.items()]
    return "\n".join([f"{len(todo)} W&B runs are uploaded to {escaped(where)}:", *lines])


def _upload_all(todo: Sequence[WandbRun], command: list[str], timeout: float, report: SyncReport) -> None:
    """Upload one after the other, then once more those that failed; the report says what came of each."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # wandb must not outlive us
    try:
        for turn in ("", ", second try"):
            again = list(report.failed) if turn else todo
            for number, run in enumerate(again, start=1):
                began = time.monotonic()
                reason = _upload(run, command, timeout)
                took = f"{time.monotonic() - began:.0f} s{turn}"
                if reason:
                    report.failed[run] = reason
                else:
                    report.failed.pop(run, None)
                    report.synced.append(run)
                said = f"failed ({took}): {reason}" if reason else f"synced ({took})"
                print(f"{number}/{len(again)} {run.name}: {said}", flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def _upload(run: WandbRun, command: list[str], timeout: float) -> str:
    """Upload one W&B run within its time; in a line why that failed, "" if it didn't.

    wandb's exit status says nothing (0 after a refusal), its marker alone not all: versions before 0.29 mark
    what the server refused. Such a marker is removed, or no later call would upload the run.
    """
    online = [] if run.folder.name.startswith("offline-") else ["--include-online"]
    with tempfile.TemporaryFile() as told:  # a pipe would stay open as long as any child of wandb
        is_late = _call([*command, *online, str(run.folder)], told, timeout)
        told.seek(0)
        text = told.read().decode("utf-8", "replace")
    if run.marker.exists() and not _REFUSED.search(text):
        return ""
    run.marker.unlink(missing_ok=True)
    lines = [line for line in map(_cleaned, text.splitlines()) if line]
    trouble = [line for line in lines if _TROUBLE.search(line)]
    word = (trouble or lines or ["nothing"])[-1]
    if is_late:
        return f"not done within {timeout:g} s, is the server there? wandb said last: {word}"
    return word


def _call(command: list[str], told: IO[bytes], timeout: float) -> bool:
    """Let a program write to `told`, and end it and all its children; True if its time ran out."""
    from alfred.storage.processes import kill_session, start_token

    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT, start_new_session=True
    )
    token = start_token(process.pid) or ""
    try:
        process.wait(timeout)
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        kill_session(process.pid, token)
        process.wait()


def _cleaned(line: str) -> str:
    """A line of wandb's, without its prefixes and without anything that could be a key."""
    from alfred.report.tables import escaped

    for name, value in os.environ.items():
        if _SECRET_NAME.fullmatch(name) and value:
            line = line.replace(value, "***")
    line = escaped(_KEY.sub("***", line.rstrip())).removeprefix("wandb: ").removeprefix("ERROR ").strip()
    if line.startswith("Find "):  # where wandb's logs are
        return ""
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


def _print(report: SyncReport) -> None:
    from alfred.report.tables import Column, print_table

    piles = [report.synced, report.already_there, list(report.failed), report.running]
    counts = [Counter(run.storage_dir.name for run in pile) for pile in piles]
    names = sorted(set().union(*counts))
    if not names:
        return
    headings = ("synced", "already there", "failed", "still running")
    columns = [Column("storage directory"), *(Column(heading, is_number=True) for heading in headings)]
    print_table(columns, [(name, *(str(count[name]) for count in counts)) for name in names])
    if report.failed:
        print()
        rows = [(run.name, reason) for run, reason in report.failed.items()]
        print_table([Column("W&B run"), Column("reason")], rows, title="Failed")


if __name__ == "__main__":
    sys.exit(main())
