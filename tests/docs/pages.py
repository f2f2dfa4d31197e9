"""Reads the pages of the docs: their blocks of code, and what a test is told about each.

A page is one session in one shell, from its first block to its last. Comments that a reader doesn't see say:

    <!-- test: examples -->   where the session begins: in a copy of examples/ under git, or in `empty`
    <!-- file: main.py -->    the next block is that file, written before what follows
    <!-- status: 2 -->        the last command of the next block ends with this status
    <!-- not run: reason -->  the next block is not run, and why

In a `console` block `$ ` begins a command, a line after `\\` goes on with it, and everything else is output:
each such line has to appear in what the command prints, in this order, `...` standing for anything. In a
`bash` block each line is a command. A `python` block that is no file is a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = ("console", "bash", "python")

_PART = re.compile(
    r"^<!-- (?P<directive>test|file|status|not run): (?P<value>.+?) -->$"
    r"|^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block, the line it begins at, and what the comments before it say."""

    info: str
    body: str
    line: int
    told: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """Something to run in the session's shell, and what has to come of it."""

    line: int
    command: str
    status: int = 0
    output: tuple[str, ...] = ()


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page."""
    text = page.read_text()
    told: dict[str, str] = {}
    for part in _PART.finditer(text):
        if part["directive"]:
            told[part["directive"]] = part["value"]
            continue
        yield Block(part["info"].strip(), part["body"], text[: part.start()].count("\n") + 1, told)
        told = {}


def place(page: Path) -> str | None:
    """Where the session of a page begins; None for a page without one."""
    named = [block.told["test"] for block in blocks(page) if "test" in block.told]
    return named[0] if named else None


def steps(page: Path) -> list[Step]:
    """What the session of a page does."""
    return [step for block in blocks(page) if "not run" not in block.told for step in _steps_of(block)]


def _steps_of(block: Block) -> Iterator[Step]:
    if "file" in block.told:
        name = block.told["file"]
        folder = Path(name).parent
        yield Step(
            block.line, f"mkdir -p '{folder}' && cat > '{name}' <<'END_OF_BLOCK'\n{block.body}END_OF_BLOCK"
        )
    elif block.info == "python":
        yield Step(block.line, f"python - <<'END_OF_BLOCK'\n{block.body}END_OF_BLOCK")
    elif block.info in ("console", "bash"):
        found = list(_commands(block))
        status = int(block.told.get("status", 0))
        for number, (line, command, output) in enumerate(found, start=1):
            yield Step(line, command, status if number == len(found) else 0, tuple(output))


def _commands(block: Block) -> Iterator[tuple[int, str, list[str]]]:
    found: list[tuple[int, str, list[str]]] = []
    goes_on = False
    for number, text in enumerate(block.body.splitlines(), start=block.line + 1):
        begins = text.startswith("$ ") if block.info == "console" else bool(text.strip())
        if goes_on:
            line, command, _ = found[-1]
            found[-1] = (line, f"{command}\n{text}", [])
        elif begins:
            found.append((number, text.removeprefix("$ "), []))
        elif text.strip() and found:
            found[-1][2].append(text)
        goes_on = (goes_on or begins) and text.endswith("\\")
    yield from found
