"""Tables in files and in memory hold what the recorders hold, bit for bit."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from alfred.analysis.cells import Kind, both, cell, kind_of, plain
from alfred.analysis.frames import runs_frame, steps_frame
from alfred.errors import StorageError, UsageError
from alfred.export import csv_file, parquet
from alfred.utils.recorder import Recorder

WRITERS = {"csv": csv_file, "parquet": parquet}


def bits(values):
    return [None if value is None else np.float64(value).tobytes() for value in values]


def recorded(root, name, seed=1, recorder="train_recorder"):
    path = root / name / "experiment1" / f"seed{seed}" / "recorders" / f"{recorder}.pkl"
    return Recorder.init_from_pickle_file(path).tape


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_of_runs_has_a_row_for_each_with_what_is_known_of_it(order, tmp_path):
    outcome = csv_file.export(order(tmp_path / "runs.csv", performance_aggregation="last"))
    first, crashed, waiting, other = read_csv(tmp_path / "runs.csv")
    assert (outcome.runs, outcome.rows) == (4, 4)
    assert first["storage_name"] == "Ju1_ppo_hill_grid_first"
    assert [first[name] for name in ("alg_name", "task_name", "experiment", "seed")] == [
        "ppo",
        "hill",
        "1",
        "1",
    ]
    assert float(first["lr"]) == 0.1
    assert json.loads(first["layers"]) == [64, 1]
    assert (first["clip"], first["config.host"], first["host"]) == ("", "mine", "vm")
    assert [row["state"] for row in (first, crashed, waiting, other)] == [
        "completed",
        "crashed",
        "waiting",
        "completed",
    ]
    assert float(first["score"]) == 1 / 3 * 6 + 1
    assert (crashed["score"], waiting["score"], waiting["attempts"]) == ("", "", "")
    assert (first["seconds"], first["attempts"]) == ("12.5", "2")
    assert other["alg_name"] == "sac"


def test_a_completed_run_without_a_score_says_why(order, tmp_path):
    csv_file.export(order(tmp_path / "runs.csv", performance_metric="eval_retrun"))
    first, crashed, *_ = read_csv(tmp_path / "runs.csv")
    assert (first["score"], first["problem"]) == ("", "no eval_retrun recorded")
    assert (crashed["score"], crashed["problem"]) == ("", ""), "its state says it"


def test_a_csv_of_steps_reads_back_bit_for_bit(order, root, tmp_path):
    outcome = csv_file.export(order(tmp_path / "steps.csv", rows="steps"))
    assert b"\r\n" not in (tmp_path / "steps.csv").read_bytes(), "lines end as Unix's do"
    rows = read_csv(tmp_path / "steps.csv")
    assert outcome.rows == len(rows) == 3 * 7 + 2
    own = [row for row in rows if row["storage_name"][:3] == "Ju1" and row["seed"] == "1"]
    tape = recorded(root, "Ju1_ppo_hill_grid_first")
    for metric in ("eval_return", "loss", "odd", "episode"):
        read = [float(row[metric]) if row[metric] else None for row in own]
        assert bits(read) == bits(tape[metric]), metric
    assert [int(row["count"]) for row in own] == tape["count"]
    assert [int(row["huge"]) if row["huge"] else None for row in own] == tape["huge"]
    assert [json.loads(row["actions"]) for row in own] == tape["actions"]
    assert [row["word"] for row in own] == [word or "" for word in tape["word"]]
    assert [int(row["index"]) for row in own] == list(range(7))
    last = [row for row in rows if row["recorder"] == "eval_recorder"]
    assert [row["loss"] for row in last] == ["0.25", ""]
    assert any("actions" in note and "huge" in note for note in outcome.notes), "said"


def test_pandas_reads_the_csv_with_every_digit(order, root, tmp_path):
    csv_file.export(order(tmp_path / "steps.csv", rows="steps"))
    frame = pd.read_csv(tmp_path / "steps.csv", engine="python")
    own = frame[(frame.storage_name == "Ju1_ppo_hill_grid_first") & (frame.seed == 1)]
    assert bits(own["loss"]) == bits(recorded(root, "Ju1_ppo_hill_grid_first")["loss"])


def test_parquet_holds_every_value_and_tells_missing_from_nan(order, root, tmp_path):
    outcome = parquet.export(order(tmp_path / "steps.parquet", rows="steps"))
    table = pyarrow.parquet.read_table(tmp_path / "steps.parquet")
    assert table.num_rows == outcome.rows == 23
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["eval_return"] == kinds["loss"] == kinds["odd"] == "double"
    assert kinds["count"] == kinds["episode"] == kinds["index"] == "int64"
    assert kinds["huge"] == kinds["actions"] == kinds["word"] == "string"
    own = [row for row in table.to_pylist() if row["storage_name"][:3] == "Ju1" and row["seed"] == 1]
    tape = recorded(root, "Ju1_ppo_hill_grid_first")
    for metric in ("eval_return", "loss", "odd"):
        assert bits([row[metric] for row in own]) == bits(tape[metric]), metric
    assert [row["odd"] is None for row in own] == [value is None for value in tape["odd"]]
    assert [row["count"] for row in own] == tape["count"]
    assert [row["word"] for row in own] == tape["word"]


def test_parquet_of_runs_is_typed(order, tmp_path):
    parquet.export(order(tmp_path / "runs.parquet"))
    frame = pd.read_parquet(tmp_path / "runs.parquet")
    assert list(frame["seed"]) == [1, 2, 3, 1]
    assert frame["score"].dtype == np.float64
    assert frame["clip"].isna().all()


def test_row_groups_bound_the_memory(order, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_GROUP", 8)
    parquet.export(order(tmp_path / "steps.parquet", rows="steps"))
    file = pyarrow.parquet.ParquetFile(tmp_path / "steps.parquet")
    assert [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)] == [14, 9]


def test_frames_are_the_same_tables(root):
    dirs = sorted(root.iterdir())
    frame = steps_frame(dirs)
    own = frame[(frame["storage_name"] == dirs[0].name) & (frame["seed"] == 1)]
    tape = recorded(root, dirs[0].name)
    assert bits(own["loss"]) == bits(tape["loss"])
    assert list(own["count"]) == tape["count"]
    assert str(frame["count"].dtype) == "Int64"
    assert own["eval_return"].isna().tolist() == [value is None for value in tape["eval_return"]]
    runs = runs_frame(dirs)
    assert list(runs["state"]) == ["completed", "crashed", "waiting", "completed"]
    assert math.isnan(runs["score"][1])
    with pytest.raises(StorageError, match="does not exist"):
        runs_frame([root / "nothing"])


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_is_there_is_never_overwritten(kind, order, tmp_path):
    place = tmp_path / f"mine.{kind}"
    place.write_text("mine")
    with pytest.raises(UsageError, match="--output"):
        WRITERS[kind].export(order(place))
    assert place.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name != "storage"] == [place.name]


def test_a_file_that_somebody_made_meanwhile_is_kept(order, tmp_path):
    place = tmp_path / "runs.csv"
    made = replace(order(place), heard=lambda what, n: place.write_text("mine"))
    with pytest.raises(UsageError, match="--output"):
        csv_file.export(made)
    assert place.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.csv", "storage"]


@pytest.mark.parametrize("kind", WRITERS)
def test_an_export_that_fails_leaves_nothing(kind, order, root, tmp_path):
    """Interrupted at its third run."""
    made = order(tmp_path / f"runs.{kind}")
    there = list(made.storage_dirs)

    class Interrupted(Exception):
        pass

    def interrupt(what, n):
        if what == "runs written" and n == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        WRITERS[kind].export(type(made)(there, made.chosen, "steps", made.output, interrupt))
    assert [path.name for path in tmp_path.iterdir()] == ["storage"]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("late", [{"episode": [0, 2.5]}, {"episode": [0, 1], "new": ["a", "b"]}])
def test_what_a_run_at_work_records_meanwhile_is_told_and_no_number_changes(
    kind, late, order, root, tmp_path
):
    path = root / "Ju1_ppo_hill_grid_first" / "experiment1" / "seed1" / "recorders" / "late.pkl"

    def record(tape):
        recorder = Recorder(tape)
        recorder.tape = tape
        recorder.save(path)

    record({"episode": [0], "new": [None]})
    asked = replace(order(tmp_path / "table", rows="steps"), heard=lambda what, n: record(late))
    with pytest.raises(StorageError, match=r"Ju1\w+/experiment1/seed1 .* (episode|new) meanwhile"):
        WRITERS[kind].export(asked)
    assert not (tmp_path / "table").exists()


def test_a_folder_that_is_not_there_is_told(order, tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        csv_file.export(order(tmp_path / "no" / "runs.csv"))


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ([1, None], [2.5], Kind.NUMBER),
        ([2**53 + 1], [2.5], Kind.MIXED),
        ([2**53 + 1], [1], Kind.LARGE),
        ([True], [1], Kind.MIXED),
        ([None], [True], Kind.TRUTH),
        ([2**63], [], Kind.MIXED),
        (["a"], [1], Kind.MIXED),
        ([[1]], ["a"], Kind.MIXED),
    ],
)
def test_columns_of_several_kinds_change_no_number(one, other, kind):
    parts = [[plain(value) for value in part] for part in (one, other)]
    assert both(*map(kind_of, parts)) is kind
    assert both(*map(kind_of, reversed(parts))) is kind
    for value in filter(lambda v: type(v) in (int, float), one + other):
        told = cell(value, kind)
        assert (type(value)(told) if isinstance(told, str) else told) == value


def test_without_the_package_the_extra_is_named(order, tmp_path):
    """In an interpreter that finds neither pyarrow nor pandas."""
    code = (
        "import sys; sys.modules['pyarrow'] = sys.modules['pandas'] = None\n"
        "from alfred import cli\n"
        "from alfred.errors import AlfredError\n"
        "from alfred.analysis.frames import runs_frame\n"
        "import alfred.export.parquet as parquet\n"
        "for call in (lambda: parquet.export(None), lambda: runs_frame([])):\n"
        "    try: call()\n"
        "    except AlfredError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "alfred[parquet]" in said
    assert "alfred[pandas]" in said
