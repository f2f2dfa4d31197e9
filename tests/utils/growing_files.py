"""Files of recorders that are large enough to grow by their new rows, for the tests of these."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

from alfred.utils import tape_file
from alfred.utils.recorder import Recorder

FILLING = "x" * tape_file.SMALL  # makes a tape large at once


def large(path: Path, **values) -> Recorder:
    """A recorder that has saved three rows to a file large enough to grow."""
    made = Recorder(["a", "b"])
    made.write_to_tape({"a": 0, "b": FILLING})
    for number in (1, 2):
        made.write_to_tape({"a": number, "b": values.get("value", number / 2)})
    made.save(path)
    return made


def read(path: Path) -> dict:
    return Recorder.init_from_pickle_file(path).tape


def is_plain(path: Path) -> bool:
    """Whether there is nothing behind the pickle that any tool reads."""
    stream = io.BytesIO(path.read_bytes())
    pickle.load(stream)
    return stream.read() == b""
