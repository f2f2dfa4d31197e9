"""Runs as rows of tidy tables: one row for each run, or one for each step that it recorded."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alfred.analysis.cells import Kind, both, cells, kind_of, plain
from alfred.analysis.gather import Run, each_run
from alfred.analysis.scores import score_run
from alfred.analysis.settings import EVALUATION_RUNS, Settings
from alfred.errors import StorageError, UsageError
from alfred.storage.attempts import read_attempts, read_run
from alfred.storage.metadata import read_metadata
from alfred.storage.survey import Condition

Columns = dict[str, list[Any]]
Progress = Callable[[int], object]
ROWS = ("runs", "steps")

_IDENTITY = {
    "storage_name": Kind.TEXT,
    "alg_name": Kind.TEXT,
    "task_name": Kind.TEXT,
    "experiment": Kind.WHOLE,
    "seed": Kind.WHOLE,
}
_ENDING = {
    "state": Kind.TEXT,
    "score": Kind.NUMBER,
    "seconds": Kind.NUMBER,
    "host": Kind.TEXT,
    "attempts": Kind.WHOLE,
    "start": Kind.TEXT,
    "end": Kind.TEXT,
    "problem": Kind.TEXT,
}
_STEP = {
    "storage_name": Kind.TEXT,
    "experiment": Kind.WHOLE,
    "seed": Kind.WHOLE,
    "recorder": Kind.TEXT,
    "index": Kind.WHOLE,
}


@dataclass(frozen=True)
class Published:
    """One run with everything that a table or a service is told of it.

    `facts` are the columns of a table of runs: who it is, its hyper-parameters, how it ended. `params` are
    the hyper-parameters alone, under their own names. `start` is in seconds since 1970, None: not known.
    """

    storage_name: str
    run: Run
    facts: dict[str, Any]
    params: dict[str, Any]
    start: float | None

    @property
    def name(self) -> str:
        """`<storage name>/experiment3/seed123`."""
        return f"{self.storage_name}/{self.run.name}"


def published(
    storage_dirs: Iterable[Path],
    chosen: Settings,
    *,
    with_tapes: bool = True,
    seen: Progress = lambda n: None,
) -> Iterator[Published]:
    """Every run of the storage directories, one after the other, with what it has recorded so far.

    `seen(n)` is called with the number of runs so far. Only a COMPLETED run has a score.
    UsageError if the score is what evaluate() returns: that is not among what was recorded.
    """
    if chosen.metric == EVALUATION_RUNS:
        raise UsageError(
            f"the scores here are of what was recorded, not {EVALUATION_RUNS}: give --performance_metric NAME"
        )
    number = 0
    for storage_dir in storage_dirs:
        fields = read_metadata(storage_dir)
        for run in each_run(storage_dir, every_condition=True, with_tapes=with_tapes):
            number += 1
            yield _published(storage_dir.name, fields.alg_name, fields.task_name, run, chosen)
            seen(number)


def columns_of(
    storage_dirs: Sequence[Path], chosen: Settings, rows: str, seen: Progress = lambda n: None
) -> dict[str, Kind]:
    """The columns of a table of "runs" or "steps" and what each holds, from one look at every run."""
    last = _ENDING if rows == "runs" else {}
    kinds = _IDENTITY | last if rows == "runs" else dict(_STEP)
    for one in published(storage_dirs, chosen, with_tapes=rows == "steps", seen=seen):
        for part in parts(one, rows):
            for name, values in part.items():
                kinds[name] = both(kinds.get(name, Kind.NOTHING), kind_of(values))
    return {name: kinds[name] for name in (*(n for n in kinds if n not in last), *last)}


def parts(one: Published, rows: str) -> Iterator[Columns]:
    """What a run adds to a table, in columns of plain values of one length: the one row that it is, or the
    steps of each of its recorders."""
    if rows == "runs":
        yield {name: [plain(value)] for name, value in one.facts.items()}
        return
    for recorder, tape in zip(one.run.recorders, one.run.tapes, strict=True):
        n_steps = max(map(len, tape.values()), default=0)
        fixed = (one.storage_name, one.run.experiment, one.run.seed, recorder)
        columns: Columns = {name: [value] * n_steps for name, value in zip(_STEP, fixed, strict=False)}
        columns["index"] = list(range(n_steps))
        for metric, values in tape.items():
            column = [plain(value) for value in values]
            columns[_free(metric, _STEP, "metric")] = column + [None] * (n_steps - len(column))
        yield columns


def filled(part: Columns, kinds: dict[str, Kind]) -> dict[str, Sequence[Any]]:
    """`part` with every column of the table, each cell as its column has it.

    StorageError if a column can't hold them: a run at work has recorded other kinds of values since
    `columns_of` looked.
    """
    for name, values in part.items():
        known = kinds.get(name, Kind.NOTHING)
        if both(known, kind_of(values)) is not known:
            run = f"{part['storage_name'][0]}/experiment{part['experiment'][0]}/seed{part['seed'][0]}"
            raise StorageError(f"{run} began to hold another kind of {name} meanwhile: call this again")
    n_rows = max(map(len, part.values()), default=0)
    nothing = [None] * n_rows
    return {name: cells(part[name], kind) if name in part else nothing for name, kind in kinds.items()}


def steps_of(tape: Mapping[str, list[Any]], x_metric: str) -> list[int]:
    """The step of each record: the x metric where it is a whole number that grows from record to record,
    else the record's place, from 0."""
    n_steps = max(map(len, tape.values()), default=0)
    found = [plain(value) for value in tape.get(x_metric, [])]
    wholes = [int(value) for value in found if _is_whole(value)]
    grows = all(one < other for one, other in itertools.pairwise(wholes))
    return wholes if len(wholes) == n_steps and grows else list(range(n_steps))


def _published(storage_name: str, alg_name: str, task_name: str, run: Run, chosen: Settings) -> Published:
    from datetime import datetime

    note = read_run(run.seed_dir)
    identity = (storage_name, alg_name, task_name, run.experiment, run.seed)
    facts: dict[str, Any] = dict(zip(_IDENTITY, identity, strict=True))
    params = {name: value for name, value in run.config.items() if name not in _IDENTITY}
    facts |= {_free(name, _IDENTITY | _ENDING, "config"): value for name, value in params.items()}
    scored = score_run(run, chosen.metric, chosen.aggregation) if run.tapes else None
    why = scored.why if scored and run.condition is Condition.COMPLETED else ""
    ending = (
        run.condition.value,
        None if scored is None or math.isnan(scored.score) else scored.score,
        note.get("seconds"),
        note.get("host"),
        read_attempts(run.seed_dir).attempt or None,
        note.get("start"),
        note.get("end"),
        run.problem or why or None,
    )
    facts |= dict(zip(_ENDING, ending, strict=True))
    try:
        start = datetime.strptime(str(note.get("start")), "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except ValueError:
        start = None
    return Published(storage_name, run, facts, params, start)


def _free(name: str, taken: Container[str], prefix: str) -> str:
    return f"{prefix}.{name}" if name in taken else name


def _is_whole(value: Any) -> bool:
    if type(value) is float:
        return value.is_integer() and abs(value) < 2**53
    return type(value) is int and abs(value) < 2**63
