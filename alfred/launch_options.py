"""The many options of `alfred launch`: how much, what, how, and what a cluster is asked for."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any

from alfred import cli
from alfred.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alfred.launchers.ray import RayOptions
    from alfred.launchers.slurm import SlurmOptions

ORDERS = ("experiment", "seed")
START_METHODS = ("forkserver", "fork", "spawn")
LAUNCHERS = ("local", "slurm", "ray")
_RESOURCES = {
    "--partition": ("NAME", "the partition (queue) to wait in"),
    "--account": ("NAME", "the account that is charged"),
    "--time": ("TIME", "time limit of a job: minutes, or as in 2:30:00 or 1-12:00:00"),
    "--cpus_per_task": ("INT", "cores of a job (default: --n_processes)"),
    "--mem": ("SIZE", "memory of a job: megabytes, or as in 16G"),
    "--gpus_per_node": ("N", "graphics processors of a job, divided among its processes"),
    "--constraint": ("TEXT", "features that the node must have"),
}
_SLURM = {name[2:] for name in _RESOURCES} | {"n_jobs", "max_concurrent_jobs", "slurm_option", "setup"}
_RAY = {"n_jobs", "cpus_per_task", "gpus_per_node", "ray_address", "ray_resource"}
# What each launcher makes something of; none of it does `local`.
_USED_BY = {"slurm": _SLURM | {"dry_run", "wait"}, "ray": _RAY}


def add_how_much(options: argparse.ArgumentParser) -> None:
    """How much is done at the same time, and with what of this machine."""
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


def add_what(options: argparse.ArgumentParser) -> None:
    """Which of the runs are done, and which first."""
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


def add_how(options: argparse.ArgumentParser) -> None:
    """How a run is started, shown and ended."""
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


def add_cluster(options: argparse.ArgumentParser) -> None:
    """What `--launcher slurm` and `--launcher ray` ask the cluster for."""
    group = options.add_argument_group(
        "on a cluster (--launcher slurm, with defaults in alfred.defaults.DEFAULT_SLURM_PROFILE and in "
        "slurm_<name>.json of the schedule's folder; of these --launcher ray takes --n_jobs, --cpus_per_task "
        "and --gpus_per_node)"
    )
    group.add_argument(
        "--launcher",
        choices=LAUNCHERS,
        default="local",
        help="local: run here; slurm: submit jobs that each do what this call would, and return; ray: have "
        "tasks of Ray do it, and stay",
    )
    group.add_argument(
        "--n_jobs",
        type=_count,
        metavar="INT",
        help="jobs to submit (default: enough for what waits, at most 32; with Ray as many as have room)",
    )
    group.add_argument("--max_concurrent_jobs", type=_count, metavar="INT", help="jobs at the same time")
    for name, (value, text) in _RESOURCES.items():
        group.add_argument(name, metavar=value, help=text)
    group.add_argument(
        "--slurm_option",
        action="append",
        metavar="KEY=VALUE",
        help="any other option of sbatch, as in mail-type=END; may be given again",
    )
    group.add_argument(
        "--setup", metavar="LINES", help="shell lines that a job begins with, as in 'module load cuda/12'"
    )
    cli.add_boolean(group, "--dry_run", default=False, help="print the batch script, submit nothing")
    cli.add_boolean(
        group, "--wait", default=False, help="stay until the jobs have ended, showing how it goes"
    )
    _add_ray(options)


def _add_ray(options: argparse.ArgumentParser) -> None:
    group = options.add_argument_group("with Ray (--launcher ray)")
    group.add_argument(
        "--ray_address",
        metavar="HOST:PORT",
        help="the cluster (default: what RAY_ADDRESS says, or else one of this machine alone)",
    )
    group.add_argument(
        "--ray_resource",
        action="append",
        metavar="NAME=AMOUNT",
        help="a custom resource that each launcher needs, as in big_memory=1; may be given again",
    )


def taken_cluster(options: argparse.Namespace) -> SlurmOptions | RayOptions | None:
    """What `add_cluster` asked for, taken out of the options; None for a launch on this machine.

    Raises UsageError for what the chosen launcher has no use for.
    """
    taken = {name: vars(options).pop(name) for name in sorted(_SLURM | _RAY)}
    given = {name for name, value in taken.items() if value not in (None, [])}
    given |= {name for name in ("dry_run", "wait") if getattr(options, name)}
    if surplus := sorted(given - _USED_BY.get(options.launcher, set())):
        of = " or ".join(name for name, used in _USED_BY.items() if surplus[0] in used)
        raise UsageError(f"--{surplus[0]} is for a launch with --launcher {of}: give that, or leave it out")
    if options.launcher == "slurm":
        return _for_slurm(taken)
    return _for_ray(taken, options.n_processes) if options.launcher == "ray" else None


def _for_slurm(taken: Mapping[str, Any]) -> SlurmOptions:
    from alfred.launchers.slurm import SlurmOptions, slurm_option

    resources = {name[2:]: taken[name[2:]] for name in _RESOURCES if taken[name[2:]] is not None}
    resources |= dict(slurm_option(text) for text in taken["slurm_option"] or ())
    return SlurmOptions(resources, taken["n_jobs"], taken["max_concurrent_jobs"], taken["setup"] or "")


def _for_ray(taken: Mapping[str, Any], n_processes: int | str) -> RayOptions:
    from alfred.launchers.ray import RayOptions, ray_resource

    cores = 1.0 if n_processes == "auto" else float(n_processes)
    return RayOptions(
        taken["ray_address"] or os.environ.get("RAY_ADDRESS", ""),
        taken["n_jobs"],
        cpus=_amount("--cpus_per_task", taken["cpus_per_task"]) or cores,
        gpus=_amount("--gpus_per_node", taken["gpus_per_node"]),
        resources=dict(ray_resource(text) for text in taken["ray_resource"] or ()),
    )


def _amount(option: str, text: str | None) -> float:
    """How much of something of Ray's; 0 if nothing is said."""
    if text is None:
        return 0.0
    if not re.fullmatch(r"\d{1,6}(\.\d{1,4})?", text) or not float(text):
        raise UsageError(f"{option} {text}: write a number above 0, as in 2")
    return float(text)


def add_time_limit(options: argparse.ArgumentParser) -> None:
    """How a launcher inside a job deals with that job's time limit."""
    group = options.add_argument_group("inside a job with a time limit")
    group.add_argument(
        "--signal_delay",
        type=_seconds,
        default=120.0,
        metavar="TIME",
        help="how long before the limit runs are told (SIGUSR1) and put back, at most half of what is left",
    )
    group.add_argument(
        "--min_time_left",
        type=_seconds,
        metavar="TIME",
        help="begin no run with less time than this (default: the median of the finished runs, or nothing "
        "for a project that resumes from checkpoints)",
    )
    group.add_argument(
        "--requeue",
        type=_whole,
        metavar="INT",
        help="how often a job may start again while runs wait (default: 3 with --launcher slurm)",
    )


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)
