"""Write docs/commands.md and the list of modules from the code: `python tools/reference.py`."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from alfred import cli, umbrella

ROOT = Path(__file__).resolve().parent.parent
COMMANDS_PAGE = ROOT / "docs" / "commands.md"
ARCHITECTURE_PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- modules: begin -->\n", "<!-- modules: end -->"

HEAD = """# Every command and every option

Written by `python tools/reference.py` from the commands themselves.

Each command is called from the folder that holds `main.py`. It answers to `alfred <command>`, to
`python -m <module>` and, where it has one, to a short name. Options may be written with underscores or with
dashes (`--root_dir`, `--root-dir`). A BOOL is yes, true, t, y, 1 or no, false, f, n, 0, in any case; an
option that takes one and gets none is true.

| exit status | meaning |
| --- | --- |
| 0 | done, also when nothing was waiting |
| 1 | something that was asked for was not done: a run crashed, a listed directory was passed over |
| 2 | a mistake in what was given; one line on standard error says what, where, and what to do |
| 3 | nothing could be worked on |
| 130, 143 | stopped by Ctrl-C, by SIGTERM |
"""


def main() -> int:
    """Bring both pages up to date."""
    COMMANDS_PAGE.write_text(commands_page())
    ARCHITECTURE_PAGE.write_text(with_modules(ARCHITECTURE_PAGE.read_text()))
    return 0


def commands_page() -> str:
    """The text of docs/commands.md."""
    parts = [HEAD, *(section(name) for name in umbrella.COMMANDS)]
    own = "\n".join(option_lines(umbrella.parser()))
    return "\n".join([*parts, f"## alfred\n\nWithout a command:\n\n{own}\n"])


def section(name: str) -> str:
    """One command: purpose, names, options."""
    module = umbrella.COMMANDS[name].module
    parser = importlib.import_module(module).parser()
    scripts = [script for script, target in short_names().items() if target == f"{module}:main"]
    names = ", ".join(f"`{text}`" for text in (f"alfred {name}", *scripts, f"python -m {module}"))
    options = "\n".join(option_lines(parser))
    epilog = f"\n```text\n{parser.epilog}\n```\n" if parser.epilog else ""
    return f"## alfred {name}\n\n{names}\n\n{parser.description}\n\n{options}\n{epilog}"


def short_names() -> dict[str, str]:
    """Console script -> the function behind it."""
    scripts: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    return scripts


def option_lines(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A table row for each option, as `--help` explains it."""
    formatter = cli.HelpFormatter(parser.prog)
    yield from ("| option | |", "| --- | --- |")
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or "--help" in action.option_strings:
            continue
        value = formatter._format_args(action, action.dest.upper()).strip() if action.nargs != 0 else ""
        words = " ".join(filter(None, [", ".join(action.option_strings), value]))
        required = " (required)" if action.required else ""
        yield f"| `{cell(words)}` | {cell(formatter._expand_help(action))}{required} |"


def cell(text: str) -> str:
    """Text that can stand in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def with_modules(page: str) -> str:
    """The page with a fresh list of modules between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{module_tables()}{END}{after}"


def module_tables() -> str:
    """Each module with the first sentence of its docstring, folder by folder."""
    package = ROOT / "alfred"
    folders = [package, *sorted(path.parent for path in package.glob("*/*.py") if path.name == "__init__.py")]
    tables = []
    for folder in folders:
        rows = [f"| `{file.name}` | {cell(first_sentence(file))} |" for file in sorted(folder.glob("*.py"))]
        title = folder.relative_to(ROOT).as_posix()
        tables.append("\n".join([f"**{title}/**\n", "| file | |", "| --- | --- |", *rows, "", ""]))
    return "".join(tables)


def first_sentence(file: Path) -> str:
    """Of the docstring of a module."""
    paragraph = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.)(?<!et al\.) ", paragraph)[0]


if __name__ == "__main__":
    sys.exit(main())
