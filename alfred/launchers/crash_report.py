"""What CRASH.txt says: what happened, where, with which traces; the line that matters comes last."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from alfred.launchers import memory
from alfred.launchers.deaths import Death
from alfred.launchers.frames import without_alfreds
from alfred.launchers.notes import Begun
from alfred.launchers.raised import Raised
from alfred.launchers.readable import as_seen
from alfred.launchers.tasks import Ended
from alfred.storage.owners import Owner
from alfred.storage.peek import end_of, start_of

# Bytes that are looked at. With a traceback (alfred.launchers.raised) that is below the MiB of a report.
_TAIL = 64_000
_TRACES = 64_000
_LINES = 40

Facts = Mapping[str, object]


def facts(begun: Begun, owner: Owner, ended: Ended | None, limit: int | None, kills: int) -> Facts:
    """Who ran it, where, for how long and with how much; `limit` is what it might use of memory, in bytes,
    `kills` how often the kernel killed for want of memory beside it."""
    return {
        "Attempt": begun.attempt,
        "Host": owner.host,
        "Process": ended.pid if ended else "",
        "Cluster job": _job(owner),
        "Wall time": f"{time.monotonic() - begun.since:.1f} s",
        "Processor time": f"{ended.cpu_seconds:.1f} s" if ended else "",
        "Peak memory": _mebibytes(ended.peak_memory if ended else None),
        "Memory limit": _mebibytes(limit),
        "Memory of the machine": _mebibytes(memory.of_machine()),
        "Killed meanwhile in its control group for want of memory": kills or "",
    }


def compose(seed_dir: Path, death: Death, known: Facts, raised: Raised | None) -> str:
    """The report: what it died of, what is known, where Python was, last lines, the traceback."""
    head = {
        "Error": death.headline,
        "Where": death.where,
        "Signature": death.signature,
        "Out of memory": death.out_of_memory,
        "Signal": death.signal,
        "Exit status": death.exit_status,
        **known,
    }
    parts = ["\n".join(f"{name}: {value}" for name, value in head.items() if value not in ("", None))]
    parts += [section for name in ("output.out", "logger.out") if (section := _last_lines(seed_dir / name))]
    if trace := faults(seed_dir):
        parts.append(f"--- where Python was\n{without_alfreds(trace).rstrip()}")
    if raised is not None and raised.traceback:
        lines = as_seen(raised.traceback.encode("utf-8", "replace"))
        parts.append("\n".join(["--- traceback", *lines]))
    if parts[-1].splitlines()[-1] != death.headline:
        parts.append(death.headline)
    return "\n\n".join(parts)


def faults(seed_dir: Path) -> str:
    """What faulthandler wrote when the process of the run died; "" when it did not."""
    try:
        part = start_of(seed_dir / ".alfred" / "faults.out", _TRACES)
    except OSError:
        return ""
    more = part.size - len(part.data)
    return part.data.decode("utf-8", "replace") + (f"\n[{more} bytes more were written]" if more > 0 else "")


def _last_lines(path: Path) -> str:
    """The end of a log as a section; empty when there is none."""
    try:
        part = end_of(path, _TAIL)
    except OSError:
        return ""
    lines = as_seen(part.data)
    cut = part.size > len(part.data)
    if cut and len(lines) > 1:
        del lines[0]  # its beginning is missing
    left_out = f" ({part.size} bytes in all)" if cut or len(lines) > _LINES else ""
    return "\n".join([f"--- the last lines of {path.name}{left_out}", *lines[-_LINES:]]) if lines else ""


def _job(owner: Owner) -> str:
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}") for name in ("JOB_ID", "TASK_ID"))
    return f"{owner.job} (task {task} of array job {array})" if owner.job and array and task else owner.job


def _mebibytes(size: int | None) -> str:
    return "" if not size else f"{size / 2**20:.0f} MiB"
