"""Prepare the best configuration of a search again, with more seeds: the door `alfred retrain`."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alfred import adding_seeds, cli
from alfred.errors import AlfredError, NothingToDoError, StorageError, UsageError, say

if TYPE_CHECKING:
    from alfred.search.retrain import Retrain


@dataclass
class RetrainReport:
    """What became of the searches: names of the retrains `made`, of those that were `there` already and of
    those that got more seeds, why searches were passed over, and the list of retrains (None: not known).

    `lines` tell it to a person.
    """

    list_file: Path | None = None
    made: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    added_to: list[str] = field(default_factory=list)
    passed_over: list[AlfredError] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def create_retrainbest(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    *,
    best_experiments_mapping: str | Path | None = None,
    n_retrain_seeds: int = 10,
    train_time_factor: float = 2.0,
    train_time_param: str | None = None,
    add_seeds: int | None = None,
    root_dir: str | Path | None = None,
) -> RetrainReport:
    """Lay, for each search of a list file or for one, a storage directory that trains its best experiment
    again, `train_time_factor` times as long, with seeds that the search did not use.

    The best is the summary's, which is made first where it is missing, or that of a JSON file
    {storage name: experiment number}. A search that has its retrain already keeps that one; `add_seeds`
    lays so many more seeds in it.

    Raises:
        UsageError, StorageError: before anything is laid, for what can't be done as asked.
        NothingToDoError: every search was passed over.
    """
    from alfred.project import load_project
    from alfred.search.retrain import TrainTime, plan_retrain, read_mapping
    from alfred.storage import laying
    from alfred.utils.directory_tree import get_root
    from alfred.utils.misc import select_storage_dirs

    _check_request(n_retrain_seeds, train_time_factor, add_seeds)
    load_project()
    root = Path.cwd() / get_root(root_dir)
    named = select_storage_dirs(from_file, storage_name, root)
    laying.recover(root)
    mapping = {} if best_experiments_mapping is None else read_mapping(best_experiments_mapping, root)
    report = RetrainReport(_list_file(from_file, named))
    searches = _searches(named, report)
    if add_seeds is not None:
        _add_seeds(searches, add_seeds, report)
    else:
        time = TrainTime(train_time_factor, train_time_param)
        bests = _bests(_without_retrain(searches, report), mapping, report)
        _lay(root, [plan_retrain(path, best, n_retrain_seeds, time) for path, best in bests.items()], report)
    _tell(report, root_dir)
    return report


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "retrain",
        "Prepare the best configuration of a search again: a new storage directory with one experiment, "
        "trained longer, with seeds that the search did not use, so that its score owes nothing to luck in "
        "the search. Nothing is run yet: `alfred launch` does that. A search that has its retrain already "
        "gets no second one.",
        "examples, in the folder that holds main.py:\n"
        "  alfred retrain --from_file schedules/lr/list_searches_lr.txt\n"
        "  alfred retrain --storage_name Ju1_f7b375e_sgd_digits_grid_try --n_retrain_seeds 5 "
        "--train_time_factor 1\n"
        "  alfred retrain --from_file schedules/lr/list_searches_lr.txt --add_seeds 5",
    )
    cli.add_storage_selection(options)
    options.add_argument(
        "--best_experiments_mapping",
        metavar="FILE.json",
        help="a JSON object {storage name: experiment number} that says which experiments are the best "
        "(default, also for a search that it does not name: the best of summary/, which is made first "
        "where it is missing)",
    )
    options.add_argument(
        "--n_retrain_seeds",
        type=cli.whole_number,
        default=10,
        metavar="INT",
        help="how many runs a retrain has",
    )
    options.add_argument(
        "--train_time_factor",
        type=float,
        default=2.0,
        metavar="FLOAT",
        help="how many times as long as in the search each run trains",
    )
    options.add_argument(
        "--train_time_param",
        metavar="NAME",
        help="the parameter that says how long a run trains (default: the first of "
        "alfred.defaults.DEFAULT_TRAIN_TIME_PARAMS that the configuration has with a value)",
    )
    options.add_argument(
        "--add_seeds",
        type=cli.whole_number,
        metavar="INT",
        help="lay that many more fresh seeds in the retrains that are there, and make none",
    )
    cli.add_root_dir(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = create_retrainbest(**vars(options))
    return cli.NOT_ALL_DONE if report.passed_over else cli.DONE


def _check_request(n_retrain_seeds: int, factor: float, add_seeds: int | None) -> None:
    for name, count in (("--n_retrain_seeds", n_retrain_seeds), ("--add_seeds", add_seeds)):
        if count is not None:
            adding_seeds.check_number(name, count)
    if not (factor > 0 and math.isfinite(factor)):
        raise UsageError(f"--train_time_factor is {factor}: give a number above 0")


def _list_file(from_file: str | Path | None, named: Sequence[Path]) -> Path | None:
    """Where the retrains are listed, in the folder of the schedule; StorageError if it can't be written."""
    from alfred.search.schedule_folder import schedule_folder_of

    folder = schedule_folder_of(named[0]) if from_file is None else (Path.cwd() / from_file).parent
    if folder is None:
        return None
    list_file = folder / f"list_retrains_{folder.name}.txt"
    needed = list_file if list_file.exists() else folder
    if not os.access(needed, os.W_OK):
        raise StorageError(f"{list_file} can't be written: change the permissions of {needed}")
    return list_file


