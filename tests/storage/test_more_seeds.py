"""More seeds for experiments that stand already: which, with what configuration, and never half of them."""

import json
import os
import signal
import subprocess
import sys

import pytest

from alfred.errors import StorageError
from alfred.storage import chores, laying
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.more_seeds import (
    HIGHEST_SEED,
    choose_experiments,
    fresh_seeds,
    lay_seeds,
    next_seeds,
    read_experiment,
)
from alfred.storage.owners import this_process


def a_search(root, desc="grid_abc", n_experiments=3, seeds=(1, 2), origin=""):
    """The name of a storage directory in which `lr` is the number of the experiment."""
    experiments = tuple(
        Experiment(
            {"alg_name": "a", "task_name": "t", "desc": desc, "lr": number, "width": 8},
            {"lr": number, "alg_name": "a", "task_name": "t"},
            tuple(seeds),
        )
        for number in range(1, n_experiments + 1)
    )
    (name,) = lay_search(root, [Preparation("a", "t", desc, "grid", experiments, origin=origin)])
    return name


def seeds_of(storage_dir, experiment):
    folders = (storage_dir / f"experiment{experiment}").iterdir()
    return sorted(int(path.name.removeprefix("seed")) for path in folders)


def read(path):
    return json.loads(path.read_text())


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], (1, 2, 3)),
        ([1, 2], (3, 4, 5)),
        ([123, 7], (124, 125, 126)),
        ([-5], (1, 2, 3)),
        ([HIGHEST_SEED - 3], (HIGHEST_SEED - 2, HIGHEST_SEED - 1, HIGHEST_SEED)),
        ([HIGHEST_SEED - 2, 1], (0, 2, 3)),
        ([10**19, 0, 2], (1, 3, 4)),
    ],
)
def test_fresh_seeds_follow_the_highest_and_are_numbers_that_numpy_takes(taken, expected):
    assert fresh_seeds(taken, 3) == expected


def test_chosen_experiments_get_the_same_new_seeds_with_their_own_configuration(tmp_path):
    name = a_search(tmp_path)
    assert lay_seeds(tmp_path, name, [1, 3], 2) == (3, 4)
    storage_dir = tmp_path / name
    assert [seeds_of(storage_dir, number) for number in (1, 2, 3)] == [[1, 2, 3, 4], [1, 2], [1, 2, 3, 4]]
    new, old = storage_dir / "experiment3" / "seed4", storage_dir / "experiment3" / "seed1"
    assert sorted(os.listdir(new)) == ["UNHATCHED", "config.json", "config_unique.json"]
    assert read(new / "config.json") == {**read(old / "config.json"), "seed": 4}
    assert read(new / "config_unique.json") == {**read(old / "config_unique.json"), "seed": 4}
    assert not list((tmp_path / ".alfred").glob("laying.*"))


def test_experiments_with_different_seeds_get_numbers_that_none_of_them_has(tmp_path):
    name = a_search(tmp_path)
    lay_seeds(tmp_path, name, [1], 3)
    assert next_seeds(tmp_path / name, [2], 2) == (3, 4)
    assert lay_seeds(tmp_path, name, [1, 2], 2) == (6, 7)
    assert seeds_of(tmp_path / name, 2) == [1, 2, 6, 7]


def test_a_search_and_its_retrain_never_get_the_same_seeds(tmp_path):
    search = a_search(tmp_path)
    id_ = search.split("_")[0]
    retrain = a_search(tmp_path, f"retrainBest{id_}_abc", 1, (3, 4, 5), origin=search)
    assert lay_seeds(tmp_path, search, [2], 2) == (6, 7)
    assert lay_seeds(tmp_path, retrain, [1], 2) == (8, 9)


def test_keys_that_main_added_to_some_runs_are_no_part_of_the_configuration(tmp_path):
    name = a_search(tmp_path, n_experiments=1, seeds=(1, 2, 3))
    first = tmp_path / name / "experiment1" / "seed1"
    (first / "UNHATCHED").rename(first / "COMPLETED")
    (first / "config.json").write_text(json.dumps({**read(first / "config.json"), "state_dim": 4, "lr": 99}))
    laid = read_experiment((tmp_path / name / "experiment1").iterdir(), (7,))
    assert laid.config == {"alg_name": "a", "task_name": "t", "desc": "grid_abc", "lr": 1, "width": 8}
    assert laid.unique == {"lr": 1, "alg_name": "a", "task_name": "t"}
    assert laid.seeds == (7,)


