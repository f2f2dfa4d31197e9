"""`alfred clean`: dead runs wait again, living ones are never touched."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alfred.clean_interrupted import clean_interrupted
from alfred.errors import NothingToDoError, UsageError

MADE_AT_THE_END = ("PLOT_ARRAYS_COMPLETED", "SUMMARY_COMPLETED", "summary/scores.json")
NO_QUESTION = "--ask_for_validation=false"


def snapshot(folder):
    """Every name below a folder with its content, but for alfred's leases."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if "owners" not in path.parts
    }


def make_figures(storage_dir):
    (storage_dir / "summary").mkdir()
    for name in MADE_AT_THE_END:
        (storage_dir / name).write_text("made when all had ended")


def age(seed_dir):
    """As a run of an older tool that stopped an hour ago."""
    long_ago = time.time() - 3600
    for path in (*seed_dir.iterdir(), seed_dir):
        os.utime(path, (long_ago, long_ago))


def crash(seed_dir, text="Crashed at: some time\nValueError: boom\n"):
    (seed_dir / "UNHATCHED").unlink()
    (seed_dir / "CRASH.txt").write_text(text)


def test_runs_of_a_killed_process_wait_again_with_their_outputs_put_aside(laid, killed, typed):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1", "experiment2/seed2")
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert (ran.returncode, ran.stderr) == (0, "")
    for name in ("experiment1/seed1", "experiment2/seed2"):
        seed_dir = storage_dir / name
        assert sorted(os.listdir(seed_dir)) == [".alfred", "UNHATCHED", "config.json", "config_unique.json"]
        assert (seed_dir / ".alfred/attempts/1/model.pt").read_text() == "half trained"
        assert json.loads((seed_dir / ".alfred/attempts/1/run.json").read_text())["attempt"] == 1
    assert "2 runs put back to waiting" in ran.stdout


def test_a_living_run_is_never_touched(laid, held, killed, typed):
    storage_dir = laid()
    living = held(storage_dir, "experiment1/seed1")
    crash(storage_dir / "experiment1/seed2")
    killed(storage_dir, "experiment2/seed1")
    before = snapshot(storage_dir / "experiment1/seed1")
    assert f"RUNNING.{living.owner}" in before
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION, "--clean-crashes")
    assert ran.returncode == 0
    assert "2 runs put back" in ran.stdout
    assert snapshot(storage_dir / "experiment1/seed1") == before
    assert living.poll() is None


def test_plots_and_summary_go_only_where_something_was_put_back(laid, killed, tmp_path, typed):
    reset, untouched = laid("t", "u")
    make_figures(reset)
    make_figures(untouched)
    for storage_dir in (reset, untouched):
        os.rename(storage_dir / ".alfred/plots/WAITING", storage_dir / ".alfred/plots/DONE")
    killed(reset, "experiment1/seed1")
    (tmp_path / "list.txt").write_text(f"{reset.name}\n{untouched.name}\n")
    assert typed("clean", "--from_file", "list.txt", NO_QUESTION).returncode == 0
    assert [(reset / name).exists() for name in MADE_AT_THE_END] == [False] * 3
    assert not (reset / "summary").exists()
    assert [(untouched / name).exists() for name in MADE_AT_THE_END] == [True] * 3
    assert os.listdir(reset / ".alfred/plots") == ["WAITING"]
    assert os.listdir(untouched / ".alfred/plots") == ["DONE"]


def test_crashed_runs_go_back_only_when_that_is_asked_for(laid, typed):
    storage_dir = laid()
    seed_dir = storage_dir / "experiment1/seed1"
    crash(seed_dir)
    ran = typed("clean", "--storage_name", storage_dir.name)
    assert ran.returncode == 0
    assert ran.stdout.endswith(
        "Nothing to put back; `--clean_crashes true` puts back what crashed (1 run).\n"
    )
    assert (seed_dir / "CRASH.txt").exists()
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION, "--clean_crashes", "Y")
    assert ran.returncode == 0
    assert (seed_dir / "UNHATCHED").exists()
    assert not (seed_dir / "CRASH.txt").exists()


