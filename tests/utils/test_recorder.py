"""Recorders: whole files, nothing run by reading them, aligned tapes; and the iterator that beats."""

from __future__ import annotations

import builtins
import codecs
import collections
import errno
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import alfred
from alfred.errors import OvertakenError, RecorderError
from alfred.utils import recorder
from alfred.utils.recorder import Recorder, TrainingIterator, remove_nones


class Runs:
    """Pickles to a call of a function of one's choice."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_a_tape_comes_back_from_its_file(tmp_path):
    tape = Recorder({"b", "a"})
    assert list(tape.tape) == ["a", "b"]
    tape.write_to_tape({"a": 1, "b": np.float32(0.5)})
    tape.write_to_tape({"b": [1, 2]})
    tape.write_to_tape({"a": np.arange(3), "b": None})
    tape.save(tmp_path / "new" / "folder" / "tape.pkl")
    read = Recorder.init_from_pickle_file(tmp_path / "new" / "folder" / "tape.pkl")
    assert read.tape["b"] == [np.float32(0.5), [1, 2], None]
    assert type(read.tape["b"][0]) is np.float32
    assert read.tape["a"][:2] == [1, None]
    assert read.tape["a"][2].tolist() == [0, 1, 2]
    with (tmp_path / "new" / "folder" / "tape.pkl").open("rb") as file:
        assert list(pickle.load(file)) == ["a", "b"]


def test_an_unknown_metric_is_answered_with_the_nearest_and_nothing_is_written():
    tape = Recorder(["eval_return", "loss"])
    with pytest.raises(RecorderError, match=r"'eval_retrun'.*did you mean eval_return"):
        tape.write_to_tape({"loss": 1, "eval_retrun": 2})
    assert tape.tape == {"eval_return": [], "loss": []}
    with pytest.raises(RecorderError, match="list of names"):
        Recorder("loss")


def test_what_happens_to_a_value_later_does_not_reach_the_tape():
    weights, nested = np.zeros(2), {"a": [1, np.zeros(1)]}
    tape = Recorder(["w", "n"])
    tape.write_to_tape({"w": weights, "n": [nested]})
    weights += 1
    nested["a"][1] += 1
    nested["a"].append(2)
    assert tape.tape["w"][0].tolist() == [0, 0]
    assert tape.tape["n"] == [[{"a": [1, np.zeros(1)]}]]


def attacks(target: Path) -> dict[str, bytes]:
    command = f"touch {target}"
    objects = {
        "system": Runs(os.system, command),
        "eval": Runs(builtins.eval, f"open({str(target)!r}, 'w')"),
        "exec": Runs(builtins.exec, f"open({str(target)!r}, 'w')"),
        "open": Runs(builtins.open, str(target), "w"),
        "getattr": Runs(getattr, os, "system"),
        "popen": Runs(subprocess.Popen, ["touch", str(target)]),
        "path": Runs(Path.touch, target),
        "memmap": Runs(np.memmap, str(target), "uint8", "w+", 0, (4,)),
        "codec": Runs(codecs.encode, "a", "idna"),
        "numpy load": Runs(np.load, str(target), None, True),
    }
    hidden = {name: {"metric": [1, {"deep": value}]} for name, value in objects.items() if name != "getattr"}
    files = {f"{name} {p}": pickle.dumps(value, p) for name, value in hidden.items() for p in (0, 2, 4)}
    files["dotted"] = b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."
    files["through numpy"] = b"\x80\x04\x8c\x05numpy\x8c\x09os.system\x93\x8c" + bytes([len(command)])
    files["through numpy"] += command.encode() + b"\x85R."
    files["old name"] = f'c__builtin__\neval\n(S\'open("{target}", "w")\'\ntR.'.encode()
    files["inst"] = f"(S'{command}'\nios\nsystem\n.".encode()
    files["persistent"] = b"\x80\x04\x8c\x01xQ."
    return files


@pytest.fixture
def short_target():
    """A path short enough for a one-byte length."""
    target = Path(f"/tmp/alfred-test-{os.getpid()}")
    target.unlink(missing_ok=True)
    yield target
    target.unlink(missing_ok=True)


def test_reading_runs_nothing_that_a_hostile_file_asks_for(tmp_path, short_target):
    assert len(attacks(short_target)) > 25
    for name, data in attacks(short_target).items():
        (tmp_path / "tape.pkl").write_bytes(data)
        with pytest.raises(RecorderError) as caught:
            Recorder.init_from_pickle_file(tmp_path / "tape.pkl")
        assert not short_target.exists(), name
        assert len(str(caught.value).splitlines()) == 1, name


class LyingDtype:
    """Pickles to a dtype of objects that claims to hold none, as in an array of wild pointers."""

    def __reduce__(self):
        return np.dtype, ("O", False, True), (3, "|", None, None, None, -1, -1, 0)


class WildArray:
    def __reduce__(self):
        state = (1, (1,), LyingDtype(), False, b"A" * 8)
        return np.zeros(1).__reduce__()[0], (np.ndarray, (0,), b"b"), state


def test_a_dtype_that_lies_about_its_objects_makes_no_array_of_wild_pointers(tmp_path):
    (tmp_path / "tape.pkl").write_bytes(pickle.dumps({"a": [WildArray()]}))
    with pytest.raises(RecorderError, match="damaged"):
        Recorder.init_from_pickle_file(tmp_path / "tape.pkl")


def test_arrays_that_are_read_are_plain_ones_wherever_they_stand(tmp_path):
    inner = np.array([np.arange(2), None], dtype=object)
    values = [(np.eye(2), {"k": [np.ones(1)]}), inner, np.zeros(3, ">i2"), np.zeros((2, 0)), np.dtype("f4")]
    values.append(np.array(["2020-01-01"], dtype="datetime64[D]"))
    values.append(np.zeros(2, dtype=[("x", "f4", (2,)), ("y", "O")]))
    (tmp_path / "tape.pkl").write_bytes(pickle.dumps({"a": values}))
    read = Recorder.init_from_pickle_file(tmp_path / "tape.pkl").tape["a"]
    assert repr(read) == repr(pickle.loads(pickle.dumps(values)))
    arrays = [read[0][0], read[0][1]["k"][0], read[1], read[1][0], *read[2:4], *read[5:]]
    assert {type(array) for array in arrays} == {np.ndarray}


def test_the_attacks_work_on_a_plain_unpickler(short_target):
    """Else the test above would prove nothing."""
    read = [sys.executable, "-W", "ignore", "-c", "import pickle, sys; pickle.load(sys.stdin.buffer)"]
    for name in ("system 4", "eval 0", "open 2", "popen 4", "path 4", "memmap 4", "old name", "inst"):
        subprocess.run(read, input=attacks(short_target)[name], check=True)
        deadline = time.monotonic() + 60  # popen's touch may still be on its way
        while not short_target.exists():
            assert time.monotonic() < deadline, name
            time.sleep(0.01)
        short_target.unlink()


def test_the_error_names_what_was_asked_for_and_the_way_around(tmp_path):
    (tmp_path / "tape.pkl").write_bytes(pickle.dumps({"a": [Path("/x")]}))
    with pytest.raises(RecorderError, match=r"pathlib\.PosixPath.*trusted=True"):
        Recorder.init_from_pickle_file(tmp_path / "tape.pkl")
    trusted = Recorder.init_from_pickle_file(tmp_path / "tape.pkl", trusted=True)
    assert trusted.tape == {"a": [Path("/x")]}


PLAIN = {
    "numbers": [
        1,
        2.5,
        None,
        True,
        1j,
        10**30,
        "text",
        b"bytes",
        (1, 2),
        {3},
        frozenset({4}),
        bytearray(b"5"),
    ],
    "numpy": [np.float64(0.1), np.int32(4), np.bool_(True), np.str_("x"), np.arange(6.0).reshape(2, 3)],
    "odd": [
        np.array(["a", None], dtype=object),
        np.zeros(2, dtype=[("x", "f4")]),
        np.asfortranarray(np.eye(2)),
    ],
    "kinds": [
        collections.OrderedDict(a=1),
        collections.defaultdict(list, b=[2]),
        np.datetime64("2020-01-01"),
    ],
}


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_data_of_every_protocol_and_of_both_numpys_are_read(tmp_path, protocol):
    data = pickle.dumps(PLAIN, protocol)
    renamed = {b"numpy._core.": b"numpy.core.", b"numpy.core.": b"numpy._core."}
    variants = [data]
    if protocol < 4:  # there a name ends at a line end, so another length does no harm
        variants += [data.replace(old, new) for old, new in renamed.items()]
    for variant in variants:
        (tmp_path / "tape.pkl").write_bytes(variant)
        read = Recorder.init_from_pickle_file(tmp_path / "tape.pkl").tape
        assert repr(read) == repr(PLAIN)


def test_a_file_written_by_numpy_1_is_read(tmp_path):
    """Written out by hand as numpy 1 writes a float64: {"a": [1.5]}."""
    data = (
        b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01]q\x02cnumpy.core.multiarray\nscalar\nq\x03cnumpy\ndtype\nq\x04"
        b"X\x02\x00\x00\x00f8q\x05K\x00K\x01\x87q\x06Rq\x07(K\x03X\x01\x00\x00\x00<q\x08NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tq\tbc_codecs\nencode\nq\nX\t\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc3\xb8?q\x0b"
        b"X\x06\x00\x00\x00latin1q\x0c\x86q\rRq\x0e\x86q\x0fRq\x10as."
    )
    (tmp_path / "tape.pkl").write_bytes(data)
    assert Recorder.init_from_pickle_file(tmp_path / "tape.pkl").tape == {"a": [np.float64(1.5)]}


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", pickle.dumps({"a": [1] * 100})[:-20], pickle.dumps([1])]
)
def test_a_damaged_file_is_a_recorder_error_that_names_it(tmp_path, content):
    (tmp_path / "tape.pkl").write_bytes(content)
    with pytest.raises(RecorderError, match=r"tape\.pkl"):
        Recorder.init_from_pickle_file(tmp_path / "tape.pkl")
    with pytest.raises(RecorderError, match="does not exist"):
        Recorder.init_from_pickle_file(tmp_path / "none.pkl")


def test_a_value_that_can_not_be_pickled_leaves_the_old_file(tmp_path):
    tape = Recorder(["good", "bad"])
    tape.save(tmp_path / "tape.pkl")
    before = (tmp_path / "tape.pkl").read_bytes()
    tape.write_to_tape({"good": 1, "bad": lambda: 1})
    with pytest.raises(RecorderError, match="'bad' can't be pickled"):
        tape.save(tmp_path / "tape.pkl")
    assert (tmp_path / "tape.pkl").read_bytes() == before


def test_an_overtaken_run_saves_nothing(tmp_path, monkeypatch):
    tape = Recorder(["a"])
    monkeypatch.setattr(recorder, "may_publish", lambda: False)
    with pytest.raises(OvertakenError, match="another process"):
        tape.save(tmp_path / "tape.pkl")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(recorder, "may_publish", lambda: True)
    tape.save(tmp_path / "tape.pkl")
    assert (tmp_path / "tape.pkl").exists()


SAVE_FOR_EVER = """
import sys
from alfred.utils.recorder import Recorder
tape = Recorder(["a"])
tape.write_to_tape({"a": bytes(4_000_000)})  # most of the time is spent writing
while True:
    tape.save(sys.argv[1])
    print("saved", flush=True)
