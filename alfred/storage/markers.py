"""PLOT_ARRAYS_ONGOING and SUMMARY_ONGOING: told to people, decide nothing, and go with who made them.

A marker names the owner whose lease stands as long as it works, so one that a dead process left is known.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from alfred import files
from alfred.storage.leases import Leases
from alfred.storage.owners import is_owner_name, this_process
from alfred.storage.peek import start_of

MARKERS = ("PLOT_ARRAYS_ONGOING", "SUMMARY_ONGOING")


@contextlib.contextmanager
def ongoing(marker: Path) -> Iterator[None]:
    """Let the marker stand, in a storage directory, until the `with` ends."""
    with contextlib.closing(Leases(this_process())) as mine:
        mine.hold(marker.parent)
        try:
            files.write_text(marker, f"{mine.owner.name}\n")
            yield
        finally:
            files.remove_tree(marker)
            mine.drop(marker.parent)


def maker(marker: Path) -> str:
    """The owner that a marker names; "" where there is no marker, or it names none (older ones)."""
    try:
        name = start_of(marker, 200).data.decode("ascii", "replace").strip()
    except OSError:
        return ""
    return name if is_owner_name(name) else ""
