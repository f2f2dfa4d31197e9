"""Mends what is safe to mend in a storage tree.

No run's results are touched, no flag of a run is changed, and nothing of a process that may live.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from alfred import files
from alfred.errors import StorageError
from alfred.storage import chores, laying, leases, markers, swap
from alfred.storage.findings import held_beside_runs
from alfred.storage.leases import Leases, Verdict
from alfred.storage.owners import Owner
from alfred.storage.survey import survey
from alfred.storage.tree_damage import EXPLAINED, Damage, Kind


def mendable(damages: Sequence[Damage]) -> list[Damage]:
    """Those that `mend` mends, in the order in which it does so."""
    found = [damage for damage in damages if EXPLAINED[damage.kind].mended]
    return sorted(found, key=lambda damage: _ORDER.index(damage.kind))


def mend(damages: Sequence[Damage], me: Leases, each: Callable[[Damage, str], object]) -> None:
    """Mend all that can be; `each(damage, error)` is told how each went, the error is "" if it is done.

    `me` holds the lease of this process where it takes a baton to free it.
    """
    mender = _Mender(me)
    for damage in mendable(damages):
        error = ""
        try:
            mender.mend(damage)
        except OSError as failure:
            error = failure.strerror or str(failure)
        except StorageError as failure:  # a damaged journal: what is in the folder is for people to see
            error = str(failure)
        each(damage, error)


class _Mender:
    def __init__(self, me: Leases) -> None:
        self._me = me
        self._runs_of: dict[Path, set[str]] = {}

    def mend(self, damage: Damage) -> None:
        match damage.kind:
            case Kind.LAYING:
                _finish_preparations(damage.storage_dir, self._me.owner)
            case Kind.SWAP:
                swap.finish_swap(damage.storage_dir / "summary")
            case Kind.CHORE:
                self._free_chore(damage.storage_dir, damage.path)
            case Kind.MARKER:
                self._remove_marker(damage.storage_dir, damage.path)
            case Kind.DEAD_LEASE:
                self._remove_lease(damage.storage_dir, damage.path)
            case Kind.TEMPORARY:
                _remove_temporary(damage.path)

    def _free_chore(self, storage_dir: Path, baton: Path) -> None:
        """Let it wait again; its owner's lease goes with it, unless that holds more."""
        chore = baton.parent.name
        self._me.hold(storage_dir)
        try:
            if chores.take(storage_dir, chore, self._me.owner):
                chores.give_back(storage_dir, chore, self._me.owner)
        finally:
            self._me.drop(storage_dir)
            self._me.leave(storage_dir)
        owner = baton.name.removeprefix(chores.RUNNING_PREFIX)
        self._remove_lease(storage_dir, leases.owners_dir(storage_dir) / owner)

    def _remove_marker(self, storage_dir: Path, marker: Path) -> None:
        """With the lease of whoever made it."""
        owner = markers.maker(marker)
        marker.unlink(missing_ok=True)
        if owner:
            self._remove_lease(storage_dir, leases.owners_dir(storage_dir) / owner)

    def _remove_lease(self, storage_dir: Path, lease: Path) -> None:
        """A lease is the proof that a baton's owner is dead; so look again whether that has left any."""
        if leases.judge(storage_dir, lease.name, self._me.owner) is not Verdict.DEAD:
            return
        if storage_dir not in self._runs_of:
            self._runs_of[storage_dir] = {run.baton.owner for run in survey(storage_dir) if run.baton}
        beside_runs = {item.owner for item in held_beside_runs(storage_dir)}
        if lease.name not in self._runs_of[storage_dir] | beside_runs:
            lease.unlink(missing_ok=True)


def _finish_preparations(root: Path, me: Owner) -> None:
    told: list[str] = []
    laying.recover(root, me, tell=told.append)
    if told:
        raise StorageError("; ".join(told))


def _remove_temporary(path: Path) -> None:
    """Remove it, unless it is the only summary there is: one that a killed swap had put out of the way."""
    summary = path.parent.parent / "summary"
    if path.name.startswith(".summary.ready.") and not summary.exists():
        os.rename(path, summary)
        return
    files.remove_tree(path)
    if os.path.lexists(path):
        raise StorageError("somebody still writes to it or has a file in it open: call this again later")


# What waits under a temporary name may belong to a laying or a swap, so those come first; a lease goes after
# the chores that its owner held.
_ORDER = [Kind.LAYING, Kind.SWAP, Kind.CHORE, Kind.MARKER, Kind.DEAD_LEASE, Kind.TEMPORARY]
