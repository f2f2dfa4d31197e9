"""Launchers as tasks of Ray: each is `alfred launch` on a machine of the cluster, working on the same tree.

Ray only finds the machines. A task that it starts again is a new launcher, which puts back what the old left.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alfred.errors import LaunchError, MissingDependencyError, UsageError
from alfred.launchers.base import LaunchReport
from alfred.launchers.environment import THREADS, VISIBLE
from alfred.launchers.watching import watch
from alfred.storage import submissions

_GROWING = 30.0  # seconds in which an existing cluster may still bring up a machine that is large enough
_LEAVING = 20.0  # seconds in which launchers that are told to end are expected to, besides their --grace
_RETRIES = 3  # of a task whose machine or process was lost
_SETTINGS = b"\4"  # the kind of frame that gRPC, which Ray speaks, sends first (HTTP/2, RFC 9113)


@dataclass(frozen=True)
class RayOptions:
    """What is asked of Ray: the cluster's address ("" for one on this machine alone), how many launchers
    (None: as many as have room), and the cores, graphics processors and custom resources of each."""

    address: str = ""
    n_jobs: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)

    def wanted(self) -> dict[str, float]:
        """All that a launcher needs, by Ray's names."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, **self.resources}
        return {name: amount for name, amount in asked.items() if amount}


@dataclass(frozen=True)
class Work:
    """What is to be done: the command that each launcher is called with, in the project's folder, for what
    waits in these storage directories of a root. There is work for `most` launchers, each of which takes
    `grace` seconds to leave and gives its runs so many threads."""

    command: tuple[str, ...]
    project: Path
    root: Path
    storage_dirs: tuple[Path, ...]
    most: int
    grace: float = 1.5
    threads: int = 1


def launch(options: RayOptions, work: Work) -> LaunchReport:
    """Have launchers on the cluster do it, and stay until all have ended; whatever makes this process leave
    earlier ends them.

    Raises:
        MissingDependencyError: Ray is not installed.
        LaunchError: the cluster can't be reached, or no machine of it has what a launcher needs.
    """
    with _cluster(options.address) as ray:
        outputs = _make_outputs(work.root, options.n_jobs or max(1, min(work.most, _room(ray, options))))
        tasks = [_start(ray, options, work, output) for output in outputs]
        try:
            _wait_for_room(ray, options)
            where = outputs[0].parent / f"{outputs[0].stem.rpartition('_')[0]}_*.out"
            print(f"launchers as tasks of Ray: {len(tasks)}; what they print goes to {where}")
            report = watch(
                work.storage_dirs, lambda: not _unfinished(ray, tasks), "the launchers are told to end"
            )
        except BaseException:
            _cancel(ray, tasks, _LEAVING + work.grace)
            _remove_empty(outputs)
            raise
        for output, task in zip(outputs, tasks, strict=True):
            if problem := _problem(ray, task):
                report.passed_over.append(f"a launcher {problem}: see {output}")
                print(report.passed_over[-1])
    return report


def processes_of(options: RayOptions, n_processes: int | str) -> int:
    """How many runs a launcher does at the same time: for "auto" as many as the cores that are asked for
    it, since it would see all of its machine's."""
    return max(1, int(options.cpus)) if n_processes == "auto" else int(n_processes)


def ray_resource(text: str) -> tuple[str, float]:
    """NAME=AMOUNT. UsageError for anything else."""
    name, _, amount = text.partition("=")
    with contextlib.suppress(ValueError):
        if name and 0 < float(amount) < 1e6:
            return name, float(amount)
    raise UsageError(f"--ray_resource {text!r}: write it as in big_memory=1")


def _make_outputs(root: Path, n_jobs: int) -> list[Path]:
    """An empty file for what each launcher prints. It is made here, so that one who doesn't see it knows that
    the folder isn't shared."""
    name = f"{submissions.PREFIX}{secrets.token_hex(4)}"
    folder = submissions.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [folder / f"{name}_{number}.out" for number in range(1, n_jobs + 1)]
    for output in outputs:
        output.touch()
    return outputs


def _remove_empty(outputs: Sequence[Path]) -> None:
    """Remove the files of launchers that never began."""
    for output in outputs:
        with contextlib.suppress(FileNotFoundError):
            if not output.stat().st_size:
                output.unlink()


