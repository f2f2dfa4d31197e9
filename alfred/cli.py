"""What the doors share: options, confirmation, exit statuses, and the umbrella `alfred <command>`.

A door is a module with `parser() -> Parser` and `main(argv=None) -> int`, which returns
`cli.run(door, parser(), argv)`; `door(options)` returns the exit status. Heavy modules are imported inside
the door's steps, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alfred
import alfred.defaults
from alfred.errors import (
    AlfredError,
    MissingDependencyError,
    NothingToDoError,
    UsageError,
    did_you_mean,
    say,
)

DONE, NOT_ALL_DONE, MISTAKE, NOTHING_WORKED_ON, INTERRUPTED = 0, 1, 2, 3, 130
_LONGEST_RANGE = 1_000_000


@dataclass(frozen=True)
class Command:
    """One word of the umbrella: the module behind it and what it is for."""

    module: str
    purpose: str


COMMANDS = {
    "prepare": Command("alfred.prepare_schedule", "lay the directories of a search"),
    "launch": Command("alfred.launch_schedule", "run what waits, here or on a cluster"),
    "clean": Command("alfred.clean_interrupted", "put runs whose process died back to waiting"),
    "plot": Command("alfred.make_plot_arrays", "draw every run of a storage directory as a small plot"),
    "retrain": Command("alfred.create_retrainbest", "prepare the best of a search again, with more seeds"),
    "benchmark": Command("alfred.benchmark", "summarize searches and compare them, or compare models"),
    "sync": Command("alfred.sync_wandb", "upload offline W&B runs"),
    "copy": Command("alfred.copy_config", "prepare the runs of a search again, with parameters changed"),
    "update": Command("alfred.update_config_unique", "bring config_unique.json in line with config.json"),
    "export": Command("alfred.commands.export", "what was recorded as tables, for TensorBoard, for MLflow"),
    "cancel": Command("alfred.commands.cancel", "end the jobs of a search on a cluster"),
    "status": Command("alfred.commands.status", "show what waits, runs, has ended and has crashed"),
    "doctor": Command(
        "alfred.commands.doctor", "check the file system and the storage tree, mend what is safe"
    ),
}


class HelpFormatter(argparse.HelpFormatter):
    """Texts of several lines as they were written, and the default behind each option that has one."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        default = action.default
        if default is None or default is argparse.SUPPRESS or "default" in text:
            return text
        return text + f" (default: {str(default).lower() if isinstance(default, bool) else '%(default)s'})"


class Parser(argparse.ArgumentParser):
    """argparse that takes `--some-option` for `--some_option` and answers a wrong name with a right one.

    A mistake raises UsageError instead of leaving the process.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, after every option was brought to its own spelling."""
        words = list(sys.argv[1:] if args is None else args)
        end = words.index("--") if "--" in words else len(words)
        return super().parse_known_args([self._spelt(w) for w in words[:end]] + words[end:], namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but a word that has no place is answered with the options there are."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unknown argument {unknown[0]!r}: {did_you_mean(unknown[0], self._long_options())}")
        return options

    def error(self, message: str) -> Any:
        """Raise UsageError."""
        raise UsageError(f"{message} (see {self.prog} --help)")

    def _spelt(self, word: str) -> str:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or " " in name:
            return word
        known = name if name in self._option_string_actions else "--" + name[2:].replace("-", "_")
        if known not in self._option_string_actions:
            self.error(f"unknown option {name}: {did_you_mean(known, self._long_options())}")
        return known + equals + value

    def _long_options(self) -> list[str]:
        return [name for name in self._option_string_actions if name.startswith("--")]


def new_parser(command: str, description: str, epilog: str = "") -> Parser:
    """The parser of `alfred <command>`; `epilog` holds examples, shown as they are written."""
    return Parser(
        prog=f"alfred {command}".strip(),
        description=description,
        epilog=epilog,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )


def add_boolean(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, name: str, *, default: bool, help: str
) -> None:
    """An option that takes yes/true/t/y/1 or no/false/f/n/0 in any case; without a value it is true."""
    parser.add_argument(
        name, nargs="?", const=True, default=default, type=_boolean, metavar="BOOL", help=help
    )


def add_root_dir(parser: argparse.ArgumentParser) -> None:
    """`--root_dir`; None when it is not given: the default is only known once main.py was loaded."""
    root = str(alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT).replace("%", "%%")
    parser.add_argument(
        "--root_dir",
        type=_folder_name,
        metavar="DIR",
        help=f"where the storage directories live (default: {root}, or what set_up_alfred() assigns)",
    )


def add_storage_selection(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`--from_file` or `--storage_name`: which storage directories to work on."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument(
        "--from_file",
        metavar="LIST.txt",
        help="work on the storage directories listed in this file, one name a line; # starts a comment",
    )
    group.add_argument("--storage_name", metavar="NAME", help="work on this storage directory alone")


def add_confirmation(parser: argparse.ArgumentParser) -> None:
    """`--ask_for_validation`: whether to wait for y/n before anything is changed."""
    add_boolean(
        parser,
        "--ask_for_validation",
        default=True,
        help="show what is about to happen and wait for y or n; the answer may be piped in",
    )


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """`--log_level`: from which level on messages are logged; becomes a number of the logging module."""
    parser.add_argument(
        "--log_level",
        type=_log_level,
        default="info",
        metavar="LEVEL",
        help="log from this level on: debug, info, warning, error or critical",
    )