def _searches(named: Sequence[Path], report: RetrainReport) -> list[Path]:
    """Those that are there and are no retrains themselves."""
    from alfred.storage.metadata import read_metadata
    from alfred.storage.retrains import is_retrain
    from alfred.utils.directory_tree import why_no_storage_dir

    searches = []
    for path in named:
        if why_not := why_no_storage_dir(path):
            report.passed_over.append(NothingToDoError(why_not))
        elif is_retrain(read_metadata(path)):
            report.passed_over.append(
                NothingToDoError(
                    f"{path} is a retrain itself: name the search that it trains again, or lay more seeds "
                    "with `alfred prepare --add_seeds`"
                )
            )
        else:
            searches.append(path)
    return searches


def _without_retrain(searches: Sequence[Path], report: RetrainReport) -> list[Path]:
    from alfred.storage.retrains import retrains_of

    waiting = []
    for search_dir in searches:
        names = [path.name for path in retrains_of(search_dir)]
        if names:
            report.there += names
            report.lines.append(f"{search_dir.name} has its retrain already: {', '.join(names)}")
        else:
            waiting.append(search_dir)
    return waiting


def _bests(searches: Sequence[Path], mapping: Mapping[str, int], report: RetrainReport) -> dict[Path, int]:
    """The best experiment of each search, told by the mapping or else by its summary."""
    from alfred.analysis.summary_record import conditions_now, ended

    bests = {}
    for search_dir in searches:
        with _passing_over(report):
            chosen = mapping.get(search_dir.name)
            if chosen is None:
                now = conditions_now(search_dir)
                chosen = _best_of_summary(search_dir, ended(now))
                if left := sum(now.values()) - sum(ended(now).values()):
                    report.lines.append(
                        f"{search_dir.name}: the best so far is taken, {left} of its runs have not ended"
                    )
            bests[search_dir] = chosen
    return bests


def _best_of_summary(search_dir: Path, ended_now: Mapping[str, int]) -> int:
    """The best that the summary names. One that is missing is made, one from which runs have ended since is
    made again with its own settings; of an older tool's, which told none, the word is taken."""
    from alfred.analysis.settings import EVALUATION_RUNS
    from alfred.analysis.summary_record import ended, made_with, recorded
    from alfred.search.retrain import recorded_best
    from alfred.storage.swap import finish_swap

    finish_swap(search_dir / "summary")
    best, made = recorded_best(search_dir), recorded(search_dir)
    wanted = made_with(made)
    if best is not None and (wanted is None or ended(made.get("conditions")) == ended_now):
        return best
    if wanted is not None and wanted.metric == EVALUATION_RUNS:
        raise StorageError(
            f"runs have ended since {search_dir / 'summary'} was made of evaluation_runs: make it anew with "
            "`alfred benchmark --benchmark_type compare_searches --performance_metric evaluation_runs`"
        )
    from alfred.figures.summary import summarize_search

    summary = summarize_search(search_dir, wanted)
    if summary.best is None:
        raise NothingToDoError(
            f"no experiment of {search_dir} is the best: {summary.note or 'none has a score'}"
        )
    return summary.best


