"""The picture of a random search's draws takes whatever was drawn."""

import io

import matplotlib.image
import pytest

from alfred.figures.sampled_hyperparams import _draw, _row, sampled_hyperparams_png
from alfred.utils.plots import create_fig


@pytest.mark.parametrize(
    "values",
    [
        {"lr": [0.1, 0.001, 0.00001], "width": [8, 16, 8]},
        {"mixed": [None, 3, "wide", True, [1, 2], {"a": 1}]},
        {"none": [None, None]},
        {"flag": [True, False]},
        {"formula": ["$x^$", "$", "a_b"], "$y": [1, 2, 3]},
        {"huge": [10**400, 1, -(10**30)], "tiny": [1e-300, 1e300], "digits": ["1" * 30, "2"]},
        {"_hidden": [1], "漢字": ["字"], "long" * 50: ["text" * 50]},
        {"zero": [0, 1000], "negative": [-1, 1000.0]},
        {"one draw": [0.5]},
        {},
    ],
    ids=lambda values: ", ".join(values)[:20] or "nothing",
)
def test_any_values_give_the_same_picture_twice(values):
    picture = sampled_hyperparams_png(values)
    height, width, _ = matplotlib.image.imread(io.BytesIO(picture), format="png").shape
    assert (width, height) == (800, 150 * max(1, len(values)))
    assert sampled_hyperparams_png(values) == picture


def test_other_values_give_another_picture():
    assert sampled_hyperparams_png({"lr": [0.1]}) != sampled_hyperparams_png({"lr": [0.1, 0.3]})


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([0.001, 0.1], True),
        ([0.01, 0.1], False),
        ([0, 100], False),
        ([-1, 100], False),
        ([], False),
    ],
)
def test_positive_numbers_over_two_decades_are_drawn_logarithmically(column, expected):
    _, ax = create_fig((1, 1))
    _draw(ax, _row("lr", column))
    assert ax.get_xscale() == ("log" if expected else "linear")
