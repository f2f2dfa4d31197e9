"""Runs without any baton, as trees of older tools leave them, are put back to waiting."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from alfred import files
from alfred.storage import attempts, batons
from alfred.storage.flags import batons_among


def adopt_all(seed_dirs: Iterable[Path], me: str, sleep: Callable[[float], None] = time.sleep) -> list[Path]:
    """Put back the runs that have no baton at all, as trees of older tools leave them; returns those.

    Three listings a second apart must show none, and nothing in the directory may be newer than a minute.
    The caller holds the storage directory's cleaning baton, so no other cleaner does the same.
    """
    bare = list(seed_dirs)
    for pause in (0.0, 1.0, 1.0):
        sleep(pause)
        bare = [seed_dir for seed_dir in bare if not batons_among(os.listdir(seed_dir))]
        if not bare:
            return []
    return [seed_dir for seed_dir in bare if _seconds_untouched(seed_dir) >= 60 and _adopt(seed_dir, me)]


def _adopt(seed_dir: Path, me: str) -> bool:
    adopted = batons.running("adopted")
    try:
        handle = os.open(seed_dir / adopted.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False  # another cleaner's
    try:
        os.close(handle)
        if len(batons_among(files.retry(lambda: os.listdir(seed_dir)))) > 1:
            (seed_dir / adopted.name).unlink()
            return False
        return batons.reap(seed_dir, adopted, me, death=False) is not None
    except OSError:  # bare it is found at once the next time, adopted by nobody it would have to be watched
        with contextlib.suppress(OSError):
            (seed_dir / adopted.name).unlink()
        raise


def _seconds_untouched(seed_dir: Path) -> float:
    """How long nothing in a seed directory has changed, by the clock of the file server alone."""
    newest = seed_dir.stat().st_mtime
    for folder, folders, names in os.walk(seed_dir):
        for name in folders + names:
            with contextlib.suppress(FileNotFoundError):
                newest = max(newest, os.lstat(os.path.join(folder, name)).st_mtime)
    attempts.make_folder(attempts.own_dir(seed_dir))
    return files.server_time(attempts.own_dir(seed_dir)) - newest
