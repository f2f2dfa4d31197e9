"""Makes the recorder files beside it, in an environment with the numpy that is to write them.

    <environment with numpy 1.26>/bin/python tests/utils/recorder_files/make.py
    <environment with numpy 2>/bin/python tests/utils/recorder_files/make.py

Each call writes `numpy<major>_protocol<0 to 5>.pkl` and `numpy<major>_python2.pkl`, which has what Python 2
wrote: byte strings for texts and for the content of arrays. `tape()` says what is in all of them.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
NUMBERS = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
TEXTS = {"S5": [b"ab", b"", b"\xff\x00\x01"], "U3": ["abc", "", "\xe9\u4e2d"]}
TIMES = {"M8[D]": 18000, "M8[ns]": 10**18 + 7, "M8[25s]": 3, "m8[ms]": -12, "m8": 5}
NESTED = [("a", "i2"), ("b", [("c", "f4", (2,)), ("d", "S3")])]
PADDED = {"names": ["x", "y"], "formats": ["u1", "f8"], "offsets": [3, 8], "itemsize": 24}


def tape():
    """The tape of every file: for each kind of value a list of scalars and arrays."""
    made = {kind: of_kind(some_numbers(kind)) for kind in NUMBERS}
    made |= {kind: of_kind(np.array(values, kind)) for kind, values in TEXTS.items()}
    for kind, number in TIMES.items():
        made[kind] = of_kind(np.array([number, np.iinfo("i8").min, 0]).view("i8").astype("i8").view(kind))
    nested = np.zeros(3, NESTED)
    nested["a"], nested["b"]["c"], nested["b"]["d"] = [1, -2, 3], [[0.5, 2], [3, 4], [5, -6]], b"xyz"
    padded = np.zeros(3, PADDED)
    padded["x"], padded["y"] = [1, 2, 255], [0.1, -0.0, np.inf]
    made |= {"nested": [*nested, nested, nested[1:]], "padded": [padded[1], padded]}
    made["object"] = [np.array([1, "a", None, 2.5, (1, 2)], object), np.array(None, object), objects()]
    made["none"] = [None, 1, None, np.float32(0.1), float("nan"), -0.0, 10**30, -5, 70_000, True]
    made["plain"] = [
        "\xe9\u4e2d\x1b",
        b"\xff\x00",
        (1, (2, [3])),
        {"k": {"l": [4]}},
        {1, 2},
        frozenset("a"),
        1 - 2j,
    ]
    made["plain"] += [
        bytearray(b"\x01\xff"),
        OrderedDict(b=1, a=2),
        defaultdict(list, k=[1]),
        range(1, 9, 2),
        slice(1, 2),
    ]
    made["dtypes"] = [np.dtype("<f4"), np.dtype(">i2"), np.dtype(NESTED), np.dtype("M8[us]")]
    return made


def some_numbers(kind):
    """Three numbers of a kind, all of their bits in use."""
    if kind == "?":
        return np.array([True, False, True])
    if kind[0] in "fc":
        return np.array([1 / 3, -0.0, np.nan if kind[0] == "f" else 1j / 7], kind)
    ends = np.iinfo(kind)
    return np.array([ends.min, ends.max, 7], kind)


def of_kind(array):
    """Its scalars, and arrays of them: of no and two dimensions, empty, reversed, of the other byte order."""
    other = array.astype(array.dtype.newbyteorder(">"))
    square = np.resize(array, (2, 3))
    shapes = [np.array(array[0], array.dtype), square, np.asfortranarray(square), square.T[:, :1], array[:0]]
    return [
        *array,
        array,
        array[::-1],
        other,
        np.zeros((0, 2), array.dtype),
        np.zeros((2, 0, 1), other.dtype),
        *shapes,
    ]


def objects():
    """An array of arrays and plain data."""
    array = np.empty((2, 2), object)
    array[0, 0], array[0, 1], array[1, 0], array[1, 1] = (
        np.arange(3),
        [np.ones(2, ">f4")],
        {"k": np.int8(1)},
        "x",
    )
    return array


class Python2Pickler(pickle._Pickler):
    """Writes texts and bytes as Python 2 wrote its `str`."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, text):
        try:
            data = text if isinstance(text, bytes) else text.encode("ascii")
        except UnicodeEncodeError:
            return pickle._Pickler.save_str(self, text)
        if len(data) < 256:
            self.write(b"U" + bytes([len(data)]) + data)
        else:
            self.write(b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(text)
        return None

    dispatch[bytes] = dispatch[str] = save_string


def python2(made):
    """The tape as Python 2 would have written it, but for what its `str` could not tell from a text."""
    buffer = io.BytesIO()
    kept = {name: values for name, values in made.items() if name not in ("plain", "S5")}
    Python2Pickler(buffer, 2, fix_imports=True).dump(kept)
    return buffer.getvalue()


def main():
    """Write the files of this environment's numpy."""
    made, major = tape(), np.__version__.partition(".")[0]
    for protocol in range(6):
        (HERE / f"numpy{major}_protocol{protocol}.pkl").write_bytes(pickle.dumps(made, protocol))
    (HERE / f"numpy{major}_python2.pkl").write_bytes(python2(made))


if __name__ == "__main__":
    main()
