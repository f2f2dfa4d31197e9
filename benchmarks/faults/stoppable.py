"""Processes that do one step when told and can be stopped before any change to the disk (no program).

Each launcher and each cleaner is a real process with an identity of its own, forked from the program that
tells it what to do. What stands between it and the system are the wrappers of tests/storage/system_calls.py
around the functions of `os`.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from interference import NONE, Interference, Trouble
from steps import Cleaner, Launcher

from alfred.launchers import child
from alfred.storage import processes
from alfred.storage.flags import CRASHED_BATON

LIMIT = 60.0  # seconds after which a process that doesn't answer is a stall
calls = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tests" / "storage" / "system_calls.py"))


class StallError(Exception):
    """A process neither did what it was told nor stopped."""


class Actor:
    """A launcher or a cleaner, as the program sees it. `state`: idle, paused, midst (stopped in the midst of
    `op`), dead or gone."""

    def __init__(self, kind: str, storage_dir: Path, host: str) -> None:
        self.kind, self.host = kind, host
        self.talk, theirs = Pipe()
        pairs = [Pipe(), Pipe()] if kind == "launcher" else []
        self.slots = [ours for ours, _ in pairs]
        self.state, self.op = "idle", None
        self.pid = os.fork()
        if not self.pid:
            _live(kind, storage_dir, host, theirs, [end for _, end in pairs])
        theirs.close()
        for _, end in pairs:
            end.close()
        self.owner: str = self.answer()["owner"]

    def begin(self, step: str, words: Sequence[Any] = (), trouble: Trouble = NONE) -> None:
        """Have it begin a step, which these words tell more about."""
        self.tell({"do": step, "words": words, "trouble": trouble})

    def tell(self, message: dict[str, Any]) -> None:
        self.talk.send(message)

    def answer(self) -> dict[str, Any]:
        """What it says next; when it says that it stops it has stopped."""
        if not self.talk.poll(LIMIT):
            raise StallError(f"{self.kind} {self.pid} does not answer")
        said: dict[str, Any] = self.talk.recv()
        if "stopping" in said:
            os.waitpid(self.pid, os.WUNTRACED)
        return said

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)
        self.state = "paused"

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        self.state = "idle"

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.state = "dead"
        self.talk.close()

    def close(self) -> None:
        """Leave nothing of it."""
        if self.state not in ("dead", "gone"):
            self.kill()
        for slot in self.slots:
            slot.close()


@dataclass
class RunProcess:
    """The process of a run.

    `state`: born (stopped at its birth), main (waits to be told), ended. `how` is what its launcher has to
    make of it. `strange`: its run was taken over from another host, which can't end it.
    """

    seed: int
    pid: int
    actor: Actor
    slot: int
    survives: bool
    state: str = "born"
    how: Any = CRASHED_BATON
    heard: bool = False
    strange: bool = False

    @property
    def lives(self) -> bool:
        return processes.start_token(self.pid) is not None

    def tell(self, message: dict[str, Any]) -> None:
        self.actor.slots[self.slot].send(message)

    def answer(self) -> dict[str, Any] | None:
        """What it says next; None when it ends instead."""
        talk = self.actor.slots[self.slot]
        with contextlib.suppress(EOFError):  # nobody is left who could say anything
            while self.lives or talk.poll(0):
                if talk.poll(0.002):
                    said: dict[str, Any] = talk.recv()
                    if self.pid in said.values():
                        return said
        wait_until(self.pid, "")
        return None

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        wait_until(self.pid, "")
        self.state = "ended"


def wait_until(pid: int, letter: str) -> None:
    """Until a process has this letter of /proc/<pid>/stat ("T": stopped), or "": until it is gone."""
    end = time.monotonic() + LIMIT
    while True:
        fields = processes._stat(pid)
        now = "" if fields is None or fields[0] in "ZX" else fields[0]
        if now == letter or not now:
            return
        if time.monotonic() > end:
            raise StallError(f"process {pid} is in state {now}, not {letter or 'gone'}")
        time.sleep(0.0005)


def _live(kind: str, storage_dir: Path, host: str, talk: Connection, slots: list[Connection]) -> None:
    """The life of an actor's process; never returns."""
    try:
        child.forget_exit_functions()
        processes.die_with_parent(os.getppid())
        interfere = Interference(talk)
        actor: Any = (
            Launcher(storage_dir, host, slots, interfere)
            if kind == "launcher"
            else Cleaner(storage_dir, host, talk)
        )
        calls["for_good"].enter_context(calls["calls"](storage_dir, interfere, only_changes=True))
        talk.send(actor.hello())
        while True:
            told = talk.recv()
            interfere.expect(told["trouble"])
            said = getattr(actor, told["do"])(*told["words"])
            interfere.expect(NONE)
            talk.send({"done": said})
    except (EOFError, BrokenPipeError):
        pass
    except BaseException as error:
        with contextlib.suppress(OSError):
            talk.send({"failed": f"{error!r}\n{traceback.format_exc()}"})
    finally:
        os._exit(0)