def test_the_answer_n_changes_nothing_and_y_does(laid, killed, typed):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1")
    before = snapshot(storage_dir)
    no = typed("clean", "--storage_name", storage_dir.name, input="n\n")
    assert (no.returncode, "Nothing was changed" in no.stdout) == (0, True)
    assert f"{storage_dir.name}: 1 whose process died" in no.stdout
    assert snapshot(storage_dir) == before
    yes = typed("clean", "--storage_name", storage_dir.name, input="y\n")
    assert yes.returncode == 0
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()


def test_an_end_of_input_changes_nothing_and_names_the_option(laid, killed, typed):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1")
    before = snapshot(storage_dir)
    ran = typed("clean", "--storage_name", storage_dir.name)
    assert (ran.returncode, "--ask_for_validation" in ran.stderr) == (2, True)
    assert snapshot(storage_dir) == before


def test_a_silent_process_of_another_machine_is_waited_out_with_a_word_on_it(laid, killed, typed):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1", "experiment2/seed1", where="elsewhere")
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert ran.returncode == 0
    assert "look 5 of 5" in ran.stdout
    assert "2 runs put back" in ran.stdout
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()


def test_a_process_of_another_machine_that_is_heard_of_keeps_its_run(laid, held, typed):
    storage_dir = laid()
    living = held(storage_dir, "experiment1/seed1", where="elsewhere")
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert (ran.returncode, "Nothing to put back" in ran.stdout) == (0, True)
    assert f"1 run of {living.owner}: not proven dead" in ran.stdout
    assert (storage_dir / f"experiment1/seed1/RUNNING.{living.owner}").exists()


def test_no_wait_leaves_what_is_not_proven_and_counts_it_as_no_failure(laid, killed, typed):
    storage_dir = laid()
    dead = killed(storage_dir, "experiment1/seed1", where="elsewhere")
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION, "--no_wait")
    assert (ran.returncode, "look 1" in ran.stdout) == (0, False)
    assert f"1 run of {dead.owner}: not proven dead" in ran.stdout
    assert (storage_dir / f"experiment1/seed1/RUNNING.{dead.owner}").exists()


def test_force_takes_runs_in_doubt_after_a_warning_that_names_their_owner(laid, killed, typed):
    storage_dir = laid()
    dead = killed(storage_dir, "experiment1/seed1", where="elsewhere")
    words = ("clean", "--storage_name", storage_dir.name, "--no_wait", "--force")
    before = snapshot(storage_dir)
    no = typed(*words, input="n\n")
    assert (no.returncode, "1 whose process may be alive" in no.stdout) == (0, True)
    assert "WARNING: --force" in no.stdout
    assert (
        f"1 run of {storage_dir.name}: host elsewhere, process {dead.pid}, job 4711, last heard of "
        in no.stdout
    )
    assert snapshot(storage_dir) == before
    yes = typed(*words, input="y\n")
    assert (yes.returncode, "1 run put back" in yes.stdout) == (0, True)
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()
    assert json.loads((storage_dir / "experiment1/seed1/.alfred/attempts.json").read_text())["deaths"] == 0


@pytest.mark.parametrize(("where", "no_wait"), [("here", "true"), ("elsewhere", "false")])
def test_force_never_takes_a_run_of_a_process_known_to_live(laid, held, typed, where, no_wait):
    """Asked on this machine, or heard of while it is watched."""
    storage_dir = laid()
    living = held(storage_dir, "experiment1/seed1", where=where)
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION, "--force", "--no_wait", no_wait)
    assert (ran.returncode, "Nothing to put back" in ran.stdout) == (0, True)
    assert (storage_dir / f"experiment1/seed1/RUNNING.{living.owner}").exists()


