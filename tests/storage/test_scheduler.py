"""What SLURM's programs say, told by small stand-ins of them on the PATH; tests/launchers/test_slurm.py asks
the real ones."""

from __future__ import annotations

import json
import time

import pytest

from alfred.storage import leases, owners, scheduler
from alfred.storage.leases import Verdict

JOB = "JobId=7 ArrayJobId=5 JobState={state} Reason=None Restarts={restarts} BatchHost=n1"
OTHER = "JobId=5 ArrayJobId=5 JobState=RUNNING Restarts=0"
NODE = "NodeName=n1 State={state} ThreadsPerCore=1"


@pytest.fixture
def says(tmp_path, monkeypatch):
    """Let scontrol and squeue answer what the test wants."""

    def answer(job="", node="", queue="", fails=False):
        (tmp_path / "job").write_text(job)
        (tmp_path / "node").write_text(node)
        (tmp_path / "queue").write_text(queue)
        for name, text in {
            "scontrol": f'case "$3" in job) cat {tmp_path}/job;; node) cat {tmp_path}/node;; esac',
            "squeue": f"cat {tmp_path}/queue",
        }.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{'exit 1' if fails else text}\n")
            (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "here")
    monkeypatch.setattr(scheduler, "_heard", scheduler._Heard())
    return answer


@pytest.mark.parametrize(
    ("job", "node", "taken_away"),
    [
        (("CANCELLED", 0), "IDLE", True),
        (("TIMEOUT", 0), "MIXED", True),
        (("PREEMPTED", 0), "ALLOCATED", True),
        (("FAILED", 0), "IDLE", False),
        (("OUT_OF_MEMORY", 0), "IDLE", False),
        (("COMPLETED", 0), "IDLE+CLOUD", False),
        (("RUNNING", 1), "MIXED", True),  # started again
        (("PENDING", 1), "IDLE", True),
    ],
)
def test_a_job_is_over_when_the_scheduler_says_so_and_its_node_answers(says, job, node, taken_away):
    says(f"{OTHER}\n{JOB.format(state=job[0], restarts=job[1])}\n", NODE.format(state=node))
    assert scheduler.ended("7", "", "n1", "here") == scheduler.Ending(taken_away)


@pytest.mark.parametrize(
    ("job", "node"),
    [
        (("RUNNING", 0), "MIXED"),
        (("PENDING", 0), "IDLE"),  # SLURM has not yet counted that it starts again
        (("COMPLETING", 0), "IDLE"),
        (("COMPLETING", 1), "IDLE"),
        (("CANCELLED", 0), "DOWN*"),
        (("CANCELLED", 0), "IDLE*"),
        (("CANCELLED", 0), "IDLE+COMPLETING"),
        (("CANCELLED", 0), "IDLE+DRAIN"),
        (("NODE_FAIL", 1), "DOWN+NOT_RESPONDING"),
        (("CANCELLED", 0), ""),
    ],
)
def test_anything_less_proves_nothing(says, job, node):
    says(JOB.format(state=job[0], restarts=job[1]), NODE.format(state=node))
    assert scheduler.ended("7", "", "n1", "here") is None


def test_neither_does_a_job_that_is_not_known_nor_silence_nor_another_cluster(says):
    says(OTHER, NODE.format(state="IDLE"))
    assert scheduler.ended("7", "", "n1", "here") is None
    says(JOB.format(state="CANCELLED", restarts=0), NODE.format(state="IDLE"))
    assert scheduler.ended("7", "", "n1", "elsewhere") is None
    says(JOB.format(state="CANCELLED", restarts=0), NODE.format(state="IDLE"))
    assert scheduler.ended("7", "", "", "here") is None, "where it was is not known"
    says(fails=True)
    assert scheduler.ended("7", "", "n1", "here") is None


def test_a_scheduler_that_is_silent_is_not_asked_about_one_job_after_the_other(says, tmp_path):
    says()
    asked = tmp_path / "asked"
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho x >> {asked}\nsleep 1.1\nexit 1\n")
    assert [scheduler.ended(job, "", "n1", "here") for job in ("7", "8", "9")] == [None] * 3
    assert asked.read_text() == "x\n"


def test_a_second_start_is_over_only_by_a_third(says):
    says(JOB.format(state="RUNNING", restarts=1), NODE.format(state="MIXED"))
    assert scheduler.ended("7", "1", "n1", "here") is None
    says(JOB.format(state="RUNNING", restarts=2), NODE.format(state="MIXED"))
    assert scheduler.ended("7", "1", "n1", "here") == scheduler.Ending(taken_away=True)


