"""Files that grow by their new rows: always what was saved, and a plain pickle in the end."""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import alfred
from alfred.errors import OvertakenError, RecorderError
from alfred.utils import recorder, tape_file
from alfred.utils.recorder import Recorder, fold_files

growing = runpy.run_path(str(Path(__file__).with_name("growing_files.py")))
large, read, is_plain, FILLING = (growing[name] for name in ("large", "read", "is_plain", "FILLING"))


def test_only_new_rows_are_written_to_a_large_file_and_a_fold_makes_it_plain(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    before = path.read_bytes()
    expected = {"a": [0, 1, 2], "b": [FILLING, 0.5, 1.0]}
    for number in range(3, 30):
        made.write_to_tape({"a": number, "b": np.float32(number)})
        made.save(path)
        expected["a"].append(number)
        expected["b"].append(np.float32(number))
        assert read(path) == expected
        assert Recorder.init_from_pickle_file(path, trusted=True).tape == expected
    assert path.read_bytes().startswith(before)
    assert len(before) < path.stat().st_size < len(before) + 27 * 300
    assert pickle.loads(path.read_bytes())["a"] == [0, 1, 2]  # what other tools see meanwhile
    fold_files()
    assert is_plain(path)
    assert pickle.loads(path.read_bytes()) == expected
    assert type(pickle.loads(path.read_bytes())["a"]) is list
    made.write_to_tape({"a": 30})
    made.save(path)
    assert read(path)["a"] == list(range(31))


def test_a_small_file_is_a_plain_pickle_after_every_save(tmp_path):
    made = Recorder(["a"])
    for number in range(20):
        made.write_to_tape({"a": number})
        made.save(tmp_path / "tape.pkl")
        assert is_plain(tmp_path / "tape.pkl")
        assert read(tmp_path / "tape.pkl") == {"a": list(range(number + 1))}


def test_saving_every_row_writes_the_whole_tape_only_as_often_as_it_doubles(tmp_path):
    made, path, inodes = Recorder(["a"]), tmp_path / "tape.pkl", []
    made.write_to_tape({"a": FILLING})
    for number in range(3000):
        made.write_to_tape({"a": f"{number:01000}"})
        made.save(path)
        inodes.append(path.stat().st_ino)  # the old file is there until the new one is
    whole_saves = sum(one != other for one, other in itertools.pairwise(inodes))
    assert 4 <= whole_saves <= 7  # 64 kB to 3 MB
    assert read(path)["a"] == made.tape["a"]


EDITS = {
    "a value": lambda tape: tape["a"].__setitem__(1, -1),
    "a slice": lambda tape: tape["a"].__setitem__(slice(0, 2), [-1, -2]),
    "del": lambda tape: tape["a"].__delitem__(0),
    "pop": lambda tape: [values.pop() for values in tape.values()],
    "pop of the first": lambda tape: tape["b"].pop(0),
    "pop and append": lambda tape: tape["a"].append(tape["a"].pop() + 5),
    "insert": lambda tape: tape["a"].insert(0, 9),
    "remove": lambda tape: tape["a"].remove(1),
    "clear": lambda tape: tape["a"].clear(),
    "sort": lambda tape: tape["a"].sort(reverse=True),
    "reverse": lambda tape: tape["a"].reverse(),
    "twice": lambda tape: tape.__setitem__("a", tape["a"].__imul__(2)),
    "append": lambda tape: tape["a"].append(7),
    "extend": lambda tape: tape["b"].extend([7, 8]),
    "iadd": lambda tape: tape["b"].__iadd__([7, 8]),
    "a new metric": lambda tape: tape.__setitem__("c", [None] * 3),
    "a metric less": lambda tape: tape.pop("b"),
    "another order": lambda tape: tape.__setitem__("a", tape.pop("a")),
    "another list": lambda tape: tape.__setitem__("a", [5, 6, 7]),
    "lists exchanged": lambda tape: tape.update(a=tape["b"], b=tape["a"]),
    "another dictionary's lists": lambda tape: tape.update(
        {name: list(values) for name, values in tape.items()}
    ),
}


@pytest.mark.parametrize("rows_before", [0, 2])
@pytest.mark.parametrize("edit", EDITS)
def test_whatever_is_done_to_the_tape_by_hand_is_saved(tmp_path, edit, rows_before):
    path = tmp_path / "tape.pkl"
    made = large(path)
    tape = made.tape  # held from before
    for number in range(rows_before):
        made.write_to_tape({"a": number})
        made.save(path)
    EDITS[edit](tape)
    made.save(path)
    assert read(path) == tape
    assert list(read(path)) == list(tape)
    made.write_to_tape({"a": 77})
    made.save(path)
    assert read(path) == tape
    assert tape["a"][-1] == 77
    fold_files()
    assert read(path) == tape


def test_another_dictionary_is_saved_and_so_is_what_its_owner_does_to_it_later(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    mine = {"z": [FILLING]}
    made.tape = mine
    for number in range(3):
        made.save(path)
        assert read(path) == mine
        mine["z"].append(number)
        mine["z"][1:2] = [-1]
        made.save(path)
        assert read(path) == mine


CHANGES = {
    "an array": (np.zeros(3), lambda value: value.__setitem__(0, 5)),
    "a list": ([1, 2], lambda value: value.append(3)),
    "a dictionary": ({"k": 1}, lambda value: value.update(k=2)),
    "an array in a tuple": ((1, np.zeros(1)), lambda value: value[1].fill(3)),
    "a record": (np.zeros(1, [("x", "f8")])[0], lambda value: value.__setitem__("x", 4)),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_value_that_is_changed_inside_the_tape_is_saved_changed(tmp_path, kind):
    path, (value, change) = tmp_path / "tape.pkl", CHANGES[kind]
    made = large(path, value=value)
    made.write_to_tape({"a": 3, "b": value})
    made.save(path)
    for at in (1, 3):
        change(made.tape["b"][at])
        made.save(path)
        assert repr(read(path)) == repr(made.tape)


def test_arrays_are_added_too_as_long_as_nobody_has_seen_the_tape(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    inode = path.stat().st_ino
    for number in range(5):
        made.write_to_tape({"a": number, "b": np.full(3, number)})
        made.save(path)
    assert path.stat().st_ino == inode
    assert not is_plain(path)
    assert repr(read(path)) == repr(made.tape)


def test_a_value_that_only_its_own_class_can_read_is_saved_whole(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    for value in (Path("x"), [Path("y")], np.array([Path("z")], object)):
        made.write_to_tape({"a": value})
        made.save(path)
        assert is_plain(path)
    assert Recorder.init_from_pickle_file(path, trusted=True).tape == made.tape


def test_a_value_that_can_not_be_pickled_leaves_what_was_saved(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    made.write_to_tape({"a": 3})
    made.save(path)
    made.write_to_tape({"a": lambda: 1})
    with pytest.raises(RecorderError, match="'a' can't be pickled"):
        made.save(path)
    assert read(path)["a"] == [0, 1, 2, 3]
    made.tape["a"][-1] = 4
    made.save(path)
    assert read(path)["a"] == [0, 1, 2, 3, 4]


def test_an_edit_that_could_not_be_written_is_saved_once_it_can(tmp_path):
    folder = tmp_path / "recorders"
    made = large(folder / "tape.pkl")
    made.tape["a"][0] = -1
    folder.rename(tmp_path / "away")
    folder.touch()  # no folder can be made there
    with pytest.raises(RecorderError, match="can't be written"):
        made.save(folder / "tape.pkl")
    folder.unlink()
    (tmp_path / "away").rename(folder)
    made.save(folder / "tape.pkl")
    assert read(folder / "tape.pkl")["a"] == [-1, 1, 2]


def test_a_save_to_another_name_is_whole_and_the_first_file_keeps_what_was_saved_there(tmp_path):
    first, second = tmp_path / "first.pkl", tmp_path / "second.pkl"
    made = large(first)
    made.write_to_tape({"a": 3})
    made.save(first)
    made.write_to_tape({"a": 4})
    made.save(second)
    assert read(second)["a"] == [0, 1, 2, 3, 4]
    assert read(first)["a"] == [0, 1, 2, 3]
    made.write_to_tape({"a": 5})
    fold_files()  # rows that were not saved stay unsaved
    assert (pickle.loads(first.read_bytes())["a"], is_plain(first)) == ([0, 1, 2, 3], True)


def test_of_two_recorders_with_one_file_the_last_to_save_has_it(tmp_path):
    path = tmp_path / "tape.pkl"
    one, other = large(path), large(path)
    for number in range(3, 9):
        for made, value in ((one, number), (one, number), (other, -number)):
            made.write_to_tape({"a": value})
            made.save(path)
            assert read(path)["a"] == made.tape["a"]


def test_a_file_that_anybody_else_changed_or_removed_is_written_anew(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    for spoil in (
        path.unlink,
        lambda: path.write_bytes(b"else"),
        lambda: os.truncate(path, path.stat().st_size - 1),
        lambda: path.write_bytes(path.read_bytes()[::-1]),
    ):
        made.write_to_tape({"a": 1})
        made.save(path)
        spoil()
        made.write_to_tape({"a": 2})
        made.save(path)
        assert read(path) == made.tape


def test_a_resumed_recorder_repairs_a_torn_end_before_it_adds(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    for number in (3, 4):
        made.write_to_tape({"a": number})
        made.save(path)
    os.truncate(path, path.stat().st_size - 1)  # the row of 4 was being written
    resumed = Recorder.init_from_pickle_file(path)
    assert path.stat().st_size > tape_file.SMALL
    for number in (5, 6, 7):
        resumed.write_to_tape({"a": number})
        resumed.save(path)
        assert read(path)["a"] == [0, 1, 2, 3, *range(5, number + 1)]
    assert not is_plain(path)


def test_an_overtaken_run_adds_no_row_and_folds_nothing(tmp_path, monkeypatch):
    path = tmp_path / "tape.pkl"
    made = large(path)
    made.write_to_tape({"a": 3})
    made.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(recorder, "may_publish", lambda: False)
    made.write_to_tape({"a": 4})
    with pytest.raises(OvertakenError, match="another process"):
        made.save(path)
    fold_files()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["tape.pkl"]


def test_a_copy_of_a_recorder_goes_on_by_itself(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    made.write_to_tape({"a": 3})
    for twin in (copy.deepcopy(made), copy.copy(made), pickle.loads(pickle.dumps(made))):
        twin.write_to_tape({"a": 4})
        twin.save(tmp_path / "twin.pkl")
        assert read(tmp_path / "twin.pkl")["a"] == [0, 1, 2, 3, 4]
        assert read(path)["a"] == [0, 1, 2]
    assert made.tape["a"] == [0, 1, 2, 3]
    old = Recorder.__new__(Recorder)
    old.__setstate__({"tape": {"a": [1]}})  # what a pickle of an older recorder object holds
    assert old.tape == {"a": [1]}
    assert type(pickle.loads(pickle.dumps(made.tape))["a"]) is list


def test_threads_that_save_at_once_lose_no_row(tmp_path):
    path = tmp_path / "tape.pkl"
    made = large(path)
    done = threading.Event()

    def save_often():
        while not done.is_set():
            made.save(path)

    threads = [threading.Thread(target=save_often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(3, 300):
        made.write_to_tape({"a": number})
    done.set()
    for thread in threads:
        thread.join()
    made.save(path)
    assert read(path)["a"] == list(range(300))


SCRIPT = """
import os, signal, sys
from pathlib import Path
from alfred.utils.recorder import Recorder
path, ending = sys.argv[1:]
made = Recorder(["a"])
made.write_to_tape({"a": "x" * 300_000})
made.save(path)
for number in range(5):
    made.write_to_tape({"a": number})
    made.save(path)
made.write_to_tape({"a": "never saved"})
"""
ENDINGS = {
    "returns": "",
    "raises": "raise ValueError",
    "exits": "sys.exit(3)",
    "forks": "if os.fork() == 0: sys.exit(0)\nos.wait()\nassert b'rows' in Path(path).read_bytes()",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_script_that_runs_alone_leaves_a_plain_pickle_unless_it_is_killed(tmp_path, ending):
    command = [sys.executable, "-c", SCRIPT + ENDINGS[ending], str(tmp_path / "tape.pkl"), ending]
    environment = os.environ | {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    code = subprocess.run(command, env=environment, stderr=subprocess.DEVNULL).returncode
    assert code == {"raises": 1, "exits": 3, "is killed": -signal.SIGKILL}.get(ending, 0)
    assert read(tmp_path / "tape.pkl")["a"][1:] == [0, 1, 2, 3, 4]
    assert is_plain(tmp_path / "tape.pkl") == (ending != "is killed")