def confirm(text: str, ask: bool = True) -> bool:
    """Show `text`, what is about to happen, and wait for y or n if `ask`; False when the answer is n.

    Raises UsageError when the input ends before an answer.
    """
    print(text)
    while ask:
        try:
            answer = input("Go on? [y/n] ").strip().lower()
        except (EOFError, RuntimeError):  # RuntimeError: there is no standard input at all
            print()
            raise UsageError(
                "the input ended before an answer to 'Go on? [y/n]', nothing was changed: pipe in y or n, "
                "or give --ask_for_validation false"
            ) from None
        if answer in ("y", "yes"):
            return True
        if answer in ("n", "no"):
            print("Nothing was changed.")
            return False
        print("Please answer y or n.")
    return True


def existing(storage_dirs: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The storage directories that can be worked on and, in a sentence each, why the others can't: told.

    Raises NothingToDoError when none of those asked for can.
    """
    from alfred.utils.directory_tree import why_no_storage_dir

    told = {path: why_no_storage_dir(path) for path in storage_dirs}
    passed_over = [why_not for why_not in told.values() if why_not]
    for why_not in passed_over:
        notice(f"{why_not}: passed over")
    if passed_over and len(passed_over) == len(told):
        raise NothingToDoError("nothing could be worked on: every storage directory was passed over")
    return [path for path, why_not in told.items() if not why_not], passed_over


def notice_no_runs(storage_dirs: Sequence[Path]) -> None:
    """Say of folders that look like runs and are none that they are not worked on, in a line each."""
    from alfred.storage.survey import no_runs

    for storage_dir in storage_dirs:
        with contextlib.suppress(OSError):  # told where its runs are looked at
            for sentence in no_runs(storage_dir):
                notice(sentence)


def numbers(option: str, text: str | None) -> frozenset[int] | None:
    """What "3,7" or "1-5,9" selects; None for no text. Raises UsageError."""
    if text is None:
        return None
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,15})(?:-([0-9]{1,15}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not 0 <= last - first < _LONGEST_RANGE:
            raise UsageError(
                f"{option} {text}: {part!r} is no number and no range; write it as in 3,7 or 1-5,9"
            )
        chosen.update(range(first, last + 1))
    return frozenset(chosen)


def whole_number(word: str) -> int:
    """The number an option is given."""
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number") from None


def notice(text: str) -> None:
    """Say on stderr, in one line, what does not end the command."""
    say(f"notice: {text}")


@contextlib.contextmanager
def waiting_for(whom: str) -> Iterator[None]:
    """Around a question that is answered at once as a rule: say whose answer is awaited if it is not."""
    timer = threading.Timer(2.0, notice, [f"waiting for an answer of {whom}"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def run(
    door: Callable[[argparse.Namespace], int],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """The exit status of `door(options)`; what the user can mend is one line on stderr, not a traceback."""
    if sys.platform == "win32":
        return _complain("Windows is not supported: use Linux (or WSL) or macOS", MISTAKE)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path need not be valid text
    try:
        try:
            options = parser.parse_args(argv)
        except SystemExit as leave:  # --help and --version
            return int(leave.code or 0)
        status = door(options)
        sys.stdout.flush()
        return status
    except AlfredError as error:
        return _complain(str(error), error.exit_status)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return _leave_quietly()
    except OSError as error:
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return _complain(f"{place}{error.strerror or error}: check the path and its permissions", MISTAKE)


def main(argv: Sequence[str] | None = None) -> int:
    """The umbrella `alfred <command> ...`; returns the exit status. Imports only the command's module."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS and sys.platform != "win32":
        door = importlib.import_module(COMMANDS[words[0]].module)
        status: int = door.main(words[1:])
        return status
    return run(_umbrella, parser(), words if words[:1] and words[0].startswith("-") else words[:1])


def parser() -> Parser:
    """The parser of `alfred` itself, for what comes without a command."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {command.purpose}" for name, command in COMMANDS.items())
    umbrella = new_parser(
        "",
        "Hyper-parameter searches as directories that any number of processes work through.",
        f"commands, called from the folder that holds main.py:\n{listing}\n\n"
        "`alfred <command> --help` explains a command and its options.",
    )
    umbrella.usage = "alfred [-h] [--version] <command> ..."
    umbrella.add_argument("--version", action="version", version=f"alfred {alfred.__version__}")
    umbrella.add_argument(
        "--print_completion",
        choices=("bash", "zsh"),
        help="print a script that completes commands and options in this shell",
    )
    umbrella.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    return umbrella


def _umbrella(options: argparse.Namespace) -> int:
    if options.print_completion:
        print(_completion(options.print_completion))
        return DONE
    if options.command:
        raise UsageError(f"unknown command {options.command!r}: {did_you_mean(options.command, COMMANDS)}")
    parser().print_help()
    return MISTAKE


def _completion(shell: str) -> str:
    try:
        import shtab
    except ImportError:
        raise MissingDependencyError("shtab", "completion", "--print_completion") from None
    umbrella = new_parser("", "")
    commands = umbrella.add_subparsers()
    for name, command in COMMANDS.items():
        door = importlib.import_module(command.module)
        commands.add_parser(name, parents=[door.parser()], add_help=False, help=command.purpose)
    return str(shtab.complete(umbrella, shell))


def _boolean(word: str) -> bool:
    from alfred.utils.config import parse_bool

    return parse_bool(word)


def _folder_name(word: str) -> str:
    if not word:
        raise argparse.ArgumentTypeError("it is empty: name a folder")
    return word


def _log_level(word: str) -> int:
    from alfred.utils.config import parse_log_level

    return parse_log_level(word)


def _complain(message: str, status: int) -> int:
    say(message)
    return status


def _leave_quietly() -> int:
    # Who reads our output has gone; what is still buffered must not complain again at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NOT_ALL_DONE


if __name__ == "__main__":
    sys.exit(main())
