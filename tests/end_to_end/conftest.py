"""Searches that are laid, held by living processes and left by killed ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import alfred
from alfred.storage.creation import Experiment, Preparation, lay_search

# Claims runs, writes something in each, and stands there: what a launcher in mid-run looks like from outside.
# As `elsewhere` it has the identity of a process of another machine, and gives its lease a new stamp often.
HOLDER = """\
import dataclasses, os, sys, time
from pathlib import Path
from alfred.launchers import notes
from alfred.storage import batons, leases, owners

where, storage_dir, *names = sys.argv[1:]
me = owners.this_process()
if where == "elsewhere":
    name = "elsewhere-" + me.name.split("-", me.host.count("-") + 1)[-1]
    me = dataclasses.replace(me, name=name, host="elsewhere", machine="another", job="4711", beat=0.3)
held = leases.Leases(me)
held.hold(Path(storage_dir))
for name in names:
    seed_dir = Path(storage_dir, name)
    assert batons.claim(str(seed_dir), me.name)
    notes.begin(seed_dir, me, {})
    (seed_dir / "model.pt").write_text("half trained")
print(me.name, flush=True)
while True:
    time.sleep(0.02)
    if where == "elsewhere":
        leases.beat(leases.owners_dir(Path(storage_dir)) / me.name)
"""


def in_shell(*words, folder, **options):
    """`python -m alfred ...`, typed in a folder; standard input is empty unless something is piped in."""
    options = {"stdin": subprocess.DEVNULL, **options} if "input" not in options else options
    return subprocess.run(
        [sys.executable, "-m", "alfred", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        **options,
    )


@pytest.fixture
def typed(tmp_path):
    """A command typed in the folder where `laid` makes its storage directories."""
    return lambda *words, **options: in_shell(*words, **{"folder": tmp_path, **options})


@pytest.fixture
def open_folder():
    """A folder that every user may look into; pytest keeps its own for its user alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def laid(tmp_path):
    """Lay a search of two experiments with two seeds for each of the tasks; its storage directories."""

    def lay(*tasks, experiments=2, seeds=(1, 2), root=tmp_path / "storage"):
        laid_experiments = tuple(
            Experiment({"alg_name": "a", "task_name": "t", "lr": number}, {"lr": number}, seeds)
            for number in range(experiments)
        )
        plans = [Preparation("a", task, "grid_x", "grid", laid_experiments) for task in tasks or ("t",)]
        found = [root / name for name in lay_search(root, plans)]
        return found if tasks else found[0]

    return lay


@pytest.fixture
def held():
    """Let a process hold runs: `held(storage_dir, "experiment1/seed1")` gives it, with its `.owner`."""
    processes = []

    def hold(storage_dir, *names, where="here"):
        environment = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}
        command = [sys.executable, "-c", HOLDER, where, str(storage_dir), *names]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        processes.append(process)
        process.owner = process.stdout.readline().strip()
        assert process.owner
        return process

    yield hold
    for process in processes:
        kill(process)
        process.stdout.close()


@pytest.fixture
def killed(held):
    """As `held`, but the process was killed with -9."""

    def hold_and_kill(storage_dir, *names, where="here"):
        process = held(storage_dir, *names, where=where)
        kill(process)
        return process

    return hold_and_kill


def kill(process):
    """Kill with -9 and wait until it is gone."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
