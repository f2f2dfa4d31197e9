"""Summarize searches and compare them, or compare the models retrained from them: `alfred benchmark`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from alfred import cli
from alfred.errors import NothingToDoError, UsageError

if TYPE_CHECKING:
    from alfred.analysis.gather import Search
    from alfred.analysis.scores import SearchScores
    from alfred.analysis.settings import Settings
    from alfred.figures.models import Model
    from alfred.figures.summary import Evaluations
    from alfred.figures.tables import Table
    from alfred.figures.visuals import Visuals

    _Known: TypeAlias = dict[Path, tuple[Search, SearchScores]]

Scale = str | Mapping[str, tuple[float, float]]  # how scores of several tasks are brought to one scale
TYPES = ("compare_models", "compare_searches")


@dataclass
class BenchmarkReport:
    """The files made, what was passed over with the reason, how many runs evaluate() failed for, tables of
    numbers and what they say."""

    paths: list[Path] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    failed_evaluations: int = 0


@dataclass(frozen=True)
class _Compared:
    """The storage directories that have something to compare."""

    searches: list[Search]
    scores: list[SearchScores]


def benchmark(
    benchmark_type: str,
    from_file: str | Path | None = None,
    storage_names: Sequence[str] | None = None,
    *,
    normalization: str = "min-max",
    re_run_if_exists: bool = False,
    root_dir: str | Path | None = None,
    log_level: int = logging.INFO,
    **wanted_settings: Any,
) -> BenchmarkReport:
    """Draw the figures that compare searches or models, and summaries where they are missing.

    `normalization` of scores across tasks: "min-max", "none", or a JSON file {task: [low, high]}. All other
    options (`x_metric`, `performance_metric`, ...) are those of `alfred.analysis.settings.settings`.
    Above `log_level` INFO the progress of evaluations is not told.

    Raises:
        UsageError: unknown words, or a summary that was made with other settings.
        NothingToDoError: no run has completed in any of the storage directories.
    """
    from alfred.analysis.normalization import read_normalization
    from alfred.analysis.settings import settings
    from alfred.figures.searches import draw_compare_searches
    from alfred.figures.visuals import load_visuals
    from alfred.project import set_up
    from alfred.search.schedule_folder import schedule_folder_of
    from alfred.utils.directory_tree import get_root

    if benchmark_type not in TYPES:
        raise UsageError(f"--benchmark_type {benchmark_type}: it is one of {' and '.join(TYPES)}")
    set_up()
    wanted = settings(**wanted_settings)
    scale = read_normalization(normalization)
    root = get_root(root_dir)
    report = BenchmarkReport()
    there, missing = cli.existing(_storage_dirs(from_file, storage_names, root))
    report.passed_over += missing
    folder = Path(from_file).absolute().parent if from_file else schedule_folder_of(there[0])
    visuals = load_visuals(folder)
    evaluate = _Evaluator(root, wanted.n_eval_runs, re_run_if_exists, log_level)
    known: _Known = {}
    if benchmark_type == "compare_searches":
        known = _summarize(there, wanted, re_run_if_exists, evaluate, report)
    compared = _gather(there, wanted, evaluate, known, report)
    report.failed_evaluations = evaluate.failed
    if benchmark_type == "compare_searches":
        report.paths += draw_compare_searches(compared.searches, compared.scores, wanted, visuals)
    else:
        _compare_models(compared, wanted, scale, visuals, report)
    return report


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "benchmark",
        "Compare searches (how the scores of their experiments are distributed, and what a smaller budget "
        "would have found), or compare models (learning curves, final performance with intervals, tests, "
        "aggregates across tasks, and how much of a search's best score was luck). Summaries of searches are "
        "made where they are missing.",
        "examples, in the folder that holds main.py:\n"
        "  alfred benchmark --benchmark_type compare_searches --from_file schedules/lr/list_searches_lr.txt\n"
        "  alfred benchmark --benchmark_type compare_models --from_file schedules/lr/list_retrains_lr.txt\n"
        "  alfred benchmark --benchmark_type compare_models --storage_names Ju7_... Ju8_... \\\n"
        "      --performance_metric evaluation_runs --n_eval_runs 100",
    )
    options.add_argument("--benchmark_type", required=True, choices=TYPES, help="what to compare")
    which = options.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--from_file", metavar="LIST.txt", help="compare the storage directories listed in this file"
    )
    which.add_argument("--storage_names", nargs="+", metavar="NAME", help="compare these")
    _add_settings(options)
    cli.add_boolean(
        options,
        "--re_run_if_exists",
        default=False,
        help="make summaries and evaluations anew; an old summary is replaced when the new one is complete",
    )
    cli.add_root_dir(options)
    cli.add_log_level(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = benchmark(**vars(options))
    _tell_figures(report.paths)
    if report.tables:
        from alfred.figures.tables import print_table

        for table in report.tables:
            print_table(table)
    for line in report.lines:
        print(line)
    return cli.NOT_ALL_DONE if report.passed_over or report.failed_evaluations else cli.DONE


def _tell_figures(paths: Sequence[Path]) -> None:
    """A line for each figure: the same one lies in `benchmark/` of every storage directory compared."""
    figures: dict[str, list[Path]] = {}
    for path in paths:
        if path.suffix == ".png":
            figures.setdefault(path.stem, []).append(path)
    for copies in figures.values():
        others = f", and the same in {len(copies) - 1} more of the directories compared" if copies[1:] else ""
        print(f"made {copies[0]} and .pdf{others}")


def _add_settings(options: argparse.ArgumentParser) -> None:
    group = options.add_argument_group("what to look at, and how")
    default = "default: alfred.defaults.DEFAULT_BENCHMARK_"
    group.add_argument("--x_metric", metavar="NAME", help=f"of learning curves ({default}X_METRIC)")
    group.add_argument("--y_metric", metavar="NAME", help=f"of learning curves ({default}Y_METRIC)")
    group.add_argument(
        "--y_error_bars",
        metavar="METHOD",
        default="student_t",
        help="student_t: 95 %% interval of the mean; bootstrapped_CI: the same by percentile bootstrap, "
        "narrower than it says below 10 seeds; stderr: standard error; 10th_quantile: from the 10th to the "
        "90th percentile of the runs; None: every run",
    )
    group.add_argument(
        "--performance_metric",
        metavar="NAME",
        help="what the score of a run is made of, or evaluation_runs: the mean of what evaluate() of "
        f"evaluate.py returns ({default}PERFORMANCE_METRIC)",
    )
    group.add_argument(
        "--performance_aggregation",
        metavar="HOW",
        default="mean_on_last_20_percents",
        help="how the values of a run become its score: min, max, avg, last or mean_on_last_20_percents",
    )
    group.add_argument(
        "--performance_goal", metavar="GOAL", help=f"max or min: which is better ({default}PERFORMANCE_GOAL)"
    )
    group.add_argument(
        "--n_eval_runs", type=cli.whole_number, default=100, help="episodes of evaluate() for each run"
    )
    group.add_argument(
        "--normalization",
        default="min-max",
        metavar="HOW|FILE.json",
        help="of scores across tasks: min-max over all runs compared, none, or reference scores from a file "
        "{task: [low, high]}",
    )


def _storage_dirs(
    from_file: str | Path | None, storage_names: Sequence[str] | None, root: Path
) -> list[Path]:
    from alfred.utils.misc import select_storage_dirs

    if from_file is not None and storage_names:
        raise UsageError("give one and only one of --from_file and --storage_names: both were given")
    if from_file is not None or not storage_names:
        return select_storage_dirs(from_file, None, root)
    return [path for name in dict.fromkeys(storage_names) for path in select_storage_dirs(None, name, root)]


class _Evaluator:
    """Scores from the project's evaluate(), with progress told on the terminal."""

    def __init__(self, root: Path, n_episodes: int, again: bool, log_level: int) -> None:
        self._is_told = log_level <= logging.INFO
        self._root, self._n_episodes, self._again = root.absolute(), n_episodes, again
        self._found: dict[Path, Sequence[float] | str] = {}
        self._told = time.monotonic()

    def __call__(self, seed_dirs: Sequence[Path]) -> Evaluations:
        """The scores of each run, or why it has none; none is evaluated twice."""
        from alfred.launchers.evaluation import evaluate_runs

        new = [path for path in seed_dirs if path not in self._found]
        made = evaluate_runs(new, self._root, self._n_episodes, again=self._again, progress=self._tell)
        self._found.update({path: one.outcome for path, one in made.items()})
        return {path: self._found[path] for path in seed_dirs}

    @property
    def failed(self) -> int:
        """How many runs have no score because of what evaluate() did."""
        return sum(isinstance(scores, str) for scores in self._found.values())

    def _tell(self, done: int, total: int) -> None:
        if self._is_told and (time.monotonic() - self._told > 2 or done == total):
            self._told = time.monotonic()
            print(f"evaluated {done} of {total} runs", file=sys.stderr, flush=True)


