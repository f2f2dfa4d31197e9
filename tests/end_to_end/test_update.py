"""`alfred update`: config_unique.json follows what was edited by hand in config.json."""

import json
import os
import stat

import pytest

from alfred.storage.flags import COMPLETED, UNHATCHED
from alfred.utils.config import validate_config_unique


def read(path):
    return json.loads(path.read_text())


def edit(path, removed=(), **values):
    config = {name: value for name, value in read(path).items() if name not in removed}
    path.write_text(json.dumps({**config, **values}))


def configs(storage_dir):
    return {path: path.read_bytes() for path in storage_dir.glob("*/*/config.json")}


def uniques(storage_dir):
    return {path: path.read_bytes() for path in storage_dir.glob("*/*/config_unique.json")}


@pytest.fixture
def search(laid):
    """experiment1 has lr 0, experiment2 lr 1; each has the seeds 1 and 2."""
    return laid()


@pytest.fixture
def update(search, typed):
    return lambda *words: typed("update", "--storage_name", search.name, *words)


def test_a_changed_value_is_taken_over_and_told_with_its_file(search, update):
    for seed in (1, 2):
        edit(search / f"experiment2/seed{seed}/config.json", lr=0.5)
    before, before_unique = configs(search), uniques(search)
    done = update()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *(f"storage/{search.name}/experiment2/seed{seed}/config_unique.json: lr 1 -> 0.5" for seed in (1, 2)),
        "2 of 4 config_unique.json changed.",
    ]
    assert configs(search) == before
    for seed_dir in search.glob("experiment*/*"):
        validate_config_unique(read(seed_dir / "config.json"), read(seed_dir / "config_unique.json"))
    assert read(search / "experiment2/seed1/config_unique.json") == {"lr": 0.5, "seed": 1}
    changed = {
        path.parent.parent.name for path, text in uniques(search).items() if text != before_unique[path]
    }
    assert changed == {"experiment2"}
    assert update().stdout == "0 of 4 config_unique.json changed.\n"


def test_a_search_that_nobody_edited_stays_byte_for_byte(search, update):
    """main() may add keys to both files of a run that has begun."""
    edit(search / "experiment1/seed1/config.json", state_dim=4)
    edit(search / "experiment1/seed1/config_unique.json", state_dim=4)
    edit(search / "experiment2/seed1/config.json", lr=1.0)
    before = uniques(search)
    done = update()
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 of 4 config_unique.json changed.\n", "")
    assert uniques(search) == before


def test_a_dry_run_tells_the_same_and_writes_nothing(search, update):
    edit(search / "experiment2/seed2/config.json", lr=True)
    before = uniques(search)
    done = update("--dry-run")
    assert done.stdout.splitlines() == [
        f"storage/{search.name}/experiment2/seed2/config_unique.json: lr 1 -> True",
        "Dry run: 1 of 4 config_unique.json would be changed.",
    ]
    assert uniques(search) == before


def test_a_key_that_is_gone_is_removed_and_named(search, update):
    for seed_dir in search.glob("experiment*/*"):
        edit(seed_dir / "config.json", removed=["lr"])
    done = update()
    assert done.returncode == 0
    assert done.stdout.count("lr removed, it is not in config.json any more (was 1)") == 2
    assert read(search / "experiment2/seed1/config_unique.json") == {"seed": 1}


def test_a_key_that_was_added_is_not_unique_and_named_where_it_tells_experiments_apart(search, update):
    for number in (1, 2):
        for seed in (1, 2):
            added = {"dropout": number, "same": 3, "of_a_run": 10 * number + seed}
            edit(search / f"experiment{number}/seed{seed}/config.json", **added)
    before = uniques(search)
    done = update()
    assert (done.returncode, uniques(search)) == (0, before)
    assert done.stderr == (
        f"alfred: notice: experiments of {search.name} differ in dropout, which no config_unique.json holds: "
        "add it there by hand if it is to tell them apart\n"
    )
    edit(search / "experiment1/seed1/config_unique.json", dropout=None)
    assert "dropout None -> 1" in update().stdout
    assert read(search / "experiment1/seed1/config_unique.json") == {"lr": 0, "seed": 1, "dropout": 1}


