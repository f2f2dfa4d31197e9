"""What a figure was made of, for the file beside it: a reviewer can see it without asking."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from alfred.analysis.gather import Search
from alfred.analysis.scores import SearchScores
from alfred.storage.metadata import read_metadata
from alfred.storage.survey import Condition

_SEED_DIR = re.compile(r"\S*/experiment\d+/seed\d+/(?:recorders/)?")


def source(search: Search, left_out: Mapping[str, str], shown: int | None = None) -> dict[str, Any]:
    """One storage directory: its code, its runs by state, those used and those left out with the reason.

    `left_out`: run name -> why, of the COMPLETED runs that could not be used; `shown`: the number of the only
    experiment that is shown.
    """
    metadata = read_metadata(search.storage_dir)
    runs = search.runs if shown is None else search.of_experiment(shown)
    used = [run.name for run in runs if run.condition is Condition.COMPLETED and run.name not in left_out]
    others = {
        run.name: run.condition.value for run in search.runs if run.condition is not Condition.COMPLETED
    }
    return {
        "storage_name": search.name,
        "alg_name": search.alg_name,
        "task_name": search.task_name,
        "git_hashes": metadata.git_hashes,
        "repositories": dict(metadata.repositories),
        "runs_by_state": {state.value: count for state, count in sorted_conditions(search).items()},
        "runs_used": used,
        "runs_left_out": others | dict(left_out),
    }


def sorted_conditions(search: Search) -> dict[Condition, int]:
    """How many runs are in each condition that there is, in the order of the conditions."""
    counts = search.conditions()
    return {condition: counts[condition] for condition in Condition if counts[condition]}


def unscored(scores: SearchScores) -> dict[str, str]:
    """Run name -> why it has no score."""
    return {f"experiment{run.experiment}/seed{run.seed}": run.why for run in scores.runs if run.why}


def count_text(searches: Sequence[Search], left_out: Sequence[Mapping[str, str]] = ()) -> str:
    """As in "24 runs: 20 completed, 4 crashed; left out of the completed: NaN in eval_return (1)"."""
    totals: dict[Condition, int] = {}
    reasons: dict[str, int] = {}
    for search in searches:
        for condition, count in sorted_conditions(search).items():
            totals[condition] = totals.get(condition, 0) + count
    completed = [
        {run.name for run in search.runs if run.condition is Condition.COMPLETED} for search in searches
    ]
    for names, some in zip(completed, left_out, strict=False):
        for name in some.keys() & names:
            why = short_reason(some[name])
            reasons[why] = reasons.get(why, 0) + 1
    order = [condition for condition in Condition if condition in totals]
    order.sort(key=lambda condition: condition is not Condition.COMPLETED)
    states = ", ".join(f"{totals[condition]} {condition.value}" for condition in order)
    n_runs = sum(totals.values())
    text = f"{n_runs} run{'s' * (n_runs != 1)}" + (f": {states}" if states else "")
    if reasons:
        told = ", ".join(f"{why} ({count})" for why, count in sorted(reasons.items()))
        text += f"; left out of the completed: {told}"
    return text


def short_reason(why: str) -> str:
    """Why a run is left out, without the path to its folder, which differs from run to run."""
    text = _SEED_DIR.sub("", " ".join(why.split()))
    return text if len(text) <= 80 else text[:77] + "..."
