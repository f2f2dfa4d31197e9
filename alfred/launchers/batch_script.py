"""The batch script with which a cluster starts launchers: text of it, nothing else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from alfred.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9-]*")


def batch_script(
    directives: Mapping[str, object], folder: str, setup: Sequence[str], command: Sequence[str]
) -> str:
    """The script that calls `command` in `folder` after the lines of `setup`.

    `directives` are options of sbatch by their long names; an empty value stands for an option without one.
    """
    lines = ["#!/bin/bash"]
    lines += [_directive(name, value) for name, value in directives.items()]
    # Until Python listens to it the warning before the end would kill it; Python looks at the clock itself.
    lines += ["", "trap '' USR1", f"cd {shlex.quote(folder)} || exit 1", *setup]
    # exec: signals for the batch step have to reach Python, not a shell that waits for it.
    lines += [f"exec {shlex.join(command)}"]
    return "\n".join(lines) + "\n"


def _directive(name: str, value: object) -> str:
    option, text = name.replace("_", "-"), str(value)
    if not _NAME.fullmatch(option):
        raise UsageError(f"--slurm_option {name}: sbatch's options have names like gres or mail-type")
    if any(sign in text for sign in "\r\n\0"):
        raise UsageError(f"the value of {option}, {text!r}, has a line end: a batch script can't hold that")
    if not text:
        return f"#SBATCH --{option}"
    quoted = (
        text
        if re.fullmatch(r"[A-Za-z0-9_./:@%+,=-]*", text)
        else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
    )
    return f"#SBATCH --{option}={quoted}"
