"""Every file that alfred writes and reads again, cut off at every byte, with a NUL in every place and with
garbage behind: no traceback, no wrong number, one line that names the file, and what stands there stays.

`READERS` says for each file who reads it. What they find is what they found in the whole file, what they find
where there is none, or an error that names it. Recorder files have tests of their own (tests/utils).
"""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from alfred import clean_interrupted, files, update_config_unique
from alfred.analysis.gather import gather
from alfred.commands import status
from alfred.errors import AlfredError
from alfred.figures.array_plan import definition_of, plan_arrays
from alfred.figures.visuals import load_visuals
from alfred.launchers import evaluation, notes
from alfred.search.copies import Request, plan_copy
from alfred.search.retrain import read_mapping, recorded_best
from alfred.storage import (
    attempts,
    batons,
    leases,
    markers,
    more_seeds,
    preparations,
    submissions,
)
from alfred.storage.config_unique import corrections
from alfred.storage.crashes import group_crashes
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.laying import LayingFolder
from alfred.storage.leases import Leases
from alfred.storage.metadata import read_metadata
from alfred.storage.overview import overview
from alfred.storage.owners import this_process
from alfred.storage.survey import survey
from alfred.storage.tree_checks import examine, tree_at
from alfred.storage.tree_damage import Kind
from alfred.utils.config import load_config_from_json
from alfred.utils.misc import select_storage_dirs
from alfred.utils.recorder import Recorder
from alfred.utils.storage_fields import storage_fields

GARBAGE = b'\x00\xff{"seed": 7}\n'


@dataclass
class Tree:
    """A search with runs in every state, and everything beside it that alfred keeps."""

    root: Path
    dir: Path
    done: Path
    crashed: Path
    running: Path
    waiting: Path
    list_file: Path
    me: Leases


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    root, schedule = folder / "storage", folder / "schedules" / "s"
    schedule.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        experiments = tuple(
            Experiment(
                {"alg_name": "a", "task_name": "t", "desc": "grid_x", "lr": lr, "width": 8},
                {"alg_name": "a", "task_name": "t", "lr": lr},
                (10, 20),
            )
            for lr in (0.125, 0.25)
        )
        plan = Preparation("a", "t", "grid_x", "grid", experiments, variations={"lr": [0.125, 0.25]})
        names = lay_search(root, [plan, plan], schedule / "list_searches_s.txt")
        more_seeds.lay_seeds(root, names[0], [1, 2], 1)
    storage_dir = root / names[0]
    me = Leases(this_process())
    me.hold(storage_dir)
    done, crashed, running, waiting = (
        storage_dir / f"experiment{n}" / f"seed{seed}" for n, seed in ((1, 10), (1, 20), (2, 10), (2, 20))
    )
    for seed_dir in (done, crashed, running):
        assert batons.claim(str(seed_dir), me.owner.name)
        begun = notes.begin(seed_dir, me.owner, {"python": "3.11"})
        batons.note_process(seed_dir, me.owner.name, os.getpid(), "1")
        recorder = Recorder(["episode", "eval_return"])
        for n in range(3):
            recorder.write_to_tape({"episode": n, "eval_return": n / 4})
        recorder.save(seed_dir / "recorders" / "train_recorder.pkl")
        if seed_dir != running:
            notes.end(seed_dir, begun, {"how": "ended"})
    attempts.write_attempts(running, attempts.Attempts(12, 2))
    attempts.write_run(running, {**attempts.read_run(running), "attempt": 12})
    batons.finish(done, me.owner.name)
    batons.crash(
        crashed, me.owner.name, "Error: ValueError: no 17\nSignature: ValueError: no #\n\nat the end"
    )
    (done / ".alfred/evaluation.json").write_text('{"n_episodes": 10, "scores": [0.5, 0.25]}\n')
    submissions.write(
        root, submissions.Submission(f"{submissions.PREFIX}1", "4711", "slurm", (names[0],), "now")
    )
    (storage_dir / "PLOT_ARRAYS_ONGOING").write_text(f"{me.owner.name}\n")
    (storage_dir / "summary").mkdir()
    (storage_dir / "summary/scores.json").write_text(json.dumps({"best": 2, "experiments": [1, 2]}) + "\n")
    (schedule / "visuals_s.json").write_text('{"labels_dict": {"a": "A"}, "colors_dict": {"a": "red"}}\n')
    (schedule / "additional_curves_s.json").write_text('{"hlines": {"t": [{"y": 1.5, "label": "best"}]}}\n')
    (schedule / "mapping.json").write_text(json.dumps({names[0]: 2}) + "\n")
    laying = root / ".alfred" / "laying.host-1-0123abcd"
    (laying / "0").mkdir(parents=True)
    journal = {"moves": [{"source": "0", "target": "Ab9_a_t_grid_x"}], "list_file": None, "lines": []}
    (laying / "journal.json").write_text(json.dumps(journal) + "\n")
    yield Tree(root, storage_dir, done, crashed, running, waiting, schedule / "list_searches_s.txt", me)
    me.drop(storage_dir)


