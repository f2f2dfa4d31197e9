"""Laying copies: all of them appear or none, under ids of their own, whenever one is killed."""

import json
import os

import pytest

from alfred.search.copies import Request, plan_copy
from alfred.storage import laying, preparations
from alfred.storage.copies import lay_copies, marker_name
from alfred.storage.creation import Experiment, Preparation, lay_more, lay_search
from alfred.storage.flags import WAITING_BATON
from alfred.storage.laying import LayingFolder
from alfred.storage.metadata import read_metadata
from alfred.storage.survey import storage_dirs, survey


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


def a_plan(alg_name="a", desc="random_x"):
    values = {"alg_name": alg_name, "task_name": "t", "lr": 1}
    experiment = Experiment(values, values, (10, 20))
    return Preparation(alg_name, "t", desc, "random", (experiment,), {"lr": [1]}, picture=b"drawn")


def copy(root, names, list_file=None, **changes):
    return lay_copies(root, [plan_copy(root / name, Request(changes)).copy for name in names], list_file)


def is_whole(storage_dir):
    runs = list(survey(storage_dir))
    (record,) = preparations.records(storage_dir)
    return (
        [(run.experiment, run.seed, run.baton) for run in runs]
        == [(1, seed, WAITING_BATON) for seed in (10, 20)]
        and (storage_dir / "RANDOM_SEARCH").exists()
        and (storage_dir / "variations1.png").read_bytes() == b"drawn"
        and json.loads((storage_dir / "variations.json").read_text()) == {"1-1": record["variations"]}
        and read_metadata(storage_dir).id == storage_dir.name.split("_")[0]
    )


def left_hidden(root):
    hidden = root / ".alfred"
    names = [*os.listdir(hidden), *os.listdir(hidden / "owners")]
    return [name for name in names if name not in ("ids", "owners") and not name.endswith(".tmp")]


def test_copies_made_at_the_same_instant_get_ids_of_their_own(tmp_path, together):
    root, listed = tmp_path / "storage", tmp_path / "list_searches_x.txt"
    sources = lay_search(root, [a_plan("a"), a_plan("b")], listed)
    together([lambda: copy(root, sources, listed)] * 8)
    found = storage_dirs(root)
    assert len({path.name.split("_")[0] for path in found}) == len(found) == 18
    assert all(is_whole(path) for path in found)
    assert sorted(listed.read_text().split()) == sorted(path.name for path in found)
    assert left_hidden(root) == []


def test_a_copy_killed_at_any_step_is_finished_or_removed_by_the_next_command(tmp_path, child):
    """Its list need not be called as those of alfred are."""
    steps, outcomes, code = 0, [], -9
    while code == -9:
        steps += 1
        root, listed = tmp_path / f"storage{steps}", tmp_path / f"{steps}" / "mine.txt"
        listed.parent.mkdir()
        sources = lay_search(root, [a_plan("a"), a_plan("b")], listed)
        code = child(lambda r=root, s=sources, at=listed: copy(r, s, at), kill_before=steps)
        laying.recover(root)
        found = [path.name for path in storage_dirs(root)]
        assert found[:2] == sources
        assert len(found) in (2, 4), steps
        assert all(is_whole(root / name) for name in found), steps
        assert listed.read_text().split() == found, steps
        assert left_hidden(root) == [], steps
        outcomes.append(len(found) == 4)
    assert code == 0
    assert outcomes == sorted(outcomes), "once it is certain to happen, it happens"
    assert outcomes.count(False) > 20
    assert outcomes.count(True) > 4


def test_a_list_under_another_name_that_was_removed_meanwhile_stops_nobody(tmp_path, child):
    root, listed = tmp_path / "storage", tmp_path / "mine.txt"
    sources = lay_search(root, [a_plan()], listed)

    def die_with_a_journal():
        LayingFolder._carry_out = lambda *args: os.kill(os.getpid(), 9)
        copy(root, sources, listed)

    assert child(die_with_a_journal) == -9
    listed.unlink()
    laying.recover(root)
    assert len(storage_dirs(root)) == 2
    assert not listed.exists()


def test_the_marker_of_a_source_with_a_long_name_fits_into_a_file_name(tmp_path):
    root = tmp_path / "storage"
    (name,) = lay_search(root, [a_plan(desc="random_" + "é" * 115)])
    assert len(os.fsencode(f"config_copied_from_{name}")) > 255
    (made,) = copy(root, [name])
    marker = marker_name(name)
    assert 253 < len(os.fsencode(marker)) <= 255
    assert f"config_copied_from_{name}".startswith(marker)
    assert (root / made / marker).read_text() == f"{name}\n"
    assert read_metadata(root / made).origin == name


def test_more_experiments_can_be_laid_in_a_copy(tmp_path):
    root = tmp_path / "storage"
    (name,) = lay_search(root, [a_plan()])
    (made,) = copy(root, [name], lr=3)
    assert lay_more(root, made, a_plan()) == (2, 2)
    variations = json.loads((root / made / "variations.json").read_text())
    assert variations == {"1-1": {"lr": [3]}, "2-2": {"lr": [1]}}
    assert (root / made / "variations2.png").exists()
