"""Check the file system and the storage tree, and mend what is safe to mend: the door `alfred doctor`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alfred import cli
from alfred.errors import StorageError, UsageError

if TYPE_CHECKING:
    from alfred.report.ticker import Ticker
    from alfred.storage.diagnosis import Finding
    from alfred.storage.filesystem_probe import Measurements
    from alfred.storage.owners import Owner
    from alfred.storage.tree_checks import Examination, Tree
    from alfred.storage.tree_damage import Damage

_MACHINE, _FILE_SYSTEM, _TREE = "This machine", "File system", "Storage tree"
_SHOWN = 40

_EPILOG = """\
examples, in the folder that holds main.py:
  alfred doctor                           the root directory, in ten seconds at most
  alfred doctor /data/storage             another place, before the first search is laid there
  alfred doctor /data/storage /mnt/b      the same folder through two mounts, as two machines see it
  alfred doctor --full                    wait as long as caches of network file systems may need
  alfred doctor --repair                  show what can be mended in the storage tree, ask, mend it

Each line is ok, a note (worth knowing, no more) or a problem: what was measured, what that means for alfred,
what to do. Two processes of one machine share its cache: on a network file system give a second mount of the
folder as DIR2, which shows what another machine would see.

exit status: 0 no problem, 1 problems, 2 a mistake in what was given
keys of --json, one object on standard output:
  directory, other  what was looked at; other is null, or the same folder through another mount
  time, problems, notes   when it was looked at, how many there are of each
  findings          of each: section, check, level (ok, note, problem), measured, meaning, remedy, places
                    (files and folders), numbers (seconds, bytes; null: not seen, not known)
  mended            of each: check, path, error ("" if it is mended)"""


@dataclass
class Diagnosis:
    """What `alfred doctor` found, by section, and what it mended: (check, path, error or "")."""

    directory: Path
    other: Path | None
    sections: dict[str, list[Finding]] = field(default_factory=dict)
    mended: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of the sections."""
        return [finding for findings in self.sections.values() for finding in findings]


def doctor(
    directory: str | Path | None = None,
    other: str | Path | None = None,
    *,
    full: bool = False,
    repair: bool = False,
    ask_for_validation: bool = True,
    silent: bool = False,
) -> Diagnosis:
    """Check a folder (the root directory if None), print what was found unless `silent`, and return it.

    `other` is the same folder through another mount. With `repair` what is safe to mend in the storage tree
    is mended, after a question if `ask_for_validation`; else nothing in the tree is changed.

    Raises:
        StorageError: a folder does not exist.
        UsageError: no answer to the question, or one that can't be asked.
    """
    from alfred.report.diagnosis import total
    from alfred.report.ticker import Ticker
    from alfred.storage import filesystem_probe
    from alfred.storage.owners import this_process

    if silent and repair and ask_for_validation:
        raise UsageError(
            "--json leaves no room for a question: give --ask_for_validation false with --repair"
        )
    folder, second = _folders(directory, other)
    found, me = Diagnosis(folder, second), this_process()
    extent = filesystem_probe.FULL if full else filesystem_probe.QUICK
    with Ticker(_say) as doing:
        measured = filesystem_probe.measure(folder, second or folder, extent, doing)
        look = _look(folder, me, measured, doing) if measured.room else None
    found.sections[_MACHINE] = _this_machine()
    found.sections[_FILE_SYSTEM] = _judged(found, measured, look)
    if look is not None:
        found.sections[_TREE] = _tree_findings(look)
    if not silent:
        _print(found.sections)
    if repair and look is not None:
        _repair(found, look, me, ask_for_validation, silent)
    if not silent:
        print(f"\n{total(found.findings)}")
    return found


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "doctor",
        "Check whether the file system under the root directory keeps what alfred builds on, and whether the "
        "storage tree is sound. Without --repair nothing in the tree is changed: what is tried is tried in a "
        "hidden folder of its own, which is removed.",
        _EPILOG,
    )
    options.add_argument(
        "directory",
        nargs="?",
        metavar="DIR",
        help="the folder to check: a root directory, a storage directory or any other "
        "(default: the root directory, ./storage or what set_up_alfred() assigns)",
    )
    options.add_argument(
        "other",
        nargs="?",
        metavar="DIR2",
        help="the same folder through another mount: DIR writes and DIR2 looks, as two machines would",
    )
    cli.add_boolean(
        options, "--full", default=False, help="take up to two minutes: more races, and patience with caches"
    )
    cli.add_boolean(
        options,
        "--repair",
        default=False,
        help="mend what is safe: temporary files and leases of dead processes, work that was cut short; "
        "never results, never a run's flag",
    )
    cli.add_confirmation(options)
    cli.add_boolean(options, "--json", default=False, help="print one JSON object, for scripts")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    from alfred.storage.diagnosis import Level, worst

    chosen = vars(options)
    as_json = chosen.pop("json")
    found = doctor(**chosen, silent=as_json)
    if as_json:
        print(json.dumps(_as_record(found), indent=1))
    failed = any(error for _, _, error in found.mended)
    return cli.NOT_ALL_DONE if failed or worst(found.findings) is Level.PROBLEM else cli.DONE


@dataclass(frozen=True)
class _Look:
    """A storage tree, and what was found in it when the file server's clock was so far ahead."""

    tree: Tree
    found: Examination
    server_ahead: float


def _folders(directory: str | Path | None, other: str | Path | None) -> tuple[Path, Path | None]:
    """What to look at. The root directory need not be there yet: then the folder that it will be made in."""
    from alfred.project import set_up
    from alfred.utils.directory_tree import get_root

    set_up()
    folder = get_root(directory).absolute()
    while directory is None and not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    second = None if other is None else Path(other).absolute()
    for path in filter(None, (folder, second)):
        if not path.is_dir():
            raise StorageError(f"there is no folder {path}: give one that is there")
    return folder, second


