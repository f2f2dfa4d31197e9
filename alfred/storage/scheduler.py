"""What a cluster's scheduler says of its jobs: SLURM, asked through its own programs.

No answer is no error: whoever asks gets None, and doubt stays doubt.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_LIMIT = 20.0  # seconds for an answer; a controller that is busy may take some
_QUICK = 1.0  # seconds in which "no such job" is said; silence takes longer
_PAUSE = 60.0  # seconds in which a scheduler that was silent is not asked about one job after the other
_SEPARATOR = "\x1f"
_ASKED = _SEPARATOR.join(("%i", "%A", "%j", "%T", "%N", "%r", "%L"))
# Of a node that is up, answers and has no job in the act of ending.
_SOUND_NODE = re.compile(r"(IDLE|MIXED|ALLOCATED)(\+(CLOUD|PLANNED|RESERVED))*")
_LIVING = {
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "CONFIGURING",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
    "RESIZING",
}
# Ends that say nothing about the run: the scheduler or a person took the job away.
_TAKEN_AWAY = {"CANCELLED", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "REVOKED", "DEADLINE", "PENDING", "REQUEUED"}


@dataclass(frozen=True)
class Job:
    """A job as the queue shows it: `id` is for people (7_3 is a task of array 7), `number` its own one, as
    leases have it. `seconds_left` is None where there is no limit, or none yet."""

    id: str
    number: str
    name: str
    state: str
    node: str
    reason: str
    seconds_left: float | None


@dataclass(frozen=True)
class Ending:
    """That a job is over. `taken_away`: preempted, cancelled, out of time or with its node, so that its end
    says nothing about what it ran."""

    taken_away: bool


@dataclass
class _Heard:
    """What asking has shown: the name of the cluster, and until when asking again is in vain."""

    cluster: str = ""
    silent_until: float = 0.0


_heard = _Heard()


def cluster_name() -> str:
    """The cluster that this process belongs to or can ask; empty where there is none."""
    name = os.environ.get("SLURM_CLUSTER_NAME", "") or _heard.cluster
    if name:
        return name
    found = re.search(r"^ClusterName\s*=\s*(\S+)", _ask("scontrol", "show", "config") or "", re.MULTILINE)
    _heard.cluster = found[1] if found else ""
    return _heard.cluster


def queue(names: Iterable[str]) -> list[Job] | None:
    """The jobs of these names that are pending or run, each task of an array alone; None: nobody answers."""
    wanted = sorted(set(names))
    if not wanted:
        return []
    answer = _ask("squeue", "--noheader", "--array", f"--name={','.join(wanted)}", f"--format={_ASKED}")
    if answer is None:
        return None
    jobs = []
    for line in answer.splitlines():
        if line.count(_SEPARATOR) == _ASKED.count(_SEPARATOR):
            *texts, left = line.split(_SEPARATOR)
            id, number, name, state, node, reason = texts
            jobs.append(Job(id, number, name, state, node, reason, _seconds(left)))
    return jobs


def outcomes(array: str) -> list[tuple[str, str, str]] | None:
    """(id, state, exit status) of each job of an array that is over; None: nobody answers."""
    answer = _ask("scontrol", "--oneliner", "show", "job", array)
    if answer is None:
        return None
    found = []
    for record in map(_record, answer.splitlines()):
        if record.get("JobState") not in {None, *_LIVING, "PENDING"}:
            id = f"{array}_{record['ArrayTaskId']}" if "ArrayTaskId" in record else array
            found.append((id, record["JobState"], record.get("ExitCode", "").partition(":")[0]))
    return found


def end_of(environ: Mapping[str, str]) -> float | None:
    """When the job that this process belongs to is to end, by this machine's wall clock; None: no job, no
    limit, or no answer."""
    given = environ.get("SLURM_JOB_END_TIME", "")
    if given.isdigit():
        return float(given)
    job = _this_job(environ)
    if not job:
        return None
    answer = _ask("squeue", "--noheader", f"--jobs={job}", "--format=%e")
    try:
        return time.mktime(time.strptime((answer or "").strip(), "%Y-%m-%dT%H:%M:%S"))
    except (ValueError, OverflowError):
        return None


def ended(job: str, restarts: str, node: str, cluster: str) -> Ending | None:
    """How a job ended, or its start number `restarts`, if that is certain; None: it may still live.

    A job is over when the scheduler says so, has nothing more to clean up, and the node on which it was is
    up and answers. A node that is down or silent proves nothing: its processes may go on for minutes.
    """
    if not (job and node and cluster) or time.monotonic() < _heard.silent_until:
        return None
    if cluster != cluster_name():
        return None
    answer = _ask("scontrol", "--oneliner", "show", "job", job) or ""
    # Asked for the job that gave an array its number, it tells of the whole array.
    record = _record(next((line for line in answer.splitlines() if line.startswith(f"JobId={job} ")), ""))
    state = record.get("JobState", "")
    started_again = record.get("Restarts", "").isdigit() and int(record["Restarts"]) > int(restarts or 0)
    if not state or (state in _LIVING and not started_again) or state == "COMPLETING":
        return None
    if state == "PENDING" and not started_again:
        return None
    node_record = _record(_ask("scontrol", "--oneliner", "show", "node", node))
    if not _SOUND_NODE.fullmatch(node_record.get("State", "")):
        return None
    return Ending(taken_away=started_again or state in _TAKEN_AWAY)


def requeue(environ: Mapping[str, str]) -> str:
    """Have the job that this process belongs to started again; what went wrong, "" if nothing did."""
    return _order("scontrol", "requeue", _this_job(environ))


def _this_job(environ: Mapping[str, str]) -> str:
    """What the job that this process belongs to is called, "" if there is none. In an array by its task: the
    last one has the number of the whole array, by which all of them would be meant."""
    array, task = environ.get("SLURM_ARRAY_JOB_ID", ""), environ.get("SLURM_ARRAY_TASK_ID", "")
    return f"{array}_{task}" if array and task else environ.get("SLURM_JOB_ID", "")


def cancel(jobs: Iterable[Job]) -> str:
    """End these jobs, with the whole arrays that they are tasks of; what went wrong, "" if nothing did."""
    numbers = {job.id.partition("_")[0] for job in jobs}  # scancel knows no list of names
    return _order("scancel", "--quiet", *sorted(numbers))


def _order(*command: str) -> str:
    """Have something done; what went wrong, "" if nothing did."""
    try:
        told = _call(command)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return " ".join(told.stderr.split()) or f"{command[0]} failed" if told.returncode else ""


def _ask(*command: str) -> str | None:
    """The answer of one of SLURM's programs; None when there is none."""
    began = time.monotonic()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = _call(command)
        if asked.returncode == 0:
            return asked.stdout
    if time.monotonic() - began > _QUICK:
        _heard.silent_until = time.monotonic() + _PAUSE
    return None


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_LIMIT
    )


def _record(line: str | None) -> dict[str, str]:
    """`Key=Value Key=Value ...`; the first of each key counts."""
    found: dict[str, str] = {}
    for key, value in re.findall(r"(\S+?)=(\S*)", line or ""):
        found.setdefault(key, value)
    return found


def _seconds(text: str) -> float | None:
    """D-HH:MM:SS, HH:MM:SS or MM:SS in seconds; None for UNLIMITED, NOT_SET and the like."""
    match = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
