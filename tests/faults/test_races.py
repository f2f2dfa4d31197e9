"""Processes that do the same thing at the same instant, or come in between two steps of another."""

from __future__ import annotations

import json
import os
import signal

import contention
import preparations
import pytest
from client import children, new_client, wait_for, wait_until_stopped
from ledger import by_run, overlaps, read_events

from alfred.storage import processes


@pytest.fixture
def client():
    """A client project; who was started with `client.actor` goes on and ends with the test."""
    started = []
    with new_client(FAULTS_PAUSE_BEFORE="save", FAULTS_GO="go") as one:
        start = one.actor

        def actor(*words, **options):
            started.append(start(*words, **options))
            return started[-1]

        one.actor = actor
        yield one
        (one.folder / "go").touch()
        for process in started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()


def begun(client):
    return [event for event in read_events(client.ledger)[0] if event["what"] == "begin"]


def said(process):
    return json.loads(process.communicate(timeout=60)[0].splitlines()[-1])


def test_a_run_that_is_born_while_its_launcher_is_found_dead_ends_before_another_begins(client):
    """The request to start it was on its way, and the cleaner read the baton before the run noted itself."""
    list_file = client.lay(tasks=1, experiments=1, seeds=1)
    launcher = client.actor("launch", list_file, FAULTS_STOP_AT_FORK="yes")
    (server,) = wait_for(lambda: children(launcher.pid))
    (run,) = wait_for(lambda: children(server))
    try:
        for pid in (server, run):
            wait_until_stopped(pid)
        launcher.kill()
        launcher.wait()
        cleaner = client.actor("put_back", list_file, "--stop_before", "reset")
        wait_until_stopped(cleaner.pid)
        os.kill(run, signal.SIGCONT)
        wait_for(lambda: begun(client))
        cleaner.send_signal(signal.SIGCONT)
        assert said(cleaner)["put_back"] == 1
        other = client.actor("launch", list_file)
        wait_for(lambda: len(begun(client)) == 2)
        (client.folder / "go").touch()
        assert said(other)["completed"] == 1
        (events,) = by_run(read_events(client.ledger)[0]).values()
        assert overlaps(events) == [], events
        assert processes.start_token(run) is None
    finally:
        for pid in (run, server):
            if processes.start_token(pid) is not None:
                os.kill(pid, signal.SIGCONT)
    wait_for(lambda: processes.start_token(server) is None)


def test_the_lease_of_a_launcher_that_took_a_run_and_died_while_a_cleaner_looked_stays(client):
    """Without it nobody on this machine could prove the launcher dead."""
    list_file = client.lay(tasks=1, experiments=1, seeds=1)
    launch_and_kill(client, list_file, begins=1)
    cleaner = client.actor("put_back", list_file, "--stop_before", "leases")
    wait_until_stopped(cleaner.pid)
    launch_and_kill(client, list_file, begins=2)
    cleaner.send_signal(signal.SIGCONT)
    assert said(cleaner)["put_back"] == 1
    assert said(client.actor("look", list_file))["dead_at_once"] == 1


def launch_and_kill(client, list_file, begins):
    """A launcher that is killed with its run, when the ledger knows of so many runs."""
    launcher = client.actor("launch", list_file)
    wait_for(lambda: len(begun(client)) == begins)
    servers = children(launcher.pid)
    launcher.kill()
    launcher.wait()
    wait_for(lambda: not any(map(processes.start_token, servers)))


@pytest.mark.timeout(300)
def test_sixteen_preparations_at_once_and_sixteen_that_are_killed_leave_whole_searches_alone(tmp_path):
    outcome = preparations.run(["--rounds", "1", "--folder", str(tmp_path)])
    assert outcome.violations == []
    assert outcome.counts["preparations_not_killed"] == 16
    assert outcome.counts["killed_in_the_midst"] > 0, outcome.counts


@pytest.mark.timeout(300)
def test_launchers_started_together_do_each_run_once_and_none_of_them_stalls(tmp_path):
    """Thirty experiments by six workers, drawn in the end by one of them; a hundred by twenty."""
    outcome = contention.run(["--rounds", "1", "--folder", str(tmp_path)])
    assert outcome.violations == []
    assert outcome.counts["30_experiments_on_6_workers_finished"] == 30
    assert outcome.counts["100_experiments_on_20_workers_finished"] == 100
