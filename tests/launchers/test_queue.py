"""The order in which a launcher takes runs, whatever others have taken."""

import os
import runpy
from pathlib import Path

import pytest

from alfred.launchers.base import LaunchPlan
from alfred.launchers.queue import Queue
from alfred.storage import batons, leases
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process

calls = runpy.run_path(str(Path(__file__).parents[1] / "storage" / "system_calls.py"))["calls"]


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
    mine = Leases(this_process())
    told: list[str] = []
    queue = Queue(LaunchPlan(storage_dir, storage_dir.parent, (storage_dir,), **options), mine, told.append)
    found = []
    while (one := queue.claim()) is not None:
        path = Path(one.seed_dir)
        found.append((int(path.parent.name[10:]), int(path.name[4:])))
    mine.close()
    assert told == []
    return found


def test_runs_are_taken_experiment_by_experiment(lay):
    assert claimed(lay()) == [(e, s) for e in range(1, 21) for s in (1, 2)]


def test_in_the_order_of_seeds_every_experiment_comes_once_before_any_comes_twice(lay):
    assert claimed(lay(), order="seed") == [(e, s) for s in (1, 2) for e in range(1, 21)]


def test_the_first_seed_of_an_experiment_is_its_least_whatever_the_others_have(lay):
    storage_dir = lay()
    for seed, other in ((1, 7), (2, 8)):
        (storage_dir / f"experiment3/seed{seed}").rename(storage_dir / f"experiment3/seed{other}")
    seeds = [(7, 8) if e == 3 else (1, 2) for e in range(1, 21)]
    assert claimed(storage_dir, order="seed") == [(e, seeds[e - 1][n]) for n in (0, 1) for e in range(1, 21)]


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


def test_where_no_lease_can_be_held_nothing_is_claimed(lay):
    storage_dir = lay()
    leases.owners_dir(storage_dir).rmdir()
    leases.owners_dir(storage_dir).touch()
    told: list[str] = []
    plan = LaunchPlan(storage_dir, storage_dir.parent, (storage_dir,))
    assert Queue(plan, Leases(this_process()), told.append).claim() is None
    assert [f"{storage_dir} is passed over" in text for text in told] == [True]
    assert len(list(storage_dir.glob("experiment*/seed*/UNHATCHED"))) == 40


def test_a_run_of_which_it_is_not_known_whether_it_was_claimed_keeps_the_lease_of_who_tried(lay):
    storage_dir = lay(lambda experiment, seed: (experiment, seed) != (1, 1))
    mine, told, claims = Leases(this_process()), [], []

    def lose_sight(call):
        if claims:
            raise PermissionError(13, os.strerror(13), call.path)
        claims.extend([call] * (call.name == "rename"))
        return call.do()

    plan = LaunchPlan(storage_dir, storage_dir.parent, (storage_dir,))
    with calls(storage_dir / "experiment1" / "seed1", lose_sight):
        assert Queue(plan, mine, told.append).claim() is None
    mine.close()
    assert [f"{storage_dir}/experiment1/seed1 is passed over" in text for text in told] == [True]
    assert batons.is_mine(storage_dir / "experiment1" / "seed1", mine.owner.name)
    assert os.listdir(leases.owners_dir(storage_dir)) == [mine.owner.name]
