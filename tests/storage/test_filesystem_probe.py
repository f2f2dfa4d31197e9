"""Measuring real file systems from two processes; what hangs, dies or is cut off leaves nothing behind."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alfred.storage import probe_calls, processes
from alfred.storage.filesystem_probe import Extent, measure
from alfred.storage.probe_clients import Client, Meeting, ProbeError

SHORT = Extent(rounds=60, race=1.0, patience=2.0, total=20.0)


@pytest.fixture(params=["disk", "memory"])
def place(request, tmp_path):
    """A folder of this disk, and one of a tmpfs."""
    if request.param == "disk":
        yield tmp_path
        return
    folder = Path("/dev/shm") / f"alfred-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    folder.rmdir()  # fails unless it is empty


@pytest.fixture
def client():
    """`client(name=function, ...)`: a process that calls them."""
    made = []

    def start(**functions):
        made.append(Client(functions))
        return made[-1]

    yield start
    for one in made:
        one.close()


def asked(client, name):
    client.begin(name)
    return client.result(20.0)


def test_a_file_system_that_keeps_its_promises_is_measured_whole(place):
    doing = []
    found = measure(place, place, SHORT, doing.append)
    assert (found.failures, found.refused) == ({}, "")
    assert [race.kind for race in found.races] == list(probe_calls.RACES)
    for race in found.races:
        assert (race.rounds, race.double, race.lost, race.unclaimed, race.error) == (60, 0, 0, 0, "")
    assert [(sight.change, sight.way) for sight in found.sights] == probe_calls.SIGHTS
    assert all(sight.seconds is not None for sight in found.sights)
    assert 0 < found.stamps.granularity < 2.5
    assert abs(found.stamps.ahead) < 2.0
    assert 0 < found.syncs.file < 20
    assert (found.names.longest, found.names.case, found.names.symlinks) == (255, True, True)
    assert found.room.bytes == pytest.approx(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize, rel=0.2)
    assert doing
    assert os.listdir(place) == []


def test_two_folders_that_are_not_the_same_are_found_out(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    hasty = Extent(rounds=5, race=0.2, patience=0.1, total=20.0)
    found = measure(tmp_path / "a", tmp_path / "b", hasty)
    assert found.failures == {"other": "what is made in the one folder is not there in the other"}
    assert found.races == found.sights == []
    assert os.listdir(tmp_path / "a") == os.listdir(tmp_path / "b") == []


def test_a_folder_that_is_gone_is_refused_with_its_reason(tmp_path):
    assert measure(tmp_path / "gone", tmp_path / "gone", SHORT).refused == "No such file or directory"


def test_when_the_time_is_over_what_is_missing_is_said(tmp_path):
    found = measure(tmp_path, tmp_path, Extent(rounds=5, race=0.1, patience=0.1, total=0.0))
    assert "time of 0 s was over" in found.refused
    assert os.listdir(tmp_path) == []


def test_what_a_slow_disk_has_made_when_the_time_is_over_is_removed(tmp_path, monkeypatch):
    def slow(path, mode=0o777, mkdir=os.mkdir):
        mkdir(path, mode)
        time.sleep(1.0)

    monkeypatch.setattr(os, "mkdir", slow)
    found = measure(tmp_path, tmp_path, Extent(rounds=5, race=0.1, patience=0.1, total=0.5))
    assert "no answer within" in found.refused
    assert os.listdir(tmp_path) == []


def test_an_interrupted_probe_removes_what_it_made(tmp_path):
    def interrupt(doing):
        if "rename" in doing:
            raise KeyboardInterrupt

    long = Extent(rounds=10**6, race=60.0, patience=60.0, total=100.0)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, tmp_path, long, interrupt)
    assert os.listdir(tmp_path) == []


def test_a_call_that_hangs_is_given_up_and_its_late_answer_is_not_taken_for_another(client):
    one = client(slow=lambda: time.sleep(0.5) or "slow", quick=lambda: "quick")
    one.begin("slow")
    with pytest.raises(ProbeError, match=r"no answer within 0\.1 s"):
        one.result(0.1)
    assert asked(one, "quick") == "quick"


def test_a_process_that_dies_and_one_that_is_refused_are_told_apart(client):
    with pytest.raises(ProbeError, match="died"):
        asked(client(die=lambda: os._exit(3)), "die")
    with pytest.raises(ProbeError, match="No such file"):
        asked(client(look=lambda: os.stat("/no/such/file")), "look")


def test_two_processes_meet_until_one_wants_to_stop_and_nobody_waits_for_ever(client):
    meeting = Meeting(limit=20.0)
    other = client(come=lambda: meeting.meet(1, 1), go=lambda: meeting.meet(1, 2))
    other.begin("come")
    assert meeting.meet(0, 1) is other.result(20.0) is True
    meeting.stop_at(2)
    other.begin("go")
    assert meeting.meet(0, 2) is other.result(20.0) is False
    meeting.give_up()
    assert meeting.meet(0, 3) is False
    with pytest.raises(TimeoutError):
        Meeting(limit=0.05).meet(0, 1)


def test_each_way_of_looking_has_a_folder_of_its_own_so_that_none_refreshes_what_another_remembers(tmp_path):
    (tmp_path / "probe").mkdir()
    calls = probe_calls.calls(str(tmp_path / "probe"), 0, Meeting())
    calls["lay_sights"]()
    before = calls["prime"](0.0)
    assert calls["watch"](before, True, 0.0) == [None] * len(probe_calls.SIGHTS)
    done = calls["change"](True)
    seen = calls["watch"](before, True, 5.0)
    assert all(late >= made for made, late in zip(done, seen, strict=True))
    assert len({folder.name for folder in (tmp_path / "probe/sights").iterdir()}) == len(probe_calls.SIGHTS)


def test_a_handle_that_is_void_says_that_a_removed_file_is_gone(tmp_path, monkeypatch):
    """As on NFS; of a file that was not removed it is an error."""

    def stale(path):
        raise OSError(errno.ESTALE, "stale")

    calls = probe_calls.calls(str(tmp_path), 0, Meeting())
    calls["lay_sights"]()
    monkeypatch.setattr(probe_calls, "SIGHTS", [(probe_calls.REMOVED, probe_calls.BY_NAME)])
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", stale)
        assert calls["watch"]([[True, 0]], True, 0.0) != [None]
        patched.setattr(probe_calls, "SIGHTS", [(probe_calls.STAMP, probe_calls.BY_NAME)])
        with pytest.raises(OSError, match="stale"):
            calls["watch"]([[True, 0]], True, 0.0)


# One that never returns, as a race that is still going on.
ASKS = """
import os, time
from alfred.storage.probe_clients import Client
def race():
    print(os.getpid(), flush=True)
    while True:
        pass
client = Client({"race": race})
client.begin("race")
client.result(600.0)
"""


def test_a_killed_doctor_takes_its_processes_along_so_that_nothing_is_written_any_more():
    with subprocess.Popen([sys.executable, "-c", ASKS], stdout=subprocess.PIPE, text=True) as doctor:
        racer = int(doctor.stdout.readline())
        token = processes.start_token(racer)
        doctor.send_signal(signal.SIGKILL)
        doctor.wait()
        end = time.monotonic() + 60
        while (left := processes.start_token(racer)) == token and time.monotonic() < end:
            time.sleep(0.01)
        if left == token:
            os.kill(racer, signal.SIGKILL)
        assert left != token
