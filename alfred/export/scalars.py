"""What a run recorded as scalars at steps, for services that know nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from alfred.analysis.cells import is_number, plain
from alfred.analysis.rows import Published, steps_of

_EXACT = 2**53  # a float holds every whole number up to here


def scalars(one: Published, x_metric: str, left_out: set[str]) -> Iterator[tuple[int, dict[str, float]]]:
    """(step, name -> value) of each record that has a number; names of other values go to `left_out`.

    A step is the x metric where that counts whole numbers upwards, else the index of the record. A metric
    that an earlier recorder of the run has, too, gets its recorder's name before its own. What would change
    as a float of 64 bits is left out.
    """
    known: set[str] = set()
    for recorder, tape in zip(one.run.recorders, one.run.tapes, strict=True):
        named = {(f"{recorder}/{metric}" if metric in known else metric): tape[metric] for metric in tape}
        known |= named.keys()
        columns = {name: [plain(value) for value in values] for name, values in named.items()}
        for at, step in enumerate(steps_of(tape, x_metric)):
            found = {name: values[at] for name, values in columns.items() if at < len(values)}
            found = {name: value for name, value in found.items() if value is not None}
            left_out |= {name for name, value in found.items() if not _fits(value)}
            if fitting := {name: float(value) for name, value in found.items() if _fits(value)}:
                yield step, fitting


def note(left_out: set[str]) -> list[str]:
    """In words what was left out."""
    named = ", ".join(sorted(left_out))
    return [f"left out, since no number that a float of 64 bits holds: {named}"] if left_out else []


def _fits(value: object) -> bool:
    return is_number(value) and not (isinstance(value, int) and abs(value) > _EXACT)
