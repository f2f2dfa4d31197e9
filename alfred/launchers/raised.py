"""What main() raised, told so that it can be sent to another process: error, place, traceback."""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from alfred.launchers import frames
from alfred.launchers.readable import shortened

_LONGEST = 120_000  # characters of a traceback that are kept, half of them from its end
_LONGEST_ERROR = 1000
_FIRST_FRAMES, _LAST_FRAMES = 100, 200  # that are kept of a deeper traceback
_MOST_RELATIVES = 1000
_NAMED_IN_GROUP = 3


@dataclass(frozen=True)
class Raised:
    """The error in one line, its type's name and its traceback; where it was raised, and `place` the same
    without the line. `memory`: for want of memory; `signal`: the signal from outside that made it."""

    error: str = ""
    kind: str = ""
    traceback: str = ""
    where: str = ""
    place: str = ""
    memory: bool = False
    signal: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is sent to the supervisor."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Raised:
        """What was sent; a field that did not come is empty."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: record[name] for name in names if name in record})


def describe(error: BaseException, project: Path, signal: int | None = None) -> Raised:
    """Tell an error. Whatever its class does when it is asked, and however little memory is left."""
    try:
        memory = any(isinstance(relative, MemoryError) for relative in _family(error))
    except MemoryError:
        memory = True
    if memory:
        _let_go(error)
    try:
        depth = max(_cut(relative) for relative in _family(error))
        frame = frames.last_own(list(frames.of_traceback(error.__traceback__)))
        return Raised(
            one_line(error),
            type(error).__name__,
            _traceback(error, depth),
            frame.where(project) if frame else "",
            frame.place(project) if frame else "",
            memory,
            signal,
        )
    except MemoryError:  # what is left must do
        return Raised(type(error).__name__, type(error).__name__, memory=True, signal=signal)


def one_line(error: BaseException) -> str:
    """The type and the text of an error; of a group also what the first in it are."""
    try:
        text = str(error).strip()
    except BaseException as another:
        text = f"(its __str__ raised {type(another).__name__})"
    name = type(error).__name__
    line = f"{name}: {text}" if text else name
    if isinstance(error, BaseExceptionGroup):
        inside = [one_line(one) for one in error.exceptions[:_NAMED_IN_GROUP]]
        more = "; ..." if len(error.exceptions) > _NAMED_IN_GROUP else ""
        line = f"{line}: {'; '.join(inside)}{more}"
    return shortened(line, _LONGEST_ERROR)


def _traceback(error: BaseException, depth: int) -> str:
    """The traceback of what main() raised, from main() on, with its causes; `depth` is what it had."""
    place = _from_main_on(error.__traceback__) or error.__traceback__
    try:
        text = "".join(traceback.format_exception(type(error), error, place))
    except MemoryError:
        raise
    except Exception as another:  # its notes raise when they are read, say
        text = "".join(traceback.format_tb(place)) + f"{type(error).__name__} (no more can be told of it: "
        text += f"{type(another).__name__} was raised when it was asked)"
    if depth > _FIRST_FRAMES + _LAST_FRAMES:
        text = (
            f"({depth} calls deep: the first {_FIRST_FRAMES} and the last {_LAST_FRAMES} are shown)\n{text}"
        )
    return shortened(text, _LONGEST)


def _from_main_on(place: TracebackType | None) -> TracebackType | None:
    """Without alfred's own calls above the user's."""
    while place is not None and frames.is_alfreds(place.tb_frame.f_code.co_filename):
        place = place.tb_next
    return place


def _cut(error: BaseException) -> int:
    """Leave out the middle of a traceback that nobody could read to its end; how deep it is."""
    place, depth, first = error.__traceback__, 0, None
    last: deque[TracebackType] = deque(maxlen=_LAST_FRAMES)
    while place is not None:
        depth += 1
        if depth == _FIRST_FRAMES:
            first = place
        last.append(place)
        place = place.tb_next
    if first is not None and depth > _FIRST_FRAMES + _LAST_FRAMES:
        first.tb_next = last[0]
    return depth


def _family(error: BaseException) -> Iterator[BaseException]:
    """An error, its causes and what stands in groups."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_RELATIVES:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _let_go(error: BaseException) -> None:
    """Free what the calls held that were cut off: it may be all the memory there was."""
    with contextlib.suppress(MemoryError, RuntimeError):
        traceback.clear_frames(error.__traceback__)
