"""Launches on a real SLURM: whatever it kills, preempts or forgets, nothing is lost and nothing is run twice.

`scripted` holds a lock while a run is done and notes each start and end, so a run that is done twice at once
is a crash, and one that is done again after it had completed has two ends.
"""

from __future__ import annotations

import itertools
import json
import os
import signal

import pytest

pytestmark = [pytest.mark.server, pytest.mark.timeout(200)]

QUICK = "time.sleep(0.3)"
GPU = """
with open(Path(__file__).parent / 'gpus', 'a') as file:
    began = time.time()
    time.sleep(0.4)
    print(os.uname().nodename, os.environ['CUDA_VISIBLE_DEVICES'], began, time.time(), file=file)
"""
# Waits until the test says so, wherever the run is.
UNTIL_TOLD = """
while not (Path(__file__).parent / 'go on').exists():
    time.sleep(0.05)
"""
# Goes on from what an attempt before has saved, and needs a second one to come to its end.
CHECKPOINTED = """
saved = dir_tree.seed_dir / 'checkpoint'
if not saved.exists():
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        saved.write_text(str(dir_tree.attempt))
        raise
(dir_tree.seed_dir / 'went on').write_text(saved.read_text() + ' ' + str(dir_tree.attempt))
"""


def launch(one, storage_dir, *words, **options):
    """`alfred launch --launcher slurm`, which submits and returns."""
    return one.run("--storage_name", storage_dir.name, "--launcher", "slurm", *words, **options)


def status(one, *words):
    asked = one.run("--json", *words, module="alfred.commands.status")
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


def ends(one):
    """How often each run came to its end."""
    return {name: sum(word == "end" for word, *_ in notes) for name, notes in one.journal().items()}


def outputs(one):
    """What the jobs printed, for a failing test to show."""
    files = sorted((one.root / ".alfred" / "jobs").glob("*.out"))
    return "\n".join(f"{file.name}: {file.read_text()}" for file in files)


def all_ended(one, look, storage_dir, **expected):
    """Wait until no run waits or runs any more, and every one that completed did so once."""
    look.wait_for(lambda: set(look.counts(storage_dir)) <= {"COMPLETED", "CRASH.txt"}, 150)
    assert look.counts(storage_dir) == expected, outputs(one)
    finished = [path.parent for path in storage_dir.glob("experiment*/seed*/COMPLETED")]
    for seed_dir in finished:
        assert ends(one)[f"{storage_dir.name}.{seed_dir.parent.name}.{seed_dir.name}"] == 1


class TestAnArrayOfJobs:
    def test_does_more_runs_than_there_are_jobs_each_once_and_survives_a_crash(self, client, look, cluster):
        one = client()
        storage_dir = one.lay(
            *[QUICK] * 5, "raise ValueError('no luck')", "os.kill(os.getpid(), 9)", seeds=(1, 2)
        )
        launched = launch(one, storage_dir, "--n_jobs", "3", "--n_processes", "2", "--wait")
        assert launched.returncode == 1, launched.stdout + launched.stderr
        assert look.counts(storage_dir) == {"COMPLETED": 10, "CRASH.txt": 4}, outputs(one)
        assert sorted(ends(one).values()) == [0] * 4 + [1] * 10
        assert "submitted 3 jobs: array " in launched.stdout
        assert "jobs: 3 " in launched.stdout, "nothing was told of how the jobs stand"
        assert "10 done, 0 running, 4 crashed, 0 waiting" in launched.stdout
        hosts = {
            json.loads(path.read_text())["host"]
            for path in storage_dir.glob("experiment*/seed*/.alfred/run.json")
        }
        assert len(hosts) > 1, "no two nodes shared the work"
        assert hosts <= {"n1", "n2", "n3"}
        assert cluster.jobs() == []

    def test_no_two_runs_at_the_same_time_share_a_graphics_processor(self, client, look, cluster):
        one = client()
        storage_dir = one.lay(*[GPU] * 6, seeds=(1, 2, 3))
        words = ("--n_jobs", "3", "--n_processes", "2", "--gpus_per_node", "2", "--wait")
        assert launch(one, storage_dir, *words).returncode == 0, outputs(one)
        used = {}
        for line in (one.folder / "gpus").read_text().splitlines():
            node, gpu, began, ended = line.split()
            used.setdefault((node, gpu), []).append((float(began), float(ended)))
        assert sum(map(len, used.values())) == 18
        assert {gpu for _, gpu in used} == {"0", "1"}
        for times in used.values():
            times.sort()
            assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(times)), used

    def test_a_launcher_on_another_machine_works_on_the_same_runs(self, client, look, cluster):
        one = client()
        storage_dir = one.lay(*[QUICK] * 12, seeds=(1, 2))
        assert launch(one, storage_dir, "--n_jobs", "1").returncode == 0
        look.wait_for(lambda: "RUNNING" in look.counts(storage_dir))
        assert one.run("--storage_name", storage_dir.name).returncode == 0
        all_ended(one, look, storage_dir, COMPLETED=24)
        runs = [
            json.loads(path.read_text()) for path in storage_dir.glob("experiment*/seed*/.alfred/run.json")
        ]
        assert {bool(run["job"]) for run in runs} == {True, False}


