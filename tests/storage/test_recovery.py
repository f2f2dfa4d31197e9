"""Finding the runs whose owner is dead, and putting them back while others do the same."""

import contextlib
import dataclasses
import errno
import itertools
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

import alfred.defaults
from alfred import launch_schedule
from alfred.commands import cancel
from alfred.storage import batons, chores, findings, leases, processes, recovery, scheduler
from alfred.storage.attempts import Attempts, read_attempts
from alfred.storage.flags import WAITING_BATON, State, look
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
from alfred.storage.survey import Condition

calls = runpy.run_path(str(Path(__file__).with_name("system_calls.py")))["calls"]


@pytest.fixture
def dead(lay, child):
    """`dead(n)`: n runs of a process that was killed, their storage directory first."""

    def build(how_many):
        seed_dirs = lay(how_many)
        storage_dir = seed_dirs[0].parent.parent

        def die():
            mine = Leases(this_process())
            mine.hold(storage_dir)
            for seed_dir in seed_dirs:
                batons.claim(str(seed_dir), mine.owner.name)
                (seed_dir / "model.pt").write_text("weights")
            os.kill(os.getpid(), 9)

        assert child(die) == -9
        return storage_dir, seed_dirs

    return build


@pytest.fixture
def sleeper():
    """A process in a session of its own that does nothing for a long time."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, start_new_session=True) as process:
        yield process
        process.kill()


def put_back(storage_dir):
    me = Leases(this_process())
    try:
        return recovery.put_back_dead([storage_dir], me)
    finally:
        me.close()


def test_dead_runs_wait_again_and_the_lease_of_the_dead_goes(dead):
    storage_dir, seed_dirs = dead(3)
    (storage_dir / "SUMMARY_COMPLETED").touch()
    assert recovery.find(storage_dir, this_process()).conditions() == {Condition.STOPPED: 3}
    assert sorted(put_back(storage_dir)) == sorted(map(str, seed_dirs))
    assert {look(seed_dir) for seed_dir in seed_dirs} == {WAITING_BATON}
    assert os.listdir(leases.owners_dir(storage_dir)) == []
    assert not (storage_dir / "SUMMARY_COMPLETED").exists()
    assert put_back(storage_dir) == []


@pytest.mark.parametrize("resumes", [True, False])
@pytest.mark.parametrize(
    "door",
    [
        cancel._put_back,
        lambda storage_dirs: launch_schedule._put_back_dead_runs(storage_dirs, this_process()),
    ],
    ids=["cancel", "launch"],
)
def test_what_a_project_resumes_from_stays_in_place_whoever_puts_its_runs_back(
    dead, monkeypatch, door, resumes
):
    storage_dir, (seed_dir,) = dead(1)
    monkeypatch.setattr(alfred.defaults, "DEFAULT_RESUME_FROM_CHECKPOINTS", resumes)
    door([storage_dir])
    assert look(seed_dir) == WAITING_BATON
    assert (seed_dir / "model.pt").exists() == resumes


def test_whatever_stands_in_the_baton_of_a_dead_run_it_waits_again(dead):
    storage_dir, seed_dirs = dead(7)
    noted = ["0 5", "1 5", "9999999999 5", "7" * 5000 + " 5", "-1 5", "\n", "\xb2 5"]
    for seed_dir, process in zip(seed_dirs, noted, strict=True):
        (seed_dir / look(seed_dir).name).write_text(f"somebody\n{process}\n", encoding="latin-1")
    assert sorted(put_back(storage_dir)) == sorted(map(str, seed_dirs))


def test_a_baton_that_cannot_be_read_is_no_proof_that_its_processes_are_gone(dead):
    storage_dir, (seed_dir,) = dead(1)
    baton = seed_dir / look(seed_dir).name
    found = recovery.find(storage_dir, this_process())
    baton.unlink()
    baton.symlink_to(seed_dir / "model.pt")
    me = Leases(this_process())
    assert recovery.put_back(found, me) == []
    me.close()
    assert [f"{seed_dir} could not be put back" in text for text in found.failed] == [True]
    assert baton.is_symlink()
    assert (seed_dir / "model.pt").exists()


def test_the_proof_of_a_death_stays_with_a_run_that_could_not_be_put_back(dead):
    storage_dir, (seed_dir, other) = dead(2)
    owner = look(seed_dir).owner

    def refuse(call):
        if call.name == "rename":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), call.path)
        return call.do()

    with calls(seed_dir, refuse):
        assert put_back(storage_dir) == [str(other)]
    assert owner in os.listdir(leases.owners_dir(storage_dir))
    assert put_back(storage_dir) == [str(seed_dir)]


def test_a_pipe_in_the_place_of_a_marker_keeps_no_cleaner_waiting(lay):
    storage_dir = lay(1)[0].parent.parent
    os.mkfifo(storage_dir / "SUMMARY_ONGOING")
    assert put_back(storage_dir) == []


def test_living_waiting_and_ended_runs_are_left_alone(lay):
    seed_dirs = lay(4)
    storage_dir = seed_dirs[0].parent.parent
    alive = Leases(this_process())
    alive.hold(storage_dir)
    for seed_dir in seed_dirs[:3]:
        batons.claim(str(seed_dir), alive.owner.name)
    batons.finish(seed_dirs[1], alive.owner.name)
    batons.crash(seed_dirs[2], alive.owner.name, "Error")
    (storage_dir / "SUMMARY_COMPLETED").touch()
    before = [look(seed_dir) for seed_dir in seed_dirs]
    assert put_back(storage_dir) == []
    assert [look(seed_dir) for seed_dir in seed_dirs] == before
    assert [baton.state for baton in before] == [State.RUNNING, State.COMPLETED, State.CRASHED, State.WAITING]
    assert (storage_dir / "SUMMARY_COMPLETED").exists()
    alive.close()


def test_many_cleaners_at_once_put_every_run_back_once(dead, together, tmp_path):
    storage_dir, seed_dirs = dead(30)

    def work(number):
        (tmp_path / f"cleaned{number}").write_text("\n".join(put_back(storage_dir)))

    together([lambda number=number: work(number) for number in range(4)])
    cleaned = [line for n in range(4) for line in (tmp_path / f"cleaned{n}").read_text().split()]
    assert sorted(cleaned) == sorted(map(str, seed_dirs))
    assert {read_attempts(seed_dir) for seed_dir in seed_dirs} == {Attempts(0, 1)}


def test_a_cleaner_killed_at_any_step_leaves_what_the_next_finishes(dead, child):
    storage_dir, (seed_dir,) = dead(1)
    steps = 0
    while child(lambda: put_back(storage_dir), kill_before=steps + 1) == -9:
        steps += 1
        put_back(storage_dir)
        assert look(seed_dir) == WAITING_BATON, steps
        assert (seed_dir / ".alfred/attempts/0/model.pt").read_text() == "weights"
        assert not (seed_dir / "model.pt").exists()

        def die(path=seed_dir):
            mine = Leases(this_process())
            mine.hold(storage_dir)
            batons.claim(str(path), mine.owner.name)
            (path / ".alfred/attempts.json").unlink(missing_ok=True)
            (path / ".alfred/attempts/0/model.pt").rename(path / "model.pt")
            os.kill(os.getpid(), 9)

        assert child(die) == -9
    assert steps > 10
    assert look(seed_dir) == WAITING_BATON


def test_what_still_works_in_a_dead_run_is_ended_before_the_run_waits(dead, sleeper):
    storage_dir, (seed_dir,) = dead(1)
    owner = look(seed_dir).owner
    batons.note_process(seed_dir, owner, sleeper.pid, processes.start_token(sleeper.pid))
    assert put_back(storage_dir) == [str(seed_dir)]
    assert sleeper.wait(20) == -9


def test_a_run_whose_process_cannot_be_ended_is_not_put_back(dead, sleeper, monkeypatch):
    storage_dir, (seed_dir,) = dead(1)
    baton = look(seed_dir)
    batons.note_process(seed_dir, baton.owner, sleeper.pid, processes.start_token(sleeper.pid))
    found = recovery.find(storage_dir, this_process())
    hours = itertools.count(step=3600.0)
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", lambda pid, number: None)  # it stands in a call that never returns
        patched.setattr(time, "monotonic", lambda: next(hours))
        assert recovery.put_back(found, Leases(this_process())) == []
    assert found.failed == [f"{seed_dir} was not put back: a process that works in it can't be killed"]
    assert look(seed_dir) == baton


def test_a_run_that_notes_itself_while_its_dead_launcher_is_cleaned_up_after_is_ended_too(dead, sleeper):
    """Its start was on its way: the first look into the baton finds nobody."""
    storage_dir, (seed_dir,) = dead(1)
    owner, token = look(seed_dir).owner, processes.start_token(sleeper.pid)

    def note_before(call):
        if call.name == "rename" and call.path == str(seed_dir / f"RUNNING.{owner}"):
            batons.note_process(seed_dir, owner, sleeper.pid, token)
        return call.do()

    with calls(seed_dir, note_before):
        assert put_back(storage_dir) == [str(seed_dir)]
    assert sleeper.wait(20) == -9


def hold_of(seed_dir, **changes):
    """An owner that differs in `changes` from one that lives, with its lease and the run as its own."""
    owner = dataclasses.replace(this_process(), **changes)
    folder = leases.owners_dir(seed_dir.parent.parent)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / owner.name).write_text(owner.to_json())
    batons.claim(str(seed_dir), owner.name)
    return owner


@pytest.fixture
def elsewhere(lay):
    """Two runs, each of an owner on another machine: (seed directory, owner) of each."""
    return [(seed_dir, hold_of(seed_dir, host="elsewhere")) for seed_dir in lay(2)]


def found_silent(storage_dir, observer):
    """What is found once everybody was watched and nothing was heard."""
    now = [0.0]
    found = recovery.find(storage_dir, observer)
    findings.watch(
        [found], observer, clock=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds)
    )
    return found


def test_an_owner_heard_of_again_while_the_user_is_asked_keeps_its_run(elsewhere):
    (seed_dir, heard), (other, _) = elsewhere
    storage_dir = seed_dir.parent.parent
    with contextlib.closing(Leases(this_process())) as me:
        found = found_silent(storage_dir, me.owner)
        assert len(found.dead) == 2
        os.utime(leases.owners_dir(storage_dir) / heard.name)
        assert recovery.put_back(found, me) == [str(other)]
    assert look(seed_dir) == batons.running(heard.name)


def test_a_process_that_has_the_number_of_one_of_another_machine_is_not_killed(elsewhere, sleeper):
    seed_dir, owner = elsewhere[0]
    batons.note_process(seed_dir, owner.name, sleeper.pid, processes.start_token(sleeper.pid))
    with contextlib.closing(Leases(this_process())) as me:
        assert str(seed_dir) in recovery.put_back(found_silent(seed_dir.parent.parent, me.owner), me)
    assert sleeper.poll() is None


@pytest.mark.parametrize(
    ("changes", "deaths"),
    [
        ({"host": "elsewhere"}, 1),
        ({"boot": "an earlier one"}, 0),
        ({"host": "n1", "job": "7", "node": "n1", "cluster": "here"}, 0),
    ],
)
def test_a_death_counts_unless_the_machine_or_the_job_was_ended(lay, tmp_path, monkeypatch, changes, deaths):
    """Job 7 was cancelled, and its node answers."""
    (tmp_path / "scontrol").write_text(
        '#!/bin/sh\n[ "$3" = job ] && echo JobId=7 JobState=CANCELLED || echo NodeName=n1 State=IDLE\n'
    )
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "here")
    monkeypatch.setattr(scheduler, "_heard", scheduler._Heard())
    (seed_dir,) = lay(1)
    owner = hold_of(seed_dir, **changes)
    with contextlib.closing(Leases(this_process())) as me:
        assert recovery.put_back(found_silent(seed_dir.parent.parent, me.owner), me) == [str(seed_dir)]
    assert read_attempts(seed_dir).deaths == deaths, owner


def test_a_marker_that_another_has_written_since_stays(lay):
    (seed_dir,) = lay(1)
    storage_dir = seed_dir.parent.parent
    dead = hold_of(seed_dir, start="1")
    batons.finish(seed_dir, dead.name)
    marker = storage_dir / "SUMMARY_ONGOING"
    marker.write_text(f"{dead.name}\n")
    with contextlib.closing(Leases(this_process())) as me:
        found = recovery.find(storage_dir, me.owner)
        assert len(found.dead_holds()) == 1
        marker.write_text(f"{me.owner.name}\n")
        recovery.put_back(found, me)
    assert marker.exists()
    assert put_back(storage_dir) == []


def test_while_another_cleaner_adopts_runs_without_a_baton_they_are_left_to_it(lay):
    (seed_dir,) = lay(1)
    storage_dir = seed_dir.parent.parent
    (seed_dir / "UNHATCHED").unlink()
    for path in (*seed_dir.iterdir(), seed_dir):
        os.utime(path, (1000, 1000))
    with (
        contextlib.closing(Leases(this_process())) as other,
        contextlib.closing(Leases(this_process())) as me,
    ):
        other.hold(storage_dir)
        assert chores.take(storage_dir, chores.CLEANING, other.owner)
        for adopted in ([], [str(seed_dir)]):
            found = recovery.find(storage_dir, me.owner)
            assert recovery.put_back(found, me, sleep=lambda seconds: None) == adopted
            chores.give_back(storage_dir, chores.CLEANING, other.owner)
        other.drop(storage_dir)


def test_force_overrules_doubt_but_not_the_proof_of_a_life_that_comes_while_the_user_is_asked(lay):
    seed_dirs = lay(2)
    storage_dir = seed_dirs[0].parent.parent
    alive, unknown = this_process(), this_process()
    for seed_dir, owner in zip(seed_dirs, (alive, unknown), strict=True):
        batons.claim(str(seed_dir), owner.name)
    with contextlib.closing(Leases(this_process())) as me:
        found = recovery.find(storage_dir, me.owner)
        findings.overrule_doubt(found)
        assert len(found.dead) == 2, "neither has a lease"
        leases.owners_dir(storage_dir).mkdir(parents=True)
        (leases.owners_dir(storage_dir) / alive.name).write_text(alive.to_json())
        assert recovery.put_back(found, me) == [str(seed_dirs[1])]
    assert [look(seed_dir) for seed_dir in seed_dirs] == [batons.running(alive.name), WAITING_BATON]
    assert read_attempts(seed_dirs[1]).deaths == 0, "it may not have died at all"