def damaged(data):
    """Every length, a NUL in every place, garbage behind."""
    yield from (data[:length] for length in range(len(data)))
    yield from (data[:at] + b"\0" + data[at + 1 :] for at in range(len(data)))
    yield data + GARBAGE


def outcome(read, tree, path):
    """What is read, as text; an error has to be one line that says where."""
    try:
        return repr(read(tree))
    except AlfredError as error:
        told = str(error)
    assert "\n" not in told, told
    assert str(path) in told, told
    return "refused"


def of_gather(tree):
    found = gather(tree.dir)
    return [(run.name, run.condition, dict(run.tape), run.problem) for run in found.runs]


def configs_of_gather(tree):
    return [(run.config.get("lr"), run.unique.get("lr")) for run in gather(tree.dir).runs]


def of_cells(tree):
    arrays = plan_arrays(
        gather(tree.dir), definition_of(("episode", "eval_return", (None, None), (None, None)))
    )
    return sorted((cell.title, cell.state, str(cell.curve)) for array in arrays for cell in array.cells)


def of_copy(tree):
    plan = plan_copy(tree.dir, Request({}))
    return plan.copy.experiments


def of_experiment(tree):
    return more_seeds.read_experiment([tree.running, tree.waiting], (1,))


def of_corrections(tree):
    """What would be written; an error stands for one run, the others are told."""
    found = list(corrections(tree.dir))
    assert len(found) == 6
    for one in found:
        if isinstance(one, AlfredError):
            assert str(tree.waiting) in str(one)
    return [one.unique for one in found if not isinstance(one, AlfredError)]


def of_verdict(tree):
    return leases.judge(tree.dir, tree.me.owner.name, this_process())


def of_list(tree):
    return [path.name for path in select_storage_dirs(tree.list_file, None, tree.root)]


def of_journal(tree):
    folder = tree.root / ".alfred" / "laying.host-1-0123abcd"
    LayingFolder(tree.root, folder, Leases(this_process())).finish_or_remove(folder)


