"""Run what waits: the door `alfred launch`."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alfred import cli
from alfred.errors import NothingToDoError, UsageError

if TYPE_CHECKING:
    from alfred.launchers.base import Hooks, Launcher, LaunchPlan, LaunchReport
    from alfred.storage.owners import Owner

ORDERS = ("experiment", "seed")
START_METHODS = ("forkserver", "fork", "spawn")


def launch_schedule(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    *,
    n_processes: int | str = 1,
    n_experiments_per_proc: int | None = None,
    use_pbar: bool = False,
    check_hash: bool = True,
    run_clean_interrupted: bool = False,
    root_dir: str | Path | None = None,
    log_level: int = 20,
    in_process: bool = False,
    timeout: float | None = None,
    grace: float = 1.5,
    gpus: str | None = None,
    order: str = "experiment",
    experiments: str | None = None,
    seeds: str | None = None,
    threads_per_run: int | None = None,
    start_method: str = "forkserver",
    max_identical_crashes: int | None = None,
) -> LaunchReport:
    """Run what waits in the storage directories of a list file, or in one; how it went.

    Any number may do so at once. Times are in seconds, `experiments` and `seeds` as in "3,7" or "1-5".

    Raises:
        UsageError: options that contradict each other, make no sense or select no run.
        ProjectError, NothingToDoError: main.py can't be used; every storage directory was passed over.
    """
    from alfred.launchers.base import LaunchPlan
    from alfred.storage.owners import this_process
    from alfred.utils.directory_tree import get_root

    _check_in_process(in_process, n_processes, timeout)
    only = {"experiments": cli.numbers("--experiments", experiments), "seeds": cli.numbers("--seeds", seeds)}
    environments = _environments(n_processes, gpus, threads_per_run)
    owner = this_process()
    with _loaded(start_method, in_process, environments[0], owner) as launcher:
        storage_dirs, passed_over = _select(from_file, storage_name, root_dir, check_hash, log_level)
        if run_clean_interrupted:
            _put_back_dead_runs(storage_dirs, owner)
        plan = LaunchPlan(
            project=Path.cwd(),
            root=get_root(root_dir).absolute(),
            storage_dirs=tuple(storage_dirs),
            environments=tuple(environments),
            max_runs=n_experiments_per_proc,
            order=order,
            **only,
            use_pbar=use_pbar,
            timeout=timeout,
            grace=grace,
            log_level=log_level,
            max_identical_crashes=max_identical_crashes,
        )
        _check_choice(plan, experiments, seeds)
        report = launcher.launch(plan, _hooks())
    report.passed_over += passed_over
    return report


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "launch",
        "Run what waits, each run in a process of its own. Call it as often as you like, here and on any "
        "machine that shares the file system, at the same time or later: no run is done twice. "
        "Ctrl-C stops it within two seconds; the runs that it cut off wait again.",
        "examples, in the folder that holds main.py:\n"
        "  alfred launch --from_file schedules/lr/list_searches_lr.txt --n_processes auto\n"
        "  alfred launch --storage_name Ju1_f7b375e_sgd_digits_grid_try --experiments 3,7 --seeds 1-5\n"
        "  alfred launch --storage_name Ju1_f7b375e_sgd_digits_grid_try --in_process --experiments 3\n\n"
        "exit status: 0 all done, 1 a run crashed or something was passed over, 2 a mistake,\n"
        "3 nothing could be worked on, 130 after Ctrl-C, 143 after SIGTERM",
    )
    cli.add_storage_selection(options)
    cli.add_root_dir(options)
    _add_how_much(options)
    _add_what(options)
    _add_how(options)
    cli.add_log_level(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = launch_schedule(**vars(options))
    if report.stopped_by is not None:
        return 128 + report.stopped_by
    return cli.DONE if report.all_well else cli.NOT_ALL_DONE


def _add_how_much(options: argparse.ArgumentParser) -> None:
    group = options.add_argument_group("how much at once")
    group.add_argument(
        "--n_processes",
        type=_count_or_auto,
        default=1,
        metavar="INT|auto",
        help="runs done at the same time; auto: as many as there are cores to use",
    )
    group.add_argument(
        "--n_experiments_per_proc",
        type=_count,
        metavar="INT",
        help="runs that each of these does at most (default: no limit)",
    )
    group.add_argument(
        "--max_identical_crashes",
        type=_count_or_none,
        metavar="INT|none",
        help="where the first so many runs of a storage directory die the same death, start no more of it; "
        "none or 0: go on whatever happens (default: 5 where nothing has completed yet)",
    )
    group.add_argument(
        "--threads_per_run",
        type=_count,
        metavar="INT",
        help="threads of numerical libraries in a run, set as OMP_NUM_THREADS, MKL_NUM_THREADS and "
        "OPENBLAS_NUM_THREADS unless you set those (default: cores / n_processes)",
    )
    group.add_argument(
        "--gpus",
        metavar="N|IDS|auto",
        help="divide graphics processors among the processes: how many (2), which (0,1; 3, is the "
        "one called 3) or auto; what CUDA_VISIBLE_DEVICES names is divided, never widened "
        "(default: left as it is)",
    )


def _add_what(options: argparse.ArgumentParser) -> None:
    group = options.add_argument_group("what")
    group.add_argument("--experiments", metavar="3,7|1-5", help="only these experiments (default: all)")
    group.add_argument("--seeds", metavar="1,2|0-9", help="only these seeds (default: all)")
    group.add_argument(
        "--order",
        choices=ORDERS,
        default="experiment",
        help="experiment: all seeds of one, then the next; seed: the first seed of every experiment "
        "before the second",
    )
    cli.add_boolean(
        group,
        "--check_hash",
        default=True,
        help="pass over storage directories that were laid with other code, told by the git hashes",
    )
    cli.add_boolean(
        group,
        "--run_clean_interrupted",
        default=False,
        help="first put runs whose process has died back to waiting (never crashed or living ones)",
    )


def _add_how(options: argparse.ArgumentParser) -> None:
    group = options.add_argument_group("how")
    cli.add_boolean(group, "--use_pbar", default=False, help="hand main() a progress bar and show it")
    group.add_argument(
        "--timeout",
        type=_limit,
        metavar="TIME",
        help="a run that takes longer is a crash: seconds, or as in 90m or 12h (default: no limit)",
    )
    group.add_argument(
        "--grace",
        type=_seconds,
        default=1.5,
        metavar="TIME",
        help="how long a run that is told to stop may take to do so, before it is killed",
    )
    group.add_argument(
        "--start_method",
        choices=START_METHODS,
        default="forkserver",
        help="forkserver: main.py is imported once and forked for each run; fork: the same without a "
        "process between; spawn: a fresh interpreter for each run, for libraries that can't be forked",
    )
    cli.add_boolean(
        group,
        "--in_process",
        default=False,
        help="do everything in this very process, one run after the other, for a debugger",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text.lower() in ("none", "0") else _count(text)


def _count_or_auto(text: str) -> int | str:
    return text if text == "auto" else _count(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: seconds, or as in 90m, 12h, 2d")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]]


def _limit(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError("no run ends in no time: leave it out for no limit")
    return seconds


def _check_in_process(in_process: bool, n_processes: int | str, timeout: float | None) -> None:
    if in_process and (timeout is not None or str(n_processes) != "1"):
        raise UsageError("--in_process does one run after the other: leave out --timeout and --n_processes")


def _environments(n_processes: int | str, gpus: str | None, threads: int | None) -> list[dict[str, str]]:
    """What each process gets of this machine."""
    from alfred.launchers import environment

    if n_processes == "auto":
        slots = environment.usable_cores()
    elif str(n_processes).isdecimal() and int(n_processes) > 0:
        slots = int(n_processes)
    else:
        raise UsageError(f"n_processes is a whole number from 1 on or 'auto', not {n_processes!r}")
    common = environment.thread_variables(threads, slots, os.environ)
    return [{**common, **own} for own in environment.gpu_variables(gpus, slots, os.environ)]


@contextlib.contextmanager
def _loaded(
    start_method: str, in_process: bool, environment: Mapping[str, str], owner: Owner
) -> Iterator[Launcher]:
    """A launcher that has the project loaded; only then are the project's settings known."""
    if in_process:
        from alfred.launchers.in_process import InProcessLauncher
        from alfred.project import load_project

        os.environ.update(environment)  # before the project imports what reads it
        yield InProcessLauncher(owner, load_project())
        return
    from alfred.launchers import starters
    from alfred.launchers.environment import THREADS
    from alfred.launchers.local import LocalLauncher

    threads = {name: value for name, value in environment.items() if name in THREADS}
    with contextlib.closing(starters.load(start_method, Path.cwd(), threads)) as starter:
        yield LocalLauncher(owner, starter)


