"""Runs are read with their state, and what is wrong with one is named and spoils no other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from alfred.analysis.gather import gather, series, values, why_absent
from alfred.errors import StorageError
from alfred.storage.survey import Condition


def test_runs_stand_by_experiment_then_seed_with_their_state_and_configuration(tree):
    for experiment, seed, flag in [(10, 1, "COMPLETED"), (2, 30, "CRASH.txt"), (2, 4, "UNHATCHED")]:
        tree.run(experiment, seed, {"episode": [0]}, flag)
    search = gather(tree.dir)
    assert [(run.experiment, run.seed) for run in search.runs] == [(2, 4), (2, 30), (10, 1)]
    assert [run.name for run in search.of_experiment(2)] == ["experiment2/seed4", "experiment2/seed30"]
    assert search.experiments == [2, 10]
    assert search.conditions() == {Condition.COMPLETED: 1, Condition.CRASHED: 1, Condition.WAITING: 1}
    assert search.runs[2].unique["lr"] == search.runs[2].config["lr"] == 1.0


def test_titles_come_from_the_config_and_not_from_splitting_the_name(make_tree):
    tree = make_tree("Ju1_my_ppo_cart_pole_v2_random_a_b")
    seed_dir = tree.run(1, 1, {})
    config = {"alg_name": "my_ppo", "task_name": "cart_pole_v2", "desc": "random_a_b"}
    (seed_dir / "config.json").write_text(json.dumps(config))
    (tree.dir / "RANDOM_SEARCH").touch()
    search = gather(tree.dir)
    found = (search.alg_name, search.task_name, search.desc, search.kind)
    assert found == ("my_ppo", "cart_pole_v2", "random_a_b", "random")


def test_titles_come_from_the_metadata_where_there_are_any(tree):
    tree.run(1, 1, {})
    (tree.dir / ".alfred").mkdir()
    fields = {"id": "Ju1", "git_hashes": "", "alg_name": "A", "task_name": "T", "desc": "d", "kind": "grid"}
    (tree.dir / ".alfred" / "storage.json").write_text(json.dumps(fields))
    search = gather(tree.dir)
    assert (search.name, search.alg_name, search.task_name, search.kind) == (tree.dir.name, "A", "T", "grid")


def test_only_completed_runs_are_read_unless_every_condition_is_asked_for(tree):
    tree.run(1, 1, {"episode": [1, 2]}, "CRASH.txt")
    assert gather(tree.dir).runs[0].tape == {}
    assert gather(tree.dir, every_condition=True).runs[0].tape == {"episode": [1, 2]}


def test_only_the_metrics_asked_for_are_kept(tree):
    tree.run(1, 1, {"episode": [1], "loss": [2], "return": [3]})
    assert set(gather(tree.dir, ["episode", "return", "absent"]).runs[0].tape) == {"episode", "return"}


def test_a_recorder_file_that_is_cut_short_is_named_and_the_other_runs_are_read(tree):
    broken = tree.run(1, 1, {"episode": [1] * 50}) / "recorders" / "train_recorder.pkl"
    broken.write_bytes(broken.read_bytes()[:40])
    tree.run(1, 2, {"episode": [7]})
    first, second = gather(tree.dir).runs
    assert str(broken) in first.problem
    assert "damaged" in first.problem
    assert why_absent(first, "episode") == first.problem
    assert (second.problem, second.tape) == ("", {"episode": [7]})


def test_a_completed_run_without_a_recorder_is_named(tree):
    tree.run(1, 1, None)
    run = gather(tree.dir).runs[0]
    assert why_absent(run, "episode").startswith("no recorder file in ")


def test_an_unreadable_configuration_is_empty(tree):
    (tree.run(1, 1, {}) / "config.json").write_text("{")
    assert gather(tree.dir).runs[0].config == {}


def test_metrics_are_paired_only_within_one_recorder(tree):
    """Both recorders have `episode`; that of the training must not be laid under the evaluation's return."""
    tree.run(1, 1, {"episode": [0, 1, 2, 3], "return": [5, 6, 7, 8]})
    tree.run(1, 1, {"episode": [10, 20], "eval_return": [1.5, 2.5]}, recorder="eval_recorder.pkl")
    run = gather(tree.dir, ["episode", "eval_return"]).runs[0]
    found = series(run, "episode", "eval_return")
    assert found.x.tolist() == [10, 20]
    assert found.y.tolist() == [1.5, 2.5]
    assert run.tape["episode"] == [0, 1, 2, 3]


def test_scalars_numpy_scalars_and_lists_of_one_element_are_numbers_and_none_is_no_record(tree):
    recorded = [1, None, np.float32(0.5), [2.5], np.array([3]), np.array(4), True, float("nan")]
    tree.run(1, 1, {"episode": list(range(8)), "y": recorded})
    run = gather(tree.dir).runs[0]
    found = series(run, "episode", "y")
    assert found.x.tolist() == [0, 2, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(found.y, [1, 0.5, 2.5, 3, 4, 1, np.nan])
    np.testing.assert_array_equal(values(run, "y"), found.y)
    assert found.x.dtype == found.y.dtype == np.float64


def test_a_record_without_x_and_lists_of_different_length_are_no_trouble(tree):
    tree.run(1, 1, {"episode": [0, None, 2, 3], "y": [5, 6, 7]})
    found = series(gather(tree.dir).runs[0], "episode", "y")
    assert (found.x.tolist(), found.y.tolist()) == ([0, 2], [5, 7])


@pytest.mark.parametrize("bad", ["0.5", [1, 2], [], {"a": 1}, 1j, np.zeros((2, 1))])
def test_values_that_are_no_single_numbers_are_named(tree, bad):
    tree.run(1, 1, {"episode": [0, 1], "y": [1.0, bad]})
    run = gather(tree.dir).runs[0]
    assert "no single number" in why_absent(run, "y")
    assert "no single number" in why_absent(run, "episode", "y")
    with pytest.raises(ValueError, match="no single number"):
        series(run, "episode", "y")


@pytest.mark.parametrize(
    ("tape", "why"),
    [
        ({"episode": [1]}, "no y recorded"),
        ({"episode": [1, 2], "y": [None, None]}, "no y recorded"),
        ({"episode": [], "y": []}, "no episode and no y recorded"),
        ({"episode": [1, None], "y": [None, 1]}, "no episode with y recorded"),
        ({"episode": [1], "y": [float("nan")]}, ""),
    ],
)
def test_an_absent_metric_is_named(tree, tape, why):
    tree.run(1, 1, tape)
    run = gather(tree.dir).runs[0]
    assert why_absent(run, "episode", "y") == why
    assert (series(run, "episode", "y") is None) == bool(why)


def test_a_directory_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        gather(tmp_path / "Ju9_a_b_grid_c")
