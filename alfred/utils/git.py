"""What git says about its user and about the repositories that hold the code of a search."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

NO_HASH = "NoGitHash"
NO_NAME = "NoGitName"

# What a git hook or a caller's `git` command leaves here would point every call at its own repository.
_REPOSITORY_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")
_SECONDS = 30


def user_name() -> str:
    """`git config user.name` as seen from the current folder; "NoGitName" where there is none."""
    return _git("config", "user.name") or NO_NAME


def full_hash(repository: str | Path) -> str | None:
    """Hash of the present commit of a repository (its folder or its `.git`), None where there is none."""
    answer = _git_in(repository, "rev-parse", "--verify", "--quiet", "HEAD")
    return answer if answer and re.fullmatch(r"[0-9a-f]{40,64}", answer) else None


def short_hash(repository: str | Path) -> str:
    """The first seven or more digits of the present commit's hash, as git shortens it; else "NoGitHash"."""
    answer = _git_in(repository, "rev-parse", "--verify", "--quiet", "--short", "HEAD")
    return answer if answer and re.fullmatch(r"[0-9a-f]{4,64}", answer) else NO_HASH


def is_dirty(repository: str | Path) -> bool:
    """True if files that git tracks differ from the present commit."""
    return bool(
        _git_in(repository, "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no")
    )


def _git_in(repository: str | Path, *arguments: str) -> str | None:
    path = Path(os.path.abspath(Path(repository).expanduser()))
    folder = path.parent if path.name == ".git" else path
    # Without this look, a `.git` that is missing would be answered by a repository further up.
    return _git("-C", str(folder), *arguments) if path.exists() and folder.is_dir() else None


def _git(*arguments: str) -> str | None:
    """The answer of git without white space at its ends; None when git is missing, fails or hangs."""
    environment = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()