"""


def test_a_kill_at_any_instant_of_saving_leaves_a_readable_file(tmp_path):
    file = tmp_path / "tape.pkl"
    environment = os.environ | {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    instants = random.Random(0)
    for _ in range(15):
        command = [sys.executable, "-c", SAVE_FOR_EVER, str(file)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"saved\n"
            time.sleep(instants.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
        assert Recorder.init_from_pickle_file(file).tape == {"a": [bytes(4_000_000)]}


def test_nones_are_removed_and_nothing_else():
    assert remove_nones([1, None, 0, "", None, False]) == [1, 0, "", False]


def test_the_iterator_beats_on_multiples_and_on_the_last_iteration():
    beats = [it.itr for it in TrainingIterator(10, heartbeat_ite=4) if it.heartbeat]
    assert beats == [0, 4, 8, 9]


@pytest.mark.parametrize("heartbeat_time", [2, 2.5])
def test_the_iterator_beats_when_more_time_has_passed(heartbeat_time):
    now = [0.0]
    iterator = TrainingIterator(8, heartbeat_time=heartbeat_time, clock=lambda: now[0])
    beats = []
    for it in iterator:
        if it.heartbeat:
            beats.append((it.itr, it.elapsed))
        now[0] += 1
    assert beats == [(0, 0.0), (3, 3.0), (6, 3.0), (7, 1.0)]


def test_a_beat_that_nobody_looked_at_is_over_with_its_iteration():
    iterator = iter(TrainingIterator(5, heartbeat_ite=2))
    next(iterator)
    assert not next(iterator).heartbeat
    assert next(iterator).heartbeat


def test_a_beat_is_true_once_and_can_be_swallowed():
    iterator = iter(TrainingIterator(3, heartbeat_ite=1))
    it = next(iterator)
    assert [it.heartbeat, it.heartbeat] == [True, False]
    it = next(iterator)
    it._heartbeat = False
    assert not it.heartbeat
    assert next(iterator).heartbeat


def test_recorded_values_are_popped_whole_or_as_means():
    it = TrainingIterator(3)
    it.record("a", 1)
    it.update({"a": 2, "b": np.array([1.0, 3.0])})
    it.update({"b": np.array([2.0, 5.0]), "c": 4})
    assert it.pop("a") == [1, 2]
    with pytest.raises(KeyError):
        it.pop("a")
    assert it.pop_mean("b") == 2.75  # (1 + 3 + 2 + 5) / 4
    it.record("c", 6)
    assert it.pop_all_means() == {"c": 5}
    assert it.pop_all_means() == {}


def test_touch_counts_by_hand():
    it = TrainingIterator(4, heartbeat_ite=3)
    beats = []
    for _ in range(4):
        it.touch()
        beats.append(it.heartbeat)
    assert beats == [False, False, True, True]
    assert it.itr == 4
    assert TrainingIterator(4).itr_message() == "==> Itr 1/4 (elapsed:0.00)"
    with pytest.raises(ValueError, match="heartbeat_ite"):
        TrainingIterator(4, heartbeat_ite=0)


def test_a_file_that_another_machine_replaces_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    recorder = Recorder(["episode"])
    recorder.write_to_tape({"episode": 1})
    recorder.save(tmp_path / "recorder.pkl")
    real, calls = os.stat, []

    def stale_at_first(*words, **more):
        calls.append(words)
        if len(calls) == 1:
            raise OSError(errno.ESTALE, "stale")
        return real(*words, **more)

    monkeypatch.setattr(os, "stat", stale_at_first)
    assert Recorder.init_from_pickle_file(tmp_path / "recorder.pkl").tape == {"episode": [1]}
    assert len(calls) > 1
