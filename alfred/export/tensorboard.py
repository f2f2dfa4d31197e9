"""Runs as TensorBoard logs, a folder for each run; only this module knows tensorboardX.

A scalar is written as a tensor of one double, as TensorBoard's own summaries are tensors: the older way to
write a scalar holds 32 bits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alfred.analysis.cells import plain
from alfred.analysis.rows import Published, published
from alfred.errors import MissingDependencyError
from alfred.export.base import Order, Outcome, whole
from alfred.export.scalars import note, scalars

_VERSION = "brain.Event:2"  # TensorBoard wants it first in a file
_EXACT = 2**53


def export(order: Order) -> Outcome:
    """Write `<output>/<storage name>/experiment<N>/seed<S>/events.out.tfevents.*` for each run that has
    recorded something.

    What is no number is left out and named in the notes; of steps see `scalars`. UsageError if the folder is
    there, MissingDependencyError without tensorboardX.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise MissingDependencyError("tensorboardX", "tensorboard", "--to tensorboard") from None
    logging.getLogger("tensorboardX").setLevel(logging.ERROR)  # it warns of a hyper-parameter that is inf
    outcome = Outcome(order.output)
    left_out: set[str] = set()
    with whole(order.output) as place:
        place.mkdir()
        for one in published(order.storage_dirs, order.chosen, seen=order.writing):
            if not one.run.tapes:
                continue
            folder = place / one.name
            folder.mkdir(parents=True)
            outcome.rows += _write(one, folder, order.chosen.x_metric, left_out)
            outcome.count(one)
    outcome.notes += note(left_out)
    return outcome


def _write(one: Published, folder: Path, x_metric: str, left_out: set[str]) -> int:
    """Write the events of a run; how many scalars."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter

    wall_time = one.start or 0.0
    n_scalars = 0
    writer = RecordWriter(str(folder / f"events.out.tfevents.{int(wall_time):010d}.alfred"))
    try:
        writer.write(Event(wall_time=wall_time, file_version=_VERSION).SerializeToString())
        for summary in _hparams(one):
            writer.write(Event(wall_time=wall_time, summary=summary).SerializeToString())
        for step, values in scalars(one, x_metric, left_out):
            summary = _summary(values)
            writer.write(Event(wall_time=wall_time, step=step, summary=summary).SerializeToString())
            n_scalars += len(values)
    finally:
        writer.close()
    return n_scalars


def _summary(values: Mapping[str, float]) -> Any:
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboardX.proto.tensor_pb2 import TensorProto
    from tensorboardX.proto.types_pb2 import DT_DOUBLE

    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    return Summary(
        value=[
            Summary.Value(tag=tag, metadata=metadata, tensor=TensorProto(dtype=DT_DOUBLE, double_val=[value]))
            for tag, value in values.items()
        ]
    )


def _hparams(one: Published) -> Iterator[Any]:
    """The hyper-parameters, for TensorBoard's table of them; what is no number or truth value is text."""
    from tensorboardX.summary import hparams

    params = {"alg_name": one.facts["alg_name"], "task_name": one.facts["task_name"], **one.params}
    params["seed"] = one.run.seed
    plains = {name: plain(value) for name, value in params.items()}
    yield from hparams({name: _hparam(value) for name, value in plains.items()}, {})


def _hparam(value: Any) -> Any:
    if isinstance(value, bool | float | str):
        return value
    return float(value) if type(value) is int and abs(value) <= _EXACT else str(value)
