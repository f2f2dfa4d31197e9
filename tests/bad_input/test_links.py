"""Links in a storage tree: cleaning removes the links and never follows one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alfred import umbrella
from alfred.clean_interrupted import clean_interrupted
from alfred.utils.directory_tree import DirectoryTree

PROJECT = Path(__file__).resolve().parent / "files" / "project"
STORAGE = "storage/Ab1_a_t_grid_x"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of the project, and beside it a folder `outside` with what must stay whole."""
    shutil.copytree(PROJECT, tmp_path / "project")
    for name in ("run.json", "report.x", "model.pt", "attempts/0/model.pt", "1/old.pt", "summary/scores.csv"):
        (tmp_path / "outside" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "outside" / name).write_text(f"precious {name}")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def content(folder):
    return {path.relative_to(folder): path.is_file() and path.read_text() for path in folder.rglob("*")}


def crash(seed_dir):
    """What a crashed run leaves."""
    flag = next(seed_dir / name for name in ("UNHATCHED", "COMPLETED") if (seed_dir / name).exists())
    flag.unlink()
    (seed_dir / "CRASH.txt").write_text("Crashed at: now\n")


def clean():
    return clean_interrupted(storage_name="Ab1_a_t_grid_x", clean_crashes=True, ask_for_validation=False)


LINKS = {
    "a file of the run": ("model.pt", "model.pt"),
    "a folder of the run": ("recorders", "."),
    "what alfred keeps of the run": (".alfred", "."),
    "what earlier attempts left": (".alfred/attempts", "."),
    "what this attempt leaves": (".alfred/attempts/0", "attempts/0"),
    "what is older than this attempt": (".alfred/attempts/-1", "1"),
}


@pytest.mark.parametrize("link", LINKS)
def test_cleaning_a_run_twice_removes_links_in_it_and_leaves_what_they_point_to(project, link):
    place, target = LINKS[link]
    outside, seed_dir = project.parent / "outside", project / STORAGE / "experiment1" / "seed1"
    before = content(outside)
    for _ in range(2):
        (seed_dir / place).parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(seed_dir / place):
            (seed_dir / place).symlink_to(outside / target)
        crash(seed_dir)
        report = clean()
        assert report.put_back == [str(Path(STORAGE, "experiment1", "seed1"))]
        assert content(outside) == before
    assert (seed_dir / "UNHATCHED").is_file()
    assert not (seed_dir / place).is_symlink() or link == "what is older than this attempt"


def test_cleaning_removes_a_link_in_the_place_of_the_summary_and_leaves_what_it_points_to(project):
    outside = project.parent / "outside"
    before = content(outside)
    (project / STORAGE / "summary").symlink_to(outside / "summary")
    crash(project / STORAGE / "experiment1" / "seed1")
    assert len(clean().put_back) == 1
    assert not os.path.lexists(project / STORAGE / "summary")
    assert content(outside) == before


@pytest.mark.parametrize("name", ["experiment3", "experiment1/seed3"])
def test_a_linked_run_is_neither_cleaned_nor_started(project, name, capsys):
    outside = project.parent / "outside" / "run"
    shutil.copytree(project / STORAGE / "experiment1", outside)
    target = outside if name == "experiment3" else outside / "seed1"
    for seed_dir in outside.iterdir():
        crash(seed_dir)
    before = content(outside)
    (project / STORAGE / name).symlink_to(target)
    assert clean().put_back == []
    assert f"notice: {STORAGE}/{name} is not worked on: it is a link" in capsys.readouterr().err
    words = ["--storage_name", "Ab1_a_t_grid_x", "--in_process", "--experiments", "1"]
    assert umbrella.main(["launch", *words]) == 0
    assert content(outside) == before


def test_a_root_that_is_a_link_is_where_it_leads(project):
    shutil.move(project / "storage", project.parent / "disk")
    (project / "storage").symlink_to(project.parent / "disk")
    crash(project / STORAGE / "experiment1" / "seed1")
    assert clean().put_back == [str(Path(STORAGE, "experiment1", "seed1"))]


def test_a_negative_seed_of_an_older_tree_is_listed_read_started_and_cleaned(project, capsys):
    experiment = project / STORAGE / "experiment1"
    (experiment / "seed1").rename(experiment / "seed-1")
    assert DirectoryTree.get_all_seeds(experiment) == [experiment / "seed-1", experiment / "seed2"]
    assert DirectoryTree.init_from_branching_info(None, "Ab1_a_t_grid_x", 1, -1).seed_dir == Path(
        STORAGE, "experiment1", "seed-1"
    )
    words = ["--storage_name", "Ab1_a_t_grid_x"]
    assert umbrella.main(["launch", *words, "--in_process", "--experiments", "1"]) == 0
    assert "experiment1/seed-1 completed" in capsys.readouterr().out
    assert (experiment / "seed-1" / "COMPLETED").is_file()
    crash(experiment / "seed-1")
    assert clean().put_back == [str(Path(STORAGE, "experiment1", "seed-1"))]


def test_a_list_may_come_through_a_pipe(project):
    read = subprocess.run(
        ["bash", "-c", 'exec "$0" -m alfred status --json --from_file <(ls storage)', sys.executable],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"name": "Ab2_a_t_grid_y"' in read.stdout