def test_broken_files_are_named_and_the_others_go_on(search, update):
    (search / "experiment1/seed1/config.json").write_text('{"lr": 1,')
    (search / "experiment1/seed2/config.json").unlink()
    edit(search / "experiment2/seed1/config.json", lr=7)
    before = uniques(search)
    done = update()
    assert done.returncode == 1
    first, second, third = done.stderr.splitlines()
    assert "experiment1/seed1/config.json, line 1, column 10: no valid JSON" in first
    assert "experiment1/seed2/config.json does not exist" in second
    assert "experiment2 differ in lr" in third
    assert done.stdout.endswith("1 of 4 config_unique.json changed; 2 passed over, as told above.\n")
    changed = [path for path, text in uniques(search).items() if text != before[path]]
    assert changed == [search / "experiment2/seed1/config_unique.json"]


def test_a_config_unique_that_is_missing_or_broken_is_written_anew(search, update):
    broken, missing = (search / f"experiment2/seed{seed}/config_unique.json" for seed in (1, 2))
    broken.write_text("[]")
    missing.unlink()
    done = update()
    assert done.returncode == 0
    assert f"{broken.relative_to(search.parent.parent)}: written anew (line 1: a JSON object" in done.stdout
    place = missing.relative_to(search.parent.parent)
    assert f"{place}: written anew (does not exist: check its name)" in done.stdout
    assert (read(broken), read(missing)) == ({"lr": 1, "seed": 1}, {"lr": 1, "seed": 2})


def test_a_seed_that_is_not_that_of_its_directory_is_reported(search, update):
    edit(search / "experiment1/seed2/config.json", seed=5)
    done = update()
    assert "experiment1/seed2/config.json: the seed is 5, that of its directory is 2" in done.stderr
    assert "seed 2 -> 5" in done.stdout


def test_of_runs_that_have_begun_it_says_that_figures_show_the_old_values(search, update):
    os.rename(search / "experiment1/seed1" / UNHATCHED, search / "experiment1/seed1" / COMPLETED)
    for seed in (1, 2):
        edit(search / f"experiment1/seed{seed}/config.json", lr=9)
    assert "1 of these runs" in (told := update("--dry_run").stderr)
    assert told.count("\n") == 1
    assert "`alfred plot`" in told
    assert "--re_run_if_exists true" in told


def test_a_file_that_cannot_be_written_is_named_and_whole(search, update):
    """A folder in its place can't be replaced by a file, whoever tries."""
    edit(search / "experiment1/seed1/config.json", lr=9)
    edit(search / "experiment2/seed1/config.json", lr=9)
    (search / "experiment1/seed1/config_unique.json").unlink()
    (search / "experiment1/seed1/config_unique.json").mkdir()
    done = update()
    assert done.returncode == 1
    assert "experiment1/seed1/config_unique.json can't be written" in done.stderr
    assert read(search / "experiment2/seed1/config_unique.json")["lr"] == 9
    assert not [path for path in search.rglob("*") if path.name.endswith(".tmp")]
    assert stat.S_ISDIR((search / "experiment1/seed1/config_unique.json").stat().st_mode)


def test_a_missing_directory_of_a_list_is_passed_over(search, typed, tmp_path):
    edit(search / "experiment1/seed1/config.json", lr=9)
    edit(search / "experiment1/seed2/config.json", lr=9)
    (tmp_path / "all.txt").write_text(f"Ju9_gone\n{search.name}\n")
    done = typed("update", "--from_file", "all.txt")
    assert (done.returncode, "2 of 4" in done.stdout) == (1, True)
    assert "Ju9_gone does not exist: passed over" in done.stderr
    (tmp_path / "all.txt").write_text("Ju9_gone\n")
    assert typed("update", "--from_file", "all.txt").returncode == 3


def test_a_directory_without_any_readable_run_is_nothing_to_work_on(search, update):
    for path in search.glob("*/*/config.json"):
        path.write_text("")
    done = update()
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.endswith("there is no run whose config.json could be read\n")
