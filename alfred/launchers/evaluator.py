"""A process that calls the project's evaluate(): `python -m alfred.launchers.evaluator HANDLE`.

Each line on standard input is a request, {"seed_dir": ..., "root_dir": ..., "n_episodes": ...}, each answered
by a line through the handle: {"scores": [...]} or {"error": text}.
"""

from __future__ import annotations

import json
import math
import os
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from alfred.errors import AlfredError
from alfred.launchers.raised import one_line
from alfred.project import load_evaluate, set_up


def main(handle: int) -> None:
    """Answer requests until the input ends."""
    with os.fdopen(handle, "w") as answers:
        requests = os.fdopen(os.dup(0))
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)  # what evaluate() reads must not be a request
        os.dup2(2, 1)  # nor is what it prints a result of the command
        sys.argv = [str(Path.cwd() / "evaluate.py")]  # get_evaluation_args() may look at it
        try:
            set_up()
            module = load_evaluate()
        except AlfredError as error:
            print(json.dumps({"failed": str(error)}), file=answers, flush=True)
            return
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in requests:
            print(json.dumps(_answer(module, json.loads(line))), file=answers, flush=True)


def _answer(module: ModuleType, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        returned = module.evaluate(_config(module, request))
        values = list(returned) if _is_sequence(returned) else [returned]
    except (Exception, SystemExit) as error:
        return {"error": " ".join(one_line(error).split())}
    try:
        scores = [float(value) for value in values]
    except (TypeError, ValueError):
        return {"error": f"evaluate() returned no number: {' '.join(repr(returned).split())[:80]}"}
    if not scores:
        return {"error": "evaluate() returned no score"}
    if not all(map(math.isfinite, scores)):
        return {"error": f"evaluate() returned {next(s for s in scores if not math.isfinite(s))}"}
    return {"scores": scores}


def _config(module: ModuleType, request: Mapping[str, Any]) -> Any:
    seed_dir = Path(request["seed_dir"])
    config = module.get_evaluation_args("")
    if not isinstance(config, Namespace):
        raise TypeError(f"get_evaluation_args() returned {type(config).__name__}, no argparse.Namespace")
    config.storage_name = seed_dir.parent.parent.name
    config.experiment_num = int(seed_dir.parent.name.removeprefix("experiment"))
    config.seed_num = int(seed_dir.name.removeprefix("seed"))
    config.render = False
    config.n_episodes = request["n_episodes"]
    config.root_dir = request["root_dir"]
    return config


def _is_sequence(returned: Any) -> bool:
    """Arrays and tensors without any dimension are numbers, whatever methods they have."""
    is_number = getattr(returned, "ndim", None) == 0 or isinstance(returned, str)
    return hasattr(returned, "__iter__") and not is_number


if __name__ == "__main__":
    main(int(sys.argv[1]))
