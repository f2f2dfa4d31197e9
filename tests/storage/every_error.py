"""How anything that changes a tree is done once for each error of any of its calls to the disk.

Its calls are counted first; then it is done in a fresh tree once for each call, each error that the system
could answer it with, and each way of failing: only once, from then on as long as the operation lasts (a disk
that stays full), and after the call was done (its answer got lost, as on NFS). One process does all cases of
an operation, its own death is the death of the owner, and another goes on.

Out of reach, since no function of `os` or `open` stands before them: syncfs (by ctypes), lockf, reading and
writing through a file object of `open`, and what a `DirEntry` asks of the system.
"""

import contextlib
import errno
import os
import pickle
import runpy
import shutil
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from alfred import errors

system = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("system_calls.py"))))
TWINS = (errno.EDQUOT, errno.ESTALE)  # answered as ENOSPC and EIO are: tried at every second call
STAYING = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE)
LOST = {
    **dict.fromkeys(("rename", "replace", "unlink", "remove", "rmdir"), errno.ENOENT),
    **dict.fromkeys(("mkdir", "link"), errno.EEXIST),
}


@dataclass(frozen=True)
class Case:
    """The `number`th call fails with `code`: "once", "staying" or "lost"."""

    number: int
    call: str
    code: int
    way: str

    def __str__(self):
        return f"{errno.errorcode[self.code]} {self.way} at call {self.number}, {self.call}"


def cases_of(seen):
    """Every case for the calls that an operation made."""
    for call in seen:
        twins = () if call.number % 2 else TWINS
        about = f"{call.name} of {'/'.join(call.path.split('/')[-3:])}"
        for code in system.ERRORS:
            if call.may_fail_with(code) and code not in twins:
                yield Case(call.number, about, code, "once")
                if code in STAYING and (call.changes or code != errno.EACCES):
                    yield Case(call.number, about, code, "staying")
        for code in (LOST[call.name], errno.ESTALE, errno.EIO) if call.name in LOST else ():
            yield Case(call.number, about, code, "lost")


@contextlib.contextmanager
def without_pauses():
    pause, time.sleep = time.sleep, lambda seconds: None
    try:
        yield
    finally:
        time.sleep = pause


@contextlib.contextmanager
def failing(case, folder):
    """Let calls below the folder fail as the case says; pauses between tries pass at once. Yields the calls,
    each with whether it was `done` without error."""
    kinds = []

    def interfere(call):
        call.done = False
        hit = case is not None and (
            call.number == case.number
            or (case.way == "staying" and call.number > case.number and is_of_kind(call))
        )
        if call.number == getattr(case, "number", None):
            kinds.append(call.name)
        if not hit:
            result = call.do()
            call.done = True
            return result
        if case.way == "lost":
            call.do()
        if call.name == "close":
            os.closerange(call.args[0], call.args[0] + 1)  # whatever it answers, it is closed
        named = not isinstance(call.args[0] if call.args else "", int)
        raise OSError(case.code, os.strerror(case.code), *([call.path] if named else []))

    def is_of_kind(call):
        general = case.code in (*system.FULL, errno.EROFS, errno.EMFILE)
        return call.may_fail_with(case.code) and (general or call.name in kinds)

    with without_pauses(), system.calls(folder, interfere) as seen:
        yield seen


@dataclass
class Told:
    """What an operation said of itself: what it returned, or the line that a command would end with."""

    value: object = None
    line: str = ""


def told(work):
    """Do it; only what a command turns into a line may come out."""
    try:
        return Told(value=work())
    except errors.AlfredError as error:
        line = str(error)
    except OSError as error:  # as cli.run says it
        line = f"{os.fsdecode(error.filename or '')}: {error.strerror}"
    assert "\n" not in line
    assert "/" in line, f"no path is named: {line}"
    return Told(line=line)


flushed = []  # calls of syncfs, which is not among those counted


def _is_flush(event, args):
    return event == "ctypes.dlsym" and args[1] == "syncfs"


def all_cases(do):
    """Do every case; each with what was wrong with it."""
    sys.addaudithook(lambda event, args: flushed.append(1) if _is_flush(event, args) else None)
    seen, outcome = do(None, 0)
    assert outcome.line == ""
    done = [("no error", "")]
    for case in cases_of(seen):
        problem = ""
        flushed.clear()
        try:
            do(case, len(done))
        except Exception:
            problem = traceback.format_exc()
        done.append((str(case), problem))
    return done


def look_at(results, go_on):
    """Let the next commands go on after every case; nothing may be wrong with any."""
    done, problems = pickle.loads(results.read_bytes()), []
    for number, (case, problem) in enumerate(done):
        folder = results.with_name(str(number))
        try:
            with without_pauses():
                go_on(folder)
        except Exception:
            problem = problem or traceback.format_exc()
        shutil.rmtree(folder)
        if problem:
            problems.append(f"{case}:\n{problem}")
    print(len(done), "cases")
    assert not problems, f"{len(problems)} of {len(done)} cases went wrong:\n" + "\n".join(problems[:3])
