"""The runs of storage directories, and what they recorded, as pandas data frames."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alfred.analysis.cells import Kind
from alfred.analysis.rows import columns_of, filled, parts, published
from alfred.analysis.settings import Settings, settings
from alfred.errors import MissingDependencyError, StorageError

if TYPE_CHECKING:
    import pandas as pd

# Of these a missing value stays one, and a whole number that has one beside it stays whole.
_TYPES = {Kind.TRUTH: "boolean", Kind.WHOLE: "Int64", Kind.LARGE: "Int64", Kind.NUMBER: "float64"}


def runs_frame(storage_dirs: Iterable[str | Path], chosen: Settings | None = None) -> pd.DataFrame:
    """One row for each run: who it is, every hyper-parameter, state, score, times, host, attempts.

    `chosen` says what the score is; default: `alfred.analysis.settings.settings()`.
    MissingDependencyError without pandas; StorageError for a directory that is not there.
    """
    return _frame(storage_dirs, chosen, "runs")


def steps_frame(storage_dirs: Iterable[str | Path]) -> pd.DataFrame:
    """One row for each step that a run recorded: who it is, which recorder, index, every metric.

    Values that are no single number or text stand as JSON text. Raises as `runs_frame`.
    """
    return _frame(storage_dirs, None, "steps")


def _frame(storage_dirs: Iterable[str | Path], chosen: Settings | None, rows: str) -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise MissingDependencyError("pandas", "pandas", f"{rows}_frame()") from None
    there = [Path(path) for path in storage_dirs]
    for path in there:
        if not path.is_dir():
            raise StorageError(f"{path} does not exist")
    chosen = chosen or settings()
    kinds = columns_of(there, chosen, rows)
    columns: dict[str, list[Any]] = {name: [] for name in kinds}
    for one in published(there, chosen):
        for part in parts(one, rows):
            for name, values in filled(part, kinds).items():
                columns[name] += values
    return pd.DataFrame(
        {name: pd.Series(values, dtype=_TYPES.get(kinds[name], "object")) for name, values in columns.items()}
    )
