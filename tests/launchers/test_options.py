"""What is run where and with which means: selections, lists, time, threads, graphics processors, leaks."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from alfred.cli import numbers
from alfred.errors import UsageError
from alfred.launch_schedule import _select, launch_schedule, main, parser
from alfred.launchers.environment import THREADS, gpu_variables, thread_variables, usable_cores
from alfred.storage.owners import this_process

# --- options, without any run


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("3,7", {3, 7}), ("1-3, 9", {1, 2, 3, 9}), ("5", {5}), ("2-2", {2}), ("0", {0}), (None, None)],
)
def test_numbers_and_ranges_select(text, chosen):
    assert numbers("--seeds", text) == chosen


@pytest.mark.parametrize("text", ["", "3,", "7-3", "a", "1-", "-1", "1.5", "1-999999999", "²"])
def test_what_is_no_selection_is_said(text):
    with pytest.raises(UsageError, match=r"--seeds .* write it as in 3,7 or 1-5,9"):
        numbers("--seeds", text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("10s", 10), ("90m", 5400), ("12h", 43_200), ("2d", 172_800)],
)
def test_times_are_seconds_or_carry_their_unit(text, seconds):
    assert parser().parse_args(["--storage_name", "x", "--timeout", text]).timeout == seconds


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--storage_name", "x", "--from_file", "y"],
        ["--storage_name", "x", "--n_processes", "0"],
        ["--storage_name", "x", "--n_processes", "many"],
        ["--storage_name", "x", "--n_experiments_per_proc", "-1"],
        ["--storage_name", "x", "--timeout", "soon"],
        ["--storage_name", "x", "--order", "random"],
        ["--storage_name", "x", "--start_method", "thread"],
        ["--storage_name", "x", "--experiments", "a"],
        ["--storage_name", "x", "--gpus", "0,0"],
        ["--storage_name", "x", "--in_process", "--n_processes", "2"],
        ["--storage_name", "x", "--in_process", "--timeout", "3"],
        ["--storage_name", "x", "--use_pbar", "maybe"],
    ],
)
def test_options_that_make_no_sense_are_one_line_and_exit_status_2(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("alfred: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n_processes", [0, -2, "0", "several"])
def test_the_function_behind_the_command_wants_a_sensible_number_of_processes(n_processes):
    with pytest.raises(UsageError, match="n_processes"):
        launch_schedule(storage_name="x", n_processes=n_processes)


# --- threads and graphics processors


def test_threads_are_divided_and_what_is_set_stays():
    cores = usable_cores()
    assert 1 <= cores <= len(os.sched_getaffinity(0))
    assert thread_variables(None, 1, {}) == dict.fromkeys(THREADS, str(cores))
    assert thread_variables(None, 10 * cores, {}) == dict.fromkeys(THREADS, "1")
    assert thread_variables(3, 8, {"MKL_NUM_THREADS": "7"}) == {
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
    }


@pytest.mark.parametrize(
    ("given", "cores"), [("1", 1), ("100000", None), ("0", None), ("", None), ("many", None)]
)
def test_no_more_cores_are_used_than_slurm_has_given(monkeypatch, given, cores):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)
    assert usable_cores() == (cores or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("gpus", "slots", "visible", "shares"),
    [
        (None, 2, "0,1", [None, None]),
        ("2", 2, None, ["0", "1"]),
        ("4", 2, None, ["0,2", "1,3"]),
        ("2", 4, None, ["0", "1", "0", "1"]),
        ("1,3", 2, None, ["1", "3"]),
        ("3,", 2, None, ["3", "3"]),
        ("auto", 2, "GPU-8f, MIG-7/1/0", ["GPU-8f", "MIG-7/1/0"]),
        ("1", 2, "5,6", ["5", "5"]),
        ("6", 1, "0,1,2,3,4,5,6,7", ["0,1,2,3,4,5"]),
        ("6,", 1, "5,6", ["6"]),
        ("GPU-8f", 1, "GPU-8f,GPU-9a", ["GPU-8f"]),
    ],
)
def test_what_can_be_seen_is_divided(gpus, slots, visible, shares):
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    divided = gpu_variables(gpus, slots, environ)
    assert [share.get("CUDA_VISIBLE_DEVICES") for share in divided] == shares


@pytest.mark.parametrize(
    ("gpus", "visible"),
    [
        ("3", "0,1"),
        ("7,", "0,1"),
        ("1", ""),
        ("auto", ""),
        ("0", None),
        ("", None),
        (",", None),
        ("1,1", None),
    ],
)
def test_more_or_other_processors_than_can_be_seen_are_refused(gpus, visible):
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    with pytest.raises(UsageError, match="--gpus"):
        gpu_variables(gpus, 2, environ)


@pytest.mark.parametrize(
    ("words", "env", "threads", "devices"),
    [
        (
            ["--n_processes", "2", "--gpus", "2"],
            {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"},
            None,
            {"GPU-a", "GPU-b"},
        ),
        (["--start_method", "fork", "--threads_per_run", "3"], {}, "3", {None}),
        (["--start_method", "spawn", "--threads_per_run", "3", "--gpus", "0,1"], {}, "3", {"0,1"}),
        (["--in_process", "--threads_per_run", "3", "--gpus", "1,"], {}, "3", {"1"}),
        (["--threads_per_run", "3"], {"OMP_NUM_THREADS": "9"}, "9", {None}),
    ],
)
def test_each_run_gets_its_share_before_the_project_is_imported(client, words, env, threads, devices):
    one = client()
    main = (one.folder / "main.py").read_text()
    at_import = '"""\nimport json, os\nAT_IMPORT = os.environ.get("OMP_NUM_THREADS")\n'
    (one.folder / "main.py").write_text(main.replace('"""\n', at_import, 1))
    note = "(dir_tree.seed_dir / 'env').write_text(json.dumps([AT_IMPORT, dict(os.environ)]));"
    # Both of two processes get a run: each waits until the other has begun.
    meet = "\nwhile len(os.listdir('journal')) < 2: time.sleep(0.01)" if "--n_processes" in words else ""
    storage_dir = one.lay(note + meet, note + meet)
    ran = one.run("--storage_name", storage_dir.name, *words, env=env)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    seen = [json.loads(path.read_text()) for path in storage_dir.glob("*/*/env")]
    assert {environ.get("CUDA_VISIBLE_DEVICES") for _, environ in seen} == devices
    expected = threads or str(max(1, usable_cores() // 2))
    assert {environ["OMP_NUM_THREADS"] for _, environ in seen} == {expected}
    assert {at_import for at_import, _ in seen} == {expected}


# --- which storage directories


def test_a_list_file_may_look_as_people_write_it(client, look):
    """Blank lines, comments, DOS line ends, a name twice; a directory that is gone is passed over."""
    one = client()
    first, second = one.lay("pass"), one.lay("pass", id="Ab2")
    (one.folder / "list.txt").write_bytes(
        f"\r\n# a comment\r\n{first.name}\r\n  {second.name}  # the second\r\n\n{first.name}\r\n".encode()
    )
    launched = one.run("--from_file", "list.txt")
    assert launched.returncode == 0, launched.stderr
    assert f"{first.name} stands in line 3 already" in launched.stdout + launched.stderr
    assert (look.counts(first), look.counts(second)) == ({"COMPLETED": 1}, {"COMPLETED": 1})
    # Nothing waits any more: that is no mistake.
    assert one.run("--from_file", "list.txt").returncode == 0

    third = one.lay("pass", id="Ab3")
    (one.folder / "list.txt").write_text(f"Ab9_gone\n{third.name}\n")
    launched = one.run("--from_file", "list.txt")
    assert launched.returncode == 1
    assert "Ab9_gone does not exist: passed over" in launched.stdout
    assert look.counts(third) == {"COMPLETED": 1}
    (one.folder / "list.txt").write_text("Ab9_gone\n")
    launched = one.run("--from_file", "list.txt")
    assert launched.returncode == 3
    assert "every storage directory was passed over" in launched.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--storage_name", "Ab1_any_thing_grid_y"], "did you mean Ab1_any_thing_grid_x?"),
        (["--storage_name", "../project"], "is no storage name"),
        (["--storage_name", "/tmp"], "is no storage name"),
        (["--from_file", "list.txt"], "list.txt, line 2: '../x' is no storage name"),
        (["--from_file", "nowhere.txt"], "nowhere.txt can't be read"),
        (
            ["--storage_name", "Ab1_any_thing_grid_x", "--root_dir", "nowhere"],
            "root directory nowhere does not exist",
        ),
    ],
)
def test_a_wrong_name_is_one_line_and_exit_status_2(client, look, words, says):
    one = client()
    storage_dir = one.lay("pass")
    (one.folder / "list.txt").write_text(f"{storage_dir.name}\n../x\n")
    launched = one.run(*words)
    assert launched.returncode == 2
    assert says in launched.stderr
    assert launched.stderr.count("\n") == 1
    assert look.counts(storage_dir) == {"UNHATCHED": 1}
    assert not (one.folder / "nowhere").exists()


