"""What a summary has on record of how it was made, and how its search stands now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alfred.analysis.settings import Settings, settings
from alfred.errors import UsageError
from alfred.storage.attempts import read_record
from alfred.storage.owners import this_process
from alfred.storage.survey import Condition, count

SCORES = "summary_seed_scores"


def recorded(storage_dir: Path) -> dict[str, Any]:
    """What the summary of a storage directory says of itself; {} without one, or of an older tool."""
    return read_record(storage_dir / "summary" / f"{SCORES}.json")


def counted(conditions: Mapping[Condition, int]) -> dict[str, int]:
    """How many runs were in each condition, as it is recorded."""
    return {condition.value: number for condition, number in sorted(conditions.items(), key=str) if number}


def conditions_now(storage_dir: Path) -> dict[str, int]:
    """How many runs of a storage directory are in each condition, as a summary made now would record it."""
    return counted(count(storage_dir, this_process()))


def ended(conditions: object) -> dict[str, int]:
    """Those of the conditions in which a run has ended; {} for what is no record of conditions."""
    known = (Condition.COMPLETED.value, Condition.CRASHED.value)
    told = conditions.items() if isinstance(conditions, dict) else ()
    return {name: number for name, number in told if name in known}


def made_with(made: Mapping[str, Any]) -> Settings | None:
    """The settings that the summary was made with; None where that is not told."""
    told = made.get("settings")
    if not isinstance(told, dict):
        return None
    try:
        return settings(
            told["x_metric"],
            told["y_metric"],
            told["interval"],
            told["metric"],
            told["aggregation"],
            told["goal"],
            told["n_eval_runs"],
        )
    except (KeyError, TypeError, UsageError):
        return None
