"""A kill, a full disk, a cut and a changed byte cost what was not saved, and no wrong number is ever read."""

from __future__ import annotations

import os
import pickle
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import alfred
from alfred.errors import RecorderError
from alfred.utils.recorder import Recorder

growing = runpy.run_path(str(Path(__file__).with_name("growing_files.py")))
large, read = growing["large"], growing["read"]

FULL = """
import resource, signal, sys
from alfred.errors import RecorderError
from alfred.utils.recorder import Recorder
path = sys.argv[1]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
made = Recorder(["a"])
made.write_to_tape({"a": "x" * 300_000})
made.save(path)
made.write_to_tape({"a": 1})
made.save(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_120, resource.RLIM_INFINITY))
made.write_to_tape({"a": "y" * 100})
try:
    made.save(path)
    print("saved")
except RecorderError as error:
    print(error)
print(Recorder.init_from_pickle_file(path).tape["a"][1:])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
for number in range(2):
    made.write_to_tape({"a": number})
    made.save(path)
print(len(Recorder.init_from_pickle_file(path).tape["a"]))
"""


def test_a_disk_that_is_full_in_the_middle_of_a_row_costs_no_row(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    command = [sys.executable, "-c", FULL, str(tmp_path / "tape.pkl")]
    lines = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert lines == [f"{tmp_path / 'tape.pkl'} can't be written: File too large", "[1]", "5"]


ADDS_FOR_EVER = """
import sys
from alfred.utils.recorder import Recorder
made, number = Recorder(["a", "b"]), 0
made.write_to_tape({"a": -1, "b": "x" * 300_000})
while True:
    made.save(sys.argv[1])
    print(number, flush=True)
    made.write_to_tape({"a": number, "b": "y" * 20_000})
    number += 1
"""


def test_a_kill_at_any_instant_loses_nothing_that_was_saved(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    for saves in (1, 2, 3, 5, 9, 14, 15, 16, 17, 31, 40, 66):
        path = tmp_path / f"{saves}.pkl"
        command = [sys.executable, "-c", ADDS_FOR_EVER, str(path)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            for _ in range(saves):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            saved = saves - 1 + len(process.stdout.read().splitlines())
        tape = read(path)
        assert tape["a"] == list(range(-1, len(tape["a"]) - 1))
        assert tape["b"][1:] == ["y" * 20_000] * (len(tape["a"]) - 1)
        assert saved <= len(tape["a"]) - 1 <= saved + 1


def numpy_kinds(data: bytes, protocol: int) -> list[bytes]:
    """A pickle as either numpy writes it, where names can change their length."""
    if protocol > 3:
        return [data]
    return [data.replace(b"numpy._core.", b"numpy.core."), data.replace(b"numpy.core.", b"numpy._core.")]


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_cut_at_any_byte_is_told_and_never_half_read(tmp_path, protocol):
    tape = {
        "a": [1, 2.5, None, 300, 70_000, -1, "text", 2**70],
        "b": [np.float64(0.1), np.float32(2), np.arange(3)],
    }
    path = tmp_path / "tape.pkl"
    for data in numpy_kinds(pickle.dumps(tape, protocol), protocol):
        for length in range(len(data)):
            path.write_bytes(data[:length])
            with pytest.raises(RecorderError, match="damaged or no pickle") as caught:
                Recorder.init_from_pickle_file(path)
            assert len(str(caught.value).splitlines()) == 1
        path.write_bytes(data)
        assert repr(read(path)) == repr(tape)


@pytest.fixture
def grown(tmp_path):
    """A file with rows behind its pickle: its path, its content, and where its pickle and each row end."""
    path = tmp_path / "tape.pkl"
    made = large(path)
    ends = [path.stat().st_size]
    for value in (1.5, np.float32(0.25), np.arange(2), None):
        made.write_to_tape({"a": len(ends), "b": value})
        made.save(path)
        ends.append(path.stat().st_size)
    return path, path.read_bytes(), ends


def rows_of(path: Path) -> list[int]:
    """The numbers of the rows behind the pickle."""
    tape = read(path)
    assert tape["a"][:3] == [0, 1, 2]
    assert repr(tape["b"][3:]) == repr([1.5, np.float32(0.25), np.arange(2), None][: len(tape["b"]) - 3])
    assert len(tape["a"]) == len(tape["b"])
    return tape["a"][3:]


def test_a_file_with_rows_behind_it_cut_at_any_byte_holds_the_rows_before_the_cut(grown):
    path, data, ends = grown
    for length in range(ends[0], len(data) + 1):
        path.write_bytes(data[:length])
        assert rows_of(path) == list(range(1, 1 + sum(end <= length for end in ends[1:])))
        assert path.stat().st_size == length  # reading writes nothing
    for length in [*range(300), *range(300, ends[0], 9973), *range(ends[0] - 300, ends[0])]:
        path.write_bytes(data[:length])
        with pytest.raises(RecorderError):
            read(path)


def test_a_byte_that_changed_in_a_row_ends_the_file_before_it(grown):
    path, data, ends = grown
    for at in range(ends[0], len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        assert rows_of(path) == list(range(1, 1 + sum(end <= at for end in ends[1:])))


def test_rows_that_belong_to_another_pickle_are_not_read(grown, tmp_path):
    path, data, ends = grown
    other = pickle.dumps({"a": [7], "b": [8]})
    path.write_bytes(other + data[ends[0] :])
    assert read(path) == {"a": [7], "b": [8]}
    path.write_bytes(data[: ends[0]] + data[ends[1] :])  # the first row is missing
    assert rows_of(path) == []
