"""Directory trees: what is laid where, and what an existing tree says about itself."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections import OrderedDict
from pathlib import Path

import pytest

import alfred.defaults
from alfred.errors import StorageError
from alfred.utils.directory_tree import (
    DirectoryTree,
    full_git_state,
    get_all_seeds,
    get_git_hash,
    get_git_name,
    get_root,
    get_some_seeds,
    sanity_check_exists,
    sanity_check_hash,
)


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    """Defaults and git user of this test only."""
    monkeypatch.setattr(alfred.defaults, "DEFAULT_DIRECTORY_TREE_ROOT", str(tmp_path / "root"))
    monkeypatch.setattr(alfred.defaults, "DEFAULT_DIRECTORY_TREE_GIT_REPOS_TO_TRACK", OrderedDict())
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Julia\n\temail = j@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def repository(tmp_path) -> Path:
    """A git repository with one commit of one file."""
    folder = tmp_path / "a repo"
    folder.mkdir()
    (folder / "code.py").write_text("x = 1\n")
    git(folder, "init", "-q")
    git(folder, "add", "code.py")
    git(folder, "commit", "-qm", "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def lay(storage_dir: Path, *runs: str) -> None:
    for run in runs:
        (storage_dir / run).mkdir(parents=True)


def test_the_star_brings_os_and_path_along():
    names: dict[str, object] = {}
    exec("from alfred.utils.directory_tree import *", names)
    assert names["os"] is os
    assert names["Path"] is Path
    assert names["DirectoryTree"] is DirectoryTree


def test_the_class_attributes_are_the_defaults_under_another_name(tmp_path):
    DirectoryTree.default_root = tmp_path / "one"
    assert tmp_path / "one" == alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT
    alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT = str(tmp_path / "two")
    assert DirectoryTree.default_root == str(tmp_path / "two")
    assert get_root() == tmp_path / "two"
    tree = DirectoryTree("a", "t", "d", seed=1)
    assert (tree.default_root, tree.root) == (str(tmp_path / "two"), tmp_path / "two")

    DirectoryTree.git_repos_to_track["x"] = "/nowhere"
    assert alfred.defaults.DEFAULT_DIRECTORY_TREE_GIT_REPOS_TO_TRACK == {"x": "/nowhere"}
    new: OrderedDict[str, str] = OrderedDict()
    DirectoryTree.git_repos_to_track = new
    assert alfred.defaults.DEFAULT_DIRECTORY_TREE_GIT_REPOS_TO_TRACK is new
    assert tree.git_repos_to_track is new


def test_the_constructor_touches_nothing_and_names_every_path(tmp_path):
    tree = DirectoryTree("gmix_3", "cart_pole", "grid_a", seed=12, git_hashes="abc")
    storage = tmp_path / "root" / "Ju1_abc_gmix_3_cart_pole_grid_a"
    assert tree.storage_dir == storage
    assert (tree.summary_dir, tree.benchmark_dir) == (storage / "summary", storage / "benchmark")
    assert tree.current_experiment == "experiment1"
    assert tree.experiment_dir == storage / "experiment1"
    assert tree.seed_dir == storage / "experiment1" / "seed12"
    assert tree.recorders_dir == tree.seed_dir / "recorders"
    assert tree.incrementals_dir == tree.seed_dir / "incrementals"
    assert tree.get_run_name() == "Ju1_abc_gmix_3_cart_pole_grid_a_experiment1_seed12"
    assert tree.attempt == 1
    assert not (tmp_path / "root").exists()


def test_create_directories_makes_the_run_and_only_once(tmp_path):
    tree = DirectoryTree("a", "t", "d", seed=1)
    tree.create_directories()
    assert tree.recorders_dir.is_dir()
    assert not tree.summary_dir.exists()
    with pytest.raises(StorageError, match="seed1 is there already") as caught:
        tree.create_directories()
    assert isinstance(caught.value, FileExistsError)
    assert DirectoryTree("a", "t", "d", seed=1).storage_dir.name == "Ju2_a_t_d"


def test_trees_made_at_once_get_ids_of_their_own():
    trees = [DirectoryTree("a", "t", "d", seed=1) for _ in range(3)]
    assert {tree.storage_dir.name for tree in trees} == {"Ju1_a_t_d"}
    for tree in trees:
        tree.create_directories()
    assert [tree.seed_dir.parent.parent.name for tree in trees] == ["Ju1_a_t_d", "Ju2_a_t_d", "Ju3_a_t_d"]


def test_experiments_are_numbered_on_also_when_somebody_was_faster(tmp_path):
    lay(tmp_path / "root" / "Ju1_a_t_d", "experiment2/seed1", "experiment10/seed1")
    first, second = (DirectoryTree("a", "t", "d", seed=5, id="Ju1") for _ in range(2))
    assert first.current_experiment == second.current_experiment == "experiment11"
    first.create_directories()
    second.create_directories()
    assert second.seed_dir == tmp_path / "root" / "Ju1_a_t_d" / "experiment12" / "seed5"
    third = DirectoryTree("a", "t", "d", seed="6", id="Ju1", experiment_num=2)
    third.create_directories()
    assert third.seed_dir == tmp_path / "root" / "Ju1_a_t_d" / "experiment2" / "seed6"


@pytest.mark.parametrize("seed", [-1, "x", None, 1.5, ""])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(StorageError, match="whole number"):
        DirectoryTree("a", "t", "d", seed=seed)


def test_listings_are_in_the_order_of_numbers_and_skip_what_is_no_run(tmp_path):
    storage = tmp_path / "root" / "Ju1_x"
    lay(storage, "experiment10/seed2", "experiment2/seed10", "experiment2/seed9", "experiment2/seedling")
    lay(storage, "experiment03/seed1", "experiment2b/seed1", "summary")
    (storage / "experiment4").write_text("a file")
    (storage / "experiment5").symlink_to(storage / "experiment2")
    (storage / "experiment2" / "seed11").symlink_to(storage / "experiment2" / "seed9")
    (storage / "experiment2" / "seed9" / "UNHATCHED").touch()
    (storage / "experiment10" / "seed2" / "COMPLETED").touch()

    def names(paths, below=storage):
        return [str(path.relative_to(below)) for path in paths]

    assert names(DirectoryTree.get_all_experiments(storage)) == ["experiment2", "experiment10"]
    assert names(DirectoryTree.get_all_seeds(storage / "experiment2")) == [
        "experiment2/seed9",
        "experiment2/seed10",
    ]
    assert names(get_all_seeds(storage)) == ["experiment2/seed9", "experiment2/seed10", "experiment10/seed2"]
    assert names(get_some_seeds(storage)) == ["experiment2/seed9"]
    assert names(get_some_seeds(storage, "COMPLETED")) == ["experiment10/seed2"]


def test_a_listing_of_what_is_missing_is_one_line(tmp_path):
    with pytest.raises(StorageError, match="No such file"):
        get_all_seeds(tmp_path / "nothing")


def test_a_tree_from_a_seed_path_keeps_that_path(tmp_path):
    made = DirectoryTree("gmix_3", "cart_pole", "grid_a", seed=3, git_hashes="abc1234")
    made.create_directories()
    (made.seed_dir / "config.json").write_text(
        json.dumps({"alg_name": "gmix_3", "task_name": "cart_pole", "desc": "grid_a"})
    )
    for again in (
        DirectoryTree.init_from_seed_path(made.seed_dir, tmp_path / "root"),
        DirectoryTree.init_from_seed_path(str(made.seed_dir)),
        DirectoryTree.init_from_branching_info(None, made.storage_dir.name, "1", 3),
    ):
        assert again.seed_dir == made.seed_dir
        assert again.recorders_dir == made.recorders_dir
        assert again.root == tmp_path / "root"
    info = DirectoryTree.extract_info_from_storage_name(made.storage_dir.name)
    assert info == ("Ju1", "abc1234", "gmix_3", "cart_pole", "grid_a")


def test_a_path_that_is_no_run_makes_no_tree(tmp_path):
    with pytest.raises(StorageError, match="seed<number>"):
        DirectoryTree.init_from_seed_path(tmp_path / "Ju1_a" / "experiment1" / "summary")


def test_the_metadata_file_wins_over_configs_and_the_name(tmp_path):
    storage = tmp_path / "root" / "Ju7_abc1234_a_b_c_random_d"
    lay(storage, "experiment1/seed1", ".alfred")
    assert DirectoryTree.extract_info_from_storage_name(storage.name) == (
        "Ju7",
        "abc1234",
        "a",
        "b_c",
        "random_d",
    )
    config = storage / "experiment1" / "seed1" / "config.json"
    config.write_text(json.dumps({"alg_name": "a_b", "task_name": "c", "desc": "d"}))
    assert DirectoryTree.extract_info_from_storage_name(storage.name) == (
        "Ju7",
        "abc1234",
        "a_b",
        "c",
        "random_d",
    )
    fields = {"id": "Ju7", "git_hashes": "abc1234", "alg_name": "a", "task_name": "b_c_random", "desc": None}
    (storage / ".alfred" / "storage.json").write_text(json.dumps(fields))
    info = DirectoryTree.extract_info_from_storage_name(storage.name, root=tmp_path / "root")
    assert info == ("Ju7", "abc1234", "a", "b_c_random", "")
    (storage / ".alfred" / "storage.json").write_text('{"id": "Ju7", ')  # torn: the next source is asked
    assert DirectoryTree.extract_info_from_storage_name(storage.name)[2] == "a_b"


def test_hashes_are_those_of_git_for_the_folder_and_for_its_dot_git(repository, tmp_path):
    short = git(repository, "rev-parse", "--short", "HEAD")
    assert get_git_hash(repository) == get_git_hash(str(repository / ".git")) == short
    assert get_git_name() == "Julia"
    assert DirectoryTree.get_git_hashes() == ""
    DirectoryTree.git_repos_to_track["one"] = str(repository)
    DirectoryTree.git_repos_to_track["two"] = str(tmp_path / "none")
    assert DirectoryTree.get_git_hashes() == f"{short}-NoGitHash"
    assert DirectoryTree("a", "t", "d", 1).storage_dir.name == f"Ju1_{short}-NoGitHash_a_t_d"
    full = git(repository, "rev-parse", "HEAD")
    assert full_git_state() == {"one": {"hash": full, "dirty": False}, "two": {"hash": None, "dirty": False}}
    (repository / "code.py").write_text("x = 2\n")
    assert full_git_state()["one"] == {"hash": full, "dirty": True}


def test_without_commit_or_without_git_there_is_no_hash(repository, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert get_git_hash(empty) == "NoGitHash"
    git(empty, "init", "-q")
    assert get_git_hash(empty) == "NoGitHash"
    assert get_git_hash(tmp_path / "nowhere" / ".git") == "NoGitHash"
    monkeypatch.setenv("PATH", str(empty))
    assert get_git_hash(repository) == "NoGitHash"


def test_a_hook_that_runs_alfred_does_not_change_which_repository_is_asked(repository, tmp_path, monkeypatch):
    expected = get_git_hash(repository)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert get_git_hash(repository) == expected != "NoGitHash"


@pytest.fixture
def lines():
    """A logger and the messages it was given."""
    logger, messages = logging.Logger("master"), []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger.addHandler(handler)
    return logger, messages


def test_other_code_than_recorded_is_reported_in_one_line(repository, tmp_path, lines):
    logger, messages = lines
    DirectoryTree.git_repos_to_track["one"] = str(repository)
    tree = DirectoryTree("a", "t", "d", seed=1)
    tree.create_directories()
    assert sanity_check_hash(tree.storage_dir, logger)
    assert messages == []
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    assert not sanity_check_hash(tree.storage_dir, logger)
    assert len(messages) == 1
    assert get_git_hash(repository) in messages[0]
    assert "\n" not in messages[0]


def test_a_longer_form_of_the_same_hash_is_the_same_code(repository, tmp_path, lines):
    DirectoryTree.git_repos_to_track["one"] = str(repository)
    longer = git(repository, "rev-parse", "--short=12", "HEAD")
    tree = DirectoryTree("a", "t", "d", seed=1, git_hashes=longer)
    tree.create_directories()
    assert sanity_check_hash(tree.storage_dir, lines[0])
    DirectoryTree.git_repos_to_track["two"] = str(repository)
    assert not sanity_check_hash(tree.storage_dir, lines[0])
    DirectoryTree.git_repos_to_track.clear()
    assert not sanity_check_hash(tree.storage_dir, lines[0])


def test_a_missing_storage_directory_is_reported_in_one_line(tmp_path, lines):
    logger, messages = lines
    assert sanity_check_exists(tmp_path, logger)
    assert not sanity_check_exists(tmp_path / "gone", logger)
    assert messages == [f"{tmp_path / 'gone'} does not exist: passed over"]
