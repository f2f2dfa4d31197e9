"""What a program printed, as one reads it: the last state of bars, no colours, nothing endless."""

from __future__ import annotations

import re
from itertools import groupby

_LONGEST_LINE = 2000  # characters; of a longer line both ends are kept
_FEW_TIMES = 3  # so often a line may come before it is counted
_FEW_SIGNS = 8  # so many that are no text may stand in a line of text
# In this order: a text sequence (window titles and links), a control sequence, any other escape, one sign.
_TOKENS = re.compile(
    r"\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b\[([0-9;:<=>?]*)[ -/]*([@-~])|\x1b[ -/]*[0-~]?|([\r\n\b])|"
    r"([^\x00-\x08\x0a-\x1f\x7f-\x9f]+)|.",
    re.DOTALL,
)


def as_seen(data: bytes) -> list[str]:
    """The lines that would stand on an endless terminal, blank ones at the end left out.

    A bar that was drawn again and again is one line; other control characters are dropped, what is no text
    and lines that come again and again are counted, of long lines both ends are kept.
    """
    screen = _Screen()
    for token in _TOKENS.finditer(data.decode("utf-8", "replace")):
        arguments, command, sign, text = token.groups()
        if text is not None:
            screen.write(text)
        elif sign is not None:
            screen.move(sign)
        elif command is not None:
            screen.control(command, arguments)
    lines = [
        line for found, same in groupby(map(_line, screen.lines)) for line in _once(found, len(list(same)))
    ]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def one_line(text: str, most: int = _LONGEST_LINE) -> str:
    """The first line of a text that isn't blank, without control characters, at most about so long."""
    lines = [line for line in as_seen(text[: 8 * most].encode("utf-8", "replace")) if line]
    return shortened(lines[0] if lines else "", most)


def shortened(text: str, most: int) -> str:
    """Both ends of a text, with a word on how much was left out between; all of it if it is short."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} ... {len(text) - 2 * half} characters left out ... {text[-half:]}"


class _Screen:
    """Lines, and the place where the next text goes."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0
        self._column = 0

    def write(self, text: str) -> None:
        line = self.lines[self._row]
        end = self._column + len(text)
        self.lines[self._row] = line[: self._column].ljust(self._column) + text + line[end:]
        self._column = end

    def move(self, sign: str) -> None:
        if sign == "\n":
            self._row, self._column = self._row + 1, 0
            if self._row == len(self.lines):
                self.lines.append("")
        else:
            self._column = 0 if sign == "\r" else max(0, self._column - 1)

    def control(self, command: str, arguments: str) -> None:
        """The two that bars use: up some lines (A), and wipe the line from here on (K) or all of it (2K)."""
        if command == "A":
            self._row = max(0, self._row - (int(arguments[:6]) if arguments.isdecimal() else 1))
        elif command == "K":
            self.lines[self._row] = "" if arguments == "2" else self.lines[self._row][: self._column]


def _once(line: str, times: int) -> list[str]:
    """A line that comes `times` times; a few times, or a blank one, it may."""
    if times <= _FEW_TIMES or not line:
        return [line] * times
    return [line, f"[the same line {times - 1} more times]"]


def _line(line: str) -> str:
    line = line.rstrip()
    no_text = line.count("\ufffd")
    if no_text > _FEW_SIGNS and 5 * no_text > len(line):
        return "[a line that is no text]"
    return shortened(
        "".join(sign if sign.isprintable() or sign == "\t" else "" for sign in line), _LONGEST_LINE
    )
