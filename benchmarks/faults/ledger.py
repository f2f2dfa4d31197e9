"""What happened, told by the runs themselves, and whether what stands on disk agrees (no program itself)."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alfred.errors import AlfredError
from alfred.storage.attempts import read_attempts
from alfred.storage.flags import COMPLETED, CRASH, UNHATCHED, batons_among
from alfred.storage.survey import seed_dirs, storage_dirs
from alfred.utils.recorder import Recorder

POINTS = 6  # as in project/main.py
Event = Mapping[str, Any]


@dataclass
class Outcome:
    """What a program found: counts to print, and a line for everything that must not have happened."""

    counts: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def tell(self, what: str) -> int:
        """Print a line of JSON, the table and the violations; the exit status."""
        record = {"program": what, **self.counts, "violations": len(self.violations)}
        print(json.dumps(record))
        for name, value in record.items():
            print(
                f"  {name.replace('_', ' '):<28} {value:>12,.1f}"
                if isinstance(value, float)
                else f"  {name.replace('_', ' '):<28} {value!s:>12}"
            )
        for violation in self.violations[:50]:
            print(f"VIOLATION {violation}")
        return 1 if self.violations else 0


def read_events(path: Path, start: int = 0) -> tuple[list[Event], int]:
    """The events that stand in a ledger from byte `start` on, and where the next will stand."""
    if not path.exists():
        return [], start
    with open(path, "rb") as file:
        file.seek(start)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return [event for line in whole.splitlines() if (event := _event(line))], start + len(whole)


def _event(line: bytes) -> Event | None:
    """None for an empty line, and for one in whose midst its writer was killed."""
    with suppress(ValueError):
        event: Event = json.loads(line)
        return event
    return None


def by_run(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each run, `<storage directory>/experiment<N>/seed<S>`, attempt after attempt.

    Within one attempt, which is of one machine, they are in the order of their times.
    """
    found: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda event: (event["attempt"], event["at"])):
        found.setdefault(event["run"], []).append(event)
    return found


def overlaps(events: Sequence[Event]) -> list[str]:
    """What is wrong with the events of one run: two at once, one begun twice or beside another baton."""
    wrong = []
    attempts = Counter(event["attempt"] for event in events if event["what"] == "begin")
    for event in events:
        if event["what"] == "overlap":
            wrong.append(f"process {event['pid']} found the lock of the run taken: two at once")
        if event["what"] == "begin" and not (
            len(event["batons"]) == 1 and event["batons"][0].startswith("RUNNING.")
        ):
            wrong.append(f"process {event['pid']} began beside the batons {event['batons']}")
    wrong += [f"attempt {number} began {times} times" for number, times in attempts.items() if times > 1]
    return wrong


def check_run(seed_dir: str, events: Sequence[Event]) -> list[str]:
    """What is wrong with a run that has to be completed, by its directory and its events."""
    folder = Path(seed_dir)
    wrong = overlaps(events)
    batons = sorted(baton.name for baton in batons_among(os.listdir(folder)))
    if batons != [COMPLETED]:
        return [*wrong, f"holds {batons or 'no baton'} instead of {COMPLETED}"]
    if not events or events[-1]["what"] != "end":
        wrong.append("is completed, but its last attempt never came to its end")
    else:
        begun = [event for event in events if event["what"] == "begin"][-1]
        owner = begun["batons"][0].removeprefix("RUNNING.")
        if owner not in (folder / COMPLETED).read_text().split():
            wrong.append(f"was finished by another than {owner}, who began its last attempt")
        if read_attempts(folder).attempt != begun["attempt"]:
            wrong.append(
                f"counts {read_attempts(folder).attempt} attempts, the last to begin was {begun['attempt']}"
            )
    return wrong + check_files(folder)


def check_files(folder: Path) -> list[str]:
    """What is wrong with the files of a completed run."""
    wrong = []
    try:
        tape = Recorder.init_from_pickle_file(folder / "recorders" / "train_recorder.pkl").tape
        if {name: len(values) for name, values in tape.items()} != {"step": POINTS, "score": POINTS}:
            wrong.append(f"has a recorder with other than {POINTS} points: {tape}")
    except AlfredError as error:
        wrong.append(f"has a recorder that can't be read: {error}")
    for name in ("config.json", "config_unique.json"):
        try:
            config = json.loads((folder / name).read_text())
        except (OSError, ValueError) as error:
            config = wrong.append(f"has a damaged {name}: {error}")
        if config and str(config["seed"]) != folder.name.removeprefix("seed"):
            wrong.append(f"has the {name} of another seed")
    return wrong


def check_all(root: Path, expected: int, kept_waiting: Sequence[int], events: Iterable[Event]) -> list[str]:
    """Every run of a root: each directory is there, holds one baton, COMPLETED, and its ledger agrees.

    The experiments `kept_waiting` were never launched.
    """
    runs, found, violations = by_run(events), 0, []
    for storage_dir in storage_dirs(root):
        for experiment, _, seed_dir in seed_dirs(storage_dir):
            if experiment in kept_waiting:
                wrong = [] if (Path(seed_dir) / UNHATCHED).exists() else ["was not asked for"]
            else:
                found += 1
                name = "/".join(Path(seed_dir).parts[-3:])
                wrong = check_run(seed_dir, runs.get(name, []))
                wrong += [f"  ledger: {json.dumps(event)}" for event in runs.get(name, [])] if wrong else []
            violations += [f"{seed_dir} {text}" for text in wrong]
    if found != expected:
        violations.append(f"{found} seed directories in {root} instead of {expected}")
    return violations


def unlike_a_launcher(outputs: Iterable[Path]) -> list[str]:
    """Lines that no launcher or cleaner may print while nothing but kill -9 happens on one machine."""
    signs = (
        "Traceback",
        "was taken over",
        "not proven",
        "passed over",
        "could not be noted",
        "put back: ",
        "can't be",
    )
    return [
        f"{path.name}: {line}"
        for path in outputs
        for line in path.read_text(errors="replace").splitlines()
        if any(sign in line for sign in signs)
    ]


def crashes(root: Path) -> dict[str, str]:
    """Seed directory -> report of every crashed run."""
    return {
        seed_dir: (Path(seed_dir) / CRASH).read_text(errors="replace")
        for storage_dir in storage_dirs(root)
        for _, _, seed_dir in seed_dirs(storage_dir)
        if (Path(seed_dir) / CRASH).exists()
    }


def claims(root: Path) -> int:
    """How often a run was taken up, over all runs of a root."""
    return sum(
        read_attempts(Path(seed_dir)).attempt
        for storage_dir in storage_dirs(root)
        for _, _, seed_dir in seed_dirs(storage_dir)
    )


def all_ended(root: Path, kept_waiting: Sequence[int]) -> bool:
    """Whether every run that was asked for is completed or crashed."""
    return all(
        {baton.name for baton in batons_among(os.listdir(seed_dir))} & {COMPLETED, CRASH}
        for storage_dir in storage_dirs(root)
        for experiment, _, seed_dir in seed_dirs(storage_dir)
        if experiment not in kept_waiting
    )
