"""Storage directories as finished searches leave them, laid by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
from alfred.utils.recorder import Recorder

NAME = "Ju1_ppo_cartpole_grid_first"


class Tree:
    """One storage directory, to which runs are added."""

    def __init__(self, storage_dir: Path) -> None:
        self.dir = storage_dir

    def run(
        self,
        experiment: int,
        seed: int,
        tape: Mapping[str, list[Any]] | None = None,
        flag: str = "COMPLETED",
        recorder: str = "train_recorder.pkl",
    ) -> Path:
        """Add one run with its recorder (None: no recorder file); its seed directory."""
        seed_dir = self.dir / f"experiment{experiment}" / f"seed{seed}"
        (seed_dir / "recorders").mkdir(parents=True, exist_ok=True)
        unique = {"alg_name": "ppo", "task_name": "cartpole", "seed": seed, "lr": 0.1 * experiment}
        config = {**unique, "desc": "grid_first", "max_episodes": 100}
        (seed_dir / "config.json").write_text(json.dumps(config))
        (seed_dir / "config_unique.json").write_text(json.dumps(unique))
        if flag:
            (seed_dir / flag).touch()
        if tape is not None:
            made = Recorder(tape)
            made.tape = {name: list(values) for name, values in tape.items()}
            made.save(seed_dir / "recorders" / recorder)
        return seed_dir

    def scored(self, scores: Mapping[int, list[float | None]]) -> None:
        """experiment -> the return of each of its runs, None for a run that crashed."""
        for experiment, of_runs in scores.items():
            for seed, score in enumerate(of_runs):
                flag = "CRASH.txt" if score is None else "COMPLETED"
                self.run(experiment, seed, {"episode": [0], "eval_return": [score]}, flag)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / NAME)


@pytest.fixture
def make_tree(tmp_path: Path) -> Callable[[str], Tree]:
    return lambda name: Tree(tmp_path / name)


@pytest.fixture
def own_owner(tree: Tree) -> Iterator[str]:
    """The name of an owner who lives: this process, with its lease in the tree."""
    owner = this_process()
    tree.dir.mkdir(parents=True, exist_ok=True)
    leases = Leases(owner)
    leases.hold(tree.dir)
    yield owner.name
    leases.close()
