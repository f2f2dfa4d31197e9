"""Finding dead runs and putting them back, below the command."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import alfred
from alfred.storage import recovery
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
from alfred.storage.survey import Condition

CLAIM = """\
import sys
from pathlib import Path
from alfred.storage import batons, leases, owners
me = owners.this_process(beat=0.05)
leases.Leases(me).hold(Path(sys.argv[1]))
for name in sys.argv[2:]:
    assert batons.claim(f"{sys.argv[1]}/{name}", me.name)
print(me.name, flush=True)
import os; os.kill(os.getpid(), 9)
"""


@pytest.fixture
def storage_dir(tmp_path):
    experiments = tuple(Experiment({"lr": lr}, {"lr": lr}, (1, 2)) for lr in range(2))
    (name,) = lay_search(tmp_path, [Preparation("a", "t", "grid_x", "grid", experiments)])
    return tmp_path / name


@pytest.fixture
def leases():
    with contextlib.closing(Leases(this_process(beat=0.05))) as mine:
        yield mine


def claimed_and_killed(storage_dir, *names):
    """The name of an owner that was killed with -9 while it held these runs."""
    environment = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    command = [sys.executable, "-c", CLAIM, str(storage_dir), *names]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == -9, ran.stderr
    return ran.stdout.strip()


def change_identity(storage_dir, owner, **changes):
    """Let a lease tell of a process elsewhere; as silent as the dead one."""
    path = storage_dir / ".alfred/owners" / owner
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def silently_dead(storage_dir, observer):
    found = recovery.find(storage_dir, observer)
    recovery.watch([found], observer, lambda look, looks: None)
    return found


def test_put_back_dead_takes_what_is_proven_at_once_and_nothing_else(storage_dir, leases):
    claimed_and_killed(storage_dir, "experiment1/seed1")
    elsewhere = claimed_and_killed(storage_dir, "experiment1/seed2")
    change_identity(storage_dir, elsewhere, machine="another")
    os.rename(storage_dir / "experiment2/seed1/UNHATCHED", storage_dir / "experiment2/seed1/CRASH.txt")
    assert recovery.put_back_dead([storage_dir], leases) == [str(storage_dir / "experiment1/seed1")]
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()
    assert (storage_dir / f"experiment1/seed2/RUNNING.{elsewhere}").exists()
    assert (storage_dir / "experiment2/seed1/CRASH.txt").exists()


def test_put_back_dead_says_what_failed_and_goes_on(storage_dir, leases):
    claimed_and_killed(storage_dir, "experiment1/seed1", "experiment2/seed1")
    (storage_dir / "experiment1/seed1/.alfred").write_text("a file where a folder is wanted")
    told = []
    done = recovery.put_back_dead([storage_dir], leases, say=told.append)
    assert done == [str(storage_dir / "experiment2/seed1")]
    assert len(told) == 1
    assert told[0].startswith(f"{storage_dir}/experiment1/seed1 could not be put back: ")


def test_an_owner_that_is_heard_of_again_after_the_watch_keeps_its_runs(storage_dir, leases):
    owner = claimed_and_killed(storage_dir, "experiment1/seed1", "experiment1/seed2")
    lease = change_identity(storage_dir, owner, machine="another")
    found = silently_dead(storage_dir, leases.owner)
    assert found.conditions()[Condition.STOPPED] == len(found.dead) == 2
    os.utime(lease)  # what a beat does
    assert recovery.put_back(found, leases) == []
    assert (storage_dir / f"experiment1/seed1/RUNNING.{owner}").exists()
    again = silently_dead(storage_dir, leases.owner)
    assert len(recovery.put_back(again, leases)) == 2


def test_runs_of_an_owner_without_a_lease_go_back_after_each_was_seen_to_be_still(storage_dir, leases):
    owner = claimed_and_killed(storage_dir, "experiment1/seed1", "experiment1/seed2", "experiment2/seed1")
    (storage_dir / ".alfred/owners" / owner).unlink()
    found = recovery.find(storage_dir, leases.owner)
    assert len(found.doubtful) == 3
    recovery.watch([found], leases.owner, lambda look, looks: None)
    (storage_dir / "experiment2/seed1/a file that main() has just made").touch()
    put_back = recovery.put_back(found, leases)
    assert put_back == [str(storage_dir / "experiment1/seed1"), str(storage_dir / "experiment1/seed2")]
    assert (storage_dir / f"experiment2/seed1/RUNNING.{owner}").exists()


@pytest.mark.may_skip("macOS has no such namespaces")
@pytest.mark.skipif(sys.platform != "linux", reason="namespaces of process numbers are Linux's")
def test_a_number_of_a_process_in_another_container_is_not_killed_here(storage_dir, leases):
    owner = claimed_and_killed(storage_dir, "experiment1/seed1")
    change_identity(storage_dir, owner, pid_namespace="pid:[1]")
    innocent = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        start = Path(f"/proc/{innocent.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        baton = storage_dir / f"experiment1/seed1/RUNNING.{owner}"
        baton.write_text(f"{owner}\n{innocent.pid} {start}\n")
        found = silently_dead(storage_dir, leases.owner)
        assert recovery.put_back(found, leases) == [str(storage_dir / "experiment1/seed1")]
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_leases_of_the_dead_go_when_nothing_needs_them(storage_dir, leases):
    dead = claimed_and_killed(storage_dir, "experiment1/seed1")
    kept = claimed_and_killed(storage_dir, "experiment1/seed2")
    change_identity(storage_dir, kept, machine="another")
    recovery.put_back_dead([storage_dir], leases)
    assert os.listdir(storage_dir / ".alfred/owners") == [kept]
    assert dead != kept


def test_a_death_by_a_restart_of_the_machine_counts_for_nothing(storage_dir, leases):
    owner = claimed_and_killed(storage_dir, "experiment1/seed1")
    change_identity(storage_dir, owner, boot="an earlier one")
    looks = []
    found = recovery.find(storage_dir, leases.owner)
    recovery.watch([found], leases.owner, lambda look, _: looks.append(look))
    assert looks == [1, 2]
    recovery.put_back(found, leases)
    assert not (storage_dir / "experiment1/seed1/.alfred/attempts.json").exists()
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()


def test_a_run_that_was_put_back_by_somebody_else_meanwhile_is_not_counted(storage_dir, leases):
    claimed_and_killed(storage_dir, "experiment1/seed1")
    found = recovery.find(storage_dir, leases.owner)
    other = Leases(dataclasses.replace(this_process(), name="other-1-00000000"))
    with contextlib.closing(other):
        assert len(recovery.put_back_dead([storage_dir], other)) == 1
    assert recovery.put_back(found, leases) == []
    assert found.failed == []
