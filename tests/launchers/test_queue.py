"""The order in which a launcher takes runs, whatever others have taken."""

from pathlib import Path

import pytest

from alfred.launchers.base import LaunchPlan
from alfred.launchers.queue import Queue
from alfred.storage import batons
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process


@pytest.fixture
def lay(tmp_path):
    """Lays 20 experiments of two seeds, of which others have taken those for which `taken(e, s)` holds."""

    def make(taken=lambda experiment, seed: False):
        unique = {"alg_name": "a", "task_name": "t"}
        experiments = tuple(Experiment({**unique, "x": x}, {**unique, "x": x}, (1, 2)) for x in range(20))
        (name,) = lay_search(tmp_path, [Preparation("a", "t", "grid_x", "grid", experiments)])
        for experiment in range(1, 21):
            for seed in (1, 2):
                if taken(experiment, seed):
                    assert batons.claim(
                        f"{tmp_path / name}/experiment{experiment}/seed{seed}", "other-1-00000000"
                    )
        return tmp_path / name

    return make


def claimed(storage_dir: Path, **options):
    leases = Leases(this_process())
    told: list[str] = []
    queue = Queue(LaunchPlan(storage_dir, storage_dir.parent, (storage_dir,), **options), leases, told.append)
    found = []
    while (one := queue.claim()) is not None:
        path = Path(one.seed_dir)
        found.append((int(path.parent.name[10:]), int(path.name[4:])))
    leases.close()
    assert told == []
    return found


def test_runs_are_taken_experiment_by_experiment(lay):
    assert claimed(lay()) == [(e, s) for e in range(1, 21) for s in (1, 2)]


def test_in_the_order_of_seeds_every_experiment_comes_once_before_any_comes_twice(lay):
    assert claimed(lay(), order="seed") == [(e, s) for s in (1, 2) for e in range(1, 21)]


def test_a_stretch_that_others_have_taken_is_leapt_over_and_nothing_behind_it_is_lost(lay):
    found = claimed(lay(lambda experiment, seed: experiment <= 9))
    free = [(e, s) for e in range(10, 21) for s in (1, 2)]
    assert sorted(found) == free
    behind_the_first = found[1:]
    assert behind_the_first == [one for one in free if one != found[0]], "the order is kept but for one run"


def test_single_free_runs_among_taken_ones_are_all_found(lay):
    found = claimed(lay(lambda experiment, seed: (experiment, seed) not in {(3, 2), (11, 1), (20, 2)}))
    assert sorted(found) == [(3, 2), (11, 1), (20, 2)]


def test_only_the_experiments_and_seeds_asked_for_are_taken(lay):
    options = {"experiments": frozenset({3, 7}), "seeds": frozenset({2})}
    assert claimed(lay(), **options) == [(3, 2), (7, 2)]
