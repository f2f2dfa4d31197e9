"""Walks through the bytes of a pickle before anything is built: where does it end, and is it plain data.

What the allow-list of globals can't see is refused here: opcodes that data never need, places in the memo and
lengths that ask for memory the file doesn't hold, and nesting so deep that hashing or freeing it would
overflow the stack of the interpreter.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TypeAlias

_DEEPEST = 100  # nested containers; numpy itself stops at 64 dimensions


class _Open:
    """A container that may still be filled."""

    __slots__ = ("depth",)

    def __init__(self, depth: int) -> None:
        self.depth = depth


# What stands on the stack of the unpickler is told by how deep it is.
_Item: TypeAlias = int | _Open


class CutShortError(Exception):
    """The bytes end before the pickle does."""


def end_of(data: bytes) -> int:
    """Where the first pickle in `data` ends.

    CutShortError if that is later than `data` does, ValueError for what no plain data would be pickled to.
    """
    walk = _Walk(data)
    try:
        return walk.to_end()
    except IndexError:
        if walk.at >= len(data):
            raise CutShortError("it is cut short") from None
        raise ValueError(f"the stack is empty at byte {walk.at}") from None


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self._stack: list[_Item] = []
        self._marks: list[int] = []
        self._memo: dict[int, _Item] = {}

    def to_end(self) -> int:
        while True:
            opcode = self.data[self.at]
            if opcode in _RUNS:
                self._run(opcode)
            elif opcode in _LENGTHS:
                self._skip(1 + _LENGTHS[opcode], self._number(_LENGTHS[opcode]))
                self._stack.append(0)
            elif opcode == _STOP:
                return self.at + 1
            elif opcode in _OTHERS:
                _OTHERS[opcode](self)
            else:
                raise ValueError(f"opcode {bytes([opcode])!r} at byte {self.at}, which no plain data has")

    def _run(self, opcode: int) -> None:
        """Numbers, None and booleans, as many as follow on one another."""
        width, pattern = _RUNS[opcode]
        found = pattern.match(self.data, self.at)
        if found is None:
            self.at = len(self.data)
            raise IndexError
        self._stack += [0] * ((found.end() - self.at) // width)
        self.at = found.end()

    def skip_head(self, size: int) -> None:
        self._skip(size, 0)

    def lines(self, count: int) -> None:
        """Something written as text, up to the end of its line."""
        self._text_lines(count)
        self._stack.append(0)

    def stack_global(self) -> None:
        self._pop(2)
        self._push(0)

    def mark(self) -> None:
        self._marks.append(len(self._stack))
        self.at += 1

    def empty(self) -> None:
        self._push(_Open(1))

    def empty_tuple(self) -> None:
        self._push(1)

    def small_tuple(self, count: int) -> None:
        self._push(self._around(self._pop(count)))

    def marked(self, *, fillable: bool) -> None:
        depth = self._around(self._pop_to_mark())
        self._push(_Open(depth) if fillable else depth)

    def fill(self, count: int | None) -> None:
        """`count` items, None for those since the mark, go into what stands before them."""
        items = self._pop_to_mark() if count is None else self._pop(count)
        if not self._stack or not isinstance(target := self._stack[-1], _Open):
            raise ValueError(f"something that was finished is changed at byte {self.at}")
        target.depth = max(target.depth, self._around(items))
        self.at += 1

    def reduce(self) -> None:
        self._push(_Open(self._around(self._pop(2))))

    def put(self, place: int, size: int) -> None:
        # C's memo is an array, as long as its greatest place says.
        if place > self.at:
            raise ValueError(f"place {place} of the memo at byte {self.at}")
        self._memo[place] = self._top()
        self.at += size

    def put_number(self, size: int) -> None:
        self.put(self._number(size), 1 + size)

    def put_line(self) -> None:
        place, size = self._place_in_line()
        self.put(place, size)

    def memoize(self) -> None:
        self.put(len(self._memo), 1)

    def get(self, place: int, size: int) -> None:
        if place not in self._memo:
            raise ValueError(f"nothing in place {place} of the memo at byte {self.at}")
        self._stack.append(_depth(self._memo[place]))
        self.at += size

    def get_number(self, size: int) -> None:
        if size == 1 and (found := _SCALAR.match(self.data, self.at)):
            self._scalars(found)
        else:
            self.get(self._number(size), 1 + size)

    def get_line(self) -> None:
        place, size = self._place_in_line()
        self.get(place, size)

    def _scalars(self, found: re.Match[bytes]) -> None:
        """numpy scalars of one kind, as many as follow on one another: three places of the memo for each."""
        places = [place for place in (found[1][1], found[1][3]) if place in self._memo]
        if len(places) < 2:
            raise ValueError(f"nothing in a place of the memo at byte {self.at}")
        depth = 1 + self._around([self._memo[place] for place in places])
        end = _run_of_scalars(found[1]).match(self.data, self.at).end()  # type: ignore[union-attr]
        count = (end - self.at) // len(found[0])
        first = len(self._memo)
        self._memo.update(dict.fromkeys(range(first, first + 3 * count), depth))
        self._stack += [depth] * count
        self.at = end

    def _number(self, size: int) -> int:
        if self.at + 1 + size > len(self.data):
            self.at = len(self.data)
            raise IndexError
        return int.from_bytes(self.data[self.at + 1 : self.at + 1 + size], "little")

    def _place_in_line(self) -> tuple[int, int]:
        before = self.at
        text = self._text_lines(1)
        size, self.at = self.at - before, before
        if not text.isdigit() or len(text) > 18:
            raise ValueError(f"no place of the memo at byte {before}")
        return int(text), size

    def _text_lines(self, count: int) -> bytes:
        start = self.at
        for _ in range(count):
            line_end = self.data.find(b"\n", self.at)
            if line_end < 0:
                self.at = len(self.data)
                raise IndexError
            self.at = line_end + 1
        return self.data[start + 1 : self.at - 1]

    def _skip(self, head: int, size: int) -> None:
        self.at += head + size
        if self.at > len(self.data):
            raise IndexError

    def _push(self, item: _Item) -> None:
        self._stack.append(item)
        self.at += 1

    def _top(self) -> _Item:
        if len(self._stack) <= self._floor():
            raise ValueError(f"the stack is empty at byte {self.at}")
        return self._stack[-1]

    def _pop(self, count: int) -> list[_Item]:
        if len(self._stack) - count < self._floor():
            raise ValueError(f"the stack is empty at byte {self.at}")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _pop_to_mark(self) -> list[_Item]:
        if not self._marks:
            raise ValueError(f"no mark before byte {self.at}")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _floor(self) -> int:
        return self._marks[-1] if self._marks else 0

    def _around(self, items: list[_Item]) -> int:
        depth = 1 + max(map(_depth, set(items)), default=0)  # of a thousand numbers one is asked
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} containers in one another at byte {self.at}")
        return depth


def _depth(item: _Item) -> int:
    return item if isinstance(item, int) else item.depth


# Opcodes of a fixed width that are values by themselves.
_RUNS = {
    first: (width, re.compile(b"(?:[%s].{%d})++" % (kinds, width - 1), re.DOTALL))
    for kinds, width in ((b"N\x88\x89", 1), (b"K", 2), (b"M", 3), (b"J", 5), (b"G", 9))
    for first in kinds
}
# Opcodes whose first bytes say how many bytes of a text, a number or bytes follow.
_LENGTHS = {
    **dict.fromkeys(b"UC\x8a\x8c", 1),
    **dict.fromkeys(b"TXB\x8b", 4),
    **dict.fromkeys(b"\x8d\x8e\x96", 8),
}
_STOP = ord(".")
_OTHERS: dict[int, Callable[[_Walk], None]] = {
    0x80: lambda walk: walk.skip_head(2),  # protocol
    0x95: lambda walk: walk.skip_head(9),  # frame
    0x93: _Walk.stack_global,
    0x94: _Walk.memoize,
    ord(")"): _Walk.empty_tuple,
    0x85: lambda walk: walk.small_tuple(1),
    0x86: lambda walk: walk.small_tuple(2),
    0x87: lambda walk: walk.small_tuple(3),
    0x90: lambda walk: walk.fill(None),  # into a set
    0x91: lambda walk: walk.marked(fillable=False),  # a frozenset
    ord("c"): lambda walk: walk.lines(2),
    ord("("): _Walk.mark,
    ord("t"): lambda walk: walk.marked(fillable=False),
    ord("R"): _Walk.reduce,
    ord("b"): lambda walk: walk.fill(1),
    ord("q"): lambda walk: walk.put_number(1),
    ord("r"): lambda walk: walk.put_number(4),
    ord("p"): _Walk.put_line,
    ord("h"): lambda walk: walk.get_number(1),
    ord("j"): lambda walk: walk.get_number(4),
    ord("g"): _Walk.get_line,
    **dict.fromkeys(b"ILFSV", lambda walk: walk.lines(1)),
    **dict.fromkeys(b"]}\x8f", _Walk.empty),
    **dict.fromkeys(b"ld", lambda walk: walk.marked(fillable=True)),
    **dict.fromkeys(b"eu", lambda walk: walk.fill(None)),
    ord("a"): lambda walk: walk.fill(1),
    ord("s"): lambda walk: walk.fill(2),
}
# A numpy scalar as protocols 4 and 5 write it: two places of the memo, its bytes, and the call.
_SCALAR = re.compile(
    b"(h.h.C(?:%s))\x94\x86\x94R\x94"
    % b"|".join(
        re.escape(bytes([size])) + b"(?=.{%d}\x94)" % size + b".{%d}" % size for size in (1, 2, 4, 8)
    ),
    re.DOTALL,
)


@functools.lru_cache(maxsize=64)
def _run_of_scalars(head: bytes) -> re.Pattern[bytes]:
    """As many scalars as begin like this one: the same function, dtype and size."""
    return re.compile(b"(?:%s.{%d}\x94\x86\x94R\x94)++" % (re.escape(head[:6]), head[5]), re.DOTALL)
