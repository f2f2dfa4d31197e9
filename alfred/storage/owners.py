"""Who takes batons: the identity of one start of a launcher, cleaner or any other such process."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from alfred.storage import processes
from alfred.storage.peek import start_of

BEAT_INTERVAL = 15.0
_ADDED_LATER = {"node": "", "cluster": ""}  # older leases lack them
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}-[0-9]{1,10}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Owner:
    """One start of a process that takes batons; what others need to tell whether it still lives.

    `name` is `<host>-<pid>-<8 hex>`. `beat` is the interval of its lease in seconds, `job` and `restarts`
    the cluster's number of its job and how often that was started again, `node` and `cluster` where it runs.
    """

    name: str
    host: str
    machine: str
    boot: str
    pid_namespace: str
    pid: int
    start: str
    job: str = ""
    restarts: str = ""
    beat: float = BEAT_INTERVAL
    node: str = ""
    cluster: str = ""

    def to_json(self) -> str:
        """The record as it is kept in lease files."""
        return json.dumps(dataclasses.asdict(self)) + "\n"


def this_process(beat: float = BEAT_INTERVAL) -> Owner:
    """A new identity for the calling process: call it once for each start."""
    host = socket.gethostname()
    pid = os.getpid()
    plain = re.sub(r"[^A-Za-z0-9.-]", "-", host)[:60] or "host"
    return Owner(
        name=f"{plain}-{pid}-{secrets.token_hex(4)}",
        host=host,
        machine=processes.machine_id(),
        boot=processes.boot_id(),
        pid_namespace=processes.pid_namespace(),
        pid=pid,
        start=processes.start_token(pid) or "",
        job=os.environ.get("SLURM_JOB_ID", ""),
        restarts=os.environ.get("SLURM_RESTART_COUNT", ""),
        beat=beat,
        node=os.environ.get("SLURMD_NODENAME", ""),
        cluster=os.environ.get("SLURM_CLUSTER_NAME", ""),
    )


def is_owner_name(name: str) -> bool:
    """Whether a name has the form of an owner's."""
    return _NAME.fullmatch(name) is not None


def host_of(owner_name: str) -> str:
    """The host in an owner's name, for people to read."""
    return owner_name.rsplit("-", 2)[0]


def read_owner(path: str | Path) -> Owner | None:
    """The identity in a lease file; None when there is no such file or it holds something else."""
    try:
        record = json.loads(start_of(path, 10_000).data)
        record = {**_ADDED_LATER, **record}
        owner = Owner(**{field.name: record[field.name] for field in dataclasses.fields(Owner)})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    plausible = _well_typed(record) and 0 < owner.beat < 86_400 and 0 < owner.pid < 1 << 31
    return owner if plausible else None


def _well_typed(record: dict[str, object]) -> bool:
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    return all(isinstance(record[field.name], kinds[str(field.type)]) for field in dataclasses.fields(Owner))
