"""Pickles of plain data and numpy arrays, read without running anything a file asks for."""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alfred.errors import RecorderError


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """The one use that pickled data makes of `_codecs.encode`: bytes written as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes written in {encoding!r}, not in latin1")
    return str(text).encode(encoding)


# eval and getattr are builtins too: each harmless one is named.
_PLAIN = {
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (
        bool, bytearray, bytes, complex, dict, float, frozenset, int, list, range, set, slice, str, tuple
    )},
}  # fmt: skip

# numpy 2 renamed numpy.core to numpy._core; a file may come from either side.
_NUMPY = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
}


class _PlainUnpickler(pickle.Unpickler):
    finish: Callable[[Any], Any] | None = None

    def load(self) -> Any:
        """The data, with whatever stood in for numpy's own types replaced by them."""
        data = super().load()
        return data if self.finish is None else self.finish(data)

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The few functions and types that data are made of; others are refused before they are looked up."""
        asked = (module_name, global_name)
        if asked in _PLAIN:
            return _PLAIN[asked]
        if asked in _NUMPY:
            from alfred.utils import safe_numpy  # not before a file holds arrays

            self.finish = safe_numpy.finished
            return safe_numpy.STAND_INS[global_name]
        raise _RefusedError(ascii(f"{module_name}.{global_name}")[1:-1])  # it may hold anything


class _RefusedError(Exception):
    """A global that is not on the list."""


def load(path: Path, *, trusted: bool = False) -> Any:
    """What a pickle file holds; RecorderError if it can't be read or asks for more than plain data.

    `trusted=True` loads any pickle, and so runs whatever the file says.
    """
    try:
        data = path.read_bytes()
        return pickle.loads(data) if trusted else _PlainUnpickler(io.BytesIO(data)).load()
    except FileNotFoundError as error:
        raise RecorderError(f"{path} does not exist") from error
    except OSError as error:
        raise RecorderError(f"{path} can't be read: {error.strerror}") from error
    except _RefusedError as error:
        raise RecorderError(
            f"{path} asks for {error}, which is no plain data and was not loaded; if you made the file "
            "yourself: Recorder.init_from_pickle_file(path, trusted=True)"
        ) from None
    except Exception as error:  # a damaged pickle can fail in any way
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise RecorderError(f"{path} is damaged or no pickle: {what}") from error
