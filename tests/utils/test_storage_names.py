"""Names of storage directories: ids are unique, names say what they hold."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import alfred
from alfred.errors import StorageError
from alfred.utils.storage_names import (
    id_letters,
    is_storage_name,
    make_storage_name,
    next_id,
    reserve_id,
    split_storage_name,
)


@pytest.fixture
def git_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sets git's user.name, in a configuration of its own."""

    def set_name(name: str) -> None:
        file = tmp_path / "gitconfig"
        file.write_text(f'[user]\n\tname = "{name}"\n', encoding="utf-8")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(file))
        monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")

    monkeypatch.chdir(tmp_path)
    return set_name


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Julia Roy", "Ju"), ("j. r.", "jr"), ("Éa b", "ab"), ("李", "No"), ("", "No"), ("7 of 9", "7o")],
)
def test_the_letters_are_the_first_two_ascii_ones_of_gits_user(git_user, name, letters):
    git_user(name)
    assert id_letters() == letters


def test_without_git_the_letters_are_no(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert id_letters() == "No"


def test_the_next_id_follows_the_highest_number_and_leaves_no_trace(git_user, tmp_path):
    git_user("Julia")
    root = tmp_path / "root"
    assert next_id(root) == "Ju1"
    assert not root.exists()
    for name in ("Ju2_a_b", "JU9_a_b", "Ab77_x", "judge", "Ju", "Ju88", "Ju50 x_y"):
        (root / name).mkdir(parents=True)
    (root / "Ju60_notes").write_text("a file is no storage directory")
    assert next_id(root) == "Ju10"
    assert next_id(root) == "Ju10"


def test_a_reserved_id_is_never_given_again(git_user, tmp_path):
    git_user("Julia")
    assert [reserve_id(tmp_path / "new" / "root") for _ in range(3)] == ["Ju1", "Ju2", "Ju3"]
    git_user("JUDITH")
    assert reserve_id(tmp_path / "new" / "root") == "JU4"


def test_processes_that_reserve_at_once_get_ids_that_differ_in_more_than_case(tmp_path):
    program = (
        "import sys; from alfred.utils.storage_names import reserve_id; print('ready', flush=True);"
        "sys.stdin.readline(); [print(reserve_id(sys.argv[1])) for _ in range(40)]"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "root")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name"}
    workers = [
        subprocess.Popen(command, env=environment | {"GIT_CONFIG_VALUE_0": name}, **pipes)
        for name in ("Julia", "JUDITH", "jules")
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    ids = [line for worker in workers for line in worker.communicate(timeout=60)[0].split()]
    assert {id[:2] for id in ids} == {"Ju", "JU", "ju"}
    assert sorted(int(id[2:]) for id in ids) == list(range(1, 121))


def test_a_root_that_can_not_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="root_dir") as caught:
        reserve_id(tmp_path / "file" / "root")
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["Ju1_x", "No12_abc_d", "771_x", "Ju0__"])
def test_storage_names(name):
    assert is_storage_name(name)


@pytest.mark.parametrize(
    "name", ["judge", "Ju", "Ju1", "Ju1_", "J1_x", "Ju_1_x", "Ju1x_y", "Éa1_x", "Ju1_a\nb", ""]
)
def test_other_names(name):
    assert not is_storage_name(name)


def test_missing_fields_are_left_out():
    assert (
        make_storage_name("Ju1", "f7b-583", "ppo", "cart_pole", "grid_a")
        == "Ju1_f7b-583_ppo_cart_pole_grid_a"
    )
    assert make_storage_name("Ju1", None, "ppo", "", None) == "Ju1_ppo"


@pytest.mark.parametrize("desc", ["a/b", "a\0b", "a\nb", "a\rb", "a#b", " a", "x" * 255, "é" * 126, "\ud800"])
def test_fields_that_no_folder_or_list_can_hold_are_refused(desc):
    with pytest.raises(StorageError) as caught:
        make_storage_name("Ju1", "", "ppo", "", desc)
    assert len(str(caught.value).splitlines()) == 1


def test_a_name_may_be_255_bytes_long(tmp_path):
    name = make_storage_name("Ju1", "", "ppo", "", "é" * 123 + "x")
    assert len(name.encode()) == 255
    (tmp_path / name).mkdir()


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (
            "Ju1_f7b375e-NoGitHash_ppo_cartpole_random_v1",
            ("Ju1", "f7b375e-NoGitHash", "ppo", "cartpole", "random_v1"),
        ),
        ("Ju1_ppo_cart_pole_v1_grid_a_b", ("Ju1", "", "ppo", "cart_pole_v1", "grid_a_b")),
        ("Ju1_ppo_grid_world_grid_a", ("Ju1", "", "ppo", "grid_world", "grid_a")),
        ("Ju1_ppo_cartpole_retrainBestJu1_a", ("Ju1", "", "ppo", "cartpole", "retrainBestJu1_a")),
        ("Ju1_f7b375e", ("Ju1", "f7b375e", "", "", "")),
    ],
)
def test_a_name_is_split_at_the_kind_of_search(name, fields):
    split = split_storage_name(name)
    assert (split.id, split.git_hashes, split.alg_name, split.task_name, split.desc) == fields


def test_what_is_no_storage_name_is_not_split():
    with pytest.raises(StorageError, match="judge"):
        split_storage_name("judge")


def message_as_another_user(function) -> str:
    """What a StorageError says in a child that may do no more than everybody."""
    readable, writable = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.chdir("/")
            if os.getuid() == 0:
                os.setuid(65534)
            function()
        except StorageError as error:
            os.write(writable, str(error).encode())
        finally:
            os._exit(0)
    os.close(writable)
    with open(readable, encoding="utf-8") as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    return message


def test_a_root_that_may_not_be_written_is_said_in_one_line(git_user):
    git_user("Julia")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        message = message_as_another_user(lambda: reserve_id(folder))
        assert message.startswith(f"no storage directory can be made in {folder}: Permission denied")
        assert "\n" not in message
        Path(folder).chmod(0o000)
        assert "can't be listed" in message_as_another_user(lambda: next_id(Path(folder) / "root"))
        Path(folder).chmod(0o755)