READERS = {
    "config.json": (lambda tree: tree.waiting / "config.json", {
        "run": lambda tree: load_config_from_json(tree.waiting / "config.json"),
        "gather": of_gather,
        "copy": of_copy,
        "add seeds": of_experiment,
        "update": of_corrections,
        "fields": lambda tree: storage_fields(tree.dir),
    }),
    "config_unique.json": (lambda tree: tree.waiting / "config_unique.json", {
        "gather": of_gather,
        "cells": of_cells,
        "copy": of_copy,
        "add seeds": of_experiment,
        "update": of_corrections,
    }),
    "lease": (lambda tree: leases.owners_dir(tree.dir) / tree.me.owner.name, {
        "verdict": of_verdict,
        "survey": lambda tree: list(survey(tree.dir)),
    }),
    "storage.json": (lambda tree: tree.dir / ".alfred/storage.json", {
        "fields": lambda tree: storage_fields(tree.dir),
        "metadata": lambda tree: [
            getattr(read_metadata(tree.dir), name) for name in ("id", "alg_name", "task_name", "desc", "kind")
        ],
    }),
    "variations.json": (lambda tree: tree.dir / "variations.json", {
        "cells": of_cells,
        "publish": lambda tree: preparations.publish_variations(tree.dir),
        "copy": of_copy,
    }),
    "preparation.json": (lambda tree: tree.dir / ".alfred/preparations/1/preparation.json", {
        "cells": of_cells,
        "publish": lambda tree: preparations.publish_variations(tree.dir),
        "copy": of_copy,
    }),
    "seeds.json": (lambda tree: tree.dir / ".alfred/more_seeds/1/seeds.json", {
        "fresh seeds": lambda tree: more_seeds.next_seeds(tree.dir, [1, 2], 2),
    }),
    "attempts.json": (lambda tree: tree.running / ".alfred/attempts.json", {
        "attempt": lambda tree: attempts.read_attempts(tree.running).attempt,
    }),
    "run.json": (lambda tree: tree.crashed / ".alfred/run.json", {
        "crashes": lambda tree: [group.last_line for group in group_crashes([str(tree.crashed)])],
        "owner": lambda tree: attempts.read_run(tree.crashed).get("owner"),
    }),
    "run.json of a completed run": (lambda tree: tree.done / ".alfred/run.json", {
        "durations": lambda tree: overview([tree.dir], this_process()).storages[0].durations,
    }),
    "evaluation.json": (lambda tree: tree.done / ".alfred/evaluation.json", {
        "scores": lambda tree: evaluation._read(tree.done, 10),
    }),
    "journal": (lambda tree: tree.root / ".alfred/laying.host-1-0123abcd/journal.json", {
        "recover": of_journal,
    }),
    "submission": (lambda tree: submissions.folder(tree.root) / f"{submissions.PREFIX}1.json", {
        "read": lambda tree: submissions.read(tree.root),
    }),
    "marker": (lambda tree: tree.dir / "PLOT_ARRAYS_ONGOING", {
        "maker": lambda tree: markers.maker(tree.dir / "PLOT_ARRAYS_ONGOING"),
    }),
    "scores.json": (lambda tree: tree.dir / "summary/scores.json", {
        "best": lambda tree: recorded_best(tree.dir),
    }),
    "visuals": (lambda tree: tree.list_file.parent / "visuals_s.json", {
        "visuals": lambda tree: load_visuals(tree.list_file.parent),
    }),
    "additional curves": (lambda tree: tree.list_file.parent / "additional_curves_s.json", {
        "visuals": lambda tree: load_visuals(tree.list_file.parent),
    }),
    "mapping": (lambda tree: tree.list_file.parent / "mapping.json", {
        "mapping": lambda tree: read_mapping(tree.list_file.parent / "mapping.json", tree.root),
    }),
}  # fmt: skip


# Who can't do without the file: it is what it was, or it is an error.
MUST_KNOW = {"attempt", "add seeds", "fresh seeds", "recover", "mapping", "run"}
# Who looks at the whole tree sees every ninth damage.
LOOKS_AT_ALL = {"gather", "cells", "copy", "publish", "update", "durations", "fields", "metadata"}


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_reads_as_it_was_or_as_none_or_is_named(tree, name):
    where, readers = READERS[name]
    path = where(tree)
    whole = path.read_bytes()
    wanted = {}
    for reader, read in readers.items():
        wanted[reader] = {"refused"}
        if reader != "recover":
            wanted[reader].add(outcome(read, tree, path))
        if reader not in MUST_KNOW:
            path.rename(path.with_name("kept"))
            wanted[reader].add(outcome(read, tree, path))
            path.with_name("kept").rename(path)
    wrong = {}
    for number, data in enumerate(damaged(whole)):
        if data.rstrip() == whole.rstrip():
            continue  # only the end of its last line is gone
        path.write_bytes(data)
        for reader, read in readers.items():
            if number % 9 and reader in LOOKS_AT_ALL:
                continue
            found = outcome(read, tree, path)
            if found not in wanted[reader]:
                wrong.setdefault((reader, found[:300]), data)
            assert path.read_bytes() == data
    path.write_bytes(whole)
    assert wrong == {}, wanted


