"""What checks have found, a line for each: told to people, and as a record for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from alfred.report.tables import Column, print_table
from alfred.storage.diagnosis import Finding, Level

_SHOWN_PLACES = 5


def print_findings(title: str, findings: Sequence[Finding]) -> None:
    """One line for each check: how it is, what was measured, what that means, what to do; places below."""
    rows = []
    for finding in findings:
        rows.append((finding.level.value, finding.check, _sentence(finding)))
        shown = finding.places[:_SHOWN_PLACES]
        rows += [("", "", f"  {place}") for place in shown]
        if more := len(finding.places) - len(shown):
            rows.append(("", "", f"  ... and {more} more; --json lists all"))
    print_table(
        [Column(""), Column("check"), Column("measured: what it means; what to do")], rows, title=title
    )


def total(findings: Sequence[Finding]) -> str:
    """How many problems and notes there are, in one line."""
    counts = Counter(finding.level for finding in findings)
    parts = []
    for level in (Level.PROBLEM, Level.NOTE):
        if number := counts[level]:
            parts.append(f"{number} {level.value}{'' if number == 1 else 's'}")
    return ", ".join(parts) or "all well"


def as_records(sections: Mapping[str, Sequence[Finding]]) -> list[dict[str, Any]]:
    """Each finding as plain values, with the title of its section."""
    return [
        {
            "section": title,
            "check": finding.check,
            "level": finding.level.value,
            "measured": finding.measured,
            "meaning": finding.meaning,
            "remedy": finding.remedy,
            "places": list(finding.places),
            "numbers": dict(finding.numbers),
        }
        for title, findings in sections.items()
        for finding in findings
    ]


def _sentence(finding: Finding) -> str:
    told = f"{finding.measured}: {finding.meaning}" if finding.meaning else finding.measured
    return f"{told}; {finding.remedy}" if finding.remedy else told