class TestEndsThatNobodyChose:
    def test_a_job_that_is_cancelled_in_mid_run_puts_its_runs_back(self, client, look, cluster):
        one = client()
        storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD)
        assert launch(one, storage_dir, "--n_jobs", "1", "--n_processes", "2").returncode == 0
        look.wait_for(lambda: look.counts(storage_dir) == {"RUNNING": 2})
        (job,) = {run["job"] for run in status(one)["running"]}
        cluster.ask("scancel", job)
        look.wait_for(lambda: look.counts(storage_dir) == {"UNHATCHED": 2})
        assert "stopped by SIGTERM" in (storage_dir / "experiment1/seed1/UNHATCHED").read_text()
        (one.folder / "go on").touch()
        assert launch(one, storage_dir, "--wait").returncode == 0
        all_ended(one, look, storage_dir, COMPLETED=2)

    def test_a_preempted_job_starts_again_and_does_its_runs(self, client, look, cluster):
        one = client()
        storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD)
        words = ("--n_jobs", "1", "--n_processes", "2", "--partition", "low", "--slurm_option", "nodelist=n1")
        assert launch(one, storage_dir, *words).returncode == 0
        look.wait_for(lambda: look.counts(storage_dir) == {"RUNNING": 2})
        urgent = ("sbatch", "--parsable", "--nodelist=n1", "--cpus-per-task=2", "--output=/dev/null")
        cluster.ask(*urgent, "--wrap=sleep 2")
        look.wait_for(lambda: look.counts(storage_dir) == {"UNHATCHED": 2})
        (one.folder / "go on").touch()
        all_ended(one, look, storage_dir, COMPLETED=2)
        run = json.loads((storage_dir / "experiment1/seed1/.alfred/run.json").read_text())
        assert (run["attempt"], run["host"]) == (2, "n1")

    def test_a_launcher_killed_in_its_job_is_recognised_at_once_by_the_end_of_the_job(
        self, client, look, cluster
    ):
        one = client()
        storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD)
        assert launch(one, storage_dir, "--n_jobs", "1", "--n_processes", "2").returncode == 0
        look.wait_for(lambda: look.counts(storage_dir) == {"RUNNING": 2})
        running = status(one)["running"]
        assert {run["host"] for run in running} <= {"n1", "n2", "n3"}
        assert {run["alive"] for run in running} == {"not proven"}
        os.kill(running[0]["pid"], signal.SIGKILL)
        look.wait_for(lambda: not cluster.jobs())
        look.wait_for(lambda: len(status(one)["stopped"]) == 2)
        words = ("--storage_name", storage_dir.name, "--no_wait", "true", "--ask_for_validation", "false")
        cleaned = one.run(*words, module="alfred.clean_interrupted")
        assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
        assert look.counts(storage_dir) == {"UNHATCHED": 2}, cleaned.stdout

    def test_the_runs_of_a_silent_node_are_left_to_it_while_their_launcher_lives(self, client, look, cluster):
        one = client()
        storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD)
        words = ("--n_jobs", "1", "--n_processes", "2", "--slurm_option", "nodelist=n2")
        assert launch(one, storage_dir, *words).returncode == 0
        look.wait_for(lambda: look.counts(storage_dir) == {"RUNNING": 2})
        owners = set(map(str, look.states(storage_dir).values()))
        try:
            cluster.kill_node("n2")
            look.wait_for(
                lambda: "down" in cluster.ask("sinfo", "--noheader", "--nodes=n2", "--format=%T"), 60
            )
            words = ("--storage_name", storage_dir.name, "--no_wait", "true", "--ask_for_validation", "false")
            cleaned = one.run(*words, module="alfred.clean_interrupted")
            assert "not proven dead, left alone" in cleaned.stdout
            assert set(map(str, look.states(storage_dir).values())) == owners
            (one.folder / "go on").touch()
            all_ended(one, look, storage_dir, COMPLETED=2)
            run = json.loads((storage_dir / "experiment1/seed1/.alfred/run.json").read_text())
            assert (run["attempt"], run["host"]) == (1, "n2")
        finally:
            cluster.start_node("n2")

    def test_at_the_time_limit_runs_are_told_put_back_and_go_on_in_the_job_that_starts_again(
        self, client, look, cluster
    ):
        one = client()
        main = one.folder / "main.py"
        main.write_text(
            main.read_text()
            + "\ndef set_up_alfred():\n    import alfred.defaults\n"
            + "    alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS = True\n"
        )
        storage_dir = one.lay(CHECKPOINTED, CHECKPOINTED)
        words = ("--n_jobs", "2", "--time", "1", "--requeue", "1")  # the last job has the array's number
        assert launch(one, storage_dir, *words).returncode == 0
        look.wait_for(lambda: look.counts(storage_dir) == {"RUNNING": 2})
        look.wait_for(lambda: look.counts(storage_dir) == {"UNHATCHED": 2}, 90)
        assert (
            "the time limit of its job is near" in (storage_dir / "experiment1/seed1/UNHATCHED").read_text()
        )
        look.wait_for(lambda: look.counts(storage_dir) == {"COMPLETED": 2}, 90)
        for number in (1, 2):
            assert (storage_dir / f"experiment{number}/seed1/went on").read_text() == "1 2", outputs(one)
        assert outputs(one).count("runs still wait: this job starts again") == 2


