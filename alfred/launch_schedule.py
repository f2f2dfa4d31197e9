"""Run what waits: the door `alfred launch`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alfred import cli, launch_options
from alfred.errors import NothingToDoError, UsageError

if TYPE_CHECKING:
    from alfred.launchers.base import Hooks, Launcher, LaunchReport
    from alfred.launchers.ray import RayOptions
    from alfred.launchers.slurm import SlurmOptions
    from alfred.storage.owners import Owner

_CHOICES = ("experiments", "seeds")
_TAKEN_AS_THEY_ARE = ("order", "use_pbar", "timeout", "grace", "log_level", "max_identical_crashes")


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
    launcher: str = "local",
    cluster: SlurmOptions | RayOptions | None = None,
    dry_run: bool = False,
    wait: bool = False,
    signal_delay: float = 120.0,
    min_time_left: float | None = None,
    requeue: int | None = None,
) -> LaunchReport:
    """Run what waits in the storage directories of a list file, or in one; how it went.

    Any number may do so at once. Times are in seconds, `experiments` and `seeds` as in "3,7" or "1-5". With
    `launcher="slurm"` jobs are submitted that do so, as `cluster` says; the report is empty unless `wait`.
    With `launcher="ray"` tasks of Ray do so.

    Raises:
        UsageError: options that contradict each other, make no sense or select no run.
        ProjectError, NothingToDoError: main.py can't be used; every storage directory was passed over.
        LaunchError: the cluster takes no jobs, or what starts the runs can't be kept alive.
        MissingDependencyError: Ray is asked for and not installed.
    """
    given = dict(locals())
    return _launch_here(given) if launcher == "local" else _launch_elsewhere(given)


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
    launch_options.add_how_much(options)
    launch_options.add_what(options)
    launch_options.add_how(options)
    launch_options.add_cluster(options)
    launch_options.add_time_limit(options)
    cli.add_log_level(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = launch_schedule(cluster=launch_options.taken_cluster(options), **vars(options))
    if report.stopped_by is not None and not report.out_of_time:
        return 128 + report.stopped_by
    return cli.DONE if report.all_well else cli.NOT_ALL_DONE


def _launch_here(given: Mapping[str, Any]) -> LaunchReport:
    """Do it on this machine; `given` are the arguments of `launch_schedule` by name."""
    import alfred.defaults
    from alfred.launchers import environment, walltime
    from alfred.launchers.base import LaunchPlan
    from alfred.storage.owners import this_process
    from alfred.utils.directory_tree import get_root

    _check_in_process(given["in_process"], given["n_processes"], given["timeout"])
    only: dict[str, Any] = {name: cli.numbers(f"--{name}", given[name]) for name in _CHOICES}
    environments = environment.of_slots(
        given["n_processes"], given["gpus"], given["threads_per_run"], os.environ
    )
    owner = this_process()
    with _loaded(given["start_method"], given["in_process"], environments[0], owner) as runner:
        storage_dirs, passed_over = _select(given)
        if given["run_clean_interrupted"]:
            _put_back_dead_runs(storage_dirs, owner)
        plan = LaunchPlan(
            project=Path.cwd(),
            root=get_root(given["root_dir"]).absolute(),
            storage_dirs=tuple(storage_dirs),
            environments=tuple(environments),
            max_runs=given["n_experiments_per_proc"],
            **only,
            **{name: given[name] for name in _TAKEN_AS_THEY_ARE},
            walltime=walltime.of_this_job(
                os.environ,
                storage_dirs,
                given["signal_delay"],
                given["min_time_left"],
                resumes=alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS,
            ),
        )
        _check_choice(storage_dirs, only, given)
        report = runner.launch(plan, _hooks())
    report.passed_over += passed_over
    if report.out_of_time:
        from alfred.launchers.starting_again import start_again

        start_again(report, plan, given["requeue"] or 0)
    return report


def _check_in_process(in_process: bool, n_processes: int | str, timeout: float | None) -> None:
    if in_process and (timeout is not None or str(n_processes) != "1"):
        raise UsageError("--in_process does one run after the other: leave out --timeout and --n_processes")


def _launch_elsewhere(given: Mapping[str, Any]) -> LaunchReport:
    """Have launchers on a cluster do it; how it went if that was waited for, else an empty report."""
    from alfred.launchers import environment, submitting
    from alfred.launchers.base import LaunchReport
    from alfred.project import set_up
    from alfred.utils.directory_tree import get_root

    set_up()
    environment.number_of_slots(given["n_processes"])
    selection: dict[str, Any] = {name: cli.numbers(f"--{name}", given[name]) for name in _CHOICES}
    storage_dirs, passed_over = _select(given)
    _check_choice(storage_dirs, selection, given)
    root = get_root(given["root_dir"]).absolute()
    waiting = submitting.count_waiting(storage_dirs, **selection)
    if not waiting:
        print("Nothing waits: no launcher was started.")
        report = LaunchReport()
    elif given["launcher"] == "ray":
        report = _launch_on_ray(given, storage_dirs, root, waiting)
    else:
        report = _submit(given, storage_dirs, root, waiting)
    report.passed_over += passed_over
    return report


def _submit(given: Mapping[str, Any], storage_dirs: Sequence[Path], root: Path, waiting: int) -> LaunchReport:
    """Hand the launch to SLURM."""
    from alfred.launchers import slurm, submitting
    from alfred.launchers.base import LaunchReport
    from alfred.search.schedule_folder import schedule_folder_of

    folder = Path(given["from_file"]).parent if given["from_file"] else schedule_folder_of(storage_dirs[0])
    options = given["cluster"] or slurm.SlurmOptions()
    batch = submitting.plan_batch(given, options, storage_dirs, root, folder, waiting)
    if given["dry_run"]:
        print(batch.script, end="")
        return LaunchReport()
    with cli.waiting_for("the scheduler"):
        submission = slurm.submit(batch)
        submitting.announce(batch, submission)
    return submitting.wait(submission, storage_dirs) if given["wait"] else LaunchReport()


def _launch_on_ray(
    given: Mapping[str, Any], storage_dirs: Sequence[Path], root: Path, waiting: int
) -> LaunchReport:
    """Have tasks of Ray do it, and stay until they have ended."""
    from alfred.launchers import ray, submitting

    options = given["cluster"] or ray.RayOptions()
    at_once = ray.processes_of(options, given["n_processes"])
    told = {**given, "n_processes": at_once}
    work = ray.Work(
        tuple(submitting.job_command(told, root, wants_gpus=options.gpus > 0)),
        Path.cwd(),
        root,
        tuple(storage_dirs),
        most=-(-waiting // (at_once * (given["n_experiments_per_proc"] or 1))),
        grace=given["grace"],
        threads=given["threads_per_run"] or max(1, int(options.cpus) // at_once),
    )
    return ray.launch(options, work)


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


def _select(given: Mapping[str, Any]) -> tuple[list[Path], list[str]]:
    """The storage directories to work on, and those that were asked for and passed over."""
    from alfred.storage import laying
    from alfred.utils.directory_tree import get_root, sanity_check_exists, sanity_check_hash
    from alfred.utils.misc import create_logger, select_storage_dirs

    root_dir = given["root_dir"]
    paths = select_storage_dirs(given["from_file"], given["storage_name"], root_dir)
    named = [path.absolute() for path in paths]
    laying.recover(get_root(root_dir))
    logger = create_logger("launch", given["log_level"])
    chosen = [
        path
        for path in named
        if sanity_check_exists(path, logger) and (not given["check_hash"] or sanity_check_hash(path, logger))
    ]
    if named and not chosen:
        raise NothingToDoError("nothing was launched: every storage directory was passed over, see above")
    cli.notice_no_runs(chosen)
    return chosen, [str(path) for path in named if path not in chosen]


def _check_choice(
    storage_dirs: Sequence[Path], chosen: Mapping[str, frozenset[int] | None], given: Mapping[str, Any]
) -> None:
    """UsageError when `--experiments` and `--seeds`, as given and as read, select no run of those that are
    there; a notice of single numbers that are not there."""
    from alfred.launchers.base import is_selected
    from alfred.search.wording import joined, ranges
    from alfred.storage.survey import seed_dirs

    options = [f"--{name} {given[name]}" for name in _CHOICES if given[name]]
    if not options:
        return
    there = [(experiment, seed) for path in storage_dirs for experiment, seed, _ in seed_dirs(path)]
    wanted = [chosen[name] for name in _CHOICES]
    if there and not any(is_selected(*run, *wanted) for run in there):
        experiments, seeds = (ranges(numbers) for numbers in zip(*there, strict=True))
        raise UsageError(
            f"{' '.join(options)}: there is no such run in {joined(path.name for path in storage_dirs)}; "
            f"there are the experiments {experiments} and the seeds {seeds}"
        )
    for at, name in enumerate(_CHOICES):
        absent = (wanted[at] or frozenset()) - {run[at] for run in there}
        if there and absent:
            cli.notice(f"there are no {name} {ranges(absent)} in what is launched")


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
    from alfred.figures.summary import summarize_search, without_score
    from alfred.launchers.evaluation import evaluate_runs

    def evaluate(seed_dirs: Sequence[Path]) -> dict[Path, Sequence[float] | str]:
        found = evaluate_runs(seed_dirs, storage_dir.parent, settings().n_eval_runs)
        return {path: one.outcome for path, one in found.items()}

    summary = summarize_search(storage_dir, re_run_if_exists=True, evaluate=evaluate)
    best = "no experiment is the best" if summary.best is None else f"experiment{summary.best} is the best"
    told = f"made {summary.folder}: {best}" + (f" ({summary.note})" if summary.note else "")
    unscored = without_score(summary.made_of[1]) if summary.made_of else []
    return [told, *(f"without a score, {line}" for line in unscored)]


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
