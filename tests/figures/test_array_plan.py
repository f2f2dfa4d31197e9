"""Which run stands where in a plot array, and what is said of it."""

import json

import numpy as np
import pytest

from alfred.analysis.gather import gather
from alfred.errors import UsageError
from alfred.figures.array_ink import thinned
from alfred.figures.array_plan import Definition, definition_of, parse_definition, plan_arrays
from alfred.storage.survey import Condition

WANTED = Definition("episode", "eval_return")


def planned(tree, remove_none=False, definition=WANTED):
    return plan_arrays(gather(tree.dir, every_condition=True), definition, remove_none)


def titles(array):
    return {(cell.row, cell.column): cell.title for cell in array.cells}


def variations(tree, **by_range):
    more = {"alg_name": ["ppo"], "task_name": ["cartpole"]}
    (tree.dir / "variations.json").write_text(
        json.dumps({key.strip("_").replace("_", "-"): {**value, **more} for key, value in by_range.items()})
    )


def test_a_grid_has_its_most_varied_parameter_along_one_axis_and_the_others_along_the_other(tree):
    variations(tree, _1_6={"lr": [0.1, 0.2, 0.3], "width": [8, 16], "seed": [1]})
    number = 0
    for lr in (0.1, 0.2, 0.3):
        for width in (8, 16):
            number += 1
            tree.learn(number, 1, 1, lr=lr, width=width)
    (array,) = planned(tree)
    assert (array.n_rows, array.n_columns) == (2, 3)
    assert titles(array) == {
        (0, 0): "experiment 1: lr=0.1, width=8",
        (0, 1): "experiment 3: lr=0.2, width=8",
        (0, 2): "experiment 5: lr=0.3, width=8",
        (1, 0): "experiment 2: lr=0.1, width=16",
        (1, 1): "experiment 4: lr=0.2, width=16",
        (1, 2): "experiment 6: lr=0.3, width=16",
    }
    assert array.stem == "eval_return_over_episode"


def test_a_combination_without_a_run_is_absent_and_seeds_added_later_are_there(tree):
    variations(tree, _1_2={"lr": [0.1, 0.2], "seed": [1]})
    tree.learn(1, 1, 1, lr=0.1)
    tree.learn(1, 7, 1, lr=0.1)
    tree.learn(2, 1, 1, lr=0.2)
    (array,) = planned(tree)
    states = {cell.title: cell.state for cell in array.cells}
    assert states == {
        "experiment 1: seed=1, lr=0.1": "",
        "experiment 1: seed=7, lr=0.1": "",
        "experiment 2: seed=1, lr=0.2": "",
        "seed=7, lr=0.2": "absent",
    }


def test_a_random_search_has_a_row_for_each_experiment_and_a_column_for_each_seed(make_tree):
    tree = make_tree("Ju2_f7b375e_ppo_cartpole_random_try")
    for experiment in (2, 10):
        for seed in (3, 20):
            tree.learn(experiment, seed, 1, lr=experiment / 1000)
    (array,) = planned(tree)
    assert titles(array) == {
        (0, 0): "experiment 2: lr=0.002, seed=3",
        (0, 1): "experiment 2: lr=0.002, seed=20",
        (1, 0): "experiment 10: lr=0.01, seed=3",
        (1, 1): "experiment 10: lr=0.01, seed=20",
    }


def test_later_preparations_get_figures_named_by_their_experiments(tree):
    variations(tree, _1_2={"lr": [1, 2], "seed": [1]}, _3_4={"lr": [3, 4], "seed": [1]})
    for number in range(1, 6):  # the fifth belongs to no preparation that is known
        tree.learn(number, 1, 1, lr=number)
    stem = "eval_return_over_episode"
    assert [array.stem for array in planned(tree)] == [stem, f"{stem}_3-4", f"{stem}_5-5"]
    assert [len(array.cells) for array in planned(tree)] == [2, 2, 1]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"one-two": {}}', '{"1-2": {"lr": [1, 1], "seed": [1]}}', '{"1-2": {"lr": 5}}']
)
def test_variations_that_do_not_fit_the_runs_give_rows_and_columns(tree, content):
    (tree.dir / "variations.json").write_text(content)
    tree.learn(1, 1, 1, lr=1)
    tree.learn(2, 1, 1, lr=1)
    (array,) = planned(tree)
    assert sorted(titles(array)) == [(0, 0), (1, 0)]