def _select(
    from_file: str | Path | None,
    storage_name: str | None,
    root_dir: str | Path | None,
    check_hash: bool,
    log_level: int,
) -> tuple[list[Path], list[str]]:
    """The storage directories to work on, and those that were asked for and passed over."""
    from alfred.storage import laying
    from alfred.utils.directory_tree import get_root, sanity_check_exists, sanity_check_hash
    from alfred.utils.misc import create_logger, select_storage_dirs

    named = [path.absolute() for path in select_storage_dirs(from_file, storage_name, root_dir)]
    laying.recover(get_root(root_dir))
    logger = create_logger("launch", log_level)
    chosen = [
        path
        for path in named
        if sanity_check_exists(path, logger) and (not check_hash or sanity_check_hash(path, logger))
    ]
    if named and not chosen:
        raise NothingToDoError("nothing was launched: every storage directory was passed over, see above")
    cli.notice_no_runs(chosen)
    return chosen, [str(path) for path in named if path not in chosen]


def _check_choice(plan: LaunchPlan, *options: str | None) -> None:
    """UsageError when `--experiments` and `--seeds`, as given, select no run of those that are there."""
    from alfred.search.wording import joined, ranges
    from alfred.storage.survey import seed_dirs

    given = [f"--{name} {text}" for name, text in zip(("experiments", "seeds"), options, strict=True) if text]
    if not given:
        return
    there = [(experiment, seed) for path in plan.storage_dirs for experiment, seed, _ in seed_dirs(path)]
    if there and not any(plan.takes(experiment, seed) for experiment, seed in there):
        experiments, seeds = (ranges(numbers) for numbers in zip(*there, strict=True))
        raise UsageError(
            f"{' '.join(given)}: there is no such run in {joined(path.name for path in plan.storage_dirs)}; "
            f"there are the experiments {experiments} and the seeds {seeds}"
        )


