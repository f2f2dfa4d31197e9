"""Who is alive: proof on the same machine, silence by one's own clock elsewhere, and doubt otherwise."""

import dataclasses
import os
import subprocess
import sys
import time

import pytest

from alfred.storage import leases, processes
from alfred.storage.leases import LOOKS, Leases, Suspect, Verdict, judge, watch_silence
from alfred.storage.owners import is_owner_name, read_owner, this_process

HOLDER = """
import sys, time
from pathlib import Path
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
holder = Leases(this_process(beat=0.05), helper=sys.argv[2] == "helper")
holder.hold(Path(sys.argv[1]))
print(holder.owner.name, holder._heart._process.pid if sys.argv[2] == "helper" else 0, flush=True)
time.sleep(600)
"""


@pytest.fixture
def storage_dir(lay):
    return lay(1)[0].parent.parent


@pytest.fixture
def holder(storage_dir):
    """`holder(kind)`: a process that holds a lease, its owner's name and the pid of its helper."""
    started = []

    def start(kind="thread"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, storage_dir, kind], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        name, helper = process.stdout.readline().split()
        return process, name, int(helper)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def stamp(storage_dir, owner):
    return (leases.owners_dir(storage_dir) / owner).stat().st_mtime_ns


def wait_until(true, limit=60.0):
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def write_lease(storage_dir, **changes):
    """The lease of an owner on this machine that differs in `changes` from one that lives."""
    owner = dataclasses.replace(this_process(), **changes)
    leases.owners_dir(storage_dir).mkdir(parents=True, exist_ok=True)
    (leases.owners_dir(storage_dir) / owner.name).write_text(owner.to_json())
    return owner


def suspect_of(storage_dir, owner):
    return Suspect(storage_dir, owner.name, storage_dir / "experiment1" / "seed1")


class FakeTime:
    """A clock that moves only when somebody sleeps; `events[n]` happens before the nth look is over."""

    def __init__(self, events=None, slow=()):
        self.now = 1000.0
        self.looks = 0
        self.events = events or {}
        self.slow = slow

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.looks += 1
        self.events.get(self.looks, lambda: None)()


def test_a_killed_process_of_this_machine_is_dead_at_once_and_a_living_one_alive(storage_dir, holder):
    process, name, _ = holder()
    assert is_owner_name(name)
    assert judge(storage_dir, name, this_process()) is Verdict.ALIVE
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert judge(storage_dir, name, this_process()) is Verdict.DEAD  # a zombie works nothing any more
    process.wait()
    assert judge(storage_dir, name, this_process()) is Verdict.DEAD


def test_a_process_that_got_the_number_of_a_dead_one_is_not_taken_for_it(storage_dir):
    assert judge(storage_dir, write_lease(storage_dir).name, this_process()) is Verdict.ALIVE
    reused = write_lease(storage_dir, start="12345")
    assert judge(storage_dir, reused.name, this_process()) is Verdict.DEAD


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "elsewhere"},
        {"machine": "another"},
        {"machine": ""},
        {"pid_namespace": "pid:[1]"},
        {"boot": "an earlier one"},
        {"boot": ""},
    ],
)
def test_what_another_machine_or_an_earlier_boot_did_is_in_doubt(storage_dir, changes):
    owner = write_lease(storage_dir, pid=2**22 + 1, start="1", **changes)
    assert judge(storage_dir, owner.name, this_process()) is Verdict.DOUBT


@pytest.mark.parametrize("unknown", ["machine", "boot", "pid_namespace"])
def test_what_neither_of_two_knows_of_itself_is_not_the_same(storage_dir, unknown):
    owner = write_lease(storage_dir, pid=2**22 + 1, start="1", **{unknown: ""})
    observer = dataclasses.replace(this_process(), **{unknown: ""})
    assert judge(storage_dir, owner.name, observer) is Verdict.DOUBT


def test_a_process_that_could_not_tell_its_own_start_is_in_doubt_while_its_number_is_taken(storage_dir):
    owner = write_lease(storage_dir, start="")
    assert judge(storage_dir, owner.name, this_process()) is Verdict.DOUBT


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"name": 1}', "[" * 100_000, '{"pid": "x"}', "\xff"]
)
def test_a_lease_that_is_missing_or_damaged_proves_nothing(storage_dir, text):
    owner = write_lease(storage_dir)
    path = leases.owners_dir(storage_dir) / owner.name
    path.write_text(text, encoding="latin-1")
    assert read_owner(path) is None
    assert judge(storage_dir, owner.name, this_process()) is Verdict.DOUBT
    path.unlink()
    assert judge(storage_dir, owner.name, this_process()) is Verdict.DOUBT


def test_a_pipe_or_a_link_in_the_place_of_a_lease_keeps_nobody_waiting_and_proves_nothing(storage_dir):
    owner = write_lease(storage_dir, start="1")
    path = leases.owners_dir(storage_dir) / owner.name
    assert judge(storage_dir, owner.name, this_process()) is Verdict.DEAD
    path.rename(storage_dir / "moved")
    path.symlink_to(storage_dir / "moved")
    assert judge(storage_dir, owner.name, this_process()) is Verdict.DOUBT
    path.unlink()
    os.mkfifo(path)
    assert judge(storage_dir, owner.name, this_process()) is Verdict.DOUBT
    assert leases.stamps(suspect_of(storage_dir, owner)) == leases.stamps(suspect_of(storage_dir, owner))


