"""Write what was recorded for other programs: the door `alfred export`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alfred import cli
from alfred.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from alfred.export.base import Outcome

# Target -> the module that writes for it.
_TARGETS = {
    "csv": "alfred.export.csv_file",
    "parquet": "alfred.export.parquet",
    "tensorboard": "alfred.export.tensorboard",
    "mlflow": "alfred.export.mlflow",
}
_TABLES = ("csv", "parquet")
_ROWS = ("runs", "steps")


def export(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    *,
    to: str,
    rows: str | None = None,
    output: str | Path | None = None,
    x_metric: str | None = None,
    performance_metric: str | None = None,
    performance_aggregation: str = "mean_on_last_20_percents",
    root_dir: str | Path | None = None,
) -> Outcome:
    """Export the runs of the storage directories of a list file, or of one; what came of it.

    `to` is "csv", "parquet", "tensorboard" or "mlflow"; `rows`, of the first two, "runs" (the default) or
    "steps". `output` is a new file or folder, for MLflow a tracking URI.

    Raises:
        UsageError: options that make no sense, or an output that exists.
        StorageError: there is no root directory, or no storage directory of this name.
        NothingToDoError: every storage directory was passed over.
        MissingDependencyError: the target's package is not installed.
        PublishError: the target does not take what it is given.
    """
    from alfred.analysis.settings import settings
    from alfred.export.base import Order
    from alfred.project import set_up
    from alfred.utils.misc import select_storage_dirs
    from alfred.utils.progress_bar import LineReporter

    if to not in _TARGETS:
        raise UsageError(f"--to {to}: {did_you_mean(to, _TARGETS)}")
    if rows is not None and to not in _TABLES:
        raise UsageError(f"--rows {rows} is for {' and '.join(_TABLES)}: {to} gets the runs with their steps")
    set_up()
    there, passed_over = cli.existing(select_storage_dirs(from_file, storage_name, root_dir))
    chosen = settings(
        x_metric=x_metric,
        performance_metric=performance_metric,
        performance_aggregation=performance_aggregation,
    )
    progress = LineReporter(lambda line: print(line, file=sys.stderr), every=2.0)
    target = importlib.import_module(_TARGETS[to])
    order = Order(
        storage_dirs=there,
        chosen=chosen,
        rows=rows or "runs",
        output=str(output) if output else _place(to, rows or "runs"),
        heard=lambda what, n: progress(n, None, what),
    )
    outcome: Outcome = target.export(order)
    outcome.passed_over = passed_over
    return outcome


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "export",
        "Write what was recorded for other programs: as one tidy table (a row for each run, or for each "
        "recorded step), as TensorBoard logs, or into MLflow. Nothing that exists is overwritten.",
        "examples, in the folder that holds main.py:\n"
        "  alfred export --from_file schedules/lr/list_searches_lr.txt --to csv\n"
        "  alfred export --storage_name Ju1_f7b375e_sgd_digits_grid_try --to parquet --rows steps\n"
        "  alfred export --from_file schedules/lr/list_searches_lr.txt --to mlflow --output http://host:5000\n\n"
        "exit status: 0 done, 1 a listed storage directory was passed over, 2 a mistake, 3 all were",
    )
    cli.add_storage_selection(options)
    options.add_argument("--to", required=True, choices=tuple(_TARGETS), help="what to write")
    options.add_argument(
        "--rows",
        choices=_ROWS,
        help="of a table: a row for each run, or for each step that it recorded (default: runs)",
    )
    options.add_argument(
        "--output",
        metavar="PLACE",
        help="the new file or folder, for MLflow a tracking URI (default: runs.csv, steps.csv, runs.parquet, "
        "steps.parquet, tensorboard/; MLFLOW_TRACKING_URI, else the file sqlite:///mlflow.db)",
    )
    options.add_argument(
        "--x_metric",
        metavar="NAME",
        help="the metric that counts the steps of TensorBoard and MLflow, where it is whole and grows "
        "(default: alfred.defaults.DEFAULT_BENCHMARK_X_METRIC); else records are counted from 0",
    )
    options.add_argument(
        "--performance_metric",
        metavar="NAME",
        help="the metric that the score is made of "
        "(default: alfred.defaults.DEFAULT_BENCHMARK_PERFORMANCE_METRIC)",
    )
    options.add_argument(
        "--performance_aggregation",
        default="mean_on_last_20_percents",
        metavar="HOW",
        help="how a run's values become its score: min, max, avg, last or mean_on_last_20_percents",
    )
    cli.add_root_dir(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    outcome = export(**vars(options))
    what = "rows" if options.to in _TABLES else "values"
    states = ", ".join(f"{n} {state.value}" for state, n in outcome.states.items())
    print(f"{outcome.where}: {outcome.runs} runs ({states or 'none'}), {outcome.rows} {what}")
    for text in outcome.notes:
        cli.notice(text)
    return cli.NOT_ALL_DONE if outcome.passed_over else cli.DONE


def _place(to: str, rows: str) -> str:
    if to == "mlflow":
        from alfred.export.mlflow import DEFAULT_URI

        return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    return f"{rows}.{to}" if to in _TABLES else to


if __name__ == "__main__":
    sys.exit(main())