class TestTheUsersView:
    def test_status_shows_jobs_and_cancel_ends_them_and_puts_their_runs_back(self, client, look, cluster):
        one = client()
        storage_dir = one.lay(*[UNTIL_TOLD] * 3)
        words = ("--n_jobs", "2", "--max_concurrent_jobs", "1", "--time", "10")
        for _ in range(2):  # what the command line says holds, also against the user's own SBATCH_...
            assert launch(one, storage_dir, *words, env={"SBATCH_TIMELIMIT": "55"}).returncode == 0
        look.wait_for(lambda: look.counts(storage_dir) == {"RUNNING": 2, "UNHATCHED": 1})
        found = status(one)
        states = sorted(job["state"] for job in found["jobs"])
        assert states == ["PENDING", "PENDING", "RUNNING", "RUNNING"]
        running = {job["number"]: job for job in found["jobs"] if job["state"] == "RUNNING"}
        assert {run["job"] for run in found["running"]} == set(running)
        assert all(0 < job["seconds_left"] <= 600 for job in running.values())
        shown = one.run(module="alfred.commands.status").stdout
        assert "time left" in shown
        for job in running.values():  # with the run that is on it, and in a table of the jobs
            lines = [line.split() for line in shown.splitlines() if job["id"] in line.split()]
            assert len(lines) == 2, shown
            assert lines[0][0].startswith(storage_dir.name), shown
            assert job["node"] in lines[1], shown

        refused = one.run(
            "--storage_name", storage_dir.name, module="alfred.commands.cancel", stdin=None, input="n\n"
        )
        assert (refused.returncode, len(cluster.jobs())) == (0, 4)
        words = ("--storage_name", storage_dir.name, "--ask_for_validation", "false")
        cancelled = one.run(*words, module="alfred.commands.cancel")
        assert cancelled.returncode == 0, cancelled.stdout + cancelled.stderr
        assert "4 jobs, of which 2 running" in cancelled.stdout
        assert cluster.jobs() == []
        look.wait_for(lambda: look.counts(storage_dir) == {"UNHATCHED": 3})
        assert status(one)["jobs"] == []
        again = one.run(*words, module="alfred.commands.cancel")
        assert "No job of these storage directories" in again.stdout

    def test_dry_run_prints_the_script_and_submits_nothing(self, client, look, cluster):
        one = client()
        storage_dir = one.lay("pass", "pass")
        (one.folder / "schedules" / "x").mkdir(parents=True)
        (one.folder / "schedules" / "x" / "slurm_x.json").write_text(
            '{"time": "2:00:00", "partition": "low"}'
        )
        (one.folder / "schedules" / "x" / "list_searches_x.txt").write_text(storage_dir.name + "\n")
        words = ("--from_file", "schedules/x/list_searches_x.txt", "--launcher", "slurm", "--dry_run")
        shown = one.run(*words, "--partition", "main", "--setup", "module load cuda\nsource env/bin/activate")
        assert shown.returncode == 0, shown.stderr
        lines = shown.stdout.splitlines()
        assert lines[0] == "#!/bin/bash"
        assert {"#SBATCH --array=1-2", "#SBATCH --partition=main", "#SBATCH --time=2:00:00"} <= set(lines)
        assert lines[-3:-1] == ["module load cuda", "source env/bin/activate"]
        assert lines[-1].startswith("exec ")
        assert cluster.jobs() == []
        assert not (one.root / ".alfred" / "jobs").exists()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--partition", "nowhere"), "invalid partition specified: nowhere"),
            (("--mem", "9000G"), "Memory specification can not be satisfied"),
            (("--gpus_per_node", "9"), "Requested node configuration is not available"),
            (("--account", "nobody's", "--constraint", "quantum"), "Invalid feature specification"),
            (("--time", "soon"), "--time soon: write minutes, or as in 2:30:00 (hours) or 1-12:00:00"),
            (("--time", "0"), "--time 0: write minutes, or as in 2:30:00 (hours) or 1-12:00:00"),
            (("--mem", "lots"), "--mem lots: write megabytes, or as in 16G"),
            (("--n_jobs", "0"), "'0' is no whole number from 1 on"),
            (("--slurm_option", "array=1-9"), "--slurm_option array: alfred sets that itself"),
            (("--slurm_option", "no-such-thing=1"), "unrecognized option '--no-such-thing=1'"),
            (("--in_process",), "--in_process is for this very process"),
            (("--experiments", "9"), "--experiments 9: there is no such run"),
        ],
    )
    def test_what_can_not_be_submitted_is_one_line_and_leaves_nothing(self, client, cluster, words, message):
        one = client()
        refused = launch(one, one.lay("pass"), *words)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
        assert message in refused.stderr
        assert cluster.jobs() == []
        assert list(one.root.glob(".alfred/jobs/*")) == []
