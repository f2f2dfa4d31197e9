"""Runs as MLflow runs, an MLflow experiment for each storage directory; only this module knows mlflow."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import posixpath
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from alfred.analysis.cells import plain
from alfred.analysis.rows import Published, published
from alfred.errors import MissingDependencyError, PublishError
from alfred.export.base import Order, Outcome
from alfred.export.scalars import note, scalars
from alfred.storage.survey import Condition

DEFAULT_URI = "sqlite:///mlflow.db"

# What MLflow is told, unless the user has said something else.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # it waits for minutes before it says that a server is not there
    "MLFLOW_DISABLE_TELEMETRY": "true",  # who exports runs has not asked for reports about it
    "DO_NOT_TRACK": "true",
}
_BATCH = 1000  # metrics that MLflow takes in one request
_PARAMS = 100  # hyper-parameters that it takes in one
_LONGEST = 500  # letters of a hyper-parameter's value that every MLflow takes
_STATUS = {Condition.COMPLETED: "FINISHED", Condition.CRASHED: "FAILED"}
_NAME, _ATTEMPT, _WHOLE = "alfred.run", "alfred.attempt", "alfred.whole"


def export(order: Order) -> Outcome:
    """Log each run that has ended: hyper-parameters, every recorded number at its step, and tags.

    One that is there already, from the same attempt, is passed over; one of which an export that was killed
    left a part is removed and logged again. Raises MissingDependencyError without mlflow-skinny, sqlalchemy
    and alembic, PublishError if MLflow refuses something or can't be reached.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import alembic  # noqa: F401
        import sqlalchemy.exc
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        package = {"mlflow": "mlflow-skinny"}.get(str(error.name), str(error.name))
        raise MissingDependencyError(package, "mlflow", "--to mlflow") from None
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    outcome = Outcome(order.output)
    try:
        client = MlflowClient(tracking_uri=order.output)
        _log_all(client, order, outcome)
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        said = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
        raise PublishError(
            f"MLflow at {order.output} can't be written to after {outcome.runs} runs: {said}"
        ) from error
    return outcome


def _log_all(client: Any, order: Order, outcome: Outcome) -> None:
    left_out: set[str] = set()
    not_ended = there_already = 0
    infinite = False
    runs = published(order.storage_dirs, order.chosen, seen=order.writing)
    for storage_name, of_storage in itertools.groupby(runs, key=lambda one: one.storage_name):
        experiment = _experiment(client, storage_name)
        there = _there(client, experiment)
        for one in of_storage:
            if one.run.condition not in _STATUS:
                not_ended += 1
            elif (one.name, str(one.facts["attempts"])) in there:
                there_already += 1
            else:
                outcome.rows += _log(client, experiment, one, order.chosen.x_metric, left_out)
                outcome.count(one)
                infinite = infinite or _has_infinity(one)
    if there_already:
        outcome.notes.append(f"{there_already} runs were there already")
    if not_ended:
        outcome.notes.append(f"{not_ended} runs have not ended and were left out")
    if infinite:
        outcome.notes.append("MLflow's databases hold the largest float instead of infinity")
    outcome.notes += note(left_out)


def _has_infinity(one: Published) -> bool:
    values = (plain(value) for tape in one.run.tapes for column in tape.values() for value in column)
    return any(isinstance(value, float) and math.isinf(value) for value in values)


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found is not None else client.create_experiment(name))


def _there(client: Any, experiment: str) -> set[tuple[str, str]]:
    """(name, attempt) of the runs that are there whole; what is left of others is removed."""
    found, token = set(), None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        for run in page:
            tags = run.data.tags
            if _WHOLE in tags:
                found.add((tags[_NAME], tags[_ATTEMPT]))
            elif _NAME in tags:
                client.delete_run(run.info.run_id)
        token = page.token
        if not token:
            return found


def _log(client: Any, experiment: str, one: Published, x_metric: str, left_out: set[str]) -> int:
    """Log one run, whole or not at all; how many values."""
    tags = {_NAME: one.name, _ATTEMPT: str(one.facts["attempts"]), "alfred.state": one.facts["state"]}
    tags |= {f"alfred.{name}": str(one.facts[name]) for name in ("host", "problem") if one.facts[name]}
    start = _milliseconds(one.facts["start"])
    run = client.create_run(experiment, start_time=start, tags=tags, run_name=one.run.name)
    try:
        n_values = _log_values(client, run.info.run_id, one, x_metric, left_out)
        client.set_tag(run.info.run_id, _WHOLE, "yes")
        end = _milliseconds(one.facts["end"])
        client.set_terminated(run.info.run_id, status=_STATUS[one.run.condition], end_time=end)
    except BaseException:
        with contextlib.suppress(Exception):  # the error that is told is the first one
            client.delete_run(run.info.run_id)
        raise
    return n_values


def _log_values(client: Any, run_id: str, one: Published, x_metric: str, left_out: set[str]) -> int:
    from mlflow.entities import Metric

    for some in _in_batches(_params(one), _PARAMS):
        client.log_batch(run_id, params=some)
    time = _milliseconds(one.facts["start"]) or 0
    names = _Names()
    metrics = (
        Metric(names[name], value, time, step)
        for step, values in scalars(one, x_metric, left_out)
        for name, value in values.items()
    )
    n_values = 0
    for batch in _in_batches(metrics, _BATCH):
        client.log_batch(run_id, metrics=batch)
        n_values += len(batch)
    if one.facts["score"] is not None:
        client.log_batch(run_id, metrics=[Metric("alfred.score", one.facts["score"], time, 0)])
    return n_values


def _params(one: Published) -> Iterator[Any]:
    """The hyper-parameters as MLflow has them: as text, cut off after 500 letters."""
    from mlflow.entities import Param

    identity = {name: one.facts[name] for name in ("alg_name", "task_name", "experiment", "seed")}
    names = _Names()
    for name, value in (identity | one.params).items():
        yield Param(names[name], str(plain(value))[:_LONGEST])


def _in_batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(itertools.islice(items, size)):
        yield batch


class _Names(dict[str, str]):
    """Name -> the one that it has in a run of MLflow's; two never share one."""

    def __missing__(self, name: str) -> str:
        allowed, taken = _allowed(name), set(self.values())
        numbered = (f"{allowed[:240]}_{number}" for number in itertools.count(2))
        candidates = itertools.chain([allowed], numbered)
        self[name] = next(one for one in candidates if one not in taken)
        return self[name]


def _allowed(name: str) -> str:
    """A name with `_` for each letter that MLflow doesn't take in names, and for each slash where it would
    not take the name as that of a file."""
    allowed = re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:250] or "_"
    if allowed.startswith(("/", "..")) or posixpath.normpath(allowed) != allowed or allowed == ".":
        allowed = re.sub(r"^\.+", "_", allowed.replace("/", "_"))
    return allowed


def _milliseconds(stamp: Any) -> int | None:
    try:
        return int(datetime.strptime(str(stamp), "%Y-%m-%dT%H:%M:%S%z").timestamp() * 1000)
    except ValueError:
        return None
