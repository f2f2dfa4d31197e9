"""The retrain is compared with the search at the search's training length."""

from __future__ import annotations

import math
import shutil

from alfred.analysis.gather import gather
from alfred.analysis.luck import chosen_experiment, last_x, retrain_gap


def lay(tree, lengths):
    for seed, (length, slope) in enumerate(lengths):
        steps = list(range(0, length + 1, 10))
        tree.run(1, seed, {"episode": steps, "eval_return": [slope * step for step in steps]})
    return tree


def test_the_gap_is_the_one_at_equal_length(make_tree):
    search = gather(lay(make_tree("Ju1_a_t_grid_x"), [(100, 1.0), (80, 1.0)]).dir).runs
    retrain = gather(lay(make_tree("Ju2_a_t_retrainBestJu1_x"), [(200, 0.5), (200, 0.7)]).dir).runs
    assert last_x(search, "episode", "eval_return") == 100
    found = retrain_gap(search, retrain, "episode", "eval_return", "last")
    assert (found.in_search, found.n_search) == (90, 2)
    assert (found.at_equal_length, found.n_equal) == (60, 2)
    assert (found.at_full_length, found.n_full, found.last_x) == (120, 2, 100)
    assert found.gap == -30


def test_runs_without_a_score_are_left_out_of_it(make_tree):
    search = gather(lay(make_tree("Ju1_a_t_grid_x"), [(100, 1.0)]).dir).runs
    tree = lay(make_tree("Ju2_a_t_retrainBestJu1_x"), [(200, 0.5)])
    tree.run(1, 7, {"episode": [0, 100, 200], "eval_return": [1, 2, math.nan]})
    tree.run(1, 8, {"episode": [0]}, "CRASH.txt")
    found = retrain_gap(search, gather(tree.dir).runs, "episode", "eval_return", "last")
    assert (found.n_full, found.at_full_length) == (1, 100)
    # the NaN came after the search's training length
    assert (found.n_equal, found.at_equal_length) == (2, 26)


def test_the_experiment_that_was_chosen_is_the_only_one_with_the_parameters_of_the_retrain(make_tree):
    """`run` gives experiment N of a tree lr = N / 10."""
    search, retrain = make_tree("Ju1_a_t_grid_x"), make_tree("Ju2_a_t_retrainBestJu1_x")
    for number in (1, 2):
        search.run(number, 1)
    retrain.run(2, 5)
    assert chosen_experiment(gather(search.dir), gather(retrain.dir)) == 2
    twin = search.run(3, 1)
    for name in ("config.json", "config_unique.json"):
        shutil.copyfile(search.dir / "experiment2" / "seed1" / name, twin / name)
    assert chosen_experiment(gather(search.dir), gather(retrain.dir)) is None


def test_without_runs_there_is_no_gap():
    found = retrain_gap([], [], "episode", "eval_return", "last")
    assert (found.n_search, found.n_equal, found.n_full) == (0, 0, 0)
    assert math.isnan(found.gap)