@contextlib.contextmanager
def _passing_over(report: RetrainReport) -> Iterator[None]:
    """What is wrong with one search lets the others go on."""
    try:
        yield
    except AlfredError as error:
        report.passed_over.append(error)


def _lay(root: Path, plans: Sequence[Retrain], report: RetrainReport) -> None:
    """Lay what nobody else lays or has laid meanwhile: all of it, or nothing."""
    from alfred.storage import laying
    from alfred.storage.creation import lay_search
    from alfred.storage.leases import Leases
    from alfred.storage.owners import this_process
    from alfred.storage.retrains import reserved

    with contextlib.ExitStack() as stack:
        leases = stack.enter_context(contextlib.closing(Leases(this_process())))
        mine = []
        for plan in plans:
            if stack.enter_context(reserved(plan.search_dir, leases)):
                mine.append(plan.search_dir)
            else:
                report.passed_over.append(_taken(plan.search_dir))
        laying.recover(root, tell=lambda text: None)  # told already
        mine = _without_retrain(mine, report)
        todo = [plan for plan in plans if plan.search_dir in mine]
        if todo:
            report.made = lay_search(root, [plan.preparation for plan in todo], report.list_file)
        for plan, name in zip(todo, report.made, strict=True):
            report.lines.append(f"Made {name}: {plan}")


def _taken(search_dir: Path) -> AlfredError:
    return NothingToDoError(
        f"another command lays the retrain of {search_dir} right now; if none does, "
        f"`alfred clean --storage_name {search_dir.name}` gives it back"
    )


def _add_seeds(searches: Sequence[Path], how_many: int, report: RetrainReport) -> None:
    from alfred.storage.more_seeds import choose_experiments, lay_seeds
    from alfred.storage.retrains import retrains_of

    experiments = {}
    for search_dir in searches:
        with _passing_over(report):
            retrain = _the_one(search_dir, retrains_of(search_dir))
            experiments[retrain] = choose_experiments(retrain, None)
    for retrain, numbers in experiments.items():
        seeds = lay_seeds(retrain.parent, retrain.name, numbers, how_many)
        report.added_to.append(retrain.name)
        report.lines.append(f"Added the seeds {', '.join(map(str, seeds))} to {retrain.name}")


def _the_one(search_dir: Path, retrains: Sequence[Path]) -> Path:
    if not retrains:
        raise NothingToDoError(f"{search_dir} has no retrain yet: leave out --add_seeds to make it")
    if len(retrains) > 1:
        raise NothingToDoError(
            f"{search_dir} has several retrains, {' and '.join(path.name for path in retrains)}: lay more "
            "seeds in one of them with `alfred prepare --add_seeds`"
        )
    return retrains[0]


def _tell(report: RetrainReport, root_dir: str | Path | None) -> None:
    """Print what was done, what was not, and what to type next."""
    some_left = report.made or report.there or report.added_to
    if len(report.passed_over) == 1 and not some_left:
        raise report.passed_over[0]
    for error in report.passed_over:
        say(f"{error}: passed over")
    if report.passed_over and not some_left:
        raise NothingToDoError("nothing was made: every search was passed over, see above")
    for line in report.lines:
        print(line)
    if report.made and report.list_file is None:
        print("No list was written: which schedule the search belongs to can't be told")
    for selection in _selections(report):
        print(cli.next_launch(selection, root_dir))


def _selections(report: RetrainReport) -> list[list[str]]:
    """The options that launch what was laid: the list, when that names all of it."""
    from alfred.search.schedule_folder import listed_names

    laid = report.made + report.added_to
    if laid and report.list_file is not None and set(laid) <= listed_names(report.list_file):
        return [["--from_file", os.path.relpath(report.list_file)]]
    return [["--storage_name", name] for name in laid]


if __name__ == "__main__":
    sys.exit(main())