def test_added_seeds_let_plots_and_summary_be_made_again(tmp_path):
    storage_dir = tmp_path / a_search(tmp_path)
    for chore in chores.CHORES:
        me = this_process()
        assert chores.take(storage_dir, chore, me)
        assert chores.done(storage_dir, chore, me)
    lay_seeds(tmp_path, storage_dir.name, [1], 1)
    assert [os.listdir(storage_dir / ".alfred" / chore) for chore in chores.CHORES] == [["WAITING"]] * 2
    assert not (storage_dir / "experiment1" / ".alfred").exists()


def test_an_older_tree_gets_more_seeds_too(tmp_path):
    seed_dir = tmp_path / "Ju1_f7b375e_ppo_pole_random_old" / "experiment5" / "seed10"
    seed_dir.mkdir(parents=True)
    (seed_dir / "config.json").write_text('{"alg_name": "ppo", "task_name": "pole", "lr": NaN, "seed": 10}')
    (seed_dir / "COMPLETED").write_text("")
    assert lay_seeds(tmp_path, "Ju1_f7b375e_ppo_pole_random_old", [5], 1) == (11,)
    laid = seed_dir.parent / "seed11"
    assert read(laid / "config_unique.json") == {"alg_name": "ppo", "task_name": "pole", "seed": 11}
    assert (laid / "config.json").read_text().count("NaN") == 1


@pytest.mark.parametrize(
    ("chosen", "told"), [([2, 9], "no experiment9 with runs"), ([3], "no config.json can be read")]
)
def test_experiments_that_cannot_get_seeds_are_told_and_nothing_is_made(tmp_path, chosen, told):
    storage_dir = tmp_path / a_search(tmp_path)
    for path in storage_dir.glob("experiment3/seed*/config.json"):
        path.write_text("{")
    before = tree(tmp_path)
    with pytest.raises(StorageError, match=told):
        choose_experiments(storage_dir, chosen)
    assert tree(tmp_path) == before


LAYS_WHEN_TOLD = """
import sys
from pathlib import Path
from alfred.storage.more_seeds import lay_seeds
print("ready", flush=True)
sys.stdin.readline()
print(*lay_seeds(Path(sys.argv[1]), sys.argv[2], [1, 2], 3))
"""


def test_of_many_at_once_each_lays_seeds_of_its_own(tmp_path):
    name = a_search(tmp_path)
    command = [sys.executable, "-c", LAYS_WHEN_TOLD, tmp_path, name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    crowd = [subprocess.Popen(command, **pipes) for _ in range(6)]
    assert [process.stdout.readline() for process in crowd] == ["ready\n"] * 6
    for process in crowd:
        process.stdin.write("go\n")
        process.stdin.flush()
    laid = sorted(int(seed) for process in crowd for seed in process.communicate(timeout=60)[0].split())
    assert laid == list(range(3, 3 + 18))
    assert seeds_of(tmp_path / name, 1) == seeds_of(tmp_path / name, 2) == [1, 2, *laid]
    assert len(list((tmp_path / name).glob("experiment[12]/seed*/UNHATCHED"))) == 2 * 20


KILLED = """
import os, signal, sys
from pathlib import Path
from alfred.storage import more_seeds
real, left = os.rename, int(sys.argv[3])
def rename(source, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    real(source, target)
os.rename = rename
more_seeds.lay_seeds(Path(sys.argv[1]), sys.argv[2], [1, 2], 2)
"""


@pytest.mark.parametrize(("renames", "whole"), [(0, False), (1, True), (2, True), (3, True), (4, True)])
def test_a_kill_at_any_rename_leaves_all_of_the_seeds_or_none(tmp_path, renames, whole):
    """The first rename reserves the seeds, each later one puts a run in its place, as the journal says."""
    name = a_search(tmp_path, n_experiments=2)
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path, name, str(renames)], check=False)
    assert done.returncode == -signal.SIGKILL
    laying.recover(tmp_path)
    found = [seeds_of(tmp_path / name, number) for number in (1, 2)]
    assert found == ([[1, 2, 3, 4]] * 2 if whole else [[1, 2]] * 2)
    assert not list((tmp_path / ".alfred").glob("laying.*"))
    assert lay_seeds(tmp_path, name, [1, 2], 1) == ((5,) if whole else (3,))


def test_a_seed_directory_that_somebody_made_by_hand_meanwhile_is_left_as_it_is(tmp_path):
    name = a_search(tmp_path, n_experiments=1)
    folder = laying.LayingFolder.make(tmp_path, this_process())
    (folder.path / "experiment1" / "seed3").mkdir(parents=True)
    (folder.path / "experiment1" / "seed3" / "UNHATCHED").touch()
    by_hand = tmp_path / name / "experiment1" / "seed3"
    by_hand.mkdir()
    (by_hand / "COMPLETED").touch()
    folder.commit([laying.Move("experiment1/seed3", f"{name}/experiment1/seed3")], None, [])
    assert os.listdir(by_hand) == ["COMPLETED"]
    assert not folder.path.exists()
