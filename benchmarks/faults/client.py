"""The client project in a folder of its own, and the processes that work there (no program itself)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import alfred

HERE = Path(__file__).resolve().parent
ACTOR = HERE / "actor.py"
T = TypeVar("T")


@dataclass
class Client:
    """A copy of the client project, its ledger, and the processes that were started in it."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def root(self) -> Path:
        return self.folder / "storage"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    def command(self, module: str, *words: object) -> list[str]:
        return [sys.executable, "-m", f"alfred.{module}", *map(str, words)]

    def start(self, module: str, *words: object, output: Path) -> subprocess.Popen[bytes]:
        """A command whose output goes to the end of a file."""
        with open(output, "ab") as file:
            return subprocess.Popen(
                self.command(module, *words),
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def run(self, module: str, *words: object) -> str:
        """A command that has to end with status 0; what it printed."""
        done = subprocess.run(
            self.command(module, *words),
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{module} {words} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def write_schedule(self, name: str, algorithms: int, tasks: int, experiments: int, seeds: int) -> Path:
        """A schedule of a grid; its file."""
        file = self.folder / "schedules" / name / f"grid_schedule_{name}.py"
        file.parent.mkdir(parents=True)
        file.write_text(
            f'ALG_NAMES = ["a%02d" % number for number in range({algorithms})]\n'
            f'TASK_NAMES = ["t%02d" % number for number in range({tasks})]\n'
            f"SEEDS = list(range({seeds}))\n"
            f"VARIATIONS = {{'load': list(range({experiments}))}}\n"
        )
        return file

    def lay(self, tasks: int, experiments: int, seeds: int, kept_waiting: int = 0) -> Path:
        """Prepare a search of one storage directory for each task; its list file.

        `kept_waiting` experiments come on top: with one of them left out of the launches nothing is drawn.
        """
        schedule = self.write_schedule("faults", 1, tasks, experiments + kept_waiting, seeds)
        words = ("--schedule_file", schedule, "--desc", "x", "--ask_for_validation", "false")
        self.run("prepare_schedule", *words)
        return schedule.parent / "list_searches_faults.txt"

    def actor(self, *words: object, **options: Any) -> subprocess.Popen[str]:
        """A process of actor.py, whose output is read through `communicate()`."""
        command = [sys.executable, str(ACTOR), *map(str, words)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **options},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )


@contextlib.contextmanager
def new_client(parent: str | None = None, **variables: object) -> Iterator[Client]:
    """A client in a new folder that is gone afterwards; `variables` are for the environment of the runs."""
    folder = Path(tempfile.mkdtemp(prefix="alfred-faults-", dir=parent))
    try:
        shutil.copytree(HERE / "project", folder, dirs_exist_ok=True)
        for name in ("locks", "waiting", "outputs"):
            (folder / name).mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        path = {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
        yield Client(folder, {**kept, **path, **{name: str(value) for name, value in variables.items()}})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(what: Callable[[], T], limit: float = 60.0) -> T:
    """The first true answer of `what()`; TimeoutError when it never comes."""
    end = time.monotonic() + limit
    while not (answer := what()):
        if time.monotonic() > end:
            raise TimeoutError(f"never came true in {limit} seconds: {what}")
        time.sleep(0.01)
    return answer


def children(pid: int) -> list[int]:
    """The children of a process; none when it is gone."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def command_line(pid: int) -> bytes:
    """The words of a process, each ended by a NUL; nothing when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def state(pid: int) -> str:
    """The letter of a process's state, as in ps; nothing when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def wait_until_stopped(pid: int) -> None:
    """Until a process has stopped itself."""
    wait_for(lambda: state(pid) == "T")
