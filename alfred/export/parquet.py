"""Tables as Parquet files, in row groups of bounded size; only this module knows pyarrow."""

from __future__ import annotations

from typing import Any

from alfred.analysis.cells import Kind
from alfred.analysis.rows import Columns, columns_of, filled, parts, published
from alfred.errors import MissingDependencyError
from alfred.export.base import Order, Outcome, mixed, whole

_GROUP = 50_000  # rows


def export(order: Order) -> Outcome:
    """Write the table, a group of rows at a time.

    UsageError if the file is there, MissingDependencyError without pyarrow.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingDependencyError("pyarrow", "parquet", "--to parquet") from None
    outcome = Outcome(order.output)
    with whole(order.output) as place:
        kinds = columns_of(order.storage_dirs, order.chosen, order.rows, order.reading)
        outcome.notes += mixed(kinds)
        schema = _schema(kinds)
        columns: Columns = {name: [] for name in kinds}
        with pyarrow.parquet.ParquetWriter(str(place), schema) as writer:
            for one in published(order.storage_dirs, order.chosen, seen=order.writing):
                outcome.count(one)
                for part in parts(one, order.rows):
                    for name, values in filled(part, kinds).items():
                        columns[name] += values
                if len(columns["seed"]) >= _GROUP:
                    outcome.rows += _flush(writer, schema, columns)
            outcome.rows += _flush(writer, schema, columns)
    return outcome


def _schema(kinds: dict[str, Kind]) -> Any:
    import pyarrow as pa

    types = {
        Kind.NOTHING: pa.null(),
        Kind.TRUTH: pa.bool_(),
        Kind.WHOLE: pa.int64(),
        Kind.LARGE: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.TEXT: pa.string(),
        Kind.MIXED: pa.string(),
    }
    return pa.schema([(name, types[kind]) for name, kind in kinds.items()])


def _flush(writer: Any, schema: Any, columns: Columns) -> int:
    """Write what was gathered as one group of rows and forget it; how many rows."""
    import pyarrow as pa

    # Half characters, as odd file names hold, are no text for Arrow.
    arrays = [pa.array(_writable(columns[field.name]), field.type) for field in schema]
    table = pa.Table.from_arrays(arrays, schema=schema)
    if table.num_rows:
        writer.write_table(table, row_group_size=table.num_rows)
    for values in columns.values():
        values.clear()
    return int(table.num_rows)


def _writable(values: list[Any]) -> list[Any]:
    return [
        value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for value in values
    ]
