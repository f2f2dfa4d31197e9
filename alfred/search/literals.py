"""What stands twice in a schedule file: Python keeps the last and says nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from alfred.errors import ScheduleError

_NAMES = ("ALG_NAMES", "TASK_NAMES", "SEEDS", "VARIATIONS", "N_EXPERIMENTS", "sample_experiment")


def check_nothing_twice(path: Path) -> None:
    """ScheduleError for a dict literal, of keys or of pairs, that repeats a key, and for a name of a schedule
    that is given anew without a look at what it was."""
    module = ast.parse(path.read_bytes(), str(path))
    _check(path, list(_definitions(module)))
    for node in ast.walk(module):
        _check(path, [(key.value, key.lineno) for key in _keys(node)])


def _check(path: Path, found: list[tuple[object, int]]) -> None:
    seen: dict[object, int] = {}
    for name, line in found:
        if name in seen:
            raise ScheduleError(
                f"{path}:{line}: {name!r} is defined twice, first in line {seen[name]}: take one out"
            )
        seen[name] = line


def _definitions(module: ast.Module) -> Iterator[tuple[str, int]]:
    """The names of a schedule that are defined at the top of the file, whatever they were before."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name in _NAMES:
            yield node.name, node.lineno
        if isinstance(node, ast.Assign):
            read = {one.id for one in ast.walk(node.value) if isinstance(one, ast.Name)}
            written = {target.id for target in node.targets if isinstance(target, ast.Name)}
            yield from ((name, node.lineno) for name in _NAMES if name in written - read)


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