def test_a_list_cut_anywhere_names_no_other_storage_directory(tree, capsys):
    """The last line may be the beginning of a name: no directory is called so, since ids are given once."""
    whole = tree.list_file.read_bytes()
    names = whole.decode().split()
    for data in damaged(whole):
        tree.list_file.write_bytes(data)
        with contextlib.suppress(AlfredError):  # nothing is left, or a name that can be none
            found = of_list(tree)
            there = [name for name in found if (tree.root / name).is_dir()]
            assert there == [name for name in names if name in found]
            capsys.readouterr()
    tree.list_file.write_bytes(whole)


def test_a_list_cut_anywhere_keeps_what_it_has_when_names_are_added(tree):
    whole = tree.list_file.read_bytes()
    for length in range(len(whole)):
        tree.list_file.write_bytes(whole[:length])
        files.append_lines(tree.list_file, ["Ab9_new_one"])
        assert tree.list_file.read_bytes().startswith(whole[:length])
        assert tree.list_file.read_text().splitlines()[-1] == "Ab9_new_one"
    tree.list_file.write_bytes(whole)


DOORS = {
    "status": lambda tree: ["--root_dir", str(tree.root), "--from_file", str(tree.list_file), "--crashes"],
    "clean": lambda tree: ["--root_dir", str(tree.root), "--from_file", str(tree.list_file), "--no_wait"],
    "update": lambda tree: ["--root_dir", str(tree.root), "--from_file", str(tree.list_file), "--dry_run"],
}


@pytest.mark.parametrize("door", DOORS)
def test_no_damaged_file_keeps_a_command_from_the_other_runs(tree, door, capsys, monkeypatch):
    """Whatever is damaged, in one line at most, and the other storage directory is told as ever."""
    monkeypatch.chdir(tree.root.parent)
    main = {"status": status.main, "clean": clean_interrupted.main, "update": update_config_unique.main}[door]
    for name, (where, _) in READERS.items():
        path = where(tree)
        whole = path.read_bytes()
        for data in (b"", whole[: len(whole) // 2], b"\0" + whole[1:], whole + GARBAGE):
            path.write_bytes(data)
            code = main(DOORS[door](tree))
            told = capsys.readouterr()
            assert "Traceback" not in told.out + told.err, (name, data)
            assert code in (0, 1), (name, data, told)
            assert len(told.err.splitlines()) <= 2, (name, data, told.err)
            assert path.read_bytes() == data, name
        path.write_bytes(whole)


# Who notices what is damaged; the others are for other commands to name.
SEEN_BY_THE_DOCTOR = {
    "config.json": Kind.NO_CONFIG,
    "lease": Kind.NO_LEASE,
    **dict.fromkeys(
        [
            "config_unique.json",
            "storage.json",
            "variations.json",
            "preparation.json",
            "seeds.json",
            "attempts.json",
            "run.json",
            "submission",
        ],
        Kind.BAD_RECORD,
    ),
}


@pytest.mark.parametrize("name", SEEN_BY_THE_DOCTOR)
def test_the_doctor_names_a_damaged_file(tree, name):
    path = READERS[name][0](tree)
    whole = path.read_bytes()
    before = {(found.kind, found.path) for found in examine(tree_at(tree.root), this_process()).damages}
    for data in (b"", whole[: len(whole) // 2], b"\0" + whole[1:], whole + GARBAGE):
        path.write_bytes(data)
        found = {(found.kind, found.path) for found in examine(tree_at(tree.root), this_process()).damages}
        kind = SEEN_BY_THE_DOCTOR[name]
        wanted = {Kind.NO_CONFIG: path.parent, Kind.NO_LEASE: tree.running}.get(kind, path)
        assert found - before == {(kind, wanted)}
    path.write_bytes(whole)
