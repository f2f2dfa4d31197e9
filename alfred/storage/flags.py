"""The states of a seed directory and the baton whose name is the state.

A seed directory holds exactly one baton. Every change of state is one rename of it, so a process that is
killed at any instant leaves exactly one:

    WAITING    UNHATCHED           -> RUNNING
    RUNNING    RUNNING.<owner>     -> COMPLETED, CRASHED, RESETTING
    RESETTING  RESETTING.<owner>   -> WAITING, CRASHED, RESETTING (of another owner)
    CRASHED    CRASH.txt           -> RESETTING
    COMPLETED  COMPLETED
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from alfred.errors import StorageError

UNHATCHED = "UNHATCHED"
COMPLETED = "COMPLETED"
CRASH = "CRASH.txt"
RUNNING_PREFIX = "RUNNING."
RESETTING_PREFIX = "RESETTING."


class State(Enum):
    """The state of a seed directory as its baton tells it."""

    WAITING = "waiting"
    RUNNING = "running"
    RESETTING = "resetting"
    COMPLETED = "completed"
    CRASHED = "crashed"


# No flag and no baton (trees of older tools) is read as a run that stopped: whoever adopts it resets it.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.RUNNING}),
    State.RUNNING: frozenset({State.COMPLETED, State.CRASHED, State.RESETTING}),
    State.RESETTING: frozenset({State.WAITING, State.CRASHED, State.RESETTING}),
    State.CRASHED: frozenset({State.RESETTING}),
    State.COMPLETED: frozenset(),
}

_PLAIN = {UNHATCHED: State.WAITING, COMPLETED: State.COMPLETED, CRASH: State.CRASHED}
_NAMES = {state: name for name, state in _PLAIN.items()}


@dataclass(frozen=True)
class Baton:
    """One baton: the state and, for those that have one, the owner."""

    state: State
    owner: str = ""

    @property
    def name(self) -> str:
        """The name of the file that is this baton."""
        if self.state is State.RUNNING:
            return RUNNING_PREFIX + self.owner
        if self.state is State.RESETTING:
            return RESETTING_PREFIX + self.owner
        return _NAMES[self.state]


class ConflictError(StorageError):
    """A seed directory holds several batons, or one that is no plain file."""


WAITING_BATON = Baton(State.WAITING)
COMPLETED_BATON = Baton(State.COMPLETED)
CRASHED_BATON = Baton(State.CRASHED)

_PAUSE = 0.011  # seconds; the coarsest clock tick of a kernel is 10 ms
_MOST_LISTINGS = 100


def parse_baton(name: str) -> Baton | None:
    """The baton that a file of this name is, or None."""
    state = _PLAIN.get(name)
    if state is not None:
        return Baton(state)
    if name.startswith(RUNNING_PREFIX):
        return Baton(State.RUNNING, name[len(RUNNING_PREFIX) :])
    if name.startswith(RESETTING_PREFIX):
        return Baton(State.RESETTING, name[len(RESETTING_PREFIX) :])
    return None


def batons_among(names: Iterable[str]) -> list[Baton]:
    """The batons among the names of a directory."""
    return [baton for name in names if (baton := parse_baton(name)) is not None]


def listed(seed_dir: str | Path, is_plain: Callable[[list[Baton]], bool]) -> list[Baton]:
    """The batons of a seed directory, by the first listing that `is_plain`, else by one that can be trusted.

    While a file is being renamed, a listing may show neither of its names, or both. So the others are
    believed only when three in a row agree and nothing changed in the directory meanwhile: its time stamp
    is the same after each as it was before a pause longer than the grain of time stamps. A directory that
    never comes to rest is judged by the last of many.
    """
    quiet = 0
    found = batons_among(os.listdir(seed_dir))
    for _ in range(_MOST_LISTINGS):
        if is_plain(found) or quiet == 3:
            break
        stamp = os.stat(seed_dir).st_mtime_ns
        time.sleep(_PAUSE)
        found = batons_among(os.listdir(seed_dir))
        quiet = quiet + 1 if os.stat(seed_dir).st_mtime_ns == stamp else 0
    return found


def look(seed_dir: str | Path) -> Baton | None:
    """The baton of a seed directory, None when there is none.

    Raises:
        ConflictError: there are two batons or more.
    """
    batons = listed(seed_dir, lambda found: len(found) == 1)
    if len(batons) > 1:
        found = " and ".join(sorted(baton.name for baton in batons))
        raise ConflictError(f"{found} stand side by side in {seed_dir}: remove the one that is wrong")
    return batons[0] if batons else None
