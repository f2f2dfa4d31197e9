"""A hostile recorder file runs nothing, writes nothing, and takes neither much memory nor much time."""

from __future__ import annotations

import json
import os
import pickle
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import alfred
from alfred.errors import RecorderError
from alfred.utils.recorder import Recorder
from alfred.utils.safe_opcodes import end_of

hostile = runpy.run_path(str(Path(__file__).parent / "hostile_pickles.py"))

# Reads the files named on standard input in a process that notes whatever an audit hook is told of. With
# `plain` each is read by pickle itself, in a fork.
READER = """
import faulthandler, json, os, pickle, resource, sys
import numpy
import numpy.testing
from pathlib import Path
from alfred.errors import RecorderError
from alfred.utils.recorder import Recorder

plain = sys.argv[1:] == ["plain"]
good = pickle.dumps({"a": [numpy.arange(2.0), numpy.float64(1)]}, 5)
Path("good.pkl").write_bytes(good)
Recorder.init_from_pickle_file("good.pkl")  # what reading arrays imports is there now
used = int(open("/proc/self/statm").read().split()[0]) * 4096 if os.path.exists("/proc/self/statm") else 2**33
resource.setrlimit(resource.RLIMIT_AS, (used + 700_000_000,) * 2)
events, reading, heard = [], "", False

def note(event, arguments):
    opens_it = event == "open" and (str(arguments[0]), arguments[2] & 3) == (reading, os.O_RDONLY)
    wraps_it = event == "open" and type(arguments[0]) is int and arguments[1] in ("r", "rb")
    if heard and not (opens_it or wraps_it or event == "builtins.id"):
        events.append(event)
        if plain and event not in ("pickle.find_class", "import", "marshal.loads", "os.listdir", "open"):
            os.write(1, json.dumps([reading, "plain", event]).encode() + b"\\n")
            os._exit(0)

sys.addaudithook(note)
for line in sys.stdin:
    reading, events = line.rstrip("\\n"), []
    faulthandler.dump_traceback_later(30, exit=True)
    if plain:
        data = Path(reading).read_bytes()
        if (child := os.fork()) == 0:
            heard = True
            try:
                pickle.loads(data)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        continue
    heard = True
    try:
        how = "read " + repr(Recorder.init_from_pickle_file(reading).tape)[:100]
    except RecorderError as error:
        how = str(error)
    except BaseException as error:
        how = "raised " + repr(error)
    heard = False
    print(json.dumps([reading, how, events]), flush=True)
"""


def read_all(folder: Path, names: list[str], *arguments: str) -> dict[str, tuple[str, list[str]]]:
    """What came of reading each file, and what the audit hook was told meanwhile."""
    environment = os.environ | {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", READER, *arguments],
        input="".join(f"{name}\n" for name in names),
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    came = {name: (how, events) for name, how, events in map(json.loads, done.stdout.splitlines())}
    unread = [name for name in names if name not in came]
    assert arguments or not unread, (unread[0], done.returncode, done.stderr[-2000:])
    return came


@pytest.fixture
def laid(tmp_path):
    """Lays files of these contents by number; their names by number."""

    def lay(contents: dict[str, bytes]) -> dict[str, str]:
        for number, data in enumerate(contents.values()):
            (tmp_path / f"{number}.pkl").write_bytes(data)
        return {f"{number}.pkl": name for number, name in enumerate(contents)}

    return lay


KINDS = {"calls": 60, "odd_opcodes": 12, "lies": 30, "bombs": 40}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_file_is_refused_in_one_line_and_does_nothing(tmp_path, laid, kind):
    names = laid(hostile[kind](str(tmp_path / "target")))
    assert len(names) >= KINDS[kind]
    for file, (how, events) in read_all(tmp_path, list(names)).items():
        assert how.startswith(f"{file} "), (names[file], how)
        assert len(how) < 400, (names[file], how)
        assert how.isprintable(), (names[file], how)
        assert "MemoryError" not in how, (names[file], how)
        assert events == [], (names[file], events)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("kind", [list, tuple, frozenset, lambda items: {"k": items[0]}])
def test_containers_stand_in_one_another_up_to_a_hundred_deep(kind):
    value = 0
    for _ in range(100):
        value = kind([value])
    data = pickle.dumps(value)
    assert end_of(data) == len(data)
    with pytest.raises(ValueError, match="more than 100 containers"):
        end_of(pickle.dumps(kind([value])))


def test_what_is_refused_would_have_been_done_by_a_plain_unpickler(tmp_path, laid):
    """Else the test above would prove little."""
    names = laid(hostile["calls"](str(tmp_path / "target")))
    came = {names[file]: events for file, (_, events) in read_all(tmp_path, list(names), "plain").items()}
    assert len(came) > 35
    assert {"os.system", "subprocess.Popen", "exec", "os.mkdir", "ctypes.dlopen"} <= set(came.values())


def test_a_huge_file_is_refused_before_all_of_it_is_read(tmp_path):
    """The reader has less memory than the files are long."""
    tape = pickle.dumps({"a": [1, 2]})
    for name, head in {"zeros": b"", "a head": tape[:2], "cut": tape[:-10], "whole": tape}.items():
        with (tmp_path / name).open("wb") as file:
            file.write(head)
            file.truncate(2**30)
    came = {name: how for name, (how, _) in read_all(tmp_path, ["zeros", "a head", "cut", "whole"]).items()}
    for name in ("zeros", "a head", "cut"):
        assert "damaged or no pickle: ValueError" in came[name]
    assert came["whole"] == "read {'a': [1, 2]}"  # nobody looks at what is behind a pickle


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "terminal").symlink_to("/dev/tty")
    for name, message in {
        "pipe": "is no file",
        "folder": "is no file",
        "zero": "is no file",
        "terminal": "is no file",
        "loop": "can't be read: Too many levels of symbolic links",
    }.items():
        with pytest.raises(RecorderError, match=f"{name} {message}"):
            Recorder.init_from_pickle_file(tmp_path / name)