def _look(folder: Path, me: Owner, measured: Measurements, doing: Ticker) -> _Look | None:
    """What is in the storage tree; None where there is none."""
    from alfred.storage import tree_checks

    ahead = measured.stamps.ahead if measured.stamps else 0.0
    tree = tree_checks.tree_at(folder)
    if tree is None:
        return None
    return _Look(tree, tree_checks.examine(tree, me, server_ahead=ahead, doing=doing), ahead)


def _judged(found: Diagnosis, measured: Measurements, look: _Look | None) -> list[Finding]:
    """What the measurements of the file system mean."""
    from alfred.storage import filesystem_checks, mount_checks, mounts, run_size

    views = [path for path in (found.directory, found.other) if path is not None]
    seen = [mounts.mount_of(path) for path in views]
    mounted = [mount_checks.judge_mount(mount) for mount in seen]
    if len(views) == 2:
        shared = mounts.on_one_device(*views)
        mounted += filter(None, [mount_checks.judge_second(*seen, shared=shared)])
    size = run_size.typical(look.found.completed if look else ())
    return mounted + filesystem_checks.judge(measured, size, len(os.fsencode(found.directory)))


def _tree_findings(look: _Look) -> list[Finding]:
    """What is in the tree, and what this project's list files say of it."""
    from alfred.storage import tree_checks, tree_damage
    from alfred.storage.diagnosis import Finding, Level
    from alfred.utils.directory_tree import get_root

    damages = list(look.found.damages)
    if look.tree.whole and get_root().absolute() == look.tree.root:
        damages += tree_checks.missing_in_lists(Path.cwd(), look.tree.root)
    gaps = Finding(
        "ids without a directory", Level.OK, str(look.found.gaps), "no id is used twice, gaps are fine"
    )
    findings = tree_damage.findings(damages, look.found.asides())
    return [*findings, gaps] if look.tree.whole else findings


def _this_machine() -> list[Finding]:
    """The programs that alfred needs, and whether this is a project's folder; nothing is imported for it."""
    from alfred.launchers.environment import usable_cores
    from alfred.storage.diagnosis import Finding, Level

    findings = [Finding("python", Level.OK, f"{sys.version.split()[0]}, {sys.executable}"), _git()]
    cores = str(usable_cores())
    findings.append(Finding("cores", Level.OK, cores, "as many runs as --n_processes auto takes at once"))
    if (Path.cwd() / "main.py").is_file():
        return [*findings, Finding("project", Level.OK, f"main.py in {Path.cwd()}")]
    meaning = "no main.py here: the other commands are called from the folder that holds it"
    return [*findings, Finding("project", Level.NOTE, f"{Path.cwd()}", meaning)]


def _git() -> Finding:
    from alfred.storage.diagnosis import Finding, Level

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=5, check=True)
        return Finding("git", Level.OK, asked.stdout.strip().removeprefix("git version "))
    meaning = "storage directories get the letters No and no commit in their names"
    return Finding("git", Level.NOTE, "not found", meaning, "install it to know later which code ran")


def _repair(found: Diagnosis, look: _Look, me: Owner, ask: bool, silent: bool) -> None:
    """Say what can be mended, ask, mend it, and look again."""
    from alfred.report.ticker import Ticker
    from alfred.storage import tree_checks, tree_repair
    from alfred.storage.leases import Leases

    todo = tree_repair.mendable(look.found.damages)
    if not todo:
        if not silent:
            print("\nNothing that --repair mends.")
        return
    if not silent and not cli.confirm(_announcement(todo), ask):
        return
    with Ticker(_say) as doing, contextlib.closing(Leases(me)) as leases:
        doing("mending")
        tree_repair.mend(todo, leases, lambda damage, error: _note_mended(found, damage, error, silent))
        again = tree_checks.examine(look.tree, me, server_ahead=look.server_ahead, doing=doing)
    found.sections[_TREE] = _tree_findings(_Look(look.tree, again, look.server_ahead))
    if not silent:
        print("\nLooked at again")
        _print({_TREE: found.sections[_TREE]})


def _announcement(todo: Sequence[Damage]) -> str:
    from alfred.report.tables import escaped

    lines = ["", "To be mended (removed, finished or freed):"]
    lines += [f"  {damage.kind.value}: {damage.path}" for damage in todo[:_SHOWN]]
    if len(todo) > _SHOWN:
        lines.append(f"  ... and {len(todo) - _SHOWN} more; --json lists all")
    return "\n".join(map(escaped, lines))


def _note_mended(found: Diagnosis, damage: Damage, error: str, silent: bool) -> None:
    from alfred.report.tables import escaped

    found.mended.append((damage.kind.value, str(damage.path), error))
    if not silent:
        print(escaped(f"not mended: {damage.path}: {error}" if error else f"mended: {damage.path}"))


def _print(sections: Mapping[str, Sequence[Finding]]) -> None:
    from alfred.report.diagnosis import print_findings

    for title, findings in sections.items():
        print()
        print_findings(title, findings)


def _as_record(found: Diagnosis) -> dict[str, Any]:
    from alfred.report.diagnosis import as_records
    from alfred.storage.attempts import time_stamp
    from alfred.storage.diagnosis import Level

    levels = Counter(finding.level for finding in found.findings)
    return {
        "directory": str(found.directory),
        "other": None if found.other is None else str(found.other),
        "time": time_stamp(),
        "problems": levels[Level.PROBLEM],
        "notes": levels[Level.NOTE],
        "findings": as_records(found.sections),
        "mended": [{"check": check, "path": path, "error": error} for check, path, error in found.mended],
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