def test_what_else_a_process_of_another_machine_held_is_freed_once_its_silence_proves_it_dead(
    laid, killed, typed
):
    """A retrain it had reserved, plots it was making, a search it was preparing."""
    storage_dir = laid()
    dead = killed(storage_dir, where="elsewhere")
    root, owners = storage_dir.parent, storage_dir / ".alfred/owners"
    for chore in ("plots", "retraining"):
        (storage_dir / ".alfred" / chore).mkdir(exist_ok=True)
        (storage_dir / ".alfred" / chore / "WAITING").unlink(missing_ok=True)
        (storage_dir / ".alfred" / chore / f"RUNNING.{dead.owner}").touch()
    (storage_dir / "PLOT_ARRAYS_ONGOING").write_text(f"{dead.owner}\n")
    (root / f".alfred/laying.{dead.owner}").mkdir()
    (root / ".alfred/owners" / dead.owner).write_bytes((owners / dead.owner).read_bytes())
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION, "--no_wait")
    assert (ran.returncode, "Nothing to put back" in ran.stdout) == (0, True)
    assert (root / f".alfred/laying.{dead.owner}").exists()
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Finished or removed what 1 dead preparations" in ran.stdout
    assert not (root / f".alfred/laying.{dead.owner}").exists()
    assert not (storage_dir / "PLOT_ARRAYS_ONGOING").exists()
    assert [os.listdir(storage_dir / ".alfred" / chore) for chore in ("plots", "retraining")] == [
        ["WAITING"]
    ] * 2


def test_a_run_without_any_flag_goes_back_once_it_has_been_still_for_a_minute(tmp_path, typed):
    """As trees of older tools have them."""
    storage_dir = tmp_path / "storage" / "Ju1_f7b375e_ppo_cart_pole_grid_v1"
    for seed in ("seed1", "seed2"):
        seed_dir = storage_dir / "experiment1" / seed
        seed_dir.mkdir(parents=True)
        (seed_dir / "config.json").write_text("{}")
        (seed_dir / "model.pt").write_text("half trained")
    age(storage_dir / "experiment1/seed1")
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert ran.returncode == 0
    assert "1 run put back" in ran.stdout
    assert "1 run left as they are" in ran.stdout
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()
    assert (storage_dir / "experiment1/seed1/.alfred/attempts/0/model.pt").exists()
    assert (storage_dir / "experiment1/seed2/model.pt").exists()


def test_a_missing_directory_of_a_list_is_passed_over_and_the_others_go_on(laid, killed, tmp_path, typed):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1")
    (tmp_path / "list.txt").write_text(f"Zz9_gone_grid_x\n{storage_dir.name}\n")
    ran = typed("clean", "--from_file", "list.txt", NO_QUESTION)
    assert ran.returncode == 1
    assert "Zz9_gone_grid_x does not exist: passed over" in ran.stderr
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()
    (tmp_path / "list.txt").write_text("Zz9_gone_grid_x\n")
    assert typed("clean", "--from_file", "list.txt", NO_QUESTION).returncode == 3


def test_a_storage_name_that_is_not_there_is_a_mistake_answered_with_the_nearest(laid, typed):
    storage_dir = laid()
    ran = typed("clean", "--storage_name", storage_dir.name + "y")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert f"did you mean {storage_dir.name}?" in ran.stderr


def test_a_run_in_conflict_is_left_alone_and_named(laid, killed, typed):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1")
    (storage_dir / "experiment2/seed2/COMPLETED").touch()
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert ran.returncode == 1
    assert "COMPLETED and UNHATCHED stand side by side" in ran.stdout
    assert (storage_dir / "experiment2/seed2/UNHATCHED").exists()
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()


def test_one_run_that_cannot_be_put_back_does_not_keep_the_others_and_is_finished_next_time(
    laid, killed, typed
):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1", "experiment1/seed2")
    obstacle = storage_dir / "experiment1/seed1/.alfred/attempts"
    obstacle.write_text("a file where a folder is wanted")
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert (ran.returncode, "experiment1/seed1 could not be put back" in ran.stderr) == (1, True)
    assert (storage_dir / "experiment1/seed2/UNHATCHED").exists()
    obstacle.unlink()
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert (ran.returncode, "look 1" in ran.stdout) == (0, False)
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()
    assert (storage_dir / "experiment1/seed1/.alfred/attempts/1/model.pt").exists()


