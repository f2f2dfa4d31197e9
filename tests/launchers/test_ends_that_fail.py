"""The end of a run that the disk refuses to note: the run stays its launcher's until it can be noted, and
that of a launcher that is found dead at once afterwards."""

import os

import pytest

from alfred.storage.findings import find
from alfred.storage.owners import this_process

OBSTACLE = "(dir_tree.seed_dir / 'COMPLETED').mkdir()"  # no file can be renamed over a folder
NO_LEASE = """
import shutil
owners = dir_tree.storage_dir / ".alfred/owners"
shutil.rmtree(owners)
owners.write_text("no folder")
"""
OUT_OF_THE_WAY = "(dir_tree.storage_dir / 'experiment1/seed1/COMPLETED').rmdir()"


CANNOT_BE_PUT_BACK = """
if dir_tree.attempt == 1:
    (dir_tree.seed_dir / ".alfred/attempts").touch()  # where a folder is to be
    os.kill(os.getppid(), 9)  # the fork server
    time.sleep(1000)
"""
CAN_BE_PUT_BACK = "(dir_tree.storage_dir / 'experiment1/seed1/.alfred/attempts').unlink()"


def flags(storage_dir):
    found = (os.listdir(path) for path in sorted(storage_dir.glob("experiment*/seed1")))
    return [
        next(name for name in names if name.partition(".")[0] in ("UNHATCHED", "COMPLETED", "RUNNING"))
        for names in found
    ]


def test_an_end_that_could_not_be_noted_is_noted_by_the_same_launch_as_soon_as_that_is_possible(client):
    client = client("scripted")
    storage_dir = client.lay(OBSTACLE, OUT_OF_THE_WAY)
    ran = client.run("--storage_name", storage_dir.name)
    assert "experiment1/seed1: its end could not be noted" in ran.stdout
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert flags(storage_dir) == ["COMPLETED", "COMPLETED"]
    assert os.listdir(storage_dir / ".alfred/owners") == []


def test_a_run_that_was_put_back_by_half_is_put_back_whole_and_done_by_the_same_launch(client):
    client = client("scripted")
    storage_dir = client.lay(CANNOT_BE_PUT_BACK, CAN_BE_PUT_BACK)
    ran = client.run("--storage_name", storage_dir.name)
    assert "experiment1/seed1: its end could not be noted" in ran.stdout
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert flags(storage_dir) == ["COMPLETED", "COMPLETED"]


@pytest.mark.parametrize("how", ["false", "true"])
def test_a_run_whose_end_could_not_be_noted_is_known_for_dead_at_once_when_its_launcher_has_ended(
    client, how
):
    client = client("scripted")
    storage_dir = client.lay(OBSTACLE)
    ran = client.run("--storage_name", storage_dir.name, "--in_process", how)
    assert ran.returncode == 1
    assert "its end could not be noted" in ran.stdout
    (storage_dir / "experiment1/seed1/COMPLETED").rmdir()
    found = find(storage_dir, this_process())
    assert (len(found.dead), found.doubtful) == (1, [])
    clean = ("--storage_name", storage_dir.name, "--ask_for_validation", "false")
    assert client.run(*clean, module="alfred.clean_interrupted").returncode == 0
    assert flags(storage_dir) == ["UNHATCHED"]


def test_figures_that_cannot_be_begun_are_told_and_end_no_launch(client):
    client = client("scripted")
    storage_dir = client.lay(NO_LEASE, drawn=False)
    other = client.lay("pass", id="Ab2")
    (client.folder / "list.txt").write_text(f"{storage_dir.name}\n{other.name}\n")
    ran = client.run("--from_file", "list.txt")
    assert f"{storage_dir.name}: plots could not be begun: [Errno 17] File exists: " in ran.stdout
    assert (ran.returncode, ran.stderr) == (1, "")
    assert flags(storage_dir) == flags(other) == ["COMPLETED"]
