"""Where a program stood: calls as tracebacks and faulthandler tell them, and which are the user's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import alfred

_ALFRED = str(Path(alfred.__file__).parent) + os.sep
_STANDARD_LIBRARY = str(Path(os.__file__).parent) + os.sep
_INSTALLED = ("site-packages", "dist-packages")
_FATAL = re.compile(r"^Fatal Python error: ", re.MULTILINE)
_CURRENT = re.compile(r"^Current thread .*\n((?:  .*\n?)*)", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)


@dataclass(frozen=True)
class Frame:
    """One call: the file, the line in it, and the function."""

    file: str
    line: int
    function: str

    @property
    def is_own(self) -> bool:
        """Whether it is the user's code: no library, nothing of alfred, nothing without a file."""
        return not (
            is_alfreds(self.file)
            or self.file.startswith(("<", _STANDARD_LIBRARY))
            or any(folder in self.file for folder in _INSTALLED)
        )

    def place(self, project: Path) -> str:
        """`file:function`, without the line: that moves whenever something above it is edited."""
        return f"{_short(self.file, project)}:{self.function}"

    def where(self, project: Path) -> str:
        """File, line and function, for people."""
        return f"{_short(self.file, project)}, line {self.line}, in {self.function}"


def is_alfreds(file: str) -> bool:
    """Whether a file is one of alfred's."""
    return file.startswith(_ALFRED)


def of_traceback(place: TracebackType | None) -> Iterator[Frame]:
    """From the outermost call to the one that raised."""
    while place is not None:
        code = place.tb_frame.f_code
        yield Frame(code.co_filename, place.tb_lineno or 0, code.co_qualname)
        place = place.tb_next


def of_faults(text: str) -> list[Frame]:
    """From the outermost call to the one in which the process died, as faulthandler told it last."""
    *_, last = _FATAL.split(text)
    current = _CURRENT.search(last)
    found = _FRAME.findall(current[1]) if current else []
    return [Frame(file, int(line), function) for file, line, function in reversed(found)]


def without_alfreds(text: str) -> str:
    """faulthandler's text without the calls above main()."""
    lines = []
    for line in text.splitlines():
        frame = _FRAME.match(line)
        if frame is None or not (is_alfreds(frame[1]) or frame[1] == "<frozen runpy>"):
            lines.append(line)
    return "\n".join(lines)


def last_own(frames: Sequence[Frame]) -> Frame | None:
    """The last call in the user's own code; the last of all where none is."""
    own = [frame for frame in frames if frame.is_own]
    return own[-1] if own else frames[-1] if frames else None


def _short(file: str, project: Path) -> str:
    """A path from the project's folder on; of what lies elsewhere the last folder and the name."""
    for folder in (project, project.resolve()):
        if file.startswith(f"{folder}{os.sep}"):
            return file[len(str(folder)) + 1 :]
    return "/".join(file.split(os.sep)[-2:])
