"""Scores of finished runs from the project's evaluate(), called in parallel and kept beside each run.

A run whose evaluation takes its process down is named; the others go on.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alfred import files
from alfred.errors import ProjectError
from alfred.launchers.environment import thread_variables, usable_cores
from alfred.storage.attempts import make_folder, own_dir, read_record


@dataclass(frozen=True)
class Evaluation:
    """What evaluate() returned for one run: its scores, or why there are none."""

    scores: tuple[float, ...] = ()
    error: str = ""

    @property
    def outcome(self) -> tuple[float, ...] | str:
        """Its scores or, without any, why."""
        return self.scores or self.error


def evaluate_runs(
    seed_dirs: Sequence[Path],
    root: Path,
    n_episodes: int,
    *,
    again: bool = False,
    n_processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Path, Evaluation]:
    """The evaluation of each run: the one kept in `evaluation.json`, if it has as many episodes, or made now.

    `again` makes all of them anew. `progress(done, total)` is called after each.

    Raises:
        ProjectError: evaluate.py can't be used.
    """
    found = {} if again else {path: kept for path in seed_dirs if (kept := _read(path, n_episodes))}
    missing = [path for path in seed_dirs if path not in found]
    if not missing:
        return found
    workers = min(n_processes or usable_cores(), len(missing))
    pool = _Evaluators(workers)
    request = {"root_dir": str(root), "n_episodes": n_episodes}
    try:
        with ThreadPoolExecutor(workers) as executor:
            answers = executor.map(lambda path: pool.ask({**request, "seed_dir": str(path)}), missing)
            for number, (path, answer) in enumerate(zip(missing, answers, strict=True), start=1):
                found[path] = Evaluation(tuple(answer.get("scores", ())), str(answer.get("error", "")))
                if found[path].scores:
                    _write(path, n_episodes, found[path])
                progress(number, len(missing))
    finally:
        pool.close()
    return found


def _read(seed_dir: Path, n_episodes: int) -> Evaluation | None:
    record = read_record(own_dir(seed_dir) / "evaluation.json")
    scores = record.get("scores")
    usable = isinstance(scores, list) and all(isinstance(x, int | float) and math.isfinite(x) for x in scores)
    return Evaluation(tuple(scores)) if usable and scores and record.get("n_episodes") == n_episodes else None


def _write(seed_dir: Path, n_episodes: int, evaluation: Evaluation) -> None:
    make_folder(own_dir(seed_dir))
    text = json.dumps({"n_episodes": n_episodes, "scores": evaluation.scores})
    files.write_text(own_dir(seed_dir) / "evaluation.json", text + "\n")


class _Evaluators:
    """One process for each thread that asks; a process that died is replaced for the next request."""

    def __init__(self, workers: int) -> None:
        self._environment = {**os.environ, **thread_variables(None, workers, os.environ)}
        self._mine = threading.local()
        self._all: list[_Evaluator] = []

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        evaluator: _Evaluator | None = getattr(self._mine, "evaluator", None)
        if evaluator is None or evaluator.is_gone():
            evaluator = _Evaluator(self._environment)
            self._mine.evaluator = evaluator
            self._all.append(evaluator)
        return evaluator.ask(request)

    def close(self) -> None:
        for evaluator in self._all:
            evaluator.close()


class _Evaluator:
    """One process of alfred.launchers.evaluator."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        readable, writable = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "alfred.launchers.evaluator", str(writable)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[writable],
            env=environment,
            text=True,
        )
        os.close(writable)
        self._answers = os.fdopen(readable)
        hello = self._next()
        if "failed" in hello or "error" in hello:
            self.close()
            raise ProjectError(hello.get("failed") or f"evaluate.py does not import: {hello['error']}")

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return self._death()
        return self._next()

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        self._process.communicate()
        self._answers.close()

    def _next(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            return self._death()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _death(self) -> dict[str, Any]:
        status = self._process.wait()
        return {"error": f"its process ended with status {status}"}
