"""Keys that stand twice in one literal: Python keeps the last and says nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from alfred.errors import ScheduleError


def check_no_repeated_keys(path: Path) -> None:
    """ScheduleError for the first dict literal of the file, of keys or of pairs, that repeats a key."""
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        seen: dict[object, int] = {}
        for key in _keys(node):
            if key.value in seen:
                raise ScheduleError(
                    f"{path}:{key.lineno}: {key.value!r} is defined twice, first in line "
                    f"{seen[key.value]}: take one out"
                )
            seen[key.value] = key.lineno


def _keys(node: ast.AST) -> Iterator[ast.Constant]:
    """The constant keys of `{"a": 1}`, and of `dict([("a", 1)])` or any other call with pairs."""
    if isinstance(node, ast.Dict):
        yield from (key for key in node.keys if isinstance(key, ast.Constant))
    if isinstance(node, ast.Call) and "dict" in ast.unparse(node.func).lower():
        for pairs in node.args:
            for pair in pairs.elts if isinstance(pairs, ast.List | ast.Tuple) else []:
                if (
                    isinstance(pair, ast.Tuple | ast.List)
                    and pair.elts
                    and isinstance(pair.elts[0], ast.Constant)
                ):
                    yield pair.elts[0]
