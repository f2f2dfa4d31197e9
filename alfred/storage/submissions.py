"""Which jobs of a cluster were submitted for which storage directories: `<root>/.alfred/jobs/<name>.json`.

A convenience, like everything that is not a flag: a record that is lost costs the sight of its jobs, no run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from alfred import files
from alfred.storage.attempts import read_record

PREFIX = "alfred-"  # of the names that jobs have on the cluster


@dataclass(frozen=True)
class Submission:
    """One call of the scheduler: the jobs' name there, their number once known, and what they work on."""

    name: str
    job: str
    engine: str
    storage_names: tuple[str, ...]
    submitted: str


def folder(root: Path) -> Path:
    """Where records, batch scripts and the output of jobs lie."""
    return root / ".alfred" / "jobs"


def write(root: Path, submission: Submission) -> None:
    """Note a submission, or what has become known of it."""
    folder(root).mkdir(parents=True, exist_ok=True)
    files.write_text(
        folder(root) / f"{submission.name}.json", json.dumps(asdict(submission), indent=1) + "\n"
    )


def forget(root: Path, submission: Submission) -> None:
    """Remove the record of one that was refused, or is over."""
    (folder(root) / f"{submission.name}.json").unlink(missing_ok=True)


def read(root: Path, storage_names: Iterable[str] | None = None) -> list[Submission]:
    """The submissions of a root that work on any of these storage directories (None: all), oldest first."""
    wanted = None if storage_names is None else set(storage_names)
    found = []
    for path in folder(root).glob(f"{PREFIX}*.json"):
        submission = _from_record(path.stem, read_record(path))
        if submission and (wanted is None or wanted.intersection(submission.storage_names)):
            found.append(submission)
    return sorted(found, key=lambda one: (one.submitted, one.name))


def _from_record(name: str, record: dict[str, object]) -> Submission | None:
    names = record.get("storage_names")
    texts = [record.get(key) for key in ("job", "engine", "submitted")]
    if not isinstance(names, list) or not all(isinstance(one, str) for one in [*names, *texts]):
        return None
    job, engine, submitted = (str(text) for text in texts)
    return Submission(name, job, engine, tuple(names), submitted)
