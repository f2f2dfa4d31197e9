"""Recorder files of either numpy and of every protocol give what was recorded, bit for bit."""

from __future__ import annotations

import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest

from alfred.errors import RecorderError
from alfred.utils.recorder import Recorder

FOLDER = Path(__file__).parent / "recorder_files"
FILES = sorted(FOLDER.glob("*.pkl"))


def made():
    """The tape that `recorder_files/make.py` says is in the files."""
    return runpy.run_path(str(FOLDER / "make.py"))["tape"]()


def assert_same(found, expected, place):
    assert type(found) is type(expected), place
    if isinstance(expected, np.ndarray):
        assert_same_array(found, expected, place)
    elif isinstance(expected, np.dtype):
        assert (found.str, found.descr) == (expected.str, expected.descr), place
    elif isinstance(expected, np.generic):
        assert found.dtype.descr == expected.dtype.descr, place
        assert found.tobytes() == expected.tobytes(), place
    elif isinstance(expected, float):
        assert found.hex() == expected.hex(), place
    elif isinstance(expected, dict):
        assert list(found) == list(expected), place
        for key in expected:
            assert_same(found[key], expected[key], (*place, key))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), place
        for at, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, (*place, at))
    else:
        assert found == expected, place


def assert_same_array(found, expected, place):
    if found.dtype.isnative and not expected.dtype.isnative:  # as numpy itself reads the other byte order
        expected = expected.astype(expected.dtype.newbyteorder("="))
    assert (found.shape, found.dtype.descr) == (expected.shape, expected.dtype.descr), place
    assert found.dtype == expected.dtype, place
    assert found.flags.writeable, place
    if expected.dtype.kind == "O":
        assert_same(found.tolist(), expected.tolist(), place)
    else:
        assert found.tobytes() == expected.tobytes(), place
        fortran = expected.flags.f_contiguous and not expected.flags.c_contiguous
        assert (found.flags.f_contiguous and not found.flags.c_contiguous) == fortran, place


def test_there_is_a_file_of_each_numpy_for_each_protocol_and_for_python_2():
    kinds = [f"protocol{number}" for number in range(6)] + ["python2"]
    assert [file.stem for file in FILES] == [f"numpy{major}_{kind}" for major in (1, 2) for kind in kinds]
    assert b"numpy.core." in (FOLDER / "numpy1_protocol2.pkl").read_bytes()
    assert b"numpy._core." in (FOLDER / "numpy2_protocol2.pkl").read_bytes()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_gives_what_was_recorded_bit_for_bit(file):
    found, expected = Recorder.init_from_pickle_file(file).tape, made()
    if file.stem.endswith("python2"):
        expected = {name: values for name, values in expected.items() if name in found}
        assert len(expected) > 20
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert_same(list(found[name]), values, (name,))


@pytest.mark.parametrize("protocol", range(6))
def test_this_numpy_reads_what_it_writes_itself(tmp_path, protocol):
    (tmp_path / "tape.pkl").write_bytes(pickle.dumps(made(), protocol))
    tape = Recorder.init_from_pickle_file(tmp_path / "tape.pkl").tape
    assert_same({name: list(values) for name, values in tape.items()}, made(), ())


@pytest.mark.parametrize("protocol", range(6))
def test_long_doubles_are_read_with_all_their_digits(tmp_path, protocol):
    third = np.longdouble(1) / 3
    values = [third, np.array([third, -third]), np.clongdouble(1j) / 3]
    (tmp_path / "tape.pkl").write_bytes(pickle.dumps({"a": values}, protocol))
    read = Recorder.init_from_pickle_file(tmp_path / "tape.pkl").tape["a"]
    assert [type(value) for value in read] == [type(value) for value in values]
    assert (read[0], read[1].tolist(), read[2]) == (values[0], values[1].tolist(), values[2])


def test_trusted_reads_what_plain_data_can_not_be_and_only_then(tmp_path):
    (tmp_path / "tape.pkl").write_bytes(pickle.dumps({"a": [Path("x"), np.ma.masked_array([1, 2], [0, 1])]}))
    with pytest.raises(RecorderError, match="trusted=True"):
        Recorder.init_from_pickle_file(tmp_path / "tape.pkl")
    read = Recorder.init_from_pickle_file(tmp_path / "tape.pkl", trusted=True).tape["a"]
    assert (read[0], read[1].tolist()) == (Path("x"), [1, None])
