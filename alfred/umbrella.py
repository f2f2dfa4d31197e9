"""The umbrella `alfred <command>`: it knows every command's door, and loads only the one that is called."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import alfred
from alfred import cli
from alfred.errors import MissingDependencyError, UsageError, did_you_mean


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


def main(argv: Sequence[str] | None = None) -> int:
    """The umbrella `alfred <command> ...`; returns the exit status. Imports only the command's module."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS and sys.platform != "win32":
        door = importlib.import_module(COMMANDS[words[0]].module)
        status: int = door.main(words[1:])
        return status
    return cli.run(_umbrella, parser(), words if words[:1] and words[0].startswith("-") else words[:1])


def parser() -> cli.Parser:
    """The parser of `alfred` itself, for what comes without a command."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {command.purpose}" for name, command in COMMANDS.items())
    umbrella = cli.new_parser(
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
        return cli.DONE
    if options.command:
        raise UsageError(f"unknown command {options.command!r}: {did_you_mean(options.command, COMMANDS)}")
    parser().print_help()
    return cli.MISTAKE


def _completion(shell: str) -> str:
    try:
        import shtab
    except ImportError:
        raise MissingDependencyError("shtab", "completion", "--print_completion") from None
    umbrella = cli.new_parser("", "")
    commands = umbrella.add_subparsers()
    for name, command in COMMANDS.items():
        door = importlib.import_module(command.module)
        commands.add_parser(name, parents=[door.parser()], add_help=False, help=command.purpose)
    return str(shtab.complete(umbrella, shell))
