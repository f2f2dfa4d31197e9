"""What each worker slot gets of this machine: its graphics processors and how many threads it may start."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence

from alfred.errors import UsageError
from alfred.launchers import control_groups

_MOST = 4096  # of one machine
_ID = re.compile(r"[0-9]+|(GPU|MIG)-.+")
VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def of_slots(
    n_processes: int | str, gpus: str | None, threads: int | None, environ: Mapping[str, str]
) -> list[dict[str, str]]:
    """The variables of each worker slot, as `--n_processes`, `--gpus` and `--threads_per_run` say.

    Raises:
        UsageError: one of them makes no sense here.
    """
    slots = number_of_slots(n_processes)
    common = thread_variables(threads, slots, environ)
    return [{**common, **own} for own in gpu_variables(gpus, slots, environ)]


def number_of_slots(n_processes: int | str) -> int:
    """How many runs are done at the same time; "auto" is one for each core. UsageError for other words."""
    if n_processes == "auto":
        return usable_cores()
    if str(n_processes).isdecimal() and int(n_processes) > 0:
        return int(n_processes)
    raise UsageError(f"n_processes is a whole number from 1 on or 'auto', not {n_processes!r}")


def usable_cores() -> int:
    """The cores that this process may use: what taskset, a container or a scheduler left it of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE", "")
    if given.isdecimal() and int(given) > 0:
        cores = min(cores, int(given))
    return min(cores, control_groups.cores() or cores)


def thread_variables(threads: int | None, n_processes: int, environ: Mapping[str, str]) -> dict[str, str]:
    """How many threads numerical libraries may start in a run; variables that the user has set stay."""
    number = threads or max(1, usable_cores() // n_processes)
    return {name: str(number) for name in THREADS if name not in environ}


def gpu_variables(gpus: str | None, n_processes: int, environ: Mapping[str, str]) -> list[dict[str, str]]:
    """CUDA_VISIBLE_DEVICES of each slot; nothing is set without `--gpus`.

    `gpus` is how many ("2"), which ones ("0,1", also "3," for the third alone) or "auto" (all that can be
    seen). What CUDA_VISIBLE_DEVICES already names is divided, never widened; its entries are taken as they
    are, since clusters write `GPU-...` and `MIG-...` as well. With more slots than processors they are shared
    in turn, with fewer each slot gets several.

    Raises:
        UsageError: more or others are asked for than can be used.
    """
    if gpus is None:
        return [{} for _ in range(n_processes)]
    devices = _chosen(gpus.strip(), environ)
    shares = []
    for slot in range(n_processes):
        share = devices[slot::n_processes] if len(devices) >= n_processes else [devices[slot % len(devices)]]
        shares.append({VISIBLE: ",".join(share)})
    return shares


def _chosen(gpus: str, environ: Mapping[str, str]) -> Sequence[str]:
    visible = _names(environ[VISIBLE]) if VISIBLE in environ else None
    if gpus == "auto":
        return _some(
            visible if visible is not None else _installed(), "--gpus auto found no graphics processor"
        )
    if gpus.isdigit():
        count = int(gpus)
        if not 0 < count <= _MOST:
            raise UsageError(f"--gpus {gpus}: ask for 1 at least, and for no more than there are")
        available = visible if visible is not None else [str(number) for number in range(count)]
        if count > len(available):
            raise UsageError(f"--gpus {count}: {VISIBLE} leaves {len(available)}; ask for no more")
        return available[:count]
    names = _some(_names(gpus), f"--gpus {gpus!r} names none: give a number, ids as in 0,1 or auto")
    if len(set(names)) < len(names):
        raise UsageError(f"--gpus {gpus} names one twice: name each once")
    if visible is not None and (foreign := [name for name in names if name not in visible]):
        raise UsageError(f"--gpus {gpus}: {VISIBLE} is {environ[VISIBLE]!r}, without {', '.join(foreign)}")
    if visible is None and (odd := [name for name in names if not _ID.fullmatch(name)]):
        raise UsageError(
            f"--gpus {gpus}: {odd[0]!r} is no id: give a number, ids as in 0,1 or GPU-8f, or auto"
        )
    return names


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _some(names: list[str], otherwise: str) -> list[str]:
    if not names:
        raise UsageError(otherwise)
    return names


def _installed() -> list[str]:
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return []