@pytest.mark.parametrize("pid", [10**20, 0, -1])
def test_a_lease_with_a_number_that_no_process_has_proves_nothing(storage_dir, pid):
    owner = write_lease(storage_dir, pid=pid, start="1")
    assert judge(storage_dir, owner.name, this_process()) is Verdict.DOUBT


def test_a_lease_that_names_another_owner_proves_nothing(storage_dir):
    dead, other = write_lease(storage_dir, start="1"), write_lease(storage_dir)
    path = leases.owners_dir(storage_dir)
    (path / other.name).write_text((path / dead.name).read_text())
    assert judge(storage_dir, other.name, this_process()) is Verdict.DOUBT


def test_five_silent_looks_one_interval_apart_prove_a_death(storage_dir):
    owner = write_lease(storage_dir, host="elsewhere", beat=7.0)
    suspect = suspect_of(storage_dir, owner)
    ticking, looks = FakeTime(), []
    found = watch_silence(
        [suspect],
        this_process(),
        clock=ticking.clock,
        sleep=ticking.sleep,
        progress=lambda look, of: looks.append((look, of)),
    )
    assert set(found) == {suspect}
    assert looks == [(look, LOOKS) for look in range(1, LOOKS + 1)]
    assert ticking.now - 1000.0 == (LOOKS - 1) * 7.0


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_beat_in_between_proves_a_life_whatever_time_it_names(storage_dir, at):
    """Its own clock may be years off: only the change counts."""
    owner = write_lease(storage_dir, host="elsewhere")
    path = leases.owners_dir(storage_dir) / owner.name
    ticking = FakeTime({at: lambda: os.utime(path, (86_400, 86_400))})
    found = watch_silence(
        [suspect_of(storage_dir, owner)], this_process(), clock=ticking.clock, sleep=ticking.sleep
    )
    assert found == {}
    assert ticking.looks == at


def test_a_stamp_in_the_far_future_or_past_neither_proves_nor_delays_anything(storage_dir):
    for when in (0, 4_000_000_000):
        owner = write_lease(storage_dir, host="elsewhere")
        os.utime(leases.owners_dir(storage_dir) / owner.name, (when, when))
        suspect, ticking = suspect_of(storage_dir, owner), FakeTime()
        found = watch_silence([suspect], this_process(), clock=ticking.clock, sleep=ticking.sleep)
        assert set(found) == {suspect}
        assert ticking.looks == LOOKS - 1


def test_a_slow_or_failed_look_starts_the_count_anew(storage_dir):
    owner = write_lease(storage_dir, host="elsewhere", beat=10.0)
    path = leases.owners_dir(storage_dir)
    suspect = suspect_of(storage_dir, owner)
    away = storage_dir / "seeds"
    ticking = FakeTime(
        {3: lambda: path.rename(away) and path.touch(), 4: lambda: path.unlink() or away.rename(path)}
    )
    assert set(watch_silence([suspect], this_process(), clock=ticking.clock, sleep=ticking.sleep)) == {
        suspect
    }
    assert ticking.looks == 3 + LOOKS

    class Slow(FakeTime):
        asked = 0

        def clock(self):
            self.asked += 1
            self.now += 11.0 if self.asked == 6 else 0.0  # during the third look
            return self.now

    slow = Slow()
    assert set(watch_silence([suspect], this_process(), clock=slow.clock, sleep=slow.sleep)) == {suspect}
    assert slow.looks == 2 + LOOKS


def test_looks_that_always_fail_never_prove_a_death(storage_dir):
    owner = write_lease(storage_dir, host="elsewhere")
    path = leases.owners_dir(storage_dir)
    path.rename(storage_dir / "away")
    path.touch()
    ticking = FakeTime()
    assert (
        watch_silence(
            [suspect_of(storage_dir, owner)], this_process(), clock=ticking.clock, sleep=ticking.sleep
        )
        == {}
    )
    assert ticking.looks >= LOOKS


def test_an_owner_of_an_earlier_boot_of_this_machine_needs_two_silent_looks(storage_dir):
    owner = write_lease(storage_dir, boot="an earlier one")
    ticking = FakeTime()
    found = watch_silence(
        [suspect_of(storage_dir, owner)], this_process(), clock=ticking.clock, sleep=ticking.sleep
    )
    assert len(found) == 1
    assert ticking.looks == 1


def appears_within_one_tick(seed_dir):
    before = seed_dir.stat()
    (seed_dir / "model.pt").touch()
    os.utime(seed_dir, ns=(before.st_atime_ns, before.st_mtime_ns))


def comes_and_goes(seed_dir):
    os.utime(seed_dir)


