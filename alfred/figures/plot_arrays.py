"""The plot arrays of a storage directory: one small plot for each run, in one figure for each definition."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alfred.defaults
from alfred import files
from alfred.analysis.gather import Search, gather
from alfred.errors import did_you_mean
from alfred.figures.array_ink import DPI, draw_array
from alfred.figures.array_plan import Definition, PlotArray, absent_metrics, definition_of, plan_arrays
from alfred.figures.saving import save_figure
from alfred.figures.sources import source
from alfred.figures.style import printed
from alfred.storage import markers

ONGOING, COMPLETED = "PLOT_ARRAYS_ONGOING", "PLOT_ARRAYS_COMPLETED"


@dataclass(frozen=True)
class PlotsMade:
    """The files of the figures made, and one sentence for each definition that no run recorded."""

    paths: tuple[Path, ...]
    absent: tuple[str, ...]


def plot_storage_dir(
    storage_dir: Path, definitions: Sequence[Definition] | None = None, *, remove_none: bool = False
) -> PlotsMade:
    """Make the plot arrays of a storage directory, by default those of `alfred.defaults`.

    `remove_none`: a line goes on over records without a value instead of stopping there. What no run
    recorded is told by name and makes no figure.

    Raises:
        StorageError: there is no such directory, or nothing tells what it is.
    """
    if definitions is None:
        definitions = [definition_of(entry) for entry in alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE]
    metrics = {metric for one in definitions for metric in (one.x_metric, one.y_metric)}
    search = gather(storage_dir, metrics, every_condition=True)
    paths: list[Path] = []
    absent: list[str] = []
    with _flagged(storage_dir):
        for definition in definitions:
            arrays = plan_arrays(search, definition, remove_none)
            if absent_metrics(arrays):
                absent.append(_absent(search, definition))
                continue
            for array in arrays:
                paths += _save(array, search, remove_none)
    return PlotsMade(tuple(paths), tuple(absent))


def _save(array: PlotArray, search: Search, remove_none: bool) -> list[Path]:
    sources: dict[str, Any] = {
        "figure": "plot array",
        "x_metric": array.definition.x_metric,
        "y_metric": array.definition.y_metric,
        "x_limits": array.definition.xlim,
        "y_limits": array.definition.ylim,
        "remove_none": remove_none,
        "n_plots": len(array.cells),
        "sources": [source(search, {})],
    }
    with printed():
        return save_figure(draw_array(array), search.storage_dir / array.stem, sources, dpi=DPI)


def _absent(search: Search, definition: Definition) -> str:
    """The metric that is not there, and what the runs recorded instead."""
    recorded: set[str] = set()
    for run in gather(search.storage_dir, every_condition=True).runs:
        recorded |= {name for tape in run.tapes for name in tape}
    missing = [name for name in (definition.x_metric, definition.y_metric) if name not in recorded]
    what = " and ".join(missing) or f"{definition.y_metric} with {definition.x_metric}"
    hint = did_you_mean(missing[0], recorded) if missing else "they have no values at the same records"
    return f"{search.name}: no run recorded {what}, so there is no plot of it: {hint}"


@contextlib.contextmanager
def _flagged(storage_dir: Path) -> Iterator[None]:
    """The flags that tell people how the plots stand; nothing is decided by them."""
    files.remove_tree(storage_dir / COMPLETED)
    with markers.ongoing(storage_dir / ONGOING):
        yield
        files.write_text(storage_dir / COMPLETED, "")
