"""Replacing a whole folder of results: the old one stays until the new one is complete.

The new folder is built under another name and becomes `.alfred/<name>.ready` by one rename. Then, under a
lock, the old one becomes `.alfred/<name>.old` and the new one takes its place. Whatever is cut short, by
those names the next call knows what is what: one that is ready is the newest, and an old one counts only
where no other stands.
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
    """Put a folder that is ready in the place of `target`; nothing to do where no swap was begun."""
    ready, old = _ready(target), _old(target)
    if not (ready.is_dir() or old.is_dir()):
        return
    gone = [files.temporary_name(ready), files.temporary_name(ready)]
    with files.locked(ready.with_name(f"{target.name}.lock")):
        if ready.is_dir():
            if os.path.lexists(target):
                if old.is_dir():
                    _moved(old, gone[0])
                _moved(target, old)
            _moved(ready, target)
        if not os.path.lexists(target):  # taken too late, where nothing is locked: then it is the newest
            _moved(old, target)
        elif old.is_dir():
            _moved(old, gone[1])
    files.sync_folder(target.parent)
    for folder in gone:
        files.remove_tree(folder)


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


def _old(target: Path) -> Path:
    return target.parent / ".alfred" / f"{target.name}.old"