def test_a_launch_deals_first_with_what_a_killed_preparation_left(client):
    one = client()
    storage_dir = one.lay("pass")
    dead = dataclasses.replace(this_process(), start="1")
    (one.root / ".alfred" / "owners").mkdir(parents=True)
    (one.root / ".alfred" / "owners" / dead.name).write_text(dead.to_json())
    (one.root / ".alfred" / f"laying.{dead.name}").mkdir()
    chosen = {"root_dir": one.root, "from_file": None, "storage_name": storage_dir.name}
    assert _select({**chosen, "log_level": 30, "check_hash": False}) == ([storage_dir], [])
    assert not list((one.root / ".alfred").glob("laying.*"))


def test_code_that_has_changed_is_passed_over_unless_told_otherwise(client, look):
    one = client()
    main = (one.folder / "main.py").read_text()
    track = "\nfrom alfred.utils.directory_tree import DirectoryTree\n"
    track += (
        "def set_up_alfred():\n    DirectoryTree.git_repos_to_track['here'] = str(Path(__file__).parent)\n"
    )
    (one.folder / "main.py").write_text(main + track)
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "main.py"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=one.folder, check=True)
    head = ["git", "rev-parse", "--short", "HEAD"]
    now = subprocess.run(head, cwd=one.folder, capture_output=True, text=True, check=True).stdout.strip()
    same = one.lay("pass", fields=(now, "any", "thing", "grid_x"))
    other = one.lay("pass", id="Ab2", fields=("0123abc", "any", "thing", "grid_x"))
    (one.folder / "list.txt").write_text(f"{same.name}\n{other.name}\n")
    launched = one.run("--from_file", "list.txt")
    assert launched.returncode == 1
    assert f"was laid with git hashes 0123abc, the code now stands at {now}: passed over" in launched.stdout
    assert (look.counts(same), look.counts(other)) == ({"COMPLETED": 1}, {"UNHATCHED": 1})
    assert one.run("--storage_name", other.name).returncode == 3
    assert one.run("--storage_name", other.name, "--check_hash", "false").returncode == 0
    assert look.counts(other) == {"COMPLETED": 1}


