"""Processes of this machine: who exists, since when, and the end of a whole session."""

import os
import signal
import subprocess
import sys

import pytest

from alfred.storage import processes

SLEEPER = [sys.executable, "-c", "print(flush=True); import time; time.sleep(600)"]
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
# In a pid namespace of its own: what a user is told of another's process where /proc hides those.
HIDDEN = """
import dataclasses, os, subprocess
from alfred.storage import leases, owners, processes
subprocess.run(["mount", "-t", "proc", "-o", "hidepid=2", "proc", "/proc"], check=True)
with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
    token = processes.start_token(other.pid)
    owner = dataclasses.replace(owners.this_process(), pid=other.pid, start=token)
    if os.fork() == 0:
        os.setgroups([])
        os.setresgid(12345, 12345, 12345)
        os.setresuid(12345, 12345, 12345)
        me = owners.this_process()
        print(repr(processes.start_token(other.pid)), processes.start_token(2**22 - 1))
        print(leases.judge_owner(owner, owner.name, me).value)
        print(processes.kill_session(other.pid, token), flush=True)
        os._exit(0)
    os.wait()
    other.kill()
"""


def test_a_start_token_tells_a_process_from_none_and_from_a_zombie():
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE) as process:
        token = processes.start_token(process.pid)
        assert token
        assert token == processes.start_token(process.pid)
        process.stdout.readline()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert processes.start_token(process.pid) is None  # a zombie
    assert processes.start_token(process.pid) is None


def test_some_numbers_are_never_those_of_a_run():
    numbers = (-1, 0, 1, 2, 2**31 - 1, 2**31)
    assert [processes.is_number(number) for number in numbers] == [False, False, False, True, True, False]


def test_a_session_is_killed_with_its_grandchildren_even_when_its_leader_is_gone():
    for leader_first in (False, True):
        with subprocess.Popen(
            [sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True
        ) as leader:
            token = processes.start_token(leader.pid)
            grandchild = int(leader.stdout.readline())
            assert set(processes.session_members(leader.pid)) == {leader.pid, grandchild}
            if leader_first:
                leader.kill()
                leader.wait()
                assert processes.session_members(leader.pid) == [grandchild]
            assert processes.kill_session(leader.pid, token)
            assert processes.start_token(grandchild) is None
            assert processes.start_token(leader.pid) is None


def test_a_session_whose_number_belongs_to_another_process_now_is_left_alone():
    with subprocess.Popen(SLEEPER, stdout=subprocess.PIPE, start_new_session=True) as process:
        process.stdout.readline()
        assert processes.kill_session(process.pid, "the start of another")
        assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("tie", [processes.die_with_parent, processes.end_with_parent])
def test_a_process_whose_parent_went_before_it_could_be_tied_to_it_ends_at_once(tie):
    """Else nobody would ever tell it."""
    pid = os.fork()
    if pid == 0:
        tie(2**22 - 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


@pytest.mark.server  # a mount needs root
def test_a_process_that_the_system_hides_is_neither_dead_nor_gone():
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        sys.executable,
        "-c",
        HIDDEN,
    ]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert asked.stdout.splitlines() == ["'' None", "not proven", "False"], asked.stderr


@pytest.mark.server  # a namespace needs root
def test_where_the_clock_since_boot_is_another_numbers_and_start_times_of_processes_mean_something_else():
    code = "from alfred.storage import processes; print(processes.pid_namespace())"
    command = ["unshare", "--time", "--fork", sys.executable, "-c", code]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    here = processes.pid_namespace()
    assert elsewhere.split()[0] == here.split()[0]
    assert elsewhere != here
