"""What can be wrong in a storage tree: each kind of damage, what it means, what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from alfred.storage.diagnosis import Finding, Level


class Kind(Enum):
    """The kinds, in the order in which they are told."""

    CONFLICT = "conflicts"
    UNREADABLE = "unreadable folders"
    NO_CONFIG = "runs without config.json"
    BAD_RECORD = "damaged records"
    UNEQUAL = "experiments of several configurations"
    REWRITTEN = "rewritten configurations"
    EMPTY = "experiments without runs"
    BARE = "runs without a flag"
    STOPPED = "runs whose process is gone"
    NO_LEASE = "runs without a lease"
    BAD_RECORDER = "damaged recorders"
    NO_RECORDER = "completed runs without a recorder"
    LAYING = "searches cut short while laid"
    LAYING_DOUBT = "searches being laid elsewhere"
    SWAP = "summaries cut short"
    CHORE = "plots and summaries of the dead"
    MARKER = "markers of work in progress"
    DEAD_LEASE = "leases of the dead"
    TEMPORARY = "temporary files of the dead"
    LISTED = "listed and missing"


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong, and where; `storage_dir` is the root for what concerns that alone."""

    kind: Kind
    storage_dir: Path
    path: Path
    detail: str = ""


@dataclass(frozen=True)
class Explanation:
    """What a kind of damage means, what to do about it, and whether `alfred doctor --repair` mends it."""

    level: Level
    meaning: str
    remedy: str
    mended: bool = False


_REPAIR = "--repair"
_CLEAN = "alfred clean puts them back"
EXPLAINED = {
    Kind.CONFLICT: Explanation(
        Level.PROBLEM,
        "nobody runs them, nobody counts them",
        "look which flag is true (.alfred/run.json says how the run ended) and remove the other",
    ),
    Kind.UNREADABLE: Explanation(Level.PROBLEM, "what is in them is not known", "mend their permissions"),
    Kind.NO_CONFIG: Explanation(
        Level.PROBLEM,
        "they can neither be run nor be read",
        "copy config.json from another seed of the experiment and set its seed, or remove the folder",
    ),
    Kind.BAD_RECORD: Explanation(
        Level.PROBLEM,
        "what stood in them is told from elsewhere where that can be, else not at all",
        "alfred update writes config_unique.json anew; put a copy of another there, or remove it",
    ),
    Kind.UNEQUAL: Explanation(
        Level.PROBLEM,
        "their runs are averaged although they searched different values",
        "give all seeds of an experiment the same config.json but for seed, then alfred update",
    ),
    Kind.REWRITTEN: Explanation(
        Level.NOTE,
        "values that were not searched over differ between the seeds of an experiment",
        "fine where main() writes them itself",
    ),
    Kind.EMPTY: Explanation(Level.NOTE, "nothing to run and nothing to draw", "remove them if you like"),
    Kind.BARE: Explanation(
        Level.PROBLEM, "of main.py called by hand, an older tool's, or torn: nobody runs them", _CLEAN
    ),
    Kind.STOPPED: Explanation(Level.PROBLEM, "nobody goes on with them", _CLEAN),
    Kind.NO_LEASE: Explanation(
        Level.PROBLEM,
        "whether their process lives can't be asked",
        "alfred clean watches them for a good minute and puts them back if they are silent",
    ),
    Kind.BAD_RECORDER: Explanation(
        Level.PROBLEM,
        "they are left out of figures and scores",
        "see what the file is; to do a run again, rename its COMPLETED to CRASH.txt and clean crashes",
    ),
    Kind.NO_RECORDER: Explanation(
        Level.NOTE,
        "they have no curves and no scores",
        "let main() save a recorder in dir_tree.recorders_dir",
    ),
    Kind.LAYING: Explanation(
        Level.PROBLEM, "runs that were laid may not be in their place yet", _REPAIR, mended=True
    ),
    Kind.LAYING_DOUBT: Explanation(
        Level.NOTE,
        "whether their process lives can't be asked from here",
        "if it does not: look what is in the folder, then remove it",
    ),
    Kind.SWAP: Explanation(
        Level.NOTE, "a new summary has not taken the place of the old one", _REPAIR, mended=True
    ),
    Kind.CHORE: Explanation(Level.NOTE, "the next launch makes them", _REPAIR, mended=True),
    Kind.MARKER: Explanation(Level.NOTE, "they tell people of work that nobody does", _REPAIR, mended=True),
    Kind.DEAD_LEASE: Explanation(Level.NOTE, "they hold nothing any more", _REPAIR, mended=True),
    Kind.TEMPORARY: Explanation(Level.NOTE, "they only take up room", _REPAIR, mended=True),
    Kind.LISTED: Explanation(
        Level.NOTE, "commands pass them over with exit status 1", "remove these lines, or give another root"
    ),
}


def findings(damages: Iterable[Damage], asides: dict[Kind, str] | None = None) -> list[Finding]:
    """One finding for each kind, fine where nothing of it was found; `asides` are said beside what was."""
    by_kind: dict[Kind, list[Damage]] = {kind: [] for kind in Kind}
    for damage in damages:
        by_kind[damage.kind].append(damage)
    return [_finding(kind, found, (asides or {}).get(kind, "")) for kind, found in by_kind.items()]


def _finding(kind: Kind, found: list[Damage], aside: str) -> Finding:
    told = str(len(found)) if found else "none"
    if aside:
        told += f" ({aside})"
    numbers = {"count": len(found)}
    if not found:
        return Finding(kind.value, Level.OK, told, numbers=numbers)
    known = EXPLAINED[kind]
    places = tuple(map(_place, found))
    return Finding(kind.value, known.level, told, known.meaning, known.remedy, places, numbers)


def _place(damage: Damage) -> str:
    if str(damage.path) in damage.detail:
        return damage.detail
    return f"{damage.path}: {damage.detail}" if damage.detail else str(damage.path)
