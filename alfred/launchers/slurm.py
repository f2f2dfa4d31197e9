"""Launchers as an array of SLURM jobs: each is `alfred launch` on a node, working on the same directories.

The jobs claim runs as any launcher does, so nothing has to be divided beforehand: a job that comes late, is
preempted or never starts costs time, no run.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alfred import files
from alfred.errors import LaunchError, UsageError, did_you_mean
from alfred.launchers.batch_script import batch_script
from alfred.storage import submissions
from alfred.storage.attempts import time_stamp
from alfred.storage.submissions import Submission

MOST_JOBS = 32  # submitted unless --n_jobs says otherwise
SIGNAL_DELAY = 120.0
RESOURCES = ("partition", "account", "time", "cpus_per_task", "mem", "gpus_per_node", "constraint")
_JOBS = ("n_jobs", "max_concurrent_jobs", "setup")
_TIME = re.compile(r"\d+|(\d+:)?\d+:\d+|\d+-\d+(:\d+){0,2}")
_MEMORY = re.compile(r"\d+[KMGT]?", re.IGNORECASE)
_SUBMIT_LIMIT = 60.0  # seconds
# Variables that set an option are called SBATCH_ and its name, but for these.
_VARIABLES = {"time": "TIMELIMIT", "mem": "MEM_PER_NODE", "array": "ARRAY_INX", "requeue": "NO_REQUEUE"}


@dataclass(frozen=True)
class SlurmOptions:
    """What is asked of the cluster: `resources` by sbatch's long names (with underscores), how many jobs
    (None: enough for what waits), how many of them at once, and shell lines that prepare the environment."""

    resources: Mapping[str, str] = field(default_factory=dict)
    n_jobs: int | None = None
    max_concurrent_jobs: int | None = None
    setup: str = ""

    def over(self, profile: SlurmOptions) -> SlurmOptions:
        """These options, and what a profile says where they say nothing."""
        return SlurmOptions(
            {**profile.resources, **self.resources},
            self.n_jobs or profile.n_jobs,
            self.max_concurrent_jobs or profile.max_concurrent_jobs,
            self.setup or profile.setup,
        )


def from_profile(record: object, place: str) -> SlurmOptions:
    """The options in a profile: names as of the command line, any other long option of sbatch too.

    `place` is where it stands, for the message. UsageError for what can't be an option.
    """
    if not isinstance(record, Mapping):
        raise UsageError(f"{place} is no object of names and values: write it as in {{'partition': 'gpu'}}")
    resources: dict[str, str] = {}
    counts: dict[str, int | None] = {"n_jobs": None, "max_concurrent_jobs": None}
    setup = ""
    for name, value in record.items():
        if name in counts:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{place}: {name} is a whole number from 1 on, not {value!r}")
            counts[name] = value
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UsageError(f"{place}: {name} is a text or a number, not {value!r}")
        elif name == "setup":
            setup = str(value)
        else:
            resources[str(name).replace("-", "_")] = str(value)
    return SlurmOptions(resources, counts["n_jobs"], counts["max_concurrent_jobs"], setup)


def load_profile(folder: Path | None, defaults: object) -> SlurmOptions:
    """What alfred.defaults.DEFAULT_SLURM_PROFILE says, and over it slurm_<name>.json of a schedule folder."""
    profile = from_profile(defaults, "alfred.defaults.DEFAULT_SLURM_PROFILE")
    file = None if folder is None else folder / f"slurm_{folder.name}.json"
    if file is None or not file.exists():
        return profile
    try:
        record: Any = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON object that can be read: {error}") from error
    return from_profile(record, str(file)).over(profile)


def jobs_wanted(options: SlurmOptions, waiting: int, n_processes: int, runs_per_process: int | None) -> int:
    """How many jobs: as many as were asked for, else enough for what waits, at most `MOST_JOBS`."""
    if options.n_jobs is not None:
        return options.n_jobs
    at_once = max(1, n_processes) * (runs_per_process or 1)
    return max(1, min(-(-waiting // at_once), MOST_JOBS))


@dataclass(frozen=True)
class Batch:
    """An array of jobs, ready to be submitted."""

    name: str
    root: Path
    storage_names: tuple[str, ...]
    n_jobs: int
    script: str
    options: frozenset[str]  # of sbatch, that the script sets

    @property
    def path(self) -> Path:
        """Where the script is kept."""
        return submissions.folder(self.root) / f"{self.name}.sh"


def batch(
    root: Path,
    project: Path,
    storage_names: Sequence[str],
    options: SlurmOptions,
    n_jobs: int,
    command: Sequence[str],
    signal_delay: float,
) -> Batch:
    """The array for these storage directories; each job calls `command`. UsageError for bad options."""
    check_resources(options.resources)
    name = f"{submissions.PREFIX}{secrets.token_hex(4)}"
    limit = "" if options.max_concurrent_jobs is None else f"%{options.max_concurrent_jobs}"
    directives: dict[str, object] = {
        "job_name": name,
        "array": f"1-{n_jobs}{limit}",
        "output": str(submissions.folder(root)).replace("%", "%%") + "/%A_%a.out",
        "open_mode": "append",
        "requeue": "",
        "signal": f"B:USR1@{notice(options.resources.get('time'), signal_delay):.0f}",
        **options.resources,
    }
    script = batch_script(directives, str(project), options.setup.splitlines(), command)
    return Batch(name, root, tuple(storage_names), n_jobs, script, frozenset(directives))


def submit(batch: Batch) -> Submission:
    """Hand the array to sbatch; LaunchError, with nothing submitted, in sbatch's own words if it refuses."""
    if shutil.which("sbatch") is None:
        raise LaunchError(
            "no sbatch on this machine: call --launcher slurm on a login node of the cluster, or leave it out"
        )
    submission = Submission(batch.name, "", "slurm", batch.storage_names, time_stamp())
    submissions.write(batch.root, submission)  # before: a job that nobody knows of can't be cancelled
    files.write_text(batch.path, batch.script)
    try:
        asked = subprocess.run(
            ["sbatch", "--parsable", str(batch.path)],
            env=without_contradictions(os.environ, batch.options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SUBMIT_LIMIT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LaunchError(
            f"sbatch gave no answer: {error}; whether jobs were submitted, squeue tells"
        ) from error
    if asked.returncode:
        batch.path.unlink(missing_ok=True)
        submissions.forget(batch.root, submission)
        raise LaunchError(f"nothing was submitted, sbatch says: {_one_line(asked.stderr)}")
    job = asked.stdout.strip().partition(";")[0]
    submission = Submission(batch.name, job, "slurm", batch.storage_names, submission.submitted)
    submissions.write(batch.root, submission)
    return submission


def without_contradictions(environ: Mapping[str, str], options: Iterable[str]) -> dict[str, str]:
    """The environment for sbatch: a variable like SBATCH_PARTITION would win over what the script says."""
    said = {f"SBATCH_{_VARIABLES.get(name, name.upper())}" for name in options}
    return {name: value for name, value in environ.items() if name not in said}


def check_resources(resources: Mapping[str, str]) -> None:
    """UsageError for what sbatch would misunderstand: it takes 'abc' as no time, and '0' as no limit."""
    time = resources.get("time")
    if time is not None and not (_TIME.fullmatch(time) and seconds_of(time) > 0):
        raise UsageError(f"--time {time}: write minutes, or as in 2:30:00 (hours) or 1-12:00:00 (days-hours)")
    memory = resources.get("mem")
    if memory is not None and not _MEMORY.fullmatch(memory):
        raise UsageError(f"--mem {memory}: write megabytes, or as in 16G")
    for name in ("array", "job_name", "output", "wrap", "parsable", "test_only", "wait"):
        if name in resources:
            raise UsageError(f"--slurm_option {name.replace('_', '-')}: alfred sets that itself")


def notice(time: str | None, signal_delay: float) -> float:
    """How long before its end a job is told: `signal_delay`, but at most half of the time limit."""
    return signal_delay if time is None else max(1.0, min(signal_delay, seconds_of(time) / 2))


def seconds_of(time: str) -> float:
    """A time limit as sbatch reads it: minutes, minutes:seconds, hours:minutes:seconds, days-hours[:...]."""
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, (minutes, seconds) = 0, [*parts, 0][:2]
    return float((((int(days or 0) * 24) + hours) * 60 + minutes) * 60 + seconds)


def launcher_command(options: Mapping[str, object]) -> list[str]:
    """`alfred launch` with these options, by the Python that runs this."""
    words = [sys.executable, "-m", "alfred.launch_schedule"]
    for name, value in options.items():
        if value is not None:
            words.append(f"--{name}={str(value).lower() if isinstance(value, bool) else value}")
    return words


def slurm_option(text: str) -> tuple[str, str]:
    """KEY=VALUE, or KEY for an option without a value. UsageError for what is neither."""
    name, equals, value = text.partition("=")
    name = name.removeprefix("--").strip().replace("-", "_")
    if not name or (equals and not value):
        raise UsageError(f"--slurm_option {text!r}: write it as in mail-type=END")
    if name in _JOBS or name == "launcher":
        raise UsageError(f"--slurm_option {name}: that is an option of alfred, {did_you_mean(name, _JOBS)}")
    return name, value


def _one_line(text: str) -> str:
    """What sbatch complained of, without its prefixes, each thing once."""
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ").strip() for line in text.splitlines()]
    return "; ".join(dict.fromkeys(filter(None, lines))) or "nothing (its exit status was not 0)"
