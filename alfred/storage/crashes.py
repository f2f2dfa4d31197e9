"""What crash reports say, and which of them tell of the same death."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from alfred.storage.attempts import own_dir, read_run
from alfred.storage.flags import CRASH
from alfred.storage.owners import is_owner_name
from alfred.storage.peek import end_of, start_of

_HEAD = 16_384  # bytes of a report that are read from its start and, of one without a signature, from its end
_TAIL = 4096
_LONGEST_LINE = 300
_LONGEST_MESSAGE = 200
_COLOURS = re.compile("\x1b\\[[0-9;]*m")

# What differs from run to run although the mistake is the same, in the order in which it is replaced.
_PARTICULARS = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(?<!\w)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)", "#"),  # a uuid
        (r"0x[0-9a-fA-F]+", "#"),  # an address
        (r"(?<![\w.-])[A-Za-z0-9.-]+-\d+-[0-9a-f]{8}(?!\w)", "#"),  # an owner
        (r"""(['"])[^'"\n]*/[^'"\n]*\1""", "<path>"),
        (r"(?<![\w/<])(?:~|\.{1,2})?/[^\s'\"<>,;:()\[\]]+", "<path>"),
        (r"\w*(?:experiment|seed)_?\d+\w*", "<run>"),
        (r"(?<!\w)tmp[a-z0-9_]{8}(?!\w)", "<tmp>"),
        (r"(?<!\w)(?=[a-f]*\d)[0-9a-f]{8,}(?!\w)", "#"),  # a hash
    )
]
# Numbers, but not those in names (float32) and not those that say which mistake it is.
_NUMBER = re.compile(
    r"(?P<kept>\b(?:status|code|errno|signal|SystemExit:)\s+-?\d+)"
    r"|(?<![^\W_])[-+]?\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Report:
    """One crash report: its line that matters, what all reports of the same death have in common, where in
    the user's code it was ("": not told). `overtaken`: it is about an attempt that the run was taken from,
    not about the last one."""

    seed_dir: str
    path: str
    headline: str
    signature: str
    where: str = ""
    overtaken: bool = False


@dataclass(frozen=True)
class CrashGroup:
    """Crashed runs that died the same death; the first of their reports is the example."""

    reports: tuple[Report, ...]

    @property
    def example(self) -> Report:
        """The report to read."""
        return self.reports[0]

    @property
    def last_line(self) -> str:
        """The example's headline, as far as one reads it in a table."""
        told = self.example.headline[:_LONGEST_LINE]
        return f"(an overtaken attempt's report) {told}" if self.example.overtaken else told


def group_crashes(seed_dirs: Iterable[str]) -> list[CrashGroup]:
    """The crashed runs by what they died of, the most frequent first."""
    groups: dict[tuple[str, bool], list[Report]] = {}
    for seed_dir in seed_dirs:
        report = read_report(seed_dir)
        groups.setdefault((report.signature, report.overtaken), []).append(report)
    found = [CrashGroup(tuple(reports)) for reports in groups.values()]
    return sorted(found, key=lambda group: (-len(group.reports), group.last_line))


def normalised(message: str) -> str:
    """A message without what differs from run to run although the mistake is the same: addresses, numbers,
    paths, names of runs and of temporary files."""
    for pattern, name in _PARTICULARS:
        message = pattern.sub(name, message)
    return _NUMBER.sub(lambda found: found["kept"] or "#", message)[:_LONGEST_MESSAGE]


def read_report(seed_dir: str) -> Report:
    """The report of a crashed run; where there is none to be read, that is its headline."""
    own = report_of(seed_dir)
    path = own or f"{seed_dir}/{CRASH}"
    try:
        head = _COLOURS.sub("", start_of(path, _HEAD).data.decode("utf-8", "replace")).partition("\n\n")[0]
        first, *lines = head.split("\n")
        told = dict(line.partition(": ")[::2] for line in lines) if first.startswith("Crashed at: ") else {}
        headline = told.get("Error", "").strip() or _last_line(path)
    except OSError as error:
        headline = f"(the report can't be read: {error.strerror})"
        return Report(seed_dir, path, headline, headline)
    signature = told.get("Signature", "").strip() or normalised(headline)
    return Report(seed_dir, path, headline, signature, told.get("Where", "").strip(), overtaken=not own)


def report_of(seed_dir: str) -> str:
    """The path of a crashed run's report: CRASH.txt, or where an attempt that was overtaken wrote into that
    late, the copy that the right one left beside it; "" where there is none.

    All flags of a seed directory are one file under changing names, so who opened it before a takeover and
    was paused may write after it. The first line names the writer, run.json whose run it is.
    """
    flag, owner = f"{seed_dir}/{CRASH}", read_run(Path(seed_dir)).get("owner")
    try:
        first = start_of(flag, _TAIL).data.decode("ascii", "replace").partition("\n")[0]
    except OSError:
        return flag
    named = {word for word in first.split() if is_owner_name(word)}
    if not named or not isinstance(owner, str) or not is_owner_name(owner) or owner in named:
        return flag
    copy = f"{own_dir(Path(seed_dir))}/report.{owner}"
    return copy if os.path.isfile(copy) else ""


def _last_line(path: str) -> str:
    """The last line that isn't blank: a report may be a MiB, and the line that matters comes last."""
    lines = _COLOURS.sub("", end_of(path, _TAIL).data.decode("utf-8", "replace")).split("\n")
    line = next((line.strip() for line in reversed(lines) if line.strip("\0 \t\r\f\v")), "")
    return line[:_LONGEST_LINE] or "(the report is empty)"