def _summarize(
    storage_dirs: Sequence[Path],
    wanted: Settings,
    again: bool,
    evaluate: _Evaluator,
    report: BenchmarkReport,
) -> _Known:
    """Make the summaries that are missing, and what they were made of; one made with other settings stops
    everything."""
    from alfred.figures.summary import summarize_search

    known: _Known = {}
    for storage_dir in storage_dirs:
        with contextlib.suppress(NothingToDoError):  # told when its runs are gathered
            made = summarize_search(storage_dir, wanted, re_run_if_exists=again, evaluate=evaluate)
            if made.made_of:
                known[storage_dir] = made.made_of
                report.lines.append(f"made {made.folder}" + (f": {made.note}" if made.note else ""))
    return known


def _gather(
    storage_dirs: Sequence[Path],
    wanted: Settings,
    evaluate: _Evaluator,
    known: _Known,
    report: BenchmarkReport,
) -> _Compared:
    """The runs and scores of the storage directories in which a run has completed; the others are named."""
    from alfred.analysis.gather import gather
    from alfred.figures.summary import scores_of, without_score
    from alfred.storage.survey import Condition

    compared = _Compared([], [])
    for storage_dir in storage_dirs:
        if storage_dir in known:
            search, scores = known[storage_dir]
        else:
            search = gather(storage_dir, {wanted.x_metric, wanted.y_metric, wanted.metric})
            if not search.conditions()[Condition.COMPLETED]:
                report.passed_over.append(f"{storage_dir} has no completed run")
                cli.notice(f"{storage_dir} has no completed run: passed over")
                continue
            scores = scores_of(search, wanted, evaluate)
        compared.searches.append(search)
        compared.scores.append(scores)
        for line in without_score(scores):
            cli.notice(f"{search.name}, without a score, {line}")
    if not compared.searches:
        raise NothingToDoError("there is nothing to compare: no run has completed in what was asked for")
    return compared


