"""A launch that sees its first runs die the same death spares the others."""

from __future__ import annotations

import pytest

DIES = "raise ValueError(f'the loss is nan at step {config.seed * 100}')"
SAID = "the first 5 runs died the same death, so no more are started: ValueError at main.py:main: the loss is"


@pytest.mark.parametrize("words", [["--in_process"], ["--start_method", "fork"]])
def test_the_first_five_that_die_alike_are_the_last_where_nothing_has_completed(client, look, words):
    one = client()
    storage_dir = one.lay(DIES, seeds=range(9))
    elsewhere = one.lay("pass", "1 / 0", id="Ab2", seeds=range(6))
    (one.folder / "list.txt").write_text(f"{storage_dir.name}\n{elsewhere.name}\n")
    launched = one.run("--from_file", "list.txt", *words)
    assert launched.returncode == 1
    assert look.counts(storage_dir) == {"CRASH.txt": 5, "UNHATCHED": 4}
    assert look.counts(elsewhere) == {"COMPLETED": 6, "CRASH.txt": 6}, "the others go on"
    (line,) = [line for line in launched.stdout.splitlines() if "died the same death" in line]
    assert line.startswith(f"{storage_dir.name}: {SAID} nan at step #. ")
    assert f"Read {storage_dir.name}/experiment1/seed4/CRASH.txt" in line
    assert f"`alfred clean --storage_name {storage_dir.name} --clean_crashes true`" in line
    assert line in (storage_dir / "alfred_launch_schedule_logger.out").read_text()


def test_crashes_of_an_earlier_launch_do_not_count(client, look):
    one = client()
    storage_dir = one.lay(DIES, "1 / 0", seeds=range(6))
    words = ["--storage_name", storage_dir.name]
    one.run(*words, "--max_identical_crashes", 2)
    assert look.counts(storage_dir) == {"CRASH.txt": 2, "UNHATCHED": 10}
    one.run(*words, "--max_identical_crashes", 3)
    assert look.counts(storage_dir) == {"CRASH.txt": 5, "UNHATCHED": 7}
    # One run of DIES is left: the deaths after it are others, so nothing stops this launch.
    launched = one.run(*words)
    assert look.counts(storage_dir) == {"CRASH.txt": 12}
    assert "same death" not in launched.stdout


@pytest.mark.parametrize("off", ["0", "none", "None"])
def test_it_can_be_turned_off(client, look, off):
    one = client()
    storage_dir = one.lay(DIES, seeds=range(7))
    assert one.run("--storage_name", storage_dir.name, "--max_identical_crashes", off).returncode == 1
    assert look.counts(storage_dir) == {"CRASH.txt": 7}


def test_where_something_has_completed_it_is_off_unless_asked_for(client, look):
    one = client()
    storage_dir = one.lay("pass", DIES, seeds=range(10))
    words = ["--storage_name", storage_dir.name]
    assert one.run(*words, "--experiments", 1, "--seeds", 1).returncode == 0
    one.run(*words, "--experiments", 2, "--max_identical_crashes", 2)
    assert look.counts(storage_dir) == {"COMPLETED": 1, "CRASH.txt": 2, "UNHATCHED": 17}
    one.run(*words, "--experiments", 2)
    assert look.counts(storage_dir) == {"COMPLETED": 1, "CRASH.txt": 10, "UNHATCHED": 9}


def test_runs_that_are_being_done_go_on_to_their_end(client, look):
    one = client()
    wait = "while not list(dir_tree.storage_dir.glob('*/*/CRASH.txt'))[1:]: time.sleep(0.01)"
    storage_dir = one.lay(wait, *[DIES] * 5)
    words = ["--storage_name", storage_dir.name, "--n_processes", 2, "--start_method", "fork"]
    launched = one.run(*words, "--max_identical_crashes", 2)
    assert "the first 2 runs died the same death" in launched.stdout
    assert look.counts(storage_dir) == {"CRASH.txt": 2, "COMPLETED": 1, "UNHATCHED": 3}


@pytest.mark.parametrize("wrong", ["-1", "five", "1.5", ""])
def test_a_limit_that_is_no_number_is_a_mistake(client, wrong):
    launched = client().run("--storage_name", "x", f"--max_identical_crashes={wrong}")
    assert launched.returncode == 2
    assert "--max_identical_crashes" in launched.stderr