@pytest.mark.parametrize("sign", [appears_within_one_tick, comes_and_goes])
def test_without_a_lease_the_silence_of_the_seed_directory_counts(storage_dir, sign):
    seed_dir = storage_dir / "experiment1" / "seed1"
    suspect = Suspect(storage_dir, "elsewhere-1-0123abcd", seed_dir)
    ticking = FakeTime({3: lambda: sign(seed_dir)})
    assert watch_silence([suspect], this_process(), clock=ticking.clock, sleep=ticking.sleep) == {}
    ticking = FakeTime()
    assert set(watch_silence([suspect], this_process(), clock=ticking.clock, sleep=ticking.sleep)) == {
        suspect
    }


@pytest.mark.parametrize("cached", ["stat", "fstat"])
def test_a_beat_is_seen_though_one_of_two_ways_to_look_is_answered_from_a_cache(
    storage_dir, monkeypatch, cached
):
    owner = write_lease(storage_dir, host="elsewhere")
    path = leases.owners_dir(storage_dir) / owner.name
    remembered, real = path.stat(), getattr(os, cached)

    def answer(asked, **options):
        told = real(asked, **options)
        return remembered if told.st_ino == remembered.st_ino else told

    monkeypatch.setattr(os, cached, answer)
    ticking = FakeTime({2: lambda: os.utime(path, (1, 1))})
    suspect = suspect_of(storage_dir, owner)
    assert watch_silence([suspect], this_process(), clock=ticking.clock, sleep=ticking.sleep) == {}


@pytest.mark.parametrize("kind", ["thread", "helper"])
def test_leases_are_beaten_again_and_again(storage_dir, holder, kind):
    _, name, _ = holder(kind)
    for _ in range(3):
        before = stamp(storage_dir, name)
        wait_until(lambda before=before: stamp(storage_dir, name) != before)


def test_the_helper_ends_with_its_parent(storage_dir, holder):
    process, name, helper = holder("helper")
    assert processes.start_token(helper)
    process.kill()
    process.wait()
    wait_until(lambda: processes.start_token(helper) is None)
    assert judge(storage_dir, name, this_process()) is Verdict.DEAD


def test_the_helper_ends_with_its_parent_though_a_child_of_that_holds_its_pipe_open(storage_dir):
    script = HOLDER.replace(
        "time.sleep(600)", "import os; os.fork(); print(os.getpid(), flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, storage_dir, "helper"], stdout=subprocess.PIPE, text=True
    ) as process:
        helper = int(process.stdout.readline().split()[1])
        pids = {int(process.stdout.readline()) for _ in range(2)}
        (orphan,) = pids - {process.pid}
        process.kill()
        process.wait()
        wait_until(lambda: processes.start_token(helper) is None)
        assert processes.start_token(orphan)
        os.kill(orphan, 9)


def test_the_helper_puts_together_a_path_that_comes_in_two_parts(tmp_path):
    lease = tmp_path / "lease"
    lease.touch()
    os.utime(lease, (1, 1))
    command = [sys.executable, "-m", "alfred.storage.heart", "0.05", str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as helper:
        helper.stdin.write(b"x" * 65_530 + b"\0" + os.fsencode(lease) + b"\0")  # it reads 65 536 bytes
        helper.stdin.flush()
        wait_until(lambda: lease.stat().st_mtime > 2)


def test_a_lease_stands_from_the_first_baton_until_it_is_left_without_one(storage_dir):
    mine = Leases(this_process())
    path = leases.owners_dir(storage_dir) / mine.owner.name
    mine.hold(storage_dir)
    mine.hold(storage_dir)
    assert read_owner(path) == mine.owner
    mine.drop(storage_dir)
    mine.leave(storage_dir)
    assert path.exists()
    path.unlink()
    mine.restore()
    assert read_owner(path) == mine.owner
    mine.close()
    assert path.exists()  # a baton is still held: without its lease nobody could prove its owner dead
    mine.drop(storage_dir)
    mine.leave(storage_dir)
    assert not path.exists()


def test_looks_that_come_too_early_do_not_count(storage_dir):
    owner = write_lease(storage_dir, host="elsewhere", beat=10.0)
    suspect, ticking = suspect_of(storage_dir, owner), FakeTime()

    def wake_early(seconds):
        ticking.sleep(seconds * 0.6)

    assert set(watch_silence([suspect], this_process(), clock=ticking.clock, sleep=wake_early)) == {suspect}
    assert ticking.now - 1000.0 >= (LOOKS - 1) * 10.0


def test_a_helper_that_was_killed_is_replaced_when_the_next_run_is_taken(tmp_path):
    storage_dir = tmp_path / "Ju1_a"
    (storage_dir / ".alfred" / "owners").mkdir(parents=True)
    held = Leases(this_process(beat=0.05), helper=True)
    held.hold(storage_dir)
    first = held._heart._process
    first.kill()
    first.wait()
    held.drop(storage_dir)
    lease = leases.owners_dir(storage_dir) / held.owner.name
    os.utime(lease, (1, 1))
    held.hold(storage_dir)
    assert lease.stat().st_mtime > 2, "it may have been silent for long: the first beat is not waited for"
    os.utime(lease, (1, 1))
    wait_until(lambda: lease.stat().st_mtime > 2)
    assert held._heart._process.pid != first.pid
    held.drop(storage_dir)
    held.close()
