"""In words how numbers over tasks were made: the captions of figures and the notes of tables."""

from __future__ import annotations

from collections.abc import Mapping

from alfred.analysis.across_tasks import AcrossTasks
from alfred.analysis.aggregates import FEW
from alfred.analysis.normalization import MIN_MAX, NONE
from alfred.figures.sources import short_reason

_HOW = {
    MIN_MAX: "min-max over all compared runs of a task: 0 is the worst of them, 1 the best",
    NONE: "none, scores as they are",
}


def bootstrap_note(result: AcrossTasks) -> str:
    """The method of the intervals over tasks, how far to trust it, and n."""
    n = [size for one in result.aggregates["mean"].values() for size in one.n]
    text = f"95 % stratified bootstrap, {result.n_replicates} replicates"
    if max(n) == 1:
        text = "none"
    elif min(n) < FEW:
        text += f", narrower than it says below {FEW} runs"
    runs = f"n = {min(n)}" + (f" to {max(n)}" if max(n) > min(n) else "")
    return f"{text}; {runs} on each of {len(result.normalized_tasks)} tasks"


def normalization_notes(result: AcrossTasks) -> list[str]:
    """How tasks were brought to one scale, and which were left out."""
    how = result.normalized.how
    notes = [f"normalization: {_HOW.get(how, 'reference scores: 0 is the worse of them, 1 the better')}"]
    if result.normalized.goal == "min":
        notes[0] += "; lower is better"
    if result.normalized.left_out:
        told = "; ".join(f"{task} ({why})" for task, why in result.normalized.left_out.items())
        notes.append(f"tasks left out: {told}")
    return notes


def runs_left_out(result: AcrossTasks) -> str:
    """As in "runs left out: 2 crashed, 1 running", over all algorithms and tasks; "" if none."""
    totals: dict[str, int] = {}
    for one in result.performances:
        for why, count in one.left_out.items():
            totals[why] = totals.get(why, 0) + count
    return f"runs left out: {reasons_text(totals)}" if totals else ""


def reasons_text(left_out: Mapping[str, int]) -> str:
    """As in "2 crashed, 1 NaN in eval_return"; paths, which are of one run each, are not told."""
    counts: dict[str, int] = {}
    for why, count in left_out.items():
        short = short_reason(why)
        counts[short] = counts.get(short, 0) + count
    return ", ".join(f"{count} {why}" for why, count in sorted(counts.items()))
