"""What alfred raises when the fault is in what it was given.

AlfredError               a message of one line: what was found, where, what to do
├── UsageError            options that contradict each other or make no sense
├── ProjectError          main.py or evaluate.py can't be used as it stands
├── ScheduleError         a schedule file can't be used as it stands
├── StorageError          a storage tree can't be read, made or changed as asked
│   ├── RecorderError     a recorder file can't be read
│   └── OvertakenError    a run was taken over by another process: its results must not be published
├── LaunchError           runs can't be started as asked
├── PublishError          another program does not take what it is given
├── NothingToDoError      everything was passed over, nothing could be worked on
└── MissingDependencyError  an optional package is needed and not installed

The commands print the message on stderr and exit with `exit_status`, without a traceback.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
from collections.abc import Iterable


class AlfredError(Exception):
    """A mistake that the user can mend; its message fits on one line."""

    exit_status = 2


class UsageError(AlfredError):
    """Options that contradict each other or make no sense."""


class ProjectError(AlfredError):
    """main.py or evaluate.py can't be used as it stands."""


class ScheduleError(AlfredError):
    """A schedule file can't be used as it stands."""


class StorageError(AlfredError):
    """A storage tree can't be read, made or changed as asked."""


class RecorderError(StorageError):
    """A recorder file can't be read."""


class OvertakenError(StorageError):
    """A run was taken over by another process: its results must not be published."""


class LaunchError(AlfredError):
    """Runs can't be started as asked."""


class PublishError(AlfredError):
    """Another program does not take what it is given."""


class NothingToDoError(AlfredError):
    """Everything was passed over: nothing could be worked on."""

    exit_status = 3


class MissingDependencyError(AlfredError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed: pip install 'alfred[{extra}]'"
        )


_NAMED = 20  # names that one line may tell


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest right ones, or all of them if they are few."""
    names = sorted(right)
    near = difflib.get_close_matches(wrong, names, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(near) + "?"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"known are {', '.join(names[:_NAMED])}{more}" if names else "none is known"


def say(message: str) -> None:
    """A message for the user, on stderr, in one line whatever it holds."""
    with contextlib.suppress(OSError):
        print("alfred: " + message.replace("\r", "\\r").replace("\n", "\\n"), file=sys.stderr)


def short(value: object) -> str:
    """How a value of the user's is shown in a message: in one line, not too long."""
    try:
        text = repr(value)
    except Exception:  # whatever the value's own class does, or a number of too many digits
        text = f"a {type(value).__name__} that can't be shown"
    text = re.sub(" at 0x[0-9a-f]+", "", " ".join(text.split()))
    return text if len(text) <= 60 else text[:57] + "..."
