"""Launchers and cleaners that do one step each in any order, are stopped and killed, against a model."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ledger
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import Machine
from stage import SEEDS, template

from alfred.storage import batons, leases
from alfred.storage.leases import Leases, Verdict

HOW_TO_READ = f"""Each example works on {SEEDS} seed directories: launchers and cleaners, real processes of
two hosts (of the other host as far as its record and its lease tell), claim runs, begin, finish, crash and
put back, one at a time. Before any change to the disk they may be stopped, stay so while others go on,
be killed or wake up; runs are stopped at their birth, killed and outlive their launchers; of renames that
were done the answer gets lost. Time passes only for leases, by order, so a silence of five beats costs
nothing. hypothesis chooses; after every step the disk is compared with a model, and in the end a plain
cleaner and a plain launcher have to bring every run to its end.

A violation is: no baton or two, one that went where it may not or by whom it may not, a run that lives
twice, a COMPLETED without the recorder of who finished it, a recorder that is lost, a baton whose owner
has no lease, attempts or deaths miscounted, a late end or save that was not refused, an actor that says
what it did not do, a living owner judged dead. The exit status is 1 then, and the steps are printed.
--break breaks alfred itself, to see that it is found.
"""


def run(words: Sequence[str] | None = None) -> ledger.Outcome:
    """Do what the words of the command line say; what came of it."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{HOW_TO_READ}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=0, help="how many (default: as --minutes allows)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=40, help="at most, in one example")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger", type=Path, help="a file: one line of JSON is added for each round")
    parser.add_argument("--folder", help="where to work: another file system, say")
    parser.add_argument("--break", dest="broken", choices=sorted(BREAKAGES), help="what to break in alfred")
    asked = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="alfred-machine-", dir=asked.folder))
    try:
        Machine.laid = template(folder)
        if asked.broken:
            BREAKAGES[asked.broken]()
        return work(asked)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def work(asked: argparse.Namespace) -> ledger.Outcome:
    """Rounds of examples, each with a seed of its own, until it is enough or one is wrong."""
    started, counts, violations, number = time.monotonic(), Counter[str](), list[str](), asked.seed
    left = asked.examples or sys.maxsize
    while left > 0 and not violations and (asked.examples or time.monotonic() - started < 60 * asked.minutes):
        Machine.total.clear()
        violations = one_round(number, min(left, ROUND), asked.steps)
        counts.update(Machine.total)
        tell(asked.ledger, {"seed": number, **Machine.total, "violations": violations})
        left, number = left - ROUND, number + 1
    seconds = round(time.monotonic() - started, 1)
    return ledger.Outcome({**dict(sorted(counts.items())), "seconds": seconds}, violations)


ROUND = 25  # examples


def one_round(number: int, examples: int, steps: int) -> list[str]:
    """What was wrong, with the steps that led there."""
    rules = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    try:
        run_state_machine_as_test(seed(number)(Machine), settings=rules)
    except Exception as error:
        notes = "\n".join(getattr(error, "__notes__", ()))
        return [f"seed {number}: {error}\n{notes}"]
    return []


def tell(file: Path | None, record: Mapping[str, Any]) -> None:
    if file is not None:
        with file.open("a") as opened:
            print(json.dumps(record), file=opened)


# --- alfred broken on purpose


def _no_fence() -> None:
    """Who finishes a run does not look whether it is his own any more."""

    def finish(seed_dir: Path, owner: str) -> None:
        (baton,) = batons.batons_among(os.listdir(seed_dir))
        with contextlib.suppress(OSError):
            os.rename(seed_dir / baton.name, seed_dir / "COMPLETED")

    batons.finish = finish
    batons.is_mine = lambda seed_dir, owner: True
    batons.fence = lambda seed_dir, baton: lambda: None


def drop_too_early(self: Leases, storage_dir: Path) -> None:
    """A lease goes as soon as one of several batons is given back."""
    self._batons[storage_dir] = 0
    self.leave(storage_dir)


def _early_leave() -> None:
    Leases.drop = drop_too_early  # type: ignore[method-assign]


def _no_doubt() -> None:
    """Who is in doubt is taken for dead."""
    judged = leases.judge_owner

    def judge(*words: Any) -> Verdict:
        verdict = judged(*words)
        return Verdict.DEAD if verdict is Verdict.DOUBT else verdict

    leases.judge_owner = judge


BREAKAGES: Mapping[str, Callable[[], None]] = {
    "fence": _no_fence,
    "lease": _early_leave,
    "doubt": _no_doubt,
}


if __name__ == "__main__":
    sys.exit(run().tell("state_machine"))
