"""What is asked of SLURM: time limits as it reads them, profiles, how many jobs."""

from __future__ import annotations

import json
import os

import pytest

import alfred.defaults
from alfred.errors import LaunchError, UsageError
from alfred.launch_schedule import launch_schedule
from alfred.launchers import slurm
from alfred.launchers.slurm import SlurmOptions
from alfred.launchers.submitting import may_never_start


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90 * 60),
        ("2:30", 150),
        ("2:30:00", 9000),
        ("1-12", 36 * 3600),
        ("1-12:30", 36 * 3600 + 1800),
        ("1-12:00:05", 36 * 3600 + 5),
    ],
)
def test_time_limits_are_read_as_sbatch_reads_them(text, seconds):
    assert slurm.seconds_of(text) == seconds
    slurm.check_resources({"time": text})


@pytest.mark.parametrize("text", ["soon", "", "0", "-5", "1:2:3:4", "1-", "1.5", "12h", "0:00"])
def test_other_time_limits_are_refused(text):
    with pytest.raises(UsageError, match=r"--time .*: write minutes, or as in 2:30:00"):
        slurm.check_resources({"time": text})


def test_runs_are_told_some_time_before_the_limit_but_never_before_half_of_it():
    assert slurm.notice("60", 120) == 120
    assert slurm.notice("2", 120) == 60
    assert slurm.notice(None, 120) == 120


@pytest.mark.parametrize(
    ("waiting", "n_processes", "per_process", "jobs"),
    [
        (1, 4, None, 1),
        (8, 4, None, 2),
        (9, 4, None, 3),
        (10_000, 4, None, 32),
        (100, 2, 10, 5),
        (0, 1, None, 1),
    ],
)
def test_there_are_jobs_enough_for_what_waits_and_never_very_many(waiting, n_processes, per_process, jobs):
    assert slurm.jobs_wanted(SlurmOptions(), waiting, n_processes, per_process) == jobs
    assert slurm.jobs_wanted(SlurmOptions(n_jobs=7), waiting, n_processes, per_process) == 7


def test_the_command_line_wins_over_the_schedules_folder_and_that_over_the_defaults(tmp_path):
    folder = tmp_path / "lr"
    folder.mkdir()
    (folder / "slurm_lr.json").write_text(
        '{"partition": "gpu", "mem": "8G", "n_jobs": 3, "mail-type": "END"}'
    )
    profile = slurm.load_profile(folder, {"partition": "main", "account": "us", "setup": "module load x"})
    found = SlurmOptions({"mem": "16G"}, max_concurrent_jobs=2).over(profile)
    assert found.resources == {"partition": "gpu", "account": "us", "mem": "16G", "mail_type": "END"}
    assert (found.n_jobs, found.max_concurrent_jobs, found.setup) == (3, 2, "module load x")


def test_no_profile_says_nothing(tmp_path):
    assert slurm.load_profile(None, {}) == slurm.load_profile(tmp_path, {}) == SlurmOptions()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "is no object of names and values"),
        ("{", "is no JSON object that can be read"),
        ('{"n_jobs": 0}', "n_jobs is a whole number from 1 on, not 0"),
        ('{"n_jobs": true}', "n_jobs is a whole number from 1 on, not True"),
        ('{"mem": null}', "mem is a text or a number, not None"),
        ("[" * 100_000, "is no JSON object that can be read"),
    ],
)
def test_a_profile_that_makes_no_sense_is_named_with_its_place(tmp_path, text, message):
    (tmp_path / f"slurm_{tmp_path.name}.json").write_text(text)
    with pytest.raises(UsageError, match="slurm_") as refused:
        slurm.load_profile(tmp_path, {})
    assert message in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("mail-type=END", ("mail_type", "END")),
        ("--gres=gpu:1", ("gres", "gpu:1")),
        ("exclusive", ("exclusive", "")),
    ],
)
def test_any_option_of_sbatch_can_be_given(text, pair):
    assert slurm.slurm_option(text) == pair


@pytest.mark.parametrize("text", ["=1", "mem=", "n_jobs=3", "launcher=local", ""])
def test_what_is_no_option_of_sbatch_is_refused(text):
    with pytest.raises(UsageError, match="--slurm_option"):
        slurm.slurm_option(text)


def test_a_job_calls_this_python_with_the_options_that_have_a_value():
    command = slurm.launcher_command({"from_file": "a b.txt", "timeout": None, "use_pbar": True, "n": 2})
    assert command[1:] == ["-m", "alfred.launch_schedule", "--from_file=a b.txt", "--use_pbar=true", "--n=2"]


@pytest.mark.parametrize(
    ("reason", "never"),
    [
        ("PartitionTimeLimit", True),
        ("QOSMaxWallDurationPerJobLimit", True),
        ("AssocMaxCpuPerJobLimit", True),
        ("QOSMaxGRESPerNode", True),
        ("QOSMaxJobsPerUserLimit", False),
        ("AssocGrpCpuLimit", False),
        ("Resources", False),
        ("None", False),
    ],
)
def test_a_limit_on_one_job_may_keep_it_from_starting_for_ever_and_one_on_all_together_passes(reason, never):
    assert may_never_start(reason) is never


