"""What a check has found: fine, worth knowing or to be mended, and what that means for alfred."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum


class Level(Enum):
    """How much a finding matters. A problem is something that alfred or its user will trip over."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    `measured` is what was seen, `meaning` what that means for alfred, `remedy` what to do ("": nothing).
    `places` are the files and folders it is about, `numbers` what was measured, for scripts.
    """

    check: str
    level: Level
    measured: str
    meaning: str = ""
    remedy: str = ""
    places: tuple[str, ...] = ()
    numbers: Mapping[str, object] = field(default_factory=dict)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the finding that matters most; ok when there is none."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)
