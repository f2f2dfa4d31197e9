"""Client projects to launch in, in real processes, and a look at what they left."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

import alfred

PROJECTS = Path(__file__).resolve().parent.parent / "projects"
FLAGS = ("UNHATCHED", "COMPLETED", "CRASH.txt")


def wait_for(what, limit=60.0):
    """The first true answer of `what()`; asks again and again, and gives up only after a long time."""
    end = time.monotonic() + limit
    while not (answer := what()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
    return answer


class Client:
    """A copy of one of tests/projects; every process that is started for it carries its mark."""

    def __init__(self, folder, project):
        shutil.copytree(PROJECTS / project, folder)
        self.folder = folder
        self.root = folder / "storage"
        self.mark = f"ALFRED_TEST_MARK={uuid.uuid4().hex}"
        self.launches = []
        self.inside = lambda *command: command  # some network
        (folder / "journal").mkdir(exist_ok=True)

    def lay(self, *dos, id="Ab1", fields=("any", "thing", "grid_x"), seeds=(1,), drawn=True):
        """Lay a storage directory as older tools left them: experiment N does the Nth of `dos`.

        `drawn`: plots and summary count as made, so that no test waits for figures that it does not look at.
        """
        storage_dir = self.root / "_".join([id, *fields])
        alg_name, task_name, desc = fields[-3:]  # git hashes may stand before
        for number, do in enumerate(dos, start=1):
            for seed in seeds:
                seed_dir = storage_dir / f"experiment{number}" / f"seed{seed}"
                seed_dir.mkdir(parents=True)
                config = {"alg_name": alg_name, "task_name": task_name, "desc": desc, "seed": seed, "do": do}
                (seed_dir / "config.json").write_text(json.dumps(config))
                (seed_dir / "config_unique.json").write_text(json.dumps({"seed": seed, "do": do}))
                (seed_dir / "UNHATCHED").touch()
        for chore in ("plots", "summary") if drawn else ():
            (storage_dir / ".alfred" / chore).mkdir(parents=True)
            (storage_dir / ".alfred" / chore / "DONE").touch()
        return storage_dir

    def prepare(self, schedule_file, *words):
        """Lay a search with `alfred prepare`; its storage directories."""
        before = set(self.root.glob("*_*"))
        words = ("--schedule_file", schedule_file, "--desc", "x", "--ask_for_validation", "false", *words)
        self.run(*words, module="alfred.prepare_schedule", check=True)
        return sorted(set(self.root.glob("*_*")) - before)

    def environment(self, **more):
        name, _, value = self.mark.partition("=")
        clean = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
        return {**clean, "PYTHONPATH": str(Path(alfred.__file__).parents[1]), name: value, **more}

    def command(self, *words, module="alfred.launch_schedule"):
        return list(self.inside(sys.executable, "-m", module, *map(str, words)))

    def run(self, *words, module="alfred.launch_schedule", env=None, **options):
        """A command typed in the project's folder, awaited."""
        options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, **options}
        return subprocess.run(
            self.command(*words, module=module),
            **{"cwd": self.folder, "env": self.environment(**(env or {})), "timeout": 100, **options},
        )

    def start(self, *words, env=None, module="alfred.launch_schedule", **options):
        """A launch that goes on while the test does something else."""
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            **options,
        }
        options = {"text": True, "cwd": self.folder, "env": self.environment(**(env or {})), **options}
        self.launches.append(subprocess.Popen(self.command(*words, module=module), **options))
        return self.launches[-1]

    def processes(self):
        """Every living process with the mark: launchers, servers, runs and whatever they started."""
        mark = self.mark.encode()
        return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _has(pid, mark)}

    def journal(self):
        """What the runs of `scripted` noted: name of the run -> [(start or end, process, time), ...]."""
        notes = {}
        for path in sorted((self.folder / "journal").iterdir()):
            lines = [line.split() for line in path.read_text().splitlines()]
            notes[path.name] = [(word, int(pid), float(when)) for word, pid, when in lines]
        return notes

    def started(self, how_many=1):
        """Wait until that many runs have begun."""
        return wait_for(lambda: len(found := self.journal()) >= how_many and found)


