"""Finding the runs whose owner is dead, and putting them back while others do the same."""

import contextlib
import dataclasses
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from alfred.storage import batons, findings, leases, processes, recovery
from alfred.storage.attempts import Attempts, read_attempts
from alfred.storage.flags import WAITING_BATON, State, look
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
from alfred.storage.survey import Condition

calls = runpy.run_path(str(Path(__file__).with_name("system_calls.py")))["calls"]
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


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


def test_what_still_works_in_a_dead_run_is_ended_before_the_run_waits(dead):
    storage_dir, (seed_dir,) = dead(1)
    (baton,) = seed_dir.glob("RUNNING.*")
    with subprocess.Popen(SLEEPER, start_new_session=True) as orphan:
        owner = baton.name.removeprefix("RUNNING.")
        batons.note_process(seed_dir, owner, orphan.pid, processes.start_token(orphan.pid))
        assert put_back(storage_dir) == [str(seed_dir)]
        assert orphan.wait(20) == -9


def test_a_run_that_notes_itself_while_its_dead_launcher_is_cleaned_up_after_is_ended_too(dead):
    """Its start was on its way: the first look into the baton finds nobody."""
    storage_dir, (seed_dir,) = dead(1)
    owner = look(seed_dir).owner
    with subprocess.Popen(SLEEPER, start_new_session=True) as late:
        token = processes.start_token(late.pid)

        def note_before(call):
            if call.name == "rename" and call.path == str(seed_dir / f"RUNNING.{owner}"):
                batons.note_process(seed_dir, owner, late.pid, token)
            return call.do()

        with calls(seed_dir, note_before):
            assert put_back(storage_dir) == [str(seed_dir)]
        assert late.wait(20) == -9


def test_an_owner_heard_of_again_while_the_user_is_asked_keeps_its_run(lay):
    seed_dir, other = lay(2)
    storage_dir = seed_dir.parent.parent
    owners = [dataclasses.replace(this_process(), host="elsewhere") for _ in range(2)]
    leases.owners_dir(storage_dir).mkdir(parents=True)
    for owner, path in zip(owners, (seed_dir, other), strict=True):
        (leases.owners_dir(storage_dir) / owner.name).write_text(owner.to_json())
        batons.claim(str(path), owner.name)
    with contextlib.closing(Leases(this_process())) as me:
        found = recovery.find(storage_dir, me.owner)
        now = iter(range(10**6))
        findings.watch([found], me.owner, clock=lambda: 1000.0 * next(now), sleep=lambda seconds: None)
        assert found.dead == [], "a clock that leaps forward during a look proves nothing"
        now = [0.0]
        findings.watch(
            [found], me.owner, clock=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds)
        )
        assert len(found.dead) == 2
        os.utime(leases.owners_dir(storage_dir) / owners[0].name)
        assert recovery.put_back(found, me) == [str(other)]
    assert look(seed_dir) == batons.running(owners[0].name)
