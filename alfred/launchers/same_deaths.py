"""Whether a launch goes on where its first runs all die the same death: the mistake is hardly theirs then."""

from __future__ import annotations

from pathlib import Path

from alfred.launchers.active import name_of
from alfred.launchers.queue import Claimed
from alfred.storage.flags import CRASH, State
from alfred.storage.survey import survey

DEFAULT = 5


class SameDeaths:
    """Counts, for each storage directory, how many of the runs that ended first in this launch died alike.

    `limit` of them are enough, 0 never are. None: DEFAULT, and only if nothing has completed there, whoever
    ran it and whenever.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = DEFAULT if limit is None else limit
        self._whatever_has_completed = limit is not None
        self._alike: dict[Path, tuple[str, int]] = {}

    def ended(self, claimed: Claimed, death: str) -> bool:
        """Note the end of a run, with the signature of its crash or "" when it completed.

        True when with this one there are enough: once for each storage directory.
        """
        first, count = self._alike.get(claimed.storage_dir, (death, 0))
        alike = death if death == first else ""
        self._alike[claimed.storage_dir] = (alike, count + 1)
        if not alike or count + 1 != self._limit:
            return False
        return self._whatever_has_completed or not _has_completed(claimed.storage_dir)

    def told(self, claimed: Claimed, death: str) -> str:
        """What to say then; `claimed` is the run that was one too many."""
        name = claimed.storage_dir.name
        return (
            f"{name}: the first {self._limit} runs died the same death, so no more are started: {death}. "
            f"Read {name_of(claimed)}/{CRASH}, mend what is wrong, then "
            f"`alfred clean --storage_name {name} --clean_crashes true` and launch again; "
            "--max_identical_crashes 0 goes on whatever happens"
        )


def _has_completed(storage_dir: Path) -> bool:
    try:
        return any(run.baton and run.baton.state is State.COMPLETED for run in survey(storage_dir))
    except OSError:  # removed meanwhile: there is nothing to be spared
        return True
