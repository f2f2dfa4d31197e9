"""What `alfred clean` found and is about to do, told to people."""

from __future__ import annotations

import time
from collections.abc import Sequence

from alfred.report.tables import escaped, print_states
from alfred.storage.findings import Findings, Item, owner_of
from alfred.storage.leases import Verdict
from alfred.storage.overview import holder_of
from alfred.storage.survey import Run
from alfred.utils.misc import formatted_time_diff


def tell(findings: Sequence[Findings]) -> None:
    """The table of states, and what is wrong or not known."""
    print_states([(found.storage_dir.name, found.conditions()) for found in findings])
    for found in findings:
        for owner in dict.fromkeys(map(owner_of, found.doubtful)):
            what = _summed([item for item in found.doubtful if owner_of(item) == owner])
            print(escaped(f"{found.storage_dir.name}: {what} of {owner}: not proven dead, left alone"))
        for run, _ in found.runs:
            if run.conflict:
                print(escaped(f"conflict, left alone: {run.conflict}"))


def _summed(items: Sequence[Item]) -> str:
    """Items in few words: `3 runs`, `1 run, plots`."""
    how_many = sum(isinstance(item, Run) for item in items)
    names = sorted(item.what for item in items if not isinstance(item, Run))
    return ", ".join(([runs(how_many)] if how_many else []) + names)


def nothing_to_do(findings: Sequence[Findings]) -> str:
    """That nothing is to be put back, and how crashed runs would be."""
    n_crashed = sum(len(found.crashed) for found in findings)
    if not n_crashed:
        return "Nothing to put back."
    return f"Nothing to put back; `--clean_crashes true` puts back what crashed ({runs(n_crashed)})."


def announcement(todo: Sequence[Findings], clean_crashes: bool, keep_files: bool) -> str:
    """What is about to be put back, with a warning that names whoever may be alive, and what that means."""
    lines = ["To be put back to waiting:"]
    for found in todo:
        counts = {
            "whose process died": sum(item not in found.forced for item in found.dead_runs()),
            "whose process may be alive": sum(item in found.forced for item in found.dead_runs()),
            "without any flag": len(found.bare),
            "crashed": len(found.crashed) if clean_crashes else 0,
        }
        parts = [f"{how_many} {what}" for what, how_many in counts.items() if how_many]
        if held := _summed([item for item in found.dead_holds() if item not in found.forced]):
            parts.append(f"{held} begun by a process that died")
        lines.append(escaped(f"  {found.storage_dir.name}: {', '.join(parts)}"))
    lines += _warning(todo)
    if not any(found.dead_runs() or found.bare or (clean_crashes and found.crashed) for found in todo):
        return "\n".join(lines)
    if keep_files:
        lines.append("Files of interrupted runs stay in place for the next attempt to go on from.")
    else:
        lines.append("What they wrote is put aside in .alfred/attempts of their seed directories.")
    lines.append("Plots and summary flags and folders of these storage directories are removed.")
    return "\n".join(lines)


def _warning(todo: Sequence[Findings]) -> list[str]:
    """Who may be alive although its runs are put back: host, process, and when it was last heard of."""
    lines = []
    for found in todo:
        for name in sorted({owner_of(item) for item in found.forced}):
            holder = holder_of(found.storage_dir, name, Verdict.DOUBT, time.time())
            what = _summed([item for item in found.forced if owner_of(item) == name])
            heard = "never" if holder.heard is None else f"{formatted_time_diff(holder.heard)} ago"
            job = f", job {holder.job}" if holder.job else ""
            lines.append(
                escaped(
                    f"  {what} of {found.storage_dir.name}: host {holder.host}, process "
                    f"{holder.pid or 'not known'}{job}, last heard of {heard}"
                )
            )
    if lines:
        lines.insert(0, "WARNING: --force takes these from processes that are not proven dead:")
        lines.append(
            "If one of them still works, its results are refused, but it may write to its files till then."
        )
    return lines


def runs(how_many: int) -> str:
    """How many runs, in words."""
    return "1 run" if how_many == 1 else f"{how_many} runs"
