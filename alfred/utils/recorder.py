"""What a run records: named lists of values, and an iterator that says when it is time to look at them."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from alfred.errors import OvertakenError, RecorderError, did_you_mean
from alfred.utils import tape_file
from alfred.utils.tape_columns import Column

__all__ = ["Recorder", "TrainingIterator", "remove_nones"]

# The launcher sets this in a run's process: False once the run was taken over by another process.
may_publish: Callable[[], bool] | None = None


class Recorder:
    """A tape: for every metric a list, all of one length, None where a metric had no new value.

    `metrics_to_record` is any iterable of names; those of a set are put in order, so that the same
    run gives the same file.
    """

    _tape: dict[str, list[Any]]

    def __init__(self, metrics_to_record: Iterable[str]) -> None:
        if isinstance(metrics_to_record, str):
            raise RecorderError(f"Recorder takes a list of names: [{metrics_to_record!r}]")
        if isinstance(metrics_to_record, set | frozenset):
            metrics_to_record = sorted(metrics_to_record)
        self._take({name: [] for name in metrics_to_record})

    @property
    def tape(self) -> dict[str, list[Any]]:
        """The lists by name, which may be read and changed."""
        self._was_handed_out = True
        return self._tape

    @tape.setter
    def tape(self, tape: dict[str, list[Any]]) -> None:
        self._was_handed_out = True
        self._tape = tape

    def write_to_tape(self, new_values_dict: Mapping[str, Any]) -> None:
        """Add a value to every metric: a copy of the one given, or None.

        RecorderError for a metric that the recorder does not have; then nothing is written.
        """
        for name in new_values_dict:
            if name not in self._tape:
                raise RecorderError(f"no metric is called {name!r}: {did_you_mean(str(name), self._tape)}")
        for name, values in self._tape.items():
            values.append(_copied(new_values_dict.get(name)))

    def save(self, filename: str | Path) -> None:
        """Make the file hold the tape, whole or not at all; its folder is made if need be.

        A large file is not written again for each new row: rows are added to its end. Once they take as much
        room as what stands before them, or the run ends, it becomes a plain pickle again (`fold_files`).

        OvertakenError if another process has taken over this run, RecorderError if a value can't be
        pickled or the file can't be written.
        """
        path = Path(filename)
        self._file.save(
            path, self._tape, was_handed_out=self._was_handed_out, before_writing=lambda: _refuse_late(path)
        )
        _fold_at_exit()

    @classmethod
    def init_from_pickle_file(cls, filename: str | Path, *, trusted: bool = False) -> Recorder:
        """The recorder whose tape stands in a file.

        Only plain data and numpy arrays are read; RecorderError for a file that asks for anything else, is
        damaged or holds no tape. `trusted=True` loads any pickle, and so runs whatever the file says.
        """
        tape = tape_file.read(Path(filename), trusted=trusted)
        instance = cls(tape)
        instance._take(tape)
        return instance

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle of the recorder itself takes along: the tape."""
        return {"tape": self._tape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._take(state["tape"])

    def _take(self, tape: dict[str, list[Any]]) -> None:
        self._tape = {
            name: Column(values) if isinstance(values, list) else values for name, values in tape.items()
        }
        self._was_handed_out = False
        self._file = tape_file.TapeFile()


def fold_files() -> None:
    """Make plain pickles of the files that `save` has added rows to: what a run does at its end.

    RecorderError if one can't be written; its rows are in it still. Files of a run that another process has
    taken over are left alone.
    """
    with contextlib.suppress(OvertakenError):
        tape_file.fold_all(_refuse_late)


def _refuse_late(path: Path) -> None:
    if may_publish is not None and not may_publish():
        raise OvertakenError(f"{path} was not saved: another process has taken over this run")


_folds_at_exit = 0


def _fold_at_exit() -> None:
    """See to it for this process, of which a fork is another: a script that runs alone, a crash."""
    global _folds_at_exit
    if _folds_at_exit != os.getpid():
        _folds_at_exit = os.getpid()
        atexit.register(fold_files)


class TrainingIterator:
    """Counts iterations, gathers values, and beats every so many iterations or seconds.

    A beat falls on every iteration whose number is a multiple of `heartbeat_ite` (0 is one), on the first
    one more than `heartbeat_time` seconds after the last beat, and on the last iteration.
    """

    def __init__(
        self,
        max_itr: int,
        heartbeat_ite: float = float("inf"),
        heartbeat_time: float = float("inf"),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not heartbeat_ite > 0:
            raise ValueError(f"heartbeat_ite must be greater than 0, not {heartbeat_ite}")
        self.max_itr = max_itr
        self.heartbeat_ite = heartbeat_ite
        self.heartbeat_time = heartbeat_time
        self._clock = clock
        self._last_beat = clock()
        self._elapsed = 0.0
        self._itr = 0
        self._heartbeat = False
        self._values: dict[str, list[Any]] = {}

    def __iter__(self) -> Iterator[TrainingIterator]:
        """Yields the iterator itself, once per iteration."""
        self._last_beat = self._clock()
        self._heartbeat = False
        for itr in range(self.max_itr):
            self._itr = itr
            self._beat_if_due(is_last=self._itr == self.max_itr - 1)
            yield self
            self._heartbeat = False

    @property
    def itr(self) -> int:
        """The number of the present iteration, from 0."""
        return self._itr

    @property
    def heartbeat(self) -> bool:
        """True the first time it is read after a beat, False until the next."""
        beat, self._heartbeat = self._heartbeat, False
        return beat

    @property
    def elapsed(self) -> float:
        """Seconds between the last beat and the one before it, or the start."""
        return self._elapsed

    def itr_message(self) -> str:
        """The iteration, from 1, and the seconds that the last beat took."""
        return f"==> Itr {self.itr + 1}/{self.max_itr} (elapsed:{self.elapsed:.2f})"

    def record(self, key: str, value: Any) -> None:
        """Keep a value under `key`, after those that are there."""
        self._values.setdefault(key, []).append(value)

    def update(self, dict: Mapping[str, Any]) -> None:
        """Keep one value for each key."""
        for key, value in dict.items():
            self.record(key, value)

    def pop(self, key: str) -> list[Any]:
        """The values kept under `key`, which are forgotten; KeyError if there are none."""
        return self._values.pop(key)

    def pop_mean(self, key: str) -> Any:
        """The mean of the values kept under `key`, which are forgotten; KeyError if there are none."""
        import numpy as np

        return np.mean(self.pop(key))

    def pop_all_means(self) -> dict[str, Any]:
        """`pop_mean` of every key."""
        return {key: self.pop_mean(key) for key in list(self._values)}

    def touch(self) -> None:
        """Count an iteration by hand, where training is not a loop over this iterator."""
        self._itr += 1
        self._beat_if_due(is_last=self._itr == self.max_itr)

    def _beat_if_due(self, is_last: bool) -> None:
        now = self._clock()
        is_time = now - self._last_beat > self.heartbeat_time
        if is_last or is_time or self._itr % self.heartbeat_ite == 0:
            self._heartbeat = True
            self._elapsed = now - self._last_beat
            self._last_beat = now


def remove_nones(input_list: Iterable[Any]) -> list[Any]:
    """The values that are not None, in their order."""
    return [value for value in input_list if value is not None]


def _copied(value: Any) -> Any:
    """A copy that what the caller does next to its lists, dictionaries and arrays can't reach."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(_copied(item) for item in value)
    copy = getattr(value, "copy", None) if type(value).__module__ == "numpy" else None
    return value if copy is None else copy()
