"""How long a launcher may go on, by a clock that the test turns, and in launches that are told their end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from alfred.launchers import walltime
from alfred.launchers.base import LaunchPlan, LaunchReport
from alfred.launchers.starting_again import start_again
from alfred.launchers.walltime import WallTime
from alfred.storage.attempts import write_run


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_runs_are_told_at_the_notice_and_have_all_but_ten_seconds_of_it(clock):
    limit = WallTime(end=1000.0, notice=120.0, clock=clock)
    clock.now = 879.9
    assert not limit.is_over()
    clock.now = 880.0
    assert limit.is_over()
    assert limit.grace() == 110.0
    clock.now = 2000.0
    assert limit.grace() == 0.0
    clock.now = 0.0
    assert WallTime(end=4.0, notice=4.0, clock=clock).grace() == 2.0, "of a short notice half"


def test_a_run_begins_only_if_it_can_finish_by_the_median_of_those_that_did(clock):
    limit = WallTime(end=1000.0, notice=100.0, durations=[10.0, 200.0, 5000.0], clock=clock)
    clock.now = 699.0
    assert limit.allows_another()
    clock.now = 701.0
    assert not limit.allows_another()
    limit.learn(20.0)
    limit.learn(30.0)
    assert limit.needed() == 30.0
    assert limit.allows_another()


def test_a_given_time_wins_over_the_median_and_checkpoints_need_none(clock):
    assert WallTime(1000.0, 100.0, min_left=7.0, durations=[50.0], resumes=True, clock=clock).needed() == 7.0
    assert WallTime(1000.0, 100.0, durations=[50.0], resumes=True, clock=clock).needed() == 0.0
    assert WallTime(1000.0, 100.0, clock=clock).needed() == 0.0


def test_the_notice_is_at_most_half_of_what_is_left():
    limit = walltime.of_this_job(
        {"SLURM_JOB_END_TIME": str(int(time.time()) + 60)}, (), 120.0, None, resumes=False
    )
    assert 25 < limit.notice <= 30


def test_without_a_job_there_is_no_limit():
    assert walltime.of_this_job({}, (), 120.0, None, resumes=False) is None


def test_what_a_run_takes_is_known_from_the_completed_ones_alone(client, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 600))
    storage_dir = client().lay("pass", "pass", "pass")
    for number, (flag, seconds) in enumerate([("COMPLETED", 5), ("CRASH.txt", 400), ("UNHATCHED", 300)], 1):
        seed_dir = storage_dir / f"experiment{number}" / "seed1"
        (seed_dir / "UNHATCHED").rename(seed_dir / flag)
        write_run(seed_dir, {"seconds": seconds})
    assert walltime.of_this_job(os.environ, [storage_dir], 120.0, None, resumes=False).needed() == 5.0


@pytest.mark.parametrize(
    ("started", "allowed", "began", "resumes", "told"),
    [
        ("", 0, 1, False, "runs wait although the job's time is up: see --requeue"),
        ("2", 2, 1, False, "it was started again 2 times; --requeue allows 2"),
        ("", 2, 0, False, "no run begins: it would need 1200 s, more than this job had"),
        ("1", 2, 1, False, None),
        ("", 2, 0, True, None),
    ],
)
def test_a_job_out_of_time_starts_again_where_that_is_allowed_and_not_in_vain(
    client, tmp_path, monkeypatch, started, allowed, began, resumes, told
):
    asked = tmp_path / "asked"
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("SLURM_RESTART_COUNT", started)
    report = LaunchReport(began=began, out_of_time=True, stopped_by=signal.SIGUSR1)
    limit = WallTime(end=0.0, notice=0.0, min_left=1200.0, resumes=resumes)
    plan = LaunchPlan(Path(), tmp_path, (client().lay("pass"),), walltime=limit)
    start_again(report, plan, allowed)
    assert report.out_of_time
    assert [told in text for text in report.passed_over] == ([] if told is None else [True])
    assert (asked.read_text() if asked.exists() else "") == ("requeue 5\n" if told is None else "")


def test_a_job_out_of_time_does_not_start_again_for_runs_that_were_not_asked_for(client, tmp_path):
    plan = LaunchPlan(Path(), tmp_path, (client().lay("pass"),), experiments=frozenset({2}))
    report = LaunchReport(out_of_time=True)
    start_again(report, plan, 0)
    assert (report.passed_over, report.out_of_time) == ([], False)


def test_no_run_begins_that_would_not_finish_and_those_left_are_told_of(client, look):
    one = client()
    storage_dir = one.lay(*["time.sleep(1)"] * 3)
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 600)}
    words = ("--storage_name", storage_dir.name, "--experiments", "1")
    assert one.run(*words, env=end).returncode == 0
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 600)}
    launched = one.run("--storage_name", storage_dir.name, "--min_time_left", "20m", env=end)
    assert launched.returncode == 1, launched.stdout
    assert "no further run begins: the job's time is nearly up (a run takes 1200 s)" in launched.stdout
    assert "runs wait although the job's time is up: see --requeue" in launched.stdout
    assert look.counts(storage_dir) == {"COMPLETED": 1, "UNHATCHED": 2}


def test_near_the_end_runs_are_told_and_wait_again(client, look):
    one = client()
    storage_dir = one.lay(
        "try: time.sleep(600)\nfinally: time.sleep(0.4); (dir_tree.storage_dir / 'saved').touch()"
    )
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 8)}
    launched = one.run("--storage_name", storage_dir.name, "--grace", 0, env=end)
    assert launched.returncode == 1, launched.stdout
    assert look.counts(storage_dir) == {"UNHATCHED": 1}
    assert (storage_dir / "saved").exists(), "it has all but a margin of the notice, whatever --grace says"
    assert "the time limit of its job is near" in (storage_dir / "experiment1/seed1/UNHATCHED").read_text()