def _has(pid, mark):
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return mark in environment.split(b"\0") and state not in "ZX"


def states(storage_dir):
    """experiment/seed -> the names of all flags and batons there."""
    return {
        f"{path.parent.name}/{path.name}": sorted(
            entry.name
            for entry in path.iterdir()
            if entry.name in FLAGS or entry.name.startswith(("RUNNING.", "RESETTING."))
        )
        for path in storage_dir.glob("experiment*/seed*")
    }


def counts(storage_dir):
    """How many runs carry which flags, RUNNING.* without the owner."""
    found = {}
    for names in states(storage_dir).values():
        key = "+".join(name.partition(".")[0] if name.startswith("R") else name for name in names)
        found[key] = found.get(key, 0) + 1
    return found


@pytest.fixture
def client(tmp_path):
    """A fresh copy of a project of tests/projects: `client("tiny")`; leftover processes fail the test."""
    clients = []

    def make(project="scripted", folder="project"):
        clients.append(Client(tmp_path / folder, project))
        return clients[-1]

    yield make
    for one in clients:
        end = time.monotonic() + 5
        while (left := one.processes()) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in left:
            os.kill(pid, 9)
        for launch in one.launches:
            launch.wait(20)
            if launch.stdout:
                launch.stdout.close()
        assert not left, "processes were left behind"


@pytest.fixture(scope="session")
def look():
    """The functions of this file, for tests that can't import it."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A real SLURM of three nodes, for all tests that ask for one."""
    spec = importlib.util.spec_from_file_location("slurm_cluster", Path(__file__).parent / "slurm_cluster.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Sockets have short names; and a folder that only root may enter would hide the jobs' output.
    cluster = module.Cluster(Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp")))
    try:
        yield cluster.start()
    finally:
        cluster.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)


@pytest.fixture
def cluster(slurm, monkeypatch):
    """The cluster with nothing on it; commands that a client runs find it."""
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    yield slurm
    slurm.cancel_all()


class RayCluster:
    """A Ray of one machine, in a network of its own that has the loopback device alone."""

    address = "127.0.0.1:6399"
    # Workers come when they are needed, and are no nicer than anybody.
    settings = ("RAY_AUTH_MODE=disabled", "RAY_enable_worker_prestart=0", "RAY_worker_niceness=0")

    def __init__(self):
        self._namespace = f"alfred-{uuid.uuid4().hex[:8]}"
        self.folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # its sockets have short names

    def inside(self, *command):
        """The command, in the network of this cluster."""
        return ["ip", "netns", "exec", self._namespace, "env", *self.settings, *command]

    def start(self):
        subprocess.run(["ip", "netns", "add", self._namespace], check=True)
        subprocess.run(self.inside("ip", "link", "set", "lo", "up"), check=True)
        words = ["--head", "--port=6399", "--node-ip-address=127.0.0.1", f"--temp-dir={self.folder}"]
        words += ["--num-cpus=4", "--num-gpus=2", "--include-dashboard=false", "--include-log-monitor=false"]
        program = str(Path(sys.executable).with_name("ray"))
        command = self.inside("RAY_USAGE_STATS_ENABLED=0", program, "start", *words)
        for _ in range(4):  # it gives itself half a minute, which is not enough where many others work
            said = subprocess.run(command, capture_output=True, text=True, timeout=100)
            if said.returncode == 0:
                return self
            self._kill()
        raise AssertionError(said.stdout + said.stderr)

    def _kill(self):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        self._kill()
        subprocess.run(["ip", "netns", "del", self._namespace], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self):
        asked = subprocess.run(["ip", "netns", "pids", self._namespace], capture_output=True, text=True)
        return [int(pid) for pid in asked.stdout.split()]


@pytest.fixture(scope="session")
def ray():
    """A real Ray, for all tests that ask for one."""
    cluster = RayCluster()
    try:
        yield cluster.start()
    finally:
        cluster.stop()
