"""Temporary files and folders that killed processes left in a storage tree.

Everything that alfred writes is written under a temporary name first (`files.temporary_name`); a process
that is killed before it gives the thing its real name leaves that behind. Nothing reads it, so it only takes
up room. It can lie in every folder that alfred writes to: a seed directory and what lies in it (`.alfred`,
`recorders`), a storage directory with its `.alfred` and what is in there (a summary half made, a folder of
batons, a reserved number), `summary`, `benchmark`, and `.alfred` of the root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alfred import files
from alfred.storage import processes

OLD = 6 * 3600.0  # seconds without any change after which nobody is taken to write to it any more


@dataclass(frozen=True)
class Leftover:
    """A temporary file or folder that nobody will go on with, and why that is known."""

    path: Path
    why: str


def find_leftovers(folder: Path, *, old: float = OLD) -> list[Leftover]:
    """What killed processes left below `folder`, a root or a storage directory; nothing is removed.

    Left is what a process of this machine was writing that is gone now, and whatever else has not changed
    for `old` seconds by the file server's own clock. What cannot be looked at is passed over, and so is what
    was put aside of earlier attempts. `files.remove_tree` removes a leftover.
    """
    try:
        now = files.server_time(folder)
    except OSError:  # a full disk, or a tree that may only be read
        now = None
    return [found for path in _temporaries(folder) if (found := _judged(path, now, old)) is not None]


def _temporaries(folder: Path) -> Iterator[Path]:
    """Every temporary file or folder below; not what lies in one, and nothing behind a symlink."""
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in folders + names if files.made_by(name) is not None)
        aside = os.path.basename(parent) == ".alfred"
        folders[:] = [
            name for name in folders if files.made_by(name) is None and not (aside and name == "attempts")
        ]


def _judged(path: Path, now: float | None, old: float) -> Leftover | None:
    maker = files.made_by(path.name)
    if maker is None:
        return None
    pid, tag = maker
    if tag == files.machine_tag() != files.NO_TAG and processes.start_token(pid) is None:
        return Leftover(path, f"process {pid} of this machine, which wrote it, is gone")
    if now is None or (changed := _last_change(path)) is None or now - changed < old:
        return None
    return Leftover(path, f"nothing in it has changed for {(now - changed) / 3600:.0f} hours")


def _last_change(path: Path) -> float | None:
    """The newest time stamp in it; None where it has gone or can't be looked at."""
    try:
        newest = os.lstat(path).st_mtime
        for parent, folders, names in os.walk(path, onerror=_raise) if path.is_dir() else ():
            newest = max(
                [newest, *(os.lstat(os.path.join(parent, name)).st_mtime for name in folders + names)]
            )
    except OSError:
        return None
    return newest


def _raise(error: OSError) -> None:
    raise error