def test_a_project_that_resumes_finds_the_files_of_its_dead_runs_in_place(laid, killed, tmp_path, typed):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1")
    (tmp_path / "main.py").write_text(
        "import alfred.defaults\n"
        "def set_up_alfred():\n"
        "    alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS = True\n"
    )
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
    assert (ran.returncode, "stay in place" in ran.stdout) == (0, True)
    assert (storage_dir / "experiment1/seed1/model.pt").read_text() == "half trained"
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()


def test_a_run_that_died_three_times_becomes_a_crash_and_that_is_said(laid, killed, typed):
    storage_dir = laid()
    for expected in ("UNHATCHED", "UNHATCHED", "CRASH.txt"):
        killed(storage_dir, "experiment1/seed1")
        ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION)
        assert ran.returncode == 0
        assert (storage_dir / "experiment1/seed1" / expected).exists()
    assert "died for the third time" in ran.stdout
    assert "0 runs put back" in ran.stdout


@pytest.mark.parametrize("odd", ["with space", "quo'te\"s", "Ünï", "new\nline"])
def test_a_root_of_any_name_is_cleaned(laid, killed, tmp_path, typed, odd):
    storage_dir = laid(root=tmp_path / odd)
    killed(storage_dir, "experiment1/seed1")
    ran = typed("clean", "--storage_name", storage_dir.name, NO_QUESTION, "--root_dir", tmp_path / odd)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (storage_dir / "experiment1/seed1/UNHATCHED").exists()


def test_what_is_left_of_a_dead_run_is_ended_before_it_waits_again(laid, killed, typed):
    """A data loader that outlived its launcher would write into the next attempt."""
    storage_dir = laid()
    dead = killed(storage_dir, "experiment1/seed1")
    orphan = subprocess.Popen(["sleep", "600"], start_new_session=True)
    start = Path(f"/proc/{orphan.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    baton = storage_dir / f"experiment1/seed1/RUNNING.{dead.owner}"
    baton.write_text(f"{dead.owner}\n{orphan.pid} {start}\n")
    try:
        assert typed("clean", "--storage_name", storage_dir.name, NO_QUESTION).returncode == 0
        assert orphan.wait(timeout=60) == -9
    finally:
        orphan.kill()
        orphan.wait()


def test_the_function_behind_the_door_says_what_it_did(laid, killed, tmp_path, monkeypatch, capsys):
    storage_dir = laid()
    killed(storage_dir, "experiment2/seed1")
    monkeypatch.chdir(tmp_path)
    report = clean_interrupted(storage_name=storage_dir.name, ask_for_validation=False)
    assert [os.path.relpath(path, storage_dir) for path in map(os.path.abspath, report.put_back)] == [
        "experiment2/seed1"
    ]
    assert report.passed_over == []
    assert os.listdir(storage_dir / ".alfred/owners") == []
    with pytest.raises(UsageError):
        clean_interrupted()
    (tmp_path / "list.txt").write_text("Zz9_gone_grid_x\n")
    with pytest.raises(NothingToDoError):
        clean_interrupted("list.txt")
    assert "storage directory" in capsys.readouterr().out


def test_a_storage_directory_that_cannot_be_read_is_passed_over(laid, open_folder):
    """As another user, since root may read everything."""
    closed, readable = laid("t", "u", root=open_folder / "storage")
    (open_folder / "list.txt").write_text(f"{closed.name}\n{readable.name}\n")
    code = (
        "import os, sys\n"
        "from alfred.umbrella import main\n"
        f"arguments = ['clean', '--from_file', 'list.txt', '--root_dir', {str(readable.parent)!r}]\n"
        "main(arguments)  # imports what the other user may have no right to read\n"
        f"os.chmod({str(closed / 'experiment1')!r}, 0)\n"
        "print('as another user', flush=True)\n"
        "if os.geteuid() == 0: os.setgid(65534), os.setuid(65534)\n"
        "sys.exit(main(arguments))"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=open_folder, capture_output=True, text=True, check=False)
    (closed / "experiment1").chmod(0o755)
    shown = ran.stdout.partition("as another user")[2]
    assert ran.returncode == 1, ran.stderr
    assert f"{closed} can't be read: Permission denied" in ran.stderr
    assert readable.name in shown
    assert closed.name not in shown
