"""A command on a leash ends with whoever holds it, however that happens, and with time to leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

# Says its number, and on SIGTERM that it was told and, a while later, that it has left.
COMMAND = """
import os, signal, sys, time
def say(what):
    os.write(1, f"{sys.argv[1]} {what}\\n".encode())
def leave(number, frame):
    say("told")
    time.sleep(0.5)
    say("left")
    sys.exit(7)
signal.signal(signal.SIGTERM, leave)
say(os.getpid())
while True:  # a signal that comes just before a long sleep would be heard after it
    time.sleep(0.02)
"""
LEASH = [sys.executable, "-m", "alfred.launchers.leash"]


@pytest.fixture
def hold(tmp_path):
    """Starts the command on a leash that this process holds; what it prints goes to tmp_path / "out"."""
    held = []

    def start(name, *words):
        with (tmp_path / "out").open("ab") as out:
            command = words or (sys.executable, "-c", COMMAND, name)
            held.append(subprocess.Popen([*LEASH, *command], stdin=subprocess.PIPE, stdout=out))
        return held[-1]

    yield start
    for process in held:
        process.stdin.close()
        process.kill()
        process.wait(20)


@pytest.fixture
def lines(tmp_path, look):
    """Waits until so many lines were printed, and gives them."""

    def wait(how_many):
        out = tmp_path / "out"
        return look.wait_for(lambda: len(told := out.read_text().splitlines()) >= how_many and told)

    return wait


def test_it_is_told_when_the_holder_lets_go_and_its_status_is_passed_on(hold, lines):
    leash = hold("one")
    lines(1)
    leash.stdin.close()
    assert leash.wait(60) == 7
    assert lines(3)[1:] == ["one told", "one left"]


def test_it_is_told_when_the_leash_itself_is_killed_by_force(hold, lines):
    leash = hold("one")
    lines(1)
    leash.kill()
    assert lines(3)[1:] == ["one told", "one left"]


def test_a_command_waits_until_nothing_is_left_of_the_one_before_with_the_same_output(hold, lines):
    first = hold("one")
    lines(1)
    first.kill()
    hold("two")
    told = lines(4)
    assert told[1:3] == ["one told", "one left"]
    assert told[3].startswith("two ")


def test_signals_that_its_starter_had_blocked_reach_the_command(hold, lines):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        hold("one")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    pid = int(lines(1)[0].split()[1])
    os.kill(pid, signal.SIGTERM)
    assert lines(3)[1:] == ["one told", "one left"]


def test_one_that_ends_by_itself_takes_the_leash_along(hold):
    assert hold("one", "sh", "-c", "exit 3").wait(60) == 3
