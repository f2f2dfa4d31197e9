"""Two searches as launches leave them, with values that are hard on a table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from alfred.analysis.settings import settings
from alfred.export.base import Order
from alfred.utils.recorder import Recorder

THIRD = 1 / 3
NAMES = ("Ju1_ppo_hill_grid_first", "Ju2_sac_hill_grid_first")


def save(seed_dir, name, tape):
    recorder = Recorder(tape)
    recorder.tape = tape
    recorder.save(seed_dir / "recorders" / f"{name}.pkl")


def tape_of(seed):
    """Seven records: exact thirds, gaps, halves of single precision, and what is no single number."""
    values = [THIRD * step + seed for step in range(7)]
    return {
        "episode": [10 * step for step in range(7)],
        "eval_return": [value if step % 3 == 0 else None for step, value in enumerate(values)],
        "loss": [np.float32(value) for value in values],
        "odd": [math.nan, math.inf, -math.inf, 5e-324, -0.0, None, np.array(0.1)],
        "count": [2**53 + step for step in range(7)],
        "huge": [10**25, 1, 2, 3, 4, 5, None],
        "actions": [[step, None] for step in range(7)],
        "word": ["a,b", 'say "x"', "line\nend", "", None, "bare\rü", "nan"],
    }


def lay(root, name, alg, states, tape=tape_of, n_experiments=1):
    storage_dir = root / name
    for experiment in range(1, n_experiments + 1):
        for seed, state in enumerate(states, start=1):
            seed_dir = storage_dir / f"experiment{experiment}" / f"seed{seed}"
            (seed_dir / ".alfred").mkdir(parents=True)
            config = {"alg_name": alg, "task_name": "hill", "desc": "grid_first", "seed": seed}
            config |= {
                "lr": 0.1 * experiment,
                "layers": [64, seed],
                "clip": None,
                "host": "mine",
                "cap": math.inf,
            }
            (seed_dir / "config.json").write_text(json.dumps(config))
            (seed_dir / "config_unique.json").write_text(json.dumps({"lr": 0.1, "seed": seed}))
            (seed_dir / state).touch()
            if state != "UNHATCHED":
                note = {"host": "vm", "seconds": 12.5, "start": "2024-05-01T12:00:00+0000"}
                note["end"] = "2024-05-01T12:00:12+0000"
                (seed_dir / ".alfred" / "run.json").write_text(json.dumps(note))
                (seed_dir / ".alfred" / "attempts.json").write_text('{"attempt": 2, "deaths": 0}')
                save(seed_dir, "train_recorder", tape(seed))
    return storage_dir


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`Ju1` has a run of each sort: completed, crashed, waiting; `Ju2` one with a second recorder."""
    first = lay(tmp_path / "storage", NAMES[0], "ppo", ["COMPLETED", "CRASH.txt", "UNHATCHED"])
    second = lay(tmp_path / "storage", NAMES[1], "sac", ["COMPLETED"])
    save(second / "experiment1" / "seed1", "eval_recorder", {"episode": [3, 3], "loss": [0.25, None]})
    return first.parent


@pytest.fixture
def order(root, tmp_path):
    """An order for both searches."""

    def make(output, rows="runs", **chosen):
        dirs = [root / name for name in NAMES]
        return Order(dirs, settings(**chosen), rows, str(output) if "://" in str(output) else output)

    return make


def same(one, other):
    """Equal bit for bit, NaN as NaN, and of one type."""
    if isinstance(one, float) and isinstance(other, float):
        return np.float64(one).tobytes() == np.float64(other).tobytes() or (
            math.isnan(one) and math.isnan(other)
        )
    return type(one) is type(other) and one == other