@pytest.mark.parametrize("name", ["array", "output", "wait"])
def test_what_alfred_says_itself_is_not_taken_from_anybody(name):
    with pytest.raises(UsageError, match=f"--slurm_option {name}: alfred sets that itself"):
        slurm.check_resources({name: ""})


@pytest.fixture
def script(client, monkeypatch, capsys):
    """The batch script for four runs that wait."""
    one = client()
    name = one.lay(*["pass"] * 4).name
    monkeypatch.chdir(one.folder)

    def dry_run(resources, n_processes):
        launch_schedule(
            storage_name=name,
            launcher="slurm",
            n_processes=n_processes,
            cluster=SlurmOptions(resources),
            dry_run=True,
        )
        return capsys.readouterr().out

    return dry_run


def test_as_many_processes_as_cores_means_fewer_jobs(script):
    assert "#SBATCH --array=1-2\n" in script({"cpus_per_task": "3"}, "auto")
    assert "#SBATCH --array=1-4\n" in script({}, "auto")


def test_graphics_processors_are_divided_however_they_were_asked_for_and_only_then(script, monkeypatch):
    for asked in ({"gpus_per_node": "2"}, {"gpus": "a100:2"}, {"gpus_per_task": "2"}, {"gres": "gpu:2"}):
        assert " --gpus=auto " in script(asked, 2)
    monkeypatch.setattr(alfred.defaults, "DEFAULT_SLURM_PROFILE", {"gpus_per_node": 2})
    assert " --gpus=" not in script({"gpus_per_node": "0"}, 2)


def test_a_variable_of_sbatch_does_not_win_over_an_option_that_was_given():
    environ = {"SBATCH_TIMELIMIT": "1", "SBATCH_QOS": "long", "SBATCH_PARTITION": "low", "HOME": "/h"}
    left = slurm.without_contradictions(environ, ["time", "partition"])
    assert left == {"SBATCH_QOS": "long", "HOME": "/h"}


def batch(root, **options):
    return slurm.batch(
        root, root, ["Ab1_a_t_x"], SlurmOptions({"partition": "gpu"}, **options), 4, ["true"], 9
    )


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """`sbatch(text)`: a stand-in on the PATH that does that."""

    def make(text):
        (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "sbatch").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return make


def test_jobs_are_noted_before_they_are_submitted_and_no_variable_overrules_what_they_ask_for(
    tmp_path, sbatch, monkeypatch
):
    monkeypatch.setenv("SBATCH_PARTITION", "low")
    sbatch(f'cd "{tmp_path}/.alfred/jobs" && cat *.json > seen && env > environ && echo "7;here"')
    submission = slurm.submit(batch(tmp_path))
    assert (submission.job, submission.engine) == ("7", "slurm")
    jobs = tmp_path / ".alfred" / "jobs"
    assert json.loads((jobs / "seen").read_text())["storage_names"] == ["Ab1_a_t_x"]
    assert "SBATCH_PARTITION" not in (jobs / "environ").read_text()
    assert json.loads((jobs / f"{submission.name}.json").read_text())["job"] == "7"


def test_of_jobs_that_were_refused_nothing_is_left(tmp_path, sbatch):
    sbatch("echo sbatch: error: no such luck >&2; exit 1")
    with pytest.raises(LaunchError, match=r"^nothing was submitted, sbatch says: no such luck$"):
        slurm.submit(batch(tmp_path))
    assert os.listdir(tmp_path / ".alfred" / "jobs") == []


def test_no_more_jobs_at_once_than_asked_for_and_a_percent_sign_in_the_root_is_no_pattern(tmp_path):
    lines = batch(tmp_path / "50%j", max_concurrent_jobs=2).script.splitlines()
    assert "#SBATCH --array=1-4%2" in lines
    assert f"#SBATCH --output={tmp_path}/50%%j/.alfred/jobs/%A_%a.out" in lines


def test_jobs_are_told_what_was_asked_for_and_are_enough_for_what_waits_alone(client, monkeypatch, capsys):
    one = client()
    storage_dir = one.lay(*["pass"] * 4)
    for number, flag in ((1, "COMPLETED"), (2, "CRASH.txt")):
        (storage_dir / f"experiment{number}/seed1/UNHATCHED").rename(
            storage_dir / f"experiment{number}/seed1/{flag}"
        )
    monkeypatch.chdir(one.folder)
    asked = {"experiments": "1-3", "min_time_left": 5.0, "timeout": 7.0, "requeue": 2}
    launch_schedule(storage_name=storage_dir.name, launcher="slurm", dry_run=True, **asked)
    script = capsys.readouterr().out
    assert "#SBATCH --array=1-1\n" in script
    told = "--experiments=1-3 --min_time_left=5.0 --timeout=7.0 --requeue=2 --run_clean_interrupted=true"
    assert set(told.split()) <= set(script.splitlines()[-1].split())