def _start(ray: Any, options: RayOptions, work: Work, output: Path) -> Any:
    """One launcher as a task."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's own Python need not have alfred
    task = ray.remote(call).options(
        num_cpus=options.cpus,
        num_gpus=options.gpus,
        resources=dict(options.resources),
        max_retries=_RETRIES,
    )
    held = [work.command[0], "-m", "alfred.launchers.leash", *work.command]
    return task.remote(held, str(work.project), str(output), _environment(options, work, os.environ))


def _environment(options: RayOptions, work: Work, environ: Mapping[str, str]) -> dict[str, str]:
    """What a launcher is told besides. Ray gives each run the threads of the whole launcher, and to who asked
    for no graphics processor it shows all or none, depending on its version."""
    threads = {name: environ.get(name, str(work.threads)) for name in THREADS}
    return threads if options.gpus else {**threads, VISIBLE: ""}


def call(command: list[str], project: str, output: str, environment: dict[str, str]) -> int:
    """On a machine of the cluster: call the command and wait for it; its exit status.

    The command ends when this process no longer holds its standard input: however the process is ended, that
    is certain. Ray kills by force what a process of its own has started, and the thread in which it calls
    this function gets no signals; so neither would be enough.
    """
    import contextlib
    import os
    import subprocess

    written = os.open(output, os.O_WRONLY | os.O_APPEND)
    held, hold = os.pipe()
    with open(held, "rb") as leash, open(hold, "wb") as hand, open(written, "ab") as file:
        process = subprocess.Popen(
            command,
            cwd=project,
            env={**os.environ, **environment},
            stdin=leash,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            while True:  # Ray's KeyboardInterrupt comes between two calls, never into one
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(timeout=0.5)
        finally:
            hand.close()
            process.wait()


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """The module ray, connected to a cluster; one on this machine alone is ended afterwards."""
    _check_ray_listens(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to Ray's makers
    try:
        import ray
    except ImportError:
        raise MissingDependencyError("ray", "ray", "--launcher ray") from None
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        _connect(ray, address)
        for number in before:
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
        yield ray
    finally:
        ray.shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level="ERROR",
            configure_logging=False,
        )
    except Exception as error:  # whatever Ray raises
        what = " ".join(str(error).split())[:300]
        where = address or "this machine"
        raise LaunchError(f"no Ray cluster at {where}: {what}; check --ray_address") from error


def _check_ray_listens(address: str) -> None:
    """LaunchError, soon, where nobody listens or somebody else does: Ray itself tries for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdecimal():
        return  # auto, or a client's address: Ray knows what to make of it
    try:
        if int(port) > 65535:
            raise OSError("no port has such a number")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as there:
            heard = there.recv(9) if "RAY_USE_TLS" not in os.environ else b""
    except OSError as error:
        raise LaunchError(f"no Ray cluster at {address}: {error}; check --ray_address") from error
    if "RAY_USE_TLS" not in os.environ and heard[3:4] != _SETTINGS:
        raise LaunchError(f"no Ray cluster at {address}: something else listens there; check --ray_address")


def _wait_for_room(ray: Any, options: RayOptions) -> None:
    """LaunchError if no machine has what a launcher needs: Ray itself would wait for ever.

    The tasks wait already, which is what makes a cluster grow that can.
    """
    if _room(ray, options):
        return
    if options.address:
        print(f"{_no_room(ray, options)}; waiting {_GROWING:.0f} s for another machine", flush=True)
        end = time.monotonic() + _GROWING
        while time.monotonic() < end:
            time.sleep(0.5)
            if _room(ray, options):
                return
    raise LaunchError(_no_room(ray, options))


def _no_room(ray: Any, options: RayOptions) -> str:
    wanted = options.wanted()
    most = {name: max((offered.get(name, 0.0) for offered in _machines(ray)), default=0.0) for name in wanted}
    return f"no machine of the Ray cluster has {_listed(wanted)} for a launcher: the most is {_listed(most)}"


def _listed(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in amounts.items())


def _room(ray: Any, options: RayOptions) -> int:
    """How many launchers fit on the cluster at the same time, if nobody else is there."""
    return sum(
        int(min((offered.get(name, 0.0) // amount for name, amount in options.wanted().items()), default=1))
        for offered in _machines(ray)
    )


def _machines(ray: Any) -> list[Mapping[str, float]]:
    """What each living machine offers, by Ray's names."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _unfinished(ray: Any, tasks: Sequence[Any]) -> list[Any]:
    _, unfinished = ray.wait(list(tasks), num_returns=len(tasks), timeout=0)
    return list(unfinished)


def _cancel(ray: Any, tasks: Sequence[Any], patience: float) -> None:
    """End the launchers: told first, then by force."""
    for by_force in (False, True):
        for task in _unfinished(ray, tasks):
            ray.cancel(task, force=by_force)
        end = time.monotonic() + patience
        while _unfinished(ray, tasks) and time.monotonic() < end:
            time.sleep(0.1)


def _problem(ray: Any, task: Any) -> str:
    """What went wrong with a launcher, "" if nothing did."""
    try:
        status = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        return f"could not begin, {error.cause}: is the folder shared with its machine?"
    except Exception as error:  # the machine was lost more often than Ray tries again
        return f"was lost: {' '.join(str(error).split())[:200]}"
    return f"left with exit status {status}" if status else ""
