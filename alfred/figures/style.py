"""How every figure looks: sizes of a printed page, fonts, and curves told apart in colour and in grey."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context, rcdefaults, rcParams

from alfred.utils.plots import PALETTE

ONE_COLUMN, TWO_COLUMNS = 3.35, 6.9  # inches, of a printed page
FONT, SMALL, TINY = 8.0, 7.0, 6.0  # points
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h")
LINES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1, 1, 1)),
)
MUTED = "#9a9a9a"  # curves that are there for comparison only
_COLORS = PALETTE[:-1]  # yellow is hardly seen on white paper
_LETTER = 0.56  # width of an average letter in font sizes

_RC: dict[Any, Any] = {
    "pdf.fonttype": 42,  # TrueType: journals refuse matplotlib's own Type 3 fonts
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so a figure looks alike everywhere
    "font.size": FONT,
    "axes.titlesize": FONT,
    "axes.labelsize": FONT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "path.simplify": True,
    "agg.path.chunksize": 0,
}


@dataclass(frozen=True)
class Look:
    """The colour, the marker and the line of one curve."""

    color: str
    marker: str
    line: Any  # as matplotlib has it


def look(at: int) -> Look:
    """The look of the curve of this number; 84 differ, any two of 48 in grey, of 12 by their marker alone."""
    line = LINES[(at + at // len(MARKERS)) % len(LINES)]
    return Look(_COLORS[at % len(_COLORS)], MARKERS[at % len(MARKERS)], line)


@contextlib.contextmanager
def printed() -> Iterator[None]:
    """Draw and save inside: nobody's matplotlibrc changes a figure, an odd letter alarms nobody."""
    with rc_context(), warnings.catch_warnings():
        rcdefaults()
        rcParams.update(_RC)
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        yield


def plain(text: object) -> str:
    """A text that means nothing but itself: no formula between dollars, no legend entry hidden by its `_`."""
    shown = str(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def wrapped(text: str, inches: float, font_size: float = SMALL) -> str:
    """The text in lines of about this width, broken between words or inside_of_names; nothing is lost.

    A text with a formula stays whole.
    """
    if text.count("$") > text.count(r"\$"):
        return text
    letters = max(8, int(inches * 72 / (_LETTER * font_size)))
    return "\n".join(part for line in text.split("\n") for part in _filled(line, letters))


def _filled(line: str, letters: int) -> list[str]:
    """Lines of at most so many letters, each as full as can be."""
    lines = [""]
    # "n = 3", "95 %" and "l2=0.0001" are one word each
    whole = r"\(?\bn = \d+\W*|\d+ %\W*|(?:\w+=)?\d*\.\d+(?:e[-+]?\d+)?[\s_/,=-]*"
    for word in re.findall(whole + r"|[^\s_/,.=-]*[\s_/,.=-]+|[^\s_/,.=-]+", line):
        pieces = [word[at : at + letters] for at in range(0, len(word), letters)]
        for piece in pieces:
            if lines[-1] and len(lines[-1] + piece.rstrip()) > letters:
                lines.append("")
            lines[-1] += piece
    return [part.rstrip() for part in lines]