def _hooks() -> Hooks:
    """What is made once all runs of a storage directory have ended; what draws is loaded only then."""
    from alfred.storage.chores import PLOTS, SUMMARY

    return {PLOTS: _make_plots, SUMMARY: _make_summary}


def _make_plots(storage_dir: Path) -> Sequence[str]:
    from alfred.figures.plot_arrays import plot_storage_dir

    made = plot_storage_dir(storage_dir)
    return [*(f"made {path}" for path in made.paths if path.suffix == ".png"), *made.absent]


def _make_summary(storage_dir: Path) -> Sequence[str]:
    from alfred.analysis.settings import settings
    from alfred.figures.summary import summarize_search
    from alfred.launchers.evaluation import evaluate_runs

    def evaluate(seed_dirs: Sequence[Path]) -> dict[Path, Sequence[float] | str]:
        found = evaluate_runs(seed_dirs, storage_dir.parent, settings().n_eval_runs)
        return {path: one.outcome for path, one in found.items()}

    summary = summarize_search(storage_dir, re_run_if_exists=True, evaluate=evaluate)
    best = "no experiment is the best" if summary.best is None else f"experiment{summary.best} is the best"
    told = f"made {summary.folder}: {best}" + (f" ({summary.note})" if summary.note else "")
    return [told, *(f"without a score, {line}" for line in summary.without_score)]


def _put_back_dead_runs(storage_dirs: Sequence[Path], owner: Owner) -> None:
    import alfred.defaults
    from alfred.storage import recovery
    from alfred.storage.leases import Leases

    keep_files = alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS
    with contextlib.closing(Leases(owner)) as leases:
        for seed_dir in recovery.put_back_dead(storage_dirs, leases, keep_files=keep_files, say=print):
            print(f"{seed_dir} waits again: its process had died")


if __name__ == "__main__":
    sys.exit(main())
