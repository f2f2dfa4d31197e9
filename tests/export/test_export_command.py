"""`alfred export` as it is typed: what it writes, what it says, with which status it ends."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

import alfred
from alfred.commands.export import main

FIRST, SECOND = "Ju1_ppo_hill_grid_first", "Ju2_sac_hill_grid_first"


@pytest.fixture
def typed(root, tmp_path, monkeypatch, capsys):
    """Calls the command in an empty folder, for both searches; (status, output, errors)."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "list.txt").write_text(f"{FIRST}\n{SECOND}\n")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*words, listing="list.txt"):
        status = main([f"--from_file={listing}", f"--root_dir={root}", *words])
        return status, *capsys.readouterr()

    return call


def test_the_default_is_a_csv_with_a_row_for_each_run(typed):
    status, output, errors = typed("--to=csv")
    assert status == 0, errors
    assert output.splitlines()[0] == "runs.csv: 4 runs (2 completed, 1 crashed, 1 waiting), 4 rows"
    with open("runs.csv", newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == [
            "completed",
            "crashed",
            "waiting",
            "completed",
        ]


def test_a_parquet_of_steps_goes_where_it_is_told(typed):
    status, output, errors = typed("--to=parquet", "--rows=steps", "--output=there.parquet")
    assert status == 0, errors
    assert output.splitlines()[0] == "there.parquet: 4 runs (2 completed, 1 crashed, 1 waiting), 23 rows"
    assert pyarrow.parquet.read_table("there.parquet").num_rows == 23


def test_tensorboard_gets_a_folder_for_each_run_that_recorded_something(typed):
    status, output, errors = typed("--to=tensorboard")
    assert status == 0, errors
    found = {str(path.parent) for path in Path("tensorboard").rglob("events.out.tfevents.*")}
    assert found == {
        f"tensorboard/{FIRST}/experiment1/seed1",
        f"tensorboard/{FIRST}/experiment1/seed2",
        f"tensorboard/{SECOND}/experiment1/seed1",
    }
    assert output.startswith("tensorboard: 3 runs (2 completed, 1 crashed), ")


def test_a_listed_directory_that_is_missing_is_passed_over_with_status_1(typed):
    Path("other.txt").write_text(f"{FIRST}\nJu9_gone\n")
    status, output, errors = typed("--to=csv", listing="other.txt")
    assert status == 1
    assert "Ju9_gone" in output + errors
    assert "runs.csv: 3 runs (1 completed, 1 crashed, 1 waiting), 3 rows" in output.splitlines()


def test_nothing_there_is_status_3_and_no_file(typed):
    Path("other.txt").write_text("Ju9_gone\n")
    assert typed("--to=csv", listing="other.txt")[0] == 3
    assert not Path("runs.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--to"),
        (("--to=tensorboard", "--rows=steps"), "--rows steps is for csv and parquet"),
        (("--to=csv", "--output=list.txt"), "list.txt exists and is never overwritten"),
    ],
)
def test_a_mistake_is_told_with_status_2(typed, words, said):
    before = Path("list.txt").read_text()
    status, _, errors = typed(*words)
    assert (status, said in errors) == (2, True), errors
    assert Path("list.txt").read_text() == before
    assert [path.name for path in Path().iterdir()] == ["list.txt"]


@pytest.mark.parametrize(
    ("module", "to", "extra"),
    [
        ("pyarrow", "parquet", "parquet"),
        ("tensorboardX", "tensorboard", "tensorboard"),
        ("mlflow", "mlflow", "mlflow"),
    ],
)
def test_the_extra_that_is_missing_is_named_with_status_2(root, tmp_path, module, to, extra):
    """In a process that finds, instead of the package, one that can't be imported."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / f"{module}.py").write_text(f"raise ModuleNotFoundError('no', name={module!r})\n")
    path = os.pathsep.join([str(hidden), str(Path(alfred.__file__).parents[1])])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "alfred",
            "export",
            f"--to={to}",
            f"--storage_name={FIRST}",
            "--root_dir",
            root,
        ],
        cwd=hidden,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert f"pip install 'alfred[{extra}]'" in done.stderr
