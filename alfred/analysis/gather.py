"""The runs of a storage directory, each with its state, its configuration and what it recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alfred.analysis.tapes import Floats, Series, Tape, pairs, recorded
from alfred.errors import RecorderError, StorageError
from alfred.storage.attempts import read_record
from alfred.storage.metadata import read_metadata
from alfred.storage.owners import this_process
from alfred.storage.survey import Condition, Judge, survey
from alfred.utils.recorder import Recorder

__all__ = ["Run", "Search", "Series", "each_run", "gather", "series", "values", "why_absent"]

_FIRST = "train_recorder.pkl"


@dataclass(frozen=True)
class Run:
    """One run as the analysis sees it.

    `tapes` are those of its `recorders`, train_recorder first; a record pairs only metrics of one tape.
    `config` and `unique` are {} where they can't be read. `problem` says why its recorders can't be used:
    a file is cut short, or there is none although the run completed.
    """

    seed_dir: Path
    experiment: int
    seed: int
    condition: Condition
    config: Mapping[str, Any]
    unique: Mapping[str, Any]
    tapes: tuple[Tape, ...] = ()
    problem: str = ""
    recorders: tuple[str, ...] = ()

    @property
    def tape(self) -> Tape:
        """Every metric, from the first recorder that has it."""
        return {name: column for tape in reversed(self.tapes) for name, column in tape.items()}

    @property
    def name(self) -> str:
        """`experiment3/seed123`."""
        return f"experiment{self.experiment}/seed{self.seed}"


@dataclass(frozen=True)
class Search:
    """One storage directory: one algorithm on one task; `kind` is "grid", "random" or "".

    `runs` stand by experiment, then by seed.
    """

    storage_dir: Path
    name: str
    alg_name: str
    task_name: str
    desc: str
    kind: str
    runs: tuple[Run, ...]

    def conditions(self) -> Counter[Condition]:
        """How many runs are in each condition."""
        return Counter(run.condition for run in self.runs)

    @property
    def experiments(self) -> list[int]:
        """The numbers of its experiments, in order."""
        return sorted({run.experiment for run in self.runs})

    def of_experiment(self, experiment: int) -> tuple[Run, ...]:
        """The runs of one experiment, by seed."""
        return tuple(run for run in self.runs if run.experiment == experiment)


def gather(
    storage_dir: Path, metrics: Iterable[str] | None = None, *, every_condition: bool = False
) -> Search:
    """The runs of a storage directory, with the tapes of those that have COMPLETED.

    `metrics` are those to keep of the tapes, None for all; `every_condition` reads what the other runs have
    recorded so far, too. Algorithm, task and description come from the metadata or a config.json, from the
    name only as the last resort. What is wrong with one run stands in its `problem` and spoils no other.

    Raises:
        StorageError: there is no such directory, or nothing tells what it is.
    """
    storage_dir = Path(storage_dir)
    if not storage_dir.is_dir():
        raise StorageError(f"{storage_dir} does not exist")
    metadata = read_metadata(storage_dir)
    runs = each_run(storage_dir, metrics, every_condition=every_condition)
    return Search(
        storage_dir=storage_dir,
        name=storage_dir.name,
        alg_name=metadata.alg_name,
        task_name=metadata.task_name,
        desc=metadata.desc,
        kind=metadata.kind,
        runs=tuple(runs),
    )


def each_run(
    storage_dir: Path,
    metrics: Iterable[str] | None = None,
    *,
    every_condition: bool = False,
    with_tapes: bool = True,
) -> Iterator[Run]:
    """The runs of `gather`, one after the other, so that no more than one need be held in memory.

    Without `with_tapes` no recorder is read: what is known of a run then is its state and configuration.
    """
    wanted = None if metrics is None else frozenset(metrics)
    judge = Judge(storage_dir, this_process())
    for found in survey(storage_dir):
        seed_dir, condition = Path(found.seed_dir), judge.condition(found)
        tapes: dict[str, Tape] = {}
        problem = found.conflict
        if with_tapes and (every_condition or condition is Condition.COMPLETED):
            tapes, problem = _read_tapes(seed_dir / "recorders", wanted)
            problem = problem or found.conflict
            if not tapes and not problem and condition is Condition.COMPLETED:
                problem = f"no recorder file in {seed_dir / 'recorders'}"
        config, unique = (read_record(seed_dir / name) for name in ("config.json", "config_unique.json"))
        yield Run(
            seed_dir,
            found.experiment,
            found.seed,
            condition,
            config,
            unique,
            tuple(tapes.values()),
            problem,
            tuple(tapes),
        )


def series(run: Run, x_metric: str, y_metric: str) -> Series | None:
    """What the run recorded of `y_metric` over `x_metric`, from the first tape that has records of both.

    None where there is no such record; ValueError where a value is no single number.
    """
    found = (pairs(tape, x_metric, y_metric) for tape in run.tapes)
    return next((pair for pair in found if pair is not None), None)


def values(run: Run, metric: str) -> Floats:
    """(n,) what the run recorded of a metric, without None, from the first tape that has any; n may be 0.

    ValueError where a value is no single number.
    """
    found = (recorded(tape, metric) for tape in run.tapes)
    return next((numbers for numbers in found if len(numbers)), recorded({}, metric))


def why_absent(run: Run, *metrics: str) -> str:
    """Why a run has nothing to show of these metrics together, "" if it has: its state, a broken file, ..."""
    if run.condition is not Condition.COMPLETED and not run.tapes:
        return str(run.condition.value)
    try:
        absent = [metric for metric in metrics if not len(values(run, metric))]
        is_there = not absent and (len(metrics) < 2 or series(run, metrics[0], metrics[1]) is not None)
    except ValueError as error:
        return f"{' or '.join(metrics)} is no list of numbers: {error}"
    if is_there:
        return ""
    if run.problem:
        return run.problem
    return f"no {' and no '.join(absent)} recorded" if absent else f"no {' with '.join(metrics)} recorded"


def _read_tapes(recorders: Path, wanted: frozenset[str] | None) -> tuple[dict[str, Tape], str]:
    """The tapes of a run by the names of their recorders, as far as they are needed for the metrics wanted,
    and what is wrong with one."""
    tapes: dict[str, Tape] = {}
    problem = ""
    paths = sorted(recorders.glob("*.pkl"), key=lambda path: (path.name != _FIRST, path.name))
    for path in paths:
        try:
            tape = Recorder.init_from_pickle_file(path).tape
        except RecorderError as error:
            problem = problem or str(error)
            continue
        kept = tape if wanted is None else {name: tape[name] for name in tape if name in wanted}
        tapes[path.stem] = kept
        if wanted is not None and wanted <= tape.keys():
            break
    return tapes, problem
