"""Offline W&B runs: where they are, and the upload of one; only this module knows the program wandb."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alfred.errors import MissingDependencyError
from alfred.storage.processes import end_with_parent, kill_session, start_token

_FOLDER = re.compile(r"(offline-)?run-.+")
_TROUBLE = re.compile(r"error|exception|panic|warning|incomplete", re.IGNORECASE)
_REFUSED = re.compile(r"^wandb: ERROR ", re.MULTILINE)
_SECRET_NAME = re.compile(r"WANDB\w*(KEY|TOKEN|SECRET|PASSWORD)")
_KEY = re.compile(r"\b(?:[0-9a-f]{40,}|wandb_v\d\w{16,})\b")
_LONGEST_REASON = 300  # letters
_TOLD = "told.txt"
_LOOK = 0.5  # seconds between two looks at a program that is at work


@dataclass(frozen=True)
class WandbRun:
    """What wandb.init() left: its folder, and the file in it that holds the data."""

    folder: Path
    data: Path

    @property
    def is_synced(self) -> bool:
        """Whether wandb says that it is uploaded."""
        return self._marker.exists()

    @property
    def _marker(self) -> Path:
        """The file that wandb lays beside the data once they are uploaded."""
        return self.data.with_name(f"{self.data.name}.synced")

    def forget_marker(self) -> None:
        """Let the run count as not uploaded."""
        self._marker.unlink(missing_ok=True)


def wandb_runs(seed_dir: Path) -> Iterator[WandbRun]:
    """The W&B runs below a seed directory, whatever the layout; links and what was put aside are left out."""
    for parent, names, _ in os.walk(seed_dir):
        folders = sorted(name for name in names if _FOLDER.fullmatch(name))
        for folder in (Path(parent, name) for name in folders):
            if not folder.is_symlink():
                data = sorted(path for path in folder.glob("*.wandb") if path.is_file())
                yield from (WandbRun(folder, path) for path in data[:1] if not path.is_symlink())
        names[:] = [name for name in names if name not in folders and name != ".alfred"]


def options_of(project: str | None, entity: str | None) -> list[str]:
    """What tells the program where to upload to: what is given, else what the environment says."""
    told = {
        "project": project or os.environ.get("WANDB_PROJECT"),
        "entity": entity or os.environ.get("WANDB_ENTITY"),
    }
    return [f"--{name}={value}" for name, value in told.items() if value]


def program() -> str:
    """The wandb of the environment that alfred runs in, else the one that a shell would find.

    MissingDependencyError if there is none.
    """
    beside = Path(sys.executable).with_name("wandb")
    found = str(beside) if beside.is_file() else shutil.which("wandb")
    if found is None:
        raise MissingDependencyError("wandb", "wandb", "alfred sync")
    return found


def upload(
    run: WandbRun,
    wandb: str,
    options: Sequence[str],
    timeout: float,
    waiting: Callable[[], object] = lambda: None,
) -> str:
    """Upload one W&B run with the program `wandb` within `timeout` seconds; in a line why that failed, ""
    if it didn't. `waiting()` is called now and then meanwhile.

    wandb's exit status says nothing (0 after a refusal), its marker alone not all: versions before 0.29 mark
    what the server refused. Such a marker is removed, or no later call would upload the run.
    """
    online = [] if run.folder.name.startswith("offline-") else ["--include-online"]
    command = [wandb, "sync", *options, *online, str(run.folder.absolute())]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        _bring_settings(Path(place))
        is_late = _call(command, Path(place), timeout, waiting)
        text = (Path(place) / _TOLD).read_text("utf-8", "replace")
    if run.is_synced and not _REFUSED.search(text):
        return ""
    run.forget_marker()
    lines = [line for line in map(_cleaned, text.splitlines()) if line]
    trouble = [line for line in lines if _TROUBLE.search(line)]
    word = (trouble or lines or ["nothing"])[-1]
    if is_late:
        return f"not done within {timeout:g} s, is the server there? wandb said last: {word}"
    return word


def _bring_settings(place: Path) -> None:
    """Let wandb find there what it would find here. It lays its logs where it is called, and what a server
    said stands in them, which may be a key."""
    here = Path("wandb") / "settings"
    if here.is_file():
        (place / here).parent.mkdir()
        shutil.copyfile(here, place / here)


def _call(command: list[str], place: Path, timeout: float, waiting: Callable[[], object]) -> bool:
    """Run a program in `place`, what it says in a file there, and end it with all its children; True if its
    time ran out. Where this process is killed by force the program is told to end (on Linux)."""
    here = os.getpid()
    with (place / _TOLD).open("wb") as told:  # a pipe would stay open as long as any child of wandb
        process = subprocess.Popen(
            command,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: end_with_parent(here),
        )
    token = start_token(process.pid) or ""
    end = time.monotonic() + timeout
    try:
        while (left := end - time.monotonic()) > 0:
            try:
                process.wait(min(left, _LOOK))
                return False
            except subprocess.TimeoutExpired:
                waiting()
        return True
    finally:
        kill_session(process.pid, token)
        process.wait()


def _cleaned(line: str) -> str:
    """A line of wandb's, without its prefixes and without anything that could be a key."""
    for name, value in os.environ.items():
        if _SECRET_NAME.fullmatch(name) and value:
            line = line.replace(value, "***")
    line = _KEY.sub("***", line.rstrip()).removeprefix("wandb: ").removeprefix("ERROR ").strip()
    if line.startswith("Find "):  # where wandb's logs are
        return ""
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."
