"""Replacing a whole folder of results: the old one stays until the new one is complete.

The new folder is built under another name, becomes `.alfred/<name>.ready` by one rename, and then takes the
place of the old one. A swap that was cut short is finished by the next call.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from alfred import files


def replace_folder(target: Path, build: Callable[[Path], None]) -> None:
    """Let `build(folder)` fill a new folder, then put that in the place of `target`.

    Whatever `build` raises is passed on, and the old folder is as it was.
    """
    hidden = target.parent / ".alfred"
    hidden.mkdir(exist_ok=True)
    made = files.temporary_name(hidden / target.name)
    made.mkdir()
    try:
        build(made)
        files.sync_tree(made)
        finish_swap(target)
        while made.is_dir() and not _moved(made, _ready(target)):  # another process just got its own ready
            finish_swap(target)
    except BaseException:
        files.remove_tree(made)
        raise
    finish_swap(target)


def finish_swap(target: Path) -> None:
    """Put a folder that is ready in the place of `target`; nothing to do where none is."""
    ready = _ready(target)
    if not ready.is_dir():
        return
    old = files.temporary_name(ready)
    taken = _moved(target, old)
    if not _moved(ready, target) and taken:  # somebody else was faster, and what was taken may be the new one
        _moved(old, target)
    files.sync_folder(target.parent)
    files.remove_tree(old)


def _moved(source: Path, target: Path) -> bool:
    """Rename a folder; False where it has gone, or where something stands in its way."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _ready(target: Path) -> Path:
    return target.parent / ".alfred" / f"{target.name}.ready"