def test_a_storage_directory_that_cannot_be_written_is_passed_over_and_the_others_go_on(client, look):
    one = client()
    first, second = one.lay("pass", drawn=False), one.lay("pass", id="Ab2")
    (first / ".alfred").write_text("no folder")
    (one.folder / "list.txt").write_text(f"{first.name}\n{second.name}\n")
    launched = one.run("--from_file", "list.txt")
    assert launched.returncode == 1
    assert f"{first} is passed over: " in launched.stdout
    assert (look.counts(first), look.counts(second)) == ({"UNHATCHED": 1}, {"COMPLETED": 1})


def test_each_process_does_at_most_as_many_runs_as_it_may(client, look):
    one = client()
    storage_dir = one.lay(*["pass"] * 7)
    words = ["--storage_name", storage_dir.name, "--n_processes", "2", "--n_experiments_per_proc", "2"]
    assert one.run(*words).returncode == 0
    assert look.counts(storage_dir) == {"COMPLETED": 4, "UNHATCHED": 3}


# --- many runs, and what a worker loads

LEAKS = """
import logging, os, sys
from pathlib import Path
from alfred.launchers.base import LaunchPlan
from alfred.storage.owners import this_process

def standing():
    loggers = [name for name in logging.Logger.manager.loggerDict if "experiment" in name]
    return len(os.listdir("/proc/self/fd")), len(loggers)

if __name__ == "__main__":
    root = Path(sys.argv[3])
    plans = [
        LaunchPlan(Path.cwd(), root, tuple(root.iterdir()), max_runs=number, log_level=40)
        for number in (1, int(sys.argv[2]))
    ]
    found = []
    for plan in plans:
        if sys.argv[1] == "in_process":
            from alfred.launchers.in_process import InProcessLauncher
            from alfred.project import load_project
            launcher = InProcessLauncher(this_process(), load_project())
        else:
            from alfred.launchers import starters
            from alfred.launchers.local import LocalLauncher
            launcher = LocalLauncher(this_process(), starters.load("forkserver", Path.cwd(), {}))
        report = launcher.launch(plan, {})
        found.append([*standing(), report.completed])
    print("found", found)
"""