def test_an_owner_elsewhere_is_dead_when_its_job_is_and_in_doubt_else(says, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    here = owners.this_process()
    monkeypatch.delenv("SLURM_JOB_ID")
    record = {**vars(here), "host": "n1"}
    elsewhere = owners.Owner(**record)
    says(JOB.format(state="CANCELLED", restarts=0), NODE.format(state="IDLE"))
    assert leases.judge_owner(elsewhere, elsewhere.name, here) is Verdict.DEAD
    assert leases.judge_owner(here, here.name, here) is Verdict.ALIVE, "a process that exists is never dead"
    says(JOB.format(state="RUNNING", restarts=0), NODE.format(state="MIXED"))
    assert leases.judge_owner(elsewhere, elsewhere.name, here) is Verdict.DOUBT


def test_the_queue_is_read_line_by_line(says):
    fields = ("7_2", "9", "alfred-1", "RUNNING", "n1", "None", "1-02:03:04")
    more = ("7_3", "10", "alfred-1", "PENDING", "", "Priority", "UNLIMITED")
    says(queue="\n".join("\x1f".join(row) for row in (fields, more)) + "\nslurm_load_jobs: nonsense\n")
    first, second = scheduler.queue(["alfred-1"])
    assert (first.id, first.number, first.state, first.node) == ("7_2", "9", "RUNNING", "n1")
    assert first.seconds_left == ((24 + 2) * 60 + 3) * 60 + 4
    assert (second.reason, second.seconds_left) == ("Priority", None)


def test_a_task_of_an_array_asks_for_itself_alone_though_the_last_has_the_number_of_all(says, tmp_path):
    says()
    asked = tmp_path / "asked"
    for name in ("squeue", "scontrol"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$@" >> {asked}\necho 2030-01-02T03:04:05\n')
    task = {"SLURM_JOB_ID": "5", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3"}
    assert scheduler.end_of(task) == time.mktime((2030, 1, 2, 3, 4, 5, 0, 0, -1))
    assert scheduler.requeue(task) == ""
    assert scheduler.requeue({"SLURM_JOB_ID": "5"}) == ""
    assert asked.read_text() == "--noheader --jobs=5_3 --format=%e\nrequeue 5_3\nrequeue 5\n"


def test_of_an_array_only_the_jobs_that_are_over_are_told(says):
    jobs = ((1, "COMPLETED", "0:0"), (2, "FAILED", "3:0"), (3, "RUNNING", "0:0"), (4, "PENDING", "0:0"))
    says("\n".join(f"JobId={n} ArrayTaskId={n} JobState={state} ExitCode={code}" for n, state, code in jobs))
    assert scheduler.outcomes("5") == [("5_1", "COMPLETED", "0"), ("5_2", "FAILED", "3")]
    says("JobId=5 JobState=TIMEOUT ExitCode=0:15")
    assert scheduler.outcomes("5") == [("5", "TIMEOUT", "0")]
    says(fails=True)
    assert scheduler.outcomes("5") is None


def test_jobs_are_cancelled_by_their_arrays_each_once(tmp_path, monkeypatch):
    asked = tmp_path / "asked"
    (tmp_path / "scancel").write_text(f'#!/bin/sh\necho "$@" >> {asked}\necho no such job >&2\nexit 1\n')
    (tmp_path / "scancel").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    jobs = [
        scheduler.Job(id, number, "alfred-1", "RUNNING", "", "", None)
        for id, number in (("7_1", "8"), ("7_2", "9"), ("7_3", "7"), ("12", "12"))
    ]
    assert scheduler.cancel(jobs) == "no such job"
    assert asked.read_text() == "--quiet 12 7\n"


def test_nobody_is_asked_about_nothing_and_no_answer_is_told_apart_from_an_empty_queue(says):
    says(fails=True)
    assert scheduler.queue([]) == []
    assert scheduler.queue(["alfred-1"]) is None
    says()
    assert scheduler.queue(["alfred-1"]) == []


def test_leases_written_before_nodes_were_noted_are_read(tmp_path):
    owner = owners.this_process()
    record = {name: value for name, value in vars(owner).items() if name not in ("node", "cluster")}

    (tmp_path / owner.name).write_text(json.dumps(record))
    assert owners.read_owner(tmp_path / owner.name).name == owner.name