def test_every_state_is_said(tree):
    column = {"episode": [0, 1, 2], "eval_return": [0.0, 1.0, 2.0]}
    tree.lay(1, 1, column)
    tree.lay(2, 1, None, "UNHATCHED")
    tree.lay(3, 1, column, "CRASH.txt")
    tree.lay(4, 1, column, "")
    tree.lay(5, 1, {"episode": [0, 1], "loss": [0, 1]})
    tree.lay(6, 1, {"episode": [0, 1], "eval_return": [float("inf"), float("nan")]})
    cut = tree.lay(7, 1, column) / "recorders" / "train_recorder.pkl"
    cut.write_bytes(cut.read_bytes()[:20])
    (array,) = planned(tree)
    said = [(cell.condition, cell.state, cell.curve is not None) for cell in array.cells]
    assert said[:6] == [
        (Condition.COMPLETED, "", True),
        (Condition.WAITING, "waiting", False),
        (Condition.CRASHED, "crashed", True),
        (Condition.STOPPED, "mysteriously stopped", True),
        (Condition.COMPLETED, "no eval_return recorded", False),
        (Condition.COMPLETED, "1 NaN, 1 infinite", True),
    ]
    assert said[6][2] is False
    assert "train_recorder.pkl" in said[6][1]
    assert tree.dir.name not in said[6][1]  # a small plot has no room for a path


def test_records_without_a_value_are_gaps_unless_they_are_to_be_removed(tree):
    tree.lay(1, 1, {"episode": [0, 1, 2, 3], "eval_return": [5.0, None, None, 7.0]})
    (with_gaps,), (joined,) = planned(tree), planned(tree, remove_none=True)
    curve = with_gaps.cells[0].curve
    np.testing.assert_array_equal(curve.y, [5, np.nan, np.nan, 7])
    assert with_gaps.cells[0].state == ""
    np.testing.assert_array_equal(joined.cells[0].curve.x, [0, 3])
    np.testing.assert_array_equal(joined.cells[0].curve.y, [5, 7])


def test_a_metric_with_a_slash_makes_a_file_name_without_one(tree):
    tree.lay(1, 1, {"episode": [0, 1], "loss/train": [0, 1]})
    (array,) = planned(tree, definition=Definition("episode", "loss/train"))
    assert array.stem == "loss-train_over_episode"


def test_a_definition_is_read_as_it_is_typed():
    read = parse_definition("episode, eval_return, None, 50, -1.5, none")
    assert read == Definition("episode", "eval_return", (None, 50.0), (-1.5, None))
    assert definition_of(("a", "b", (None, None), (0, 1))) == Definition("a", "b", (None, None), (0, 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "episode, eval_return",
        "a, b, 0, 1, 2, 3, 4",
        "a, b, 0, one, 2, 3",
        "a, b, 3, 2, 0, 1",
        "a, , 0, 1, 2, 3",
    ],
)
def test_a_definition_that_can_not_be_read_is_told_in_one_line(text):
    with pytest.raises(UsageError) as caught:
        parse_definition(text)
    assert "\n" not in str(caught.value)


def test_a_default_of_another_shape_is_a_mistake_that_is_named():
    with pytest.raises(UsageError, match="DEFAULT_PLOTS_ARRAYS_TO_MAKE"):
        definition_of(("episode", "eval_return"))


def test_thinning_keeps_ends_and_spikes():
    x = np.arange(100_003, dtype=float)
    y = np.sin(x / 5000)
    y[40_000], y[70_001] = 9, -9
    thin_x, thin_y = thinned(x, y, 600)
    assert len(thin_x) < 1000
    assert (thin_x[0], thin_x[-1]) == (x[0], x[-1])
    assert (thin_y.max(), thin_y.min()) == (9, -9)
    assert np.all(np.diff(thin_x) > 0)