MEASURED = "print(len(os.listdir('/proc/self/fd')), len(os.listdir(f'/proc/{os.getppid()}/fd')))"


@pytest.fixture
def in_memory(tmp_path):
    """A folder where waiting for the disk takes no time."""
    folder = tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path)
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize(("method", "how_many"), [("in_process", 1000), ("forkserver", 200)])
def test_many_runs_in_one_launcher_leak_neither_files_nor_loggers(client, in_memory, method, how_many):
    one = client()
    one.root = in_memory
    storage_dir = one.lay(MEASURED, seeds=range(how_many + 1))
    (one.folder / "leaks.py").write_text(LEAKS)
    ran = one.run(method, how_many, in_memory, module="leaks")
    assert ran.returncode == 0, ran.stderr
    before, after = json.loads(ran.stdout.rpartition("found ")[2])
    assert [before[2], after[2]] == [1, how_many]
    assert before[:2] == after[:2]
    assert after[1] == 0
    if method == "forkserver":  # neither do the runs inherit more and more, nor does the server gather
        outputs = [(storage_dir / f"experiment1/seed{seed}/output.out").read_text() for seed in (2, how_many)]
        assert outputs[0] == outputs[1]


def test_what_starts_and_watches_runs_loads_nothing_heavy():
    modules = [
        "launch_schedule",
        *(f"launchers.{name}" for name in ("local", "fork_server", "worker", "spawned")),
    ]
    script = f"import {', '.join('alfred.' + name for name in modules)}, sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert "alfred" in loaded
    assert not loaded & {"matplotlib", "pandas", "scipy", "numpy", "rich", "tqdm", "psutil"}


def test_the_help_names_every_option_of_the_contract():
    text = parser().format_help()
    contract = (
        "from_file storage_name n_processes n_experiments_per_proc use_pbar check_hash root_dir log_level"
    )
    beyond = "run_clean_interrupted grace timeout gpus order experiments seeds threads_per_run start_method"
    options = set(re.findall(r"--(\w+)", text))
    assert {"in_process", *contract.split(), *beyond.split()} <= options
