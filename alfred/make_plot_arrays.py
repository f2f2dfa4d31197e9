"""Draw every run of a storage directory as a small plot: the door `alfred plot`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alfred import cli
from alfred.errors import NothingToDoError, say

if TYPE_CHECKING:
    from alfred.figures.array_plan import Definition


@dataclass
class PlotsReport:
    """The files made, the storage directories passed over, and what no run had recorded."""

    paths: list[Path] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def make_plot_arrays(
    from_file: str | Path | None = None,
    storage_name: str | None = None,
    plots_to_make: Sequence[str | Sequence[Any]] | None = None,
    remove_none: bool = False,
    root_dir: str | Path | None = None,
) -> PlotsReport:
    """Draw an array of small plots, one for each run, of the storage directories of a list file or of one.

    `plots_to_make`: texts "x_metric, y_metric, x_min, x_max, y_min, y_max", or tuples as in
    `alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE`, which is the default. A metric that no run recorded is
    told by name and the other figures are made. `remove_none`: lines go on over records without a value.

    Raises:
        UsageError: a definition that can't be read, or both or neither of the first two.
        StorageError: there is no root directory, or no storage directory of this name.
        NothingToDoError: no figure could be made.
    """
    from alfred.figures.plot_arrays import plot_storage_dir
    from alfred.project import set_up
    from alfred.utils.misc import select_storage_dirs

    set_up()
    definitions = _definitions(plots_to_make)
    there, missing = cli.existing(select_storage_dirs(from_file, storage_name, root_dir))
    report = PlotsReport(passed_over=missing)
    for storage_dir in there:
        made = plot_storage_dir(storage_dir, definitions, remove_none=remove_none)
        report.paths += made.paths
        report.absent += made.absent
        for sentence in made.absent:
            say(sentence)
    if not report.paths:
        raise NothingToDoError("no plot was made: there was nothing to plot, as told above")
    return report


def parser() -> cli.Parser:
    """The options of the command."""
    options = cli.new_parser(
        "plot",
        "Draw every run of a storage directory as a small plot, all in one figure: what a run recorded, or "
        "that it waits, runs, has crashed or did not record it. In a grid search the most varied parameter "
        "goes along one side of the figure; else there is a row for each experiment, a column for each seed.",
        "examples, in the folder that holds main.py:\n"
        "  alfred plot --from_file schedules/lr/list_searches_lr.txt\n"
        "  alfred plot --storage_name Ju1_f7b375e_sgd_digits_grid_try \\\n"
        '      --plots_to_make "epoch, eval_return, None, None, 0, 1" "epoch, loss, 0, 50, None, None"\n\n'
        "exit status: 0 all done, 1 a storage directory was passed over or no run recorded a metric that\n"
        "was asked for, 2 a mistake, 3 nothing could be plotted",
    )
    cli.add_storage_selection(options)
    options.add_argument(
        "--plots_to_make",
        nargs="+",
        metavar="'X, Y, X_MIN, X_MAX, Y_MIN, Y_MAX'",
        help="what to plot over what, within which limits, None for no limit; one figure for each "
        "(default: alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE)",
    )
    cli.add_boolean(
        options,
        "--remove_none",
        default=False,
        help="join what was recorded by a line although there are records without a value in between",
    )
    cli.add_root_dir(options)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    return cli.run(_door, parser(), argv)


def _door(options: argparse.Namespace) -> int:
    report = make_plot_arrays(**vars(options))
    for path in report.paths:
        if path.suffix == ".png":
            print(path)
    # The defaults name what most projects record; only what was asked for is missed.
    is_missed = bool(report.absent) and options.plots_to_make is not None
    return cli.NOT_ALL_DONE if report.passed_over or is_missed else cli.DONE


def _definitions(plots_to_make: Sequence[str | Sequence[Any]] | None) -> list[Definition]:
    import alfred.defaults
    from alfred.figures.array_plan import definition_of, parse_definition

    if plots_to_make is None:
        plots_to_make = alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE
    return [parse_definition(one) if isinstance(one, str) else definition_of(one) for one in plots_to_make]


if __name__ == "__main__":
    sys.exit(main())
