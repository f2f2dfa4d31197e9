"""A launcher or an observer with a chosen host, beat and wall clock (started by the others; no program).

actor.py launch LIST SLOTS [options]    do runs, SLOTS at a time; prints what came of it as JSON
actor.py observe LIST [options]         look at every run, watch the owners in doubt, put nothing back
actor.py put_back LIST [options]        the same, and put back what is dead
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

# Steps before which a process can stop itself, by the name of an audit event and a part of its arguments.
STEPS = {
    "rename": ("os.rename", "/COMPLETED"),  # a run is finished but does not say so yet
    "reset": ("os.rename", "/RESETTING."),  # an owner was found dead, its run is still its own
    "leases": ("os.listdir", "/.alfred/owners"),  # runs are put back, leases of dead owners to be removed
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("launch", "look", "observe", "put_back"))
    parser.add_argument("list_file", type=Path)
    parser.add_argument("slots", type=int, nargs="?", default=1)
    parser.add_argument("--max_runs", type=int, help="that a slot does at most")
    parser.add_argument("--experiments", type=int, default=1, help="how many are launched")
    parser.add_argument("--host", default="", help="the name of another host to be")
    parser.add_argument("--beat", type=float, default=15.0, help="seconds between two beats of the lease")
    parser.add_argument("--clock", type=float, default=0.0, help="seconds by which the wall clock is off")
    parser.add_argument("--stop_before", choices=("", "write", *STEPS), default="")
    asked = parser.parse_args()
    if asked.clock:
        shift_clock(asked.clock)
    if asked.stop_before:
        stop_before(asked.stop_before)
    found = launch(asked) if asked.what == "launch" else observe(asked)
    print(json.dumps({"year": time.localtime().tm_year, **found}), flush=True)


def shift_clock(seconds: float) -> None:
    """Shift every wall clock that Python code of this process reads, and the time stamps that it gives files.

    The kernel's own clock is one for the whole machine, and files that are made get their stamps from it.
    """
    now, now_ns, local, universal, utime = time.time, time.time_ns, time.localtime, time.gmtime, os.utime
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)
    time.localtime = lambda at=None: local(time.time() if at is None else at)
    time.gmtime = lambda at=None: universal(time.time() if at is None else at)

    def shifted(path: Any, times: Any = None, **more: Any) -> None:
        utime(path, **({"times": times or (time.time(), time.time())} | more))

    os.utime = shifted


def stop_before(step: str) -> None:
    """Let this process stop itself (SIGSTOP) once, before one of STEPS.

    `write` is none of them: a finished run's baton is open, but nothing is written into it yet.
    """
    write: Callable[[int, bytes], int] = os.write
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)

    def stopping_write(handle: int, data: bytes) -> int:
        if b" completed this run at " in data:
            stop()
        return write(handle, data)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == STEPS[step][0] and any(STEPS[step][1] in str(argument) for argument in arguments):
            stop()

    if step == "write":
        os.write = stopping_write
    else:
        sys.addaudithook(hook)


def identity(asked: argparse.Namespace) -> Any:
    """Who this is: with `--host` a process of another machine, as far as its record and its lease tell."""
    from alfred.storage.owners import this_process

    me = this_process(beat=asked.beat)
    if not asked.host:
        return me
    name = f"{asked.host}-{me.pid}-{me.name.rpartition('-')[2]}"
    return dataclasses.replace(me, name=name, host=asked.host, machine=f"machine of {asked.host}")


def storage_dirs(list_file: Path) -> tuple[Path, ...]:
    return tuple(Path.cwd() / "storage" / name for name in list_file.read_text().split())


def launch(asked: argparse.Namespace) -> dict[str, object]:
    from alfred.launchers import starters
    from alfred.launchers.base import LaunchPlan
    from alfred.launchers.local import LocalLauncher

    plan = LaunchPlan(
        project=Path.cwd(),
        root=Path.cwd() / "storage",
        storage_dirs=storage_dirs(asked.list_file),
        environments=({},) * asked.slots,
        max_runs=asked.max_runs,
        experiments=frozenset(range(1, asked.experiments + 1)),
    )
    owner = identity(asked)
    with closing(starters.load("forkserver", Path.cwd(), {})) as starter:
        report = LocalLauncher(owner, starter).launch(plan, {})
    return {"owner": owner.name, **dataclasses.asdict(report)}


def observe(asked: argparse.Namespace) -> dict[str, object]:
    from alfred.storage import findings as finding
    from alfred.storage import recovery
    from alfred.storage.leases import Leases

    me = identity(asked)
    findings = [finding.find(storage_dir, me) for storage_dir in storage_dirs(asked.list_file)]
    at_once = sum(len(found.dead) for found in findings)
    if asked.what != "look":
        finding.watch(findings, me)
    put_back: list[str] = []
    if asked.what == "put_back":
        with closing(Leases(me)) as leases:
            for found in findings:
                put_back += recovery.put_back(found, leases)
    return {
        "dead_at_once": at_once,
        "dead": sum(len(found.dead) for found in findings),
        "doubtful": sum(len(found.doubtful) for found in findings),
        "put_back": len(put_back),
    }


if __name__ == "__main__":
    main()
