"""Random search: every draw of the schedule's sample_experiment() is one experiment."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import random
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from alfred.errors import ScheduleError, short
from alfred.project import user_code
from alfred.search.schedule import Schedule

if TYPE_CHECKING:
    import numpy

_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def new_sampling_seed() -> int:
    """A seed that nobody chose, of 32 bits so that it can be typed again."""
    return int.from_bytes(os.urandom(4), "big")


def child_seed(sampling_seed: int, *names: str) -> int:
    """The seed (of 128 bits) of what `names` say, whatever else is drawn before or after it."""
    text = "\0".join([str(sampling_seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:16], "big")


def random_experiments(schedule: Schedule, seed: int) -> list[dict[str, Any]]:
    """N_EXPERIMENTS draws of sample_experiment(), the same for the same seed; values as JSON holds them.

    `random` and `numpy.random` are seeded before the first draw and put back after the last; a
    sample_experiment(rng) is handed a numpy Generator instead. The draws need not hold the same names.
    Raises ScheduleError for a draw that is no dict of known names.
    """
    with _seeded(seed) as generator:
        draw = _bound(schedule, generator)
        with user_code(ScheduleError, schedule.path, "raised in sample_experiment()"):
            draws = [draw() for _ in range(schedule.n_draws)]
    return [_checked(schedule, values, number) for number, values in enumerate(draws, 1)]


def _checked(schedule: Schedule, values: Any, number: int) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ScheduleError(
            f"{schedule.path}: draw {number} of sample_experiment() is {short(values)}: let it return a dict"
        )
    if not values:
        raise ScheduleError(
            f"{schedule.path}: draw {number} of sample_experiment() is empty: let it hold one name at least"
        )
    return schedule.checked(values, f"draw {number} of sample_experiment()")


def _bound(schedule: Schedule, generator: numpy.random.Generator) -> Callable[[], Any]:
    """sample_experiment() with the generator as its argument, if it takes one."""
    sample = schedule.sample_experiment
    if sample is None:
        raise ScheduleError(f"{schedule.path} is no random schedule: there is nothing to draw from")
    parameters = inspect.signature(sample).parameters
    wanted = [n for n, p in parameters.items() if n == "rng" or p.default is p.empty]
    wanted = [n for n in wanted if parameters[n].kind not in _ANY]
    if not wanted:
        return sample
    if len(wanted) > 1:
        raise ScheduleError(
            f"{schedule.path}: sample_experiment({', '.join(wanted)}) takes too much: "
            "let it take nothing, or a random generator"
        )
    if parameters[wanted[0]].kind is inspect.Parameter.POSITIONAL_ONLY:
        return lambda: sample(generator)
    return lambda: sample(**{wanted[0]: generator})


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[numpy.random.Generator]:
    """The global generators in a known state while the user's code draws; a Generator for who wants one."""
    import numpy

    python_state, numpy_state = random.getstate(), numpy.random.get_state()
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    try:
        yield numpy.random.default_rng(seed)
    finally:
        random.setstate(python_state)
        numpy.random.set_state(numpy_state)