def _compare_models(
    compared: _Compared, wanted: Settings, scale: Scale, visuals: Visuals, report: BenchmarkReport
) -> None:
    from alfred.analysis.luck import gap_to_search
    from alfred.figures.models import Model, draw_compare_models

    models = [
        Model(search, scores, gap_to_search(search, scores, wanted))
        for search, scores in zip(compared.searches, compared.scores, strict=True)
    ]
    report.paths += draw_compare_models(models, wanted, visuals)
    algorithms, tasks = ({getattr(one.search, name) for one in models} for name in ("alg_name", "task_name"))
    if len(models) > 1 and (len(algorithms) > 1 or len(tasks) > 1):
        _compare_across_tasks(models, wanted, scale, visuals, report)


def _compare_across_tasks(
    models: Sequence[Model],
    wanted: Settings,
    scale: Scale,
    visuals: Visuals,
    report: BenchmarkReport,
) -> None:
    from alfred.analysis.across_tasks import by_algorithm, compare_across_tasks
    from alfred.analysis.intervals import SEED
    from alfred.figures.across_tasks import save_across_tasks
    from alfred.figures.models import caution
    from alfred.figures.names import in_order, names_of
    from alfred.figures.sources import source, unscored
    from alfred.figures.tables import comparison_rows

    names = names_of([model.search for model in models])
    found = by_algorithm(
        (str(name), model.search.task_name, model.run_scores)
        for name, model in zip(names, models, strict=True)
    )
    result = compare_across_tasks(
        found.scores,
        scale,
        wanted.goal,
        interval=wanted.interval,
        left_out=found.left_out,
        caution=caution(models),
    )
    sources = {
        "settings": wanted.as_record(),
        "seed": SEED,
        "sources": [source(model.search, unscored(model.scores), model.scores.best) for model in models],
    }
    folders = [model.search.storage_dir / "benchmark" for model in models]
    report.paths += save_across_tasks(result, folders, sources, visuals, in_order(names))
    report.tables += comparison_rows(result)
    report.lines.append(result.sentence)


if __name__ == "__main__":
    sys.exit(main())
