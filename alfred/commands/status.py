"""Show what waits, runs, has ended and has crashed: the door `alfred status`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alfred import cli
from alfred.errors import UsageError

if TYPE_CHECKING:
    from alfred.storage.crashes import CrashGroup
    from alfred.storage.overview import ActiveRun, Durations, Holder, Overview
    from alfred.storage.scheduler import Job

_SHOWN_RUNS = 40
_SHOWN_CRASHES = 20

_JSON_KEYS = """\
keys of --json, one object on standard output; times in seconds, null where something is not known:
  root, time       the root directory, and when this was told
  storage_dirs     of each: name, path, counts {waiting, running, stopped, completed, crashed, conflict,
                   total} and durations of completed runs {median, min, max, sampled, completed} or null
  running          of each: seed_dir, owner, host, pid, job, alive ("alive" or "not proven"), heard (how
                   long ago its owner was heard of), being_put_back, start, seconds (since start)
  stopped          seed directories of runs whose process is gone: `alfred clean` puts them back
  crashes          of each group: count, signature (what its reports have in common), example (path of one
                   report), that one's headline, last_line (the headline, at most 300 letters) and where (in
                   your code, or null), overtaken (true: reports of attempts that the run was taken from),
                   runs (seed directories); with --crashes also only_theirs (the parameters whose value all
                   runs of the group share and no completed run has); most frequent first
  jobs             of each on a cluster: id, name, state, node, reason, seconds_left; null: nobody answers
  conflicts        what is wrong with seed directories that hold several flags
  passed_over      storage directories that are missing or could not be read, each in a sentence"""


def status(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    *,
    root_dir: str | Path | None = None,
    crashes: bool = False,
) -> dict[str, Any]:
    """How the storage directories of a list file stand, or one, or all of the root when neither is given.

    Returns what `alfred status --json` prints (with `crashes` what `--crashes --json` does); nothing is
    written anywhere. Raises AlfredError when nothing can be looked at.
    """
    root, found, passed_over = _look(from_file, storage_name, root_dir)
    return _as_record(root, found, passed_over, _only_theirs(found) if crashes else None)


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "status",
        "Show how many runs wait, run, have stopped, completed and crashed, who runs what where and since "
        "when, how long completed runs took, and what the crash reports say. Nothing is changed.",
        "examples, in the folder that holds main.py:\n"
        "  alfred status\n"
        "  alfred status --from_file schedules/lr/list_searches_lr.txt\n"
        "  alfred status --crashes\n"
        "  alfred status --json\n\n" + _JSON_KEYS,
    )
    cli.add_storage_selection(options, required=False)
    cli.add_root_dir(options)
    cli.add_boolean(
        options,
        "--crashes",
        default=False,
        help="tell of each kind of crash all there is: where it was, which runs, and the values of "
        "hyper-parameters that all of them share and no completed run has",
    )
    cli.add_boolean(options, "--json", default=False, help="print one JSON object, for scripts")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    root, found, passed_over = _look(options.from_file, options.storage_name, options.root_dir)
    only_theirs = _only_theirs(found) if options.crashes else None
    if options.json:
        print(json.dumps(_as_record(root, found, passed_over, only_theirs), indent=1))
    else:
        _print(root, found, only_theirs)
    return cli.NOT_ALL_DONE if passed_over else cli.DONE


def _look(
    from_file: str | Path | None, storage_name: str | None, root_dir: str | Path | None
) -> tuple[Path, Overview, list[str]]:
    """The root, what is there, and in a sentence each what was passed over."""
    from alfred.project import set_up
    from alfred.report.tables import escaped
    from alfred.storage.overview import overview
    from alfred.storage.owners import this_process
    from alfred.utils.directory_tree import get_root
    from alfred.utils.progress_bar import LineReporter

    set_up()
    root = get_root(root_dir).absolute()
    storage_dirs, missing = _select(from_file, storage_name, root)
    progress = LineReporter(lambda line: print(line, file=sys.stderr), every=2.0)
    found = overview(
        storage_dirs, this_process(), looked=lambda how_many: progress(how_many, None, "runs looked at")
    )
    found.jobs = _jobs(root, storage_dirs)
    for text in found.unreadable:
        cli.notice(escaped(text))
    cli.notice_no_runs(storage_dirs)
    return root, found, missing + found.unreadable


def _jobs(root: Path, storage_dirs: Sequence[Path]) -> list[Job] | None:
    from alfred.storage import scheduler, submissions

    submitted = submissions.read(root, [path.name for path in storage_dirs])
    return scheduler.queue([one.name for one in submitted])


def _select(
    from_file: str | Path | None, storage_name: str | None, root: Path
) -> tuple[list[Path], list[str]]:
    from alfred.storage.survey import storage_dirs
    from alfred.utils.misc import check_root, select_storage_dirs

    if from_file is not None and storage_name is not None:
        raise UsageError("give only one of --from_file and --storage_name: both were given")
    if from_file is not None or storage_name is not None:
        return cli.existing(select_storage_dirs(from_file, storage_name, root))
    check_root(root)
    return storage_dirs(root), []


def _only_theirs(found: Overview) -> list[dict[str, Any]]:
    """Of each group of crashes the values that its runs share and no completed run has."""
    from alfred.storage.shared_values import only_theirs, values_of

    others = values_of(found.completed_beside)
    if not others:  # compared with nothing, everything would be theirs alone
        return [{} for _ in found.crashes]
    return [only_theirs([report.seed_dir for report in group.reports], others) for group in found.crashes]


def _as_record(
    root: Path, found: Overview, passed_over: Sequence[str], only_theirs: Sequence[dict[str, Any]] | None
) -> dict[str, Any]:
    from alfred.report.tables import HEADINGS
    from alfred.storage.attempts import time_stamp

    return {
        "root": str(root),
        "time": time_stamp(),
        "storage_dirs": [
            {
                "name": storage.name,
                "path": storage.path,
                "counts": {heading: storage.counts[condition] for condition, heading in HEADINGS.items()}
                | {"total": storage.counts.total()},
                "durations": vars(storage.durations) if storage.durations else None,
            }
            for storage in found.storages
        ],
        "running": [_running_record(run) for run in found.active],
        "stopped": found.stopped,
        "crashes": [
            _crash_record(group) | ({} if only_theirs is None else {"only_theirs": only_theirs[at]})
            for at, group in enumerate(found.crashes)
        ],
        "jobs": None if found.jobs is None else [vars(job) for job in found.jobs],
        "conflicts": found.conflicts,
        "passed_over": list(passed_over),
    }


def _crash_record(group: CrashGroup) -> dict[str, Any]:
    return {
        "count": len(group.reports),
        "signature": group.example.signature,
        "example": group.example.path,
        "headline": group.example.headline,
        "last_line": group.last_line,
        "where": group.example.where or None,
        "overtaken": group.example.overtaken,
        "runs": [report.seed_dir for report in group.reports],
    }


def _running_record(run: ActiveRun) -> dict[str, Any]:
    return {
        "seed_dir": run.seed_dir,
        "owner": run.holder.name,
        "host": run.holder.host,
        "pid": run.holder.pid,
        "job": run.holder.job or None,
        "alive": run.holder.verdict.value,
        "heard": _rounded(run.holder.heard),
        "being_put_back": run.being_put_back,
        "start": run.start,
        "seconds": _rounded(run.seconds),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _print(root: Path, found: Overview, only_theirs: Sequence[dict[str, Any]] | None) -> None:
    from alfred.report.tables import escaped, print_states

    if not found.storages:
        print(escaped(f"No storage directories in {root}"))
        return
    took = [_took(storage.durations) for storage in found.storages]
    rows = [(storage.name, storage.counts) for storage in found.storages]
    print_states(rows, {"time per completed run": took} if any(took) else {})
    if any(s.durations and s.durations.sampled < s.durations.completed for s in found.storages):
        print("Times per completed run: median (shortest to longest), from a sample where it says so.")
    _print_active(root, found.active)
    _print_jobs(found)
    if found.stopped:
        print(f"\nStopped: {len(found.stopped)}, their processes are gone; `alfred clean` puts them back.")
    if found.conflicts:
        print("\nConflicts")
        print("\n".join(escaped(f"  {text}") for text in found.conflicts))
    if only_theirs is None:
        _print_crashes(root, found)
    else:
        _print_kinds(root, found, only_theirs)


def _took(durations: Durations | None) -> str:
    if durations is None:
        return ""
    text = _time(durations.median)
    if durations.sampled > 1:
        text += f" ({_time(durations.min)} to {_time(durations.max)})"
    if durations.sampled < durations.completed:
        text += f", from {durations.sampled} of {durations.completed}"
    return text


def _print_active(root: Path, active: Sequence[ActiveRun]) -> None:
    from alfred.report.tables import Column, print_table

    if not active:
        return
    print()
    columns = [Column(name) for name in ("run", "host", "process", "job", "since", "for", "owner")]
    print_table(
        columns,
        [
            (
                os.path.relpath(run.seed_dir, root),
                run.holder.host,
                "" if run.holder.pid is None else str(run.holder.pid),
                run.holder.job,
                "being put back" if run.being_put_back else _clock_time(run.start),
                "" if run.seconds is None else _time(run.seconds),
                _known_of(run.holder),
            )
            for run in active[:_SHOWN_RUNS]
        ],
        title="Running",
    )
    if len(active) > _SHOWN_RUNS:
        print(f"... and {len(active) - _SHOWN_RUNS} more; --json lists all")


def _print_jobs(found: Overview) -> None:
    from alfred.report.jobs import print_jobs

    if found.jobs:
        print()
        print_jobs(found.jobs, Counter(run.holder.job for run in found.active))
    elif found.jobs is None:
        print("\nThere are jobs on a cluster, and squeue gives no answer here.")


def _known_of(holder: Holder) -> str:
    from alfred.storage.leases import Verdict

    if holder.verdict is Verdict.ALIVE:
        return "alive"
    if holder.heard is None:
        return "not proven, never heard from"
    return f"not proven, heard from {_time(holder.heard)} ago"


def _print_crashes(root: Path, found: Overview) -> None:
    from alfred.report.tables import Column, print_table

    if not found.crashes:
        return
    print()
    shown = found.crashes[:_SHOWN_CRASHES]
    print_table(
        [Column("runs", is_number=True), Column("last line of the report"), Column("for example")],
        [
            (str(len(group.reports)), group.last_line, os.path.relpath(group.example.path, root))
            for group in shown
        ],
        title="Crashed",
    )
    if len(found.crashes) > _SHOWN_CRASHES:
        print(f"... and {len(found.crashes) - _SHOWN_CRASHES} other kinds; --json lists all")


def _print_kinds(root: Path, found: Overview, only_theirs: Sequence[dict[str, Any]]) -> None:
    """One paragraph for each group of crashes."""
    from alfred.report.tables import escaped

    if not found.crashes:
        print("\nNothing has crashed.")
    for group, values in zip(found.crashes[:_SHOWN_CRASHES], only_theirs, strict=False):
        example, count = group.example, len(group.reports)
        whose = ", reports of attempts that the run was taken from" if example.overtaken else ""
        facts = {
            "error": example.headline,
            "where": example.where,
            "report": os.path.relpath(example.path, root),
            "runs": _names_of_runs(root, group),
            "only they have": ", ".join(f"{name}={json.dumps(value)}" for name, value in values.items()),
        }
        print()
        print(escaped(f"{count} crashed run{'s' * (count > 1)}{whose}: {example.signature}"))
        for name, told in facts.items():
            if told:
                print(escaped(f"  {name:<14}  {told}"))
    if len(found.crashes) > _SHOWN_CRASHES:
        print(f"\n... and {len(found.crashes) - _SHOWN_CRASHES} other kinds; --json lists all")


def _names_of_runs(root: Path, group: CrashGroup) -> str:
    """`<storage directory>: experiment2 (seed1, seed2), experiment5 (seed1)`."""
    seeds: dict[str, dict[str, list[str]]] = {}
    for report in group.reports[:_SHOWN_RUNS]:
        experiment_dir, seed = os.path.split(report.seed_dir)
        storage_dir, experiment = os.path.split(os.path.relpath(experiment_dir, root))
        seeds.setdefault(storage_dir, {}).setdefault(experiment, []).append(seed)
    told = "; ".join(
        f"{storage_dir}: " + ", ".join(f"{name} ({', '.join(of)})" for name, of in experiments.items())
        for storage_dir, experiments in seeds.items()
    )
    left = len(group.reports) - _SHOWN_RUNS
    return told + (f" and {left} more; --json lists all" if left > 0 else "")


def _clock_time(stamp: str | None) -> str:
    """A time stamp as people read it: 2024-05-01T12:30:00+0200 is 2024-05-01 12:30:00."""
    return "" if stamp is None else stamp[:19].replace("T", " ")


def _time(seconds: float) -> str:
    from alfred.utils.misc import formatted_time_diff

    return f"{seconds:.2g}s" if seconds < 10 else formatted_time_diff(seconds)


if __name__ == "__main__":
    sys.exit(main())
