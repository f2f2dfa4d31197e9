"""What is there: the runs of a storage directory by number, each with its condition."""

import os

import pytest

from alfred.storage import batons
from alfred.storage.leases import Leases
from alfred.storage.metadata import read_metadata
from alfred.storage.owners import this_process
from alfred.storage.survey import Condition, count, storage_dirs, survey


def make_seeds(storage_dir, *places):
    for place in places:
        (storage_dir / place).mkdir(parents=True)
        (storage_dir / place / "UNHATCHED").touch()


def test_runs_come_in_the_order_of_their_numbers(tmp_path):
    make_seeds(
        tmp_path, "experiment10/seed1", "experiment2/seed30", "experiment2/seed4", "experiment2/seed-1"
    )
    found = [(run.experiment, run.seed) for run in survey(tmp_path)]
    assert found == [(2, -1), (2, 4), (2, 30), (10, 1)]


@pytest.mark.parametrize(
    "odd",
    ["experiment", "experimentx/seed1", "experiment1 copy/seed1", "xexperiment1/seed1", "experiment1/seed",
     "experiment1/seed1.bak", "experiment1/seed1_old", "summary/seed1", "experiment-1/seed1"],
)  # fmt: skip
def test_folders_of_other_names_are_no_runs(tmp_path, odd):
    make_seeds(tmp_path, "experiment1/seed7", odd)
    assert [(run.experiment, run.seed) for run in survey(tmp_path)] == [(1, 7)]


def test_links_and_files_are_no_runs(tmp_path):
    make_seeds(tmp_path, "experiment1/seed7")
    (tmp_path / "experiment2").symlink_to("experiment1")
    (tmp_path / "experiment1/seed8").symlink_to("seed7")
    (tmp_path / "experiment3").touch()
    (tmp_path / "experiment1/seed9").touch()
    (tmp_path / "experiment4").symlink_to("experiment4")
    assert [(run.experiment, run.seed) for run in survey(tmp_path)] == [(1, 7)]


def test_every_condition_is_counted(lay, child):
    waiting, running, stopped, resetting, completed, crashed, conflict, bare = lay(8)
    storage_dir = waiting.parent.parent
    mine = Leases(this_process())
    mine.hold(storage_dir)
    for seed_dir in (running, completed, crashed):
        batons.claim(str(seed_dir), mine.owner.name)
    batons.finish(completed, mine.owner.name)
    batons.crash(crashed, mine.owner.name, "Error")

    def die():
        dead = Leases(this_process())
        dead.hold(storage_dir)
        batons.claim(str(stopped), dead.owner.name)
        os.rename(resetting / "UNHATCHED", resetting / f"RESETTING.{dead.owner.name}")
        os.kill(os.getpid(), 9)

    assert child(die) == -9
    (conflict / "COMPLETED").touch()
    (bare / "UNHATCHED").unlink()
    assert waiting.is_dir()
    assert dict(count(storage_dir, this_process())) == {
        Condition.WAITING: 1,
        Condition.RUNNING: 1,
        Condition.STOPPED: 3,
        Condition.COMPLETED: 1,
        Condition.CRASHED: 1,
        Condition.CONFLICT: 1,
    }
    mine.close()


def test_storage_directories_come_by_number_and_without_what_only_looks_like_one(tmp_path):
    for name in ("Ju10_a_t", "Ju2_a_t", "judge", "Ju3", "Ju4_empty", ".alfred", "Ab1_a_t"):
        (tmp_path / name).mkdir()
        if name not in ("Ju4_empty", ".alfred"):
            make_seeds(tmp_path / name, "experiment1/seed1")
    (tmp_path / "Ju5_link").symlink_to("Ju2_a_t")
    (tmp_path / "Ju6_file").touch()
    assert [path.name for path in storage_dirs(tmp_path)] == ["Ab1_a_t", "Ju2_a_t", "Ju10_a_t"]


def test_an_older_tree_is_told_from_its_runs_before_its_name(tmp_path):
    storage_dir = tmp_path / "Ju3_f7b375e_gmix_3_cart_pole_random_x_1"
    (storage_dir / "experiment1/seed1").mkdir(parents=True)
    (storage_dir / "RANDOM_SEARCH").touch()
    (storage_dir / "experiment1/seed1/config.json").write_text(
        '{"alg_name": "gmix_3", "task_name": "cart_pole", "desc": "random_x_1"}'
    )
    found = read_metadata(storage_dir)
    assert (found.id, found.git_hashes, found.kind) == ("Ju3", "f7b375e", "random")
    assert (found.alg_name, found.task_name, found.desc) == ("gmix_3", "cart_pole", "random_x_1")


def test_metadata_go_before_what_the_name_says(tmp_path):
    storage_dir = tmp_path / "Ju3_ppo_cart_grid_x"
    (storage_dir / ".alfred").mkdir(parents=True)
    (storage_dir / ".alfred/storage.json").write_text(
        '{"id": "Ju3", "git_hashes": "", "alg_name": "ppo_cart", "task_name": "", "desc": "grid_x",'
        ' "kind": "grid", "of_a_later_version": 1}'
    )
    found = read_metadata(storage_dir)
    assert (found.alg_name, found.task_name, found.kind) == ("ppo_cart", "", "grid")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"other": 3}'])
def test_damaged_metadata_are_passed_over_for_the_name(tmp_path, text):
    storage_dir = tmp_path / "Ju3_ppo_cart_grid_x"
    (storage_dir / ".alfred").mkdir(parents=True)
    (storage_dir / ".alfred/storage.json").write_text(text)
    assert read_metadata(storage_dir).id == "Ju3"
    assert read_metadata(storage_dir).alg_name == "ppo"
