"""Laying a search: all of it appears, or nothing, whoever else lays and whenever it is killed."""

import json
import os

import pytest

from alfred.errors import StorageError
from alfred.storage import laying, preparations
from alfred.storage.creation import Experiment, Preparation, lay_more, lay_search
from alfred.storage.flags import WAITING_BATON
from alfred.storage.laying import LayingFolder
from alfred.storage.owners import this_process
from alfred.storage.survey import storage_dirs, survey


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    """The ids are No1, No2, ...; nothing of the machine's git is read."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


def a_plan(alg_name="a", n_experiments=2, picture=None, lr=0):
    experiments = tuple(
        Experiment({"alg_name": alg_name, "lr": lr + n}, {"lr": lr + n}, (10, 20))
        for n in range(n_experiments)
    )
    return Preparation(alg_name, "t", "grid_x", "grid", experiments, variations={"lr": [lr]}, picture=picture)


def read(path):
    return json.loads(path.read_text())


def is_whole(storage_dir, n_experiments=2):
    runs = list(survey(storage_dir))
    return (
        [(run.experiment, run.seed) for run in runs]
        == [(n, seed) for n in range(1, n_experiments + 1) for seed in (10, 20)]
        and all(run.baton == WAITING_BATON for run in runs)
        and all(
            read(storage_dir / f"experiment{r.experiment}/seed{r.seed}/config.json")["seed"] == r.seed
            for r in runs
        )
        and (storage_dir / "GRID_SEARCH").exists()
        and (storage_dir / ".alfred/storage.json").exists()
        and f"1-{n_experiments}" in read(storage_dir / "variations.json")
    )


def left_hidden(root):
    """What preparations have left: folders being laid, and leases."""
    hidden = root / ".alfred"
    leases = os.listdir(hidden / "owners") if (hidden / "owners").is_dir() else []
    return [name for name in os.listdir(hidden) if name not in ("ids", "owners")] + leases


def test_a_search_is_laid_as_the_contract_says(tmp_path):
    root = tmp_path / "storage"
    (name,) = lay_search(root, [a_plan()], tmp_path / "list_searches_x.txt")
    storage_dir = root / name
    assert is_whole(storage_dir)
    assert sorted(os.listdir(storage_dir)) == [
        ".alfred", "GRID_SEARCH", "experiment1", "experiment2", "variations.json",
    ]  # fmt: skip
    seed_dir = storage_dir / "experiment2/seed20"
    assert sorted(os.listdir(seed_dir)) == ["UNHATCHED", "config.json", "config_unique.json"]
    assert read(seed_dir / "config.json") == {"alg_name": "a", "lr": 1, "seed": 20}
    assert read(seed_dir / "config_unique.json") == {"lr": 1, "seed": 20}
    assert (tmp_path / "list_searches_x.txt").read_text() == f"{name}\n"
    assert left_hidden(root) == []


def test_sixteen_preparations_at_once_get_ids_of_their_own_and_are_whole(tmp_path, together):
    root, listed = tmp_path / "storage", tmp_path / "list_searches_x.txt"
    together([lambda n=n: lay_search(root, [a_plan(f"a{n}"), a_plan(f"b{n}")], listed) for n in range(16)])
    found = storage_dirs(root)
    assert len(found) == 32
    assert len({path.name.split("_")[0] for path in found}) == 32
    assert all(is_whole(path) for path in found)
    assert sorted(listed.read_text().split()) == sorted(path.name for path in found)
    assert left_hidden(root) == []


def test_a_preparation_killed_at_any_step_is_finished_or_removed_by_the_next(tmp_path, child):
    steps, outcomes, code = 0, [], -9
    while code == -9:
        steps += 1
        root, listed = tmp_path / f"storage{steps}", tmp_path / f"list_searches_{steps}.txt"
        listed.write_text("Ab1_earlier\n")
        plans = [a_plan("a", 1), a_plan("b", 1)]
        code = child(lambda r=root, p=plans, at=listed: lay_search(r, p, at), kill_before=steps)
        laying.recover(root)
        found = [path.name for path in storage_dirs(root)] if root.is_dir() else []
        assert len(found) in (0, 2), steps
        assert all(is_whole(root / name, 1) for name in found)
        assert sorted(listed.read_text().split()) == sorted(["Ab1_earlier", *found]), steps
        outcomes.append(bool(found))
        if (root / ".alfred").is_dir():
            assert [name for name in left_hidden(root) if not name.endswith(".tmp")] == [], steps
    assert code == 0
    assert outcomes == sorted(outcomes), "once it is certain to happen, it happens"
    assert outcomes.count(False) > 20
    assert outcomes.count(True) > 4


def test_a_dead_preparation_is_finished_once_by_many_at_once(tmp_path, child, together):
    root, listed = tmp_path / "storage", tmp_path / "list_searches_x.txt"

    def die_with_a_journal():
        append = laying.files.append_lines
        laying.files.append_lines = lambda *args: (
            os.kill(os.getpid(), 9) if args[0] == listed else append(*args)
        )
        lay_search(root, [a_plan(f"a{n}", 1) for n in range(5)], listed)

    assert child(die_with_a_journal) == -9
    assert not listed.exists()
    together([lambda: laying.recover(root)] * 8)
    assert len(listed.read_text().split()) == len(storage_dirs(root)) == 5
    assert left_hidden(root) == []


def test_who_finishes_a_dead_preparation_may_be_killed_too(tmp_path, child):
    steps, code = 0, -9
    while code == -9:
        steps += 1
        root, listed = tmp_path / f"storage{steps}", tmp_path / f"list_searches_{steps}.txt"

        def die_with_a_journal(root=root, listed=listed):
            LayingFolder._carry_out = lambda *args: os.kill(os.getpid(), 9)
            lay_search(root, [a_plan("a", 1), a_plan("b", 1)], listed)

        assert child(die_with_a_journal) == -9
        code = child(lambda r=root: laying.recover(r), kill_before=steps)
        laying.recover(root)
        assert [is_whole(path, 1) for path in storage_dirs(root)] == [True, True], steps
        assert len(listed.read_text().split()) == 2, steps
        assert [name for name in left_hidden(root) if not name.endswith(".tmp")] == [], steps
    assert code == 0
    assert steps > 10


def test_a_living_preparation_is_left_alone_by_others(tmp_path):
    root = tmp_path / "storage"
    folder = LayingFolder.make(root, this_process())
    assert laying.recover(root) == []
    assert folder.path.is_dir()
    folder.abandon()
    assert left_hidden(root) == []


def test_a_list_file_that_vanished_with_its_schedule_stops_nobody(tmp_path, child):
    root, schedule = tmp_path / "storage", tmp_path / "schedule"
    schedule.mkdir()

    def die_with_a_journal():
        LayingFolder._carry_out = lambda *args: os.kill(os.getpid(), 9)
        lay_search(root, [a_plan()], schedule / "list_searches_x.txt")

    assert child(die_with_a_journal) == -9
    schedule.rmdir()
    (name,) = lay_search(root, [a_plan("b")])
    assert len(storage_dirs(root)) == 2
    assert is_whole(root / name)


@pytest.mark.parametrize(
    "journal",
    [
        {"moves": [{"source": "x", "target": "../out"}], "list_file": None, "lines": []},
        {"moves": [{"source": "/etc", "target": "x"}], "list_file": None, "lines": []},
        {"moves": [], "list_file": "/etc/passwd", "lines": ["x"]},
        {"moves": [{}], "list_file": None, "lines": []},
    ],
)
def test_a_journal_that_leads_out_of_the_root_is_refused_by_name(tmp_path, child, journal):
    root = tmp_path / "storage"

    def work():
        folder = LayingFolder.make(root, this_process())
        (folder.path / "journal.json").write_text(json.dumps(journal))
        os.kill(os.getpid(), 9)

    assert child(work) == -9
    told = []
    for _ in range(2):  # it stays where it is, under its name
        assert laying.recover(root, tell=told.append) == []
        (folder,) = (root / ".alfred").glob("laying.*")
        assert told.pop() == f"{folder}/journal.json is damaged: look what is in the folder, then remove it"
    assert not (tmp_path / "out").exists()


def test_a_preparation_that_cannot_be_finished_is_named_and_holds_up_nothing(tmp_path, child, capsys):
    root, listed = tmp_path / "storage", tmp_path / "list_searches_x.txt"

    def die_with_a_journal():
        LayingFolder._carry_out = lambda *args: os.kill(os.getpid(), 9)
        lay_search(root, [a_plan()], listed)

    assert child(die_with_a_journal) == -9
    listed.mkdir()
    assert laying.recover(root) == []
    line = capsys.readouterr().err
    assert line.startswith("alfred: notice: the preparation of No1_")
    assert f"was cut short and can't be finished now: Is a directory ({listed}); put that right" in line
    (name,) = lay_search(root, [a_plan("b")])
    assert is_whole(root / name)
    listed.rmdir()
    assert len(laying.recover(root)) == 1
    (found,) = listed.read_text().split()
    assert {path.name for path in storage_dirs(root)} == {name, found}
    assert not list((root / ".alfred").glob("laying.*"))


def test_a_preparation_of_many_thousand_moves_is_finished_too(tmp_path, child):
    """Its journal is some megabytes long."""
    root = tmp_path / "storage"
    (name,) = lay_search(root, [a_plan()])
    many = [f"experiment{number}" for number in range(3, 20_003)]
    moves = [laying.Move(f"{n}/{'x' * 40}", f"{name}/experiment3") for n in many]

    def work():
        folder = LayingFolder.make(root, this_process())
        (folder.path / many[0]).mkdir()
        (folder.path / many[0] / ("x" * 40)).mkdir()
        LayingFolder._carry_out = lambda *args: os.kill(os.getpid(), 9)
        folder.commit(moves, None, [])

    assert child(work) == -9
    assert len(laying.recover(root)) == 1
    assert (root / name / "experiment3").is_dir()


def test_what_the_disk_refuses_is_said_in_one_line_that_names_the_root(tmp_path):
    root = tmp_path / "storage"
    root.write_text("a file")
    with pytest.raises(StorageError) as caught:
        lay_search(root, [a_plan()])
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_end_that_fails_is_told_truly_and_finished_next_time(tmp_path):
    root, listed = tmp_path / "storage", tmp_path / "list_searches_x.txt"
    listed.mkdir()
    with pytest.raises(StorageError, match="the next command there finishes it"):
        lay_search(root, [a_plan()], listed)
    assert len(storage_dirs(root)) == 1


def test_more_experiments_laid_at_once_get_numbers_and_pictures_of_their_own(tmp_path, together):
    root = tmp_path / "storage"
    (name,) = lay_search(root, [a_plan(picture=b"picture 0")])
    together(
        [
            lambda n=n: lay_more(root, name, a_plan(lr=10 * n, picture=f"picture {n}".encode()))
            for n in range(1, 7)
        ]
    )
    storage_dir = root / name
    assert [run.experiment for run in survey(storage_dir)] == [n for n in range(1, 15) for _ in range(2)]
    variations = read(storage_dir / "variations.json")
    assert sorted(variations) == sorted(f"{first}-{first + 1}" for first in range(1, 15, 2))
    for keys, values in variations.items():
        first = int(keys.split("-")[0])
        assert read(storage_dir / f"experiment{first}/seed10/config.json")["lr"] == values["lr"][0]
    pictures = {(storage_dir / f"variations{n}.png").read_text() for n in range(1, 8)}
    assert pictures == {f"picture {n}" for n in range(7)}
    assert left_hidden(root) == []


def test_more_experiments_let_plots_and_summary_be_made_again(tmp_path):
    root = tmp_path / "storage"
    (name,) = lay_search(root, [a_plan()])
    for chore in ("plots", "summary"):
        os.rename(root / name / ".alfred" / chore / "WAITING", root / name / ".alfred" / chore / "DONE")
    assert lay_more(root, name, a_plan()) == (3, 4)
    assert [os.listdir(root / name / ".alfred" / chore) for chore in ("plots", "summary")] == [
        ["WAITING"]
    ] * 2


def test_more_experiments_killed_at_any_step_are_all_there_or_none(tmp_path, child):
    steps, code, seen = 0, -9, set()
    root = tmp_path / "storage"
    (name,) = lay_search(root, [a_plan()])
    while code == -9:
        steps += 1
        before = [run.experiment for run in survey(root / name)]
        code = child(lambda: lay_more(root, name, a_plan(picture=b"x")), kill_before=steps)
        laying.recover(root)
        added = [run.experiment for run in survey(root / name)][len(before) :]
        assert len(added) in (0, 4)
        variations = read(root / name / "variations.json")
        if added:
            assert f"{added[0]}-{added[-1]}" in variations
        assert len(variations) == 1 + (len(before) + len(added) - 4) // 4
        seen.add(len(added))
    assert code == 0
    assert seen == {0, 4}


def test_numbers_go_on_after_those_of_an_older_tree_and_its_variations_stay(lay, tmp_path):
    storage_dir = lay(3)[0].parent.parent
    (storage_dir / "variations.json").write_text('{"1-3": {"lr": [1]}}')
    (storage_dir / "variations1.png").write_text("older")
    assert lay_more(tmp_path, storage_dir.name, a_plan(picture=b"new")) == (4, 5)
    assert read(storage_dir / "variations.json") == {"1-3": {"lr": [1]}, "4-5": {"lr": [0]}}
    assert (storage_dir / "variations1.png").read_text() == "older"
    assert (storage_dir / "variations2.png").read_text() == "new"
    assert [record["first"] for record in preparations.records(storage_dir)] == [4]
