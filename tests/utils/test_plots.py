"""Drawing on axes that the caller gives: whatever a run recorded, the right ink is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

import alfred
from alfred.utils.plots import (
    PALETTE,
    bar_chart,
    create_fig,
    plot_curves,
    plot_sampled_hyperparams,
    plot_vertical_densities,
    smooth_out,
)


@pytest.fixture
def ax():
    """One axes object; its figure can be saved at the end of every test."""
    figure, axes = create_fig((1, 1))
    yield axes
    figure.savefig(os.devnull, format="png")


def drawn(ax):
    """x and y of every line with more than the hidden ones of error bars."""
    return [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in ax.get_lines()]


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_figure_has_the_shape_asked_for(tmp_path):
    figure, one = create_fig((1, 1))
    assert isinstance(figure, Figure)
    assert one in figure.axes
    assert create_fig((1, 3))[1].shape == create_fig((3, 1))[1].shape == (3,)
    assert create_fig((2, 3))[1].shape == (2, 3)
    assert create_fig((2, 3))[0].get_size_inches().tolist() == [24, 10]
    figure, _ = create_fig((1, 1), figsize=(4, 3))
    figure.savefig(tmp_path / "x.pdf")
    figure.savefig(tmp_path / "x.png", dpi=100)
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")
    assert matplotlib.image.imread(tmp_path / "x.png").shape[:2] == (300, 400)


def test_figures_need_no_display_and_none_is_kept_alive():
    program = (
        "import gc, weakref, sys; from alfred.utils.plots import create_fig\n"
        "fig, ax = create_fig((1, 1)); fig.savefig(sys.argv[1], format='png')\n"
        "ref = weakref.ref(fig); del fig, ax; gc.collect()\n"
        "assert ref() is None\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    environment |= {"PYTHONPATH": str(Path(alfred.__file__).parents[1]), "MPLBACKEND": "tkagg"}
    done = subprocess.run(
        [sys.executable, "-c", program, os.devnull], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_points_that_are_none_are_left_out_and_a_missing_curve_keeps_its_colour(ax):
    plot_curves(ax, [[1, None, 3], None, np.array([4, 5, 6]), (7,)], labels=["a", "b", "c", None])
    assert drawn(ax) == [([0, 2], [1, 3]), ([0, 1, 2], [4, 5, 6]), ([0], [7])]
    assert [line.get_color() for line in ax.get_lines()] == [PALETTE[0], PALETTE[2], PALETTE[3]]
    assert texts(ax) == ["a", "c"]


def test_curves_are_drawn_over_their_own_x(ax):
    plot_curves(ax, [[1, 2, 3], [4, 5]], xs=[[10, None, 30], None], xlim=(0, 40), ylim=(None, 9))
    assert drawn(ax) == [([10, 30], [1, 3]), ([0, 1], [4, 5])]
    assert ax.get_xlim() == (0, 40)
    assert ax.get_ylim()[1] == 9
    assert ax.get_legend() is None
    with pytest.raises(ValueError, match="2 values of x and 3 of y"):
        plot_curves(ax, [[1, 2, 3]], xs=[[1, 2]])
    with pytest.raises(ValueError, match="2 values of an error and 3 of y"):
        plot_curves(ax, [[1, 2, 3]], fill_up=[[1, 2]])


@pytest.mark.parametrize("ys", [[], [[]], [None], [[None, None]], [[float("nan")]], [[1]]])
def test_little_or_nothing_to_draw_is_no_error(ax, ys):
    assert plot_curves(ax, ys, labels=["a"], fill_up=[1], fill_down=[1], smooth=True, title="t") is None
    assert ax.get_title() == "t"


def test_bands_and_bars_go_with_the_points_that_are_left(ax):
    plot_curves(
        ax, [[1, None, 3]], fill_up=[[1, 9, 2]], fill_down=[0.5], error_up=[[1, 9, 2]], error_down=[[1, 9, 1]]
    )
    corners = {tuple(point) for point in ax.collections[0].get_paths()[0].vertices.tolist()}
    assert corners == {(0, 0.5), (0, 2), (2, 2.5), (2, 5)}
    ends = {tuple(point) for segment in ax.containers[0][2][0].get_segments() for point in segment.tolist()}
    assert ends == {(0, 0), (0, 2), (2, 2), (2, 5)}


def test_a_smooth_curve_stands_before_the_faint_one_it_comes_from(ax):
    plot_curves(ax, [[0.0, 1.0, None, 1.0]], smooth=True, labels=["a"])
    (_, raw), (_, smoothed) = drawn(ax)
    assert raw == [0, 1, 1]
    assert smoothed == pytest.approx([0, 0.8, 0.96])
    assert texts(ax) == ["a"]


def test_horizontal_lines_go_from_side_to_side_and_stay_as_given(ax):
    hlines = [{"y": 2.0, "label": "human", "colors": "red", "linestyles": "--"}]
    plot_curves(ax, [[1, 3]], hlines=hlines, xlim=(0, 5))
    assert hlines == [{"y": 2.0, "label": "human", "colors": "red", "linestyles": "--"}]
    assert ax.collections[0].get_segments()[0].tolist() == [[0, 2], [5, 2]]
    assert ax.get_xlim() == (0, 5)
    assert texts(ax) == ["human"]


# Light as red-blind and green-blind eyes see it: Vienot, Brettel & Mollon (1999), on linear RGB.
SEEN = {
    "by all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "red-blind": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "green-blind": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.mark.parametrize("eyes", SEEN)
def test_any_two_colours_are_told_apart_by_colour_blind_eyes_too(eyes):
    """Distances in CIELAB; 2 is just seen, matplotlib's own colours come down to 6."""
    rgb = np.array([to_rgb(color) for color in PALETTE])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(SEEN[eyes]).T, 0, 1) @ XYZ.T / XYZ.sum(axis=1)
    f = np.where(seen > 0.008856, np.cbrt(seen), 7.787 * seen + 16 / 116)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    assert distances[np.triu_indices(len(PALETTE), 1)].min() > 15


def test_sixteen_curves_look_all_different(ax):
    plot_curves(ax, [[1, 2]] * 16)
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.get_lines()}) == 16


def test_a_legend_goes_where_it_is_asked_to(ax):
    plot_curves(ax, [[1, 2], [2, 3]], labels=["a", "b"], legend_outside=True, legend_n_columns=2)
    assert ax.get_legend()._ncols == 2
    plot_curves(ax, [[1, 2]], labels=["c"], add_legend=False, colors=["red"], markers=["x"], n_x_ticks=2)
    assert to_hex(ax.get_lines()[-1].get_color()) == "#ff0000"
    assert len(ax.xaxis.get_major_locator().tick_values(0, 1)) <= 4


def test_smoothing_keeps_none_and_nan_in_their_places():
    smoothed = smooth_out([None, 1.0, None, 2.0, float("nan"), 3.0], 0.5)
    assert smoothed[:4] == [None, 1.0, None, 1.5]
    assert np.isnan(smoothed[4])
    assert smoothed[5] == 2.25
    assert smooth_out([0, 10]) == [0, 8]
    for factor in (0, 1, -1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            smooth_out([1], factor)


def test_bars_stand_in_groups_with_their_errors(ax):
    scores = {"ppo": {"cartpole": 1.0, "pong": 2.0}, "sac": {"cartpole": 3.0, "pong": None}}
    errors = {"ppo": {"cartpole": 0.5, "pong": 0.1}, "sac": None}
    bar_chart(ax, scores, err_up=errors, err_down=errors, title="t")
    heights = [bar.get_height() for bar in ax.patches]
    assert heights[:3] == [1, 2, 3]
    assert np.isnan(heights[3])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cartpole", "pong"]
    lefts = [bar.get_x() for bar in ax.patches]
    assert lefts[0] < lefts[2] < 0.5 < lefts[1] < lefts[3]
    assert texts(ax) == ["ppo", "sac"]


def test_bars_may_be_lists_and_colours_may_be_chosen(ax):
    bar_chart(ax, {"a": [1, 2], "b": [3, 4]}, colors={"a": "red"}, group_names=["x", "y"], cmap="viridis")
    assert to_hex(ax.patches[0].get_facecolor()) == "#ff0000"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["x", "y"]
    bar_chart(ax, {})


@pytest.mark.parametrize("make_boxplot", [False, True])
def test_distributions_stand_in_columns(ax, make_boxplot):
    ys = [[1, 2, None, 4], [], np.array([3.0, np.nan]), None]
    plot_vertical_densities(
        ax, ys, labels=["a", "b", "c", "d"], make_boxplot=make_boxplot, hlines=[{"y": 1}], title="t"
    )
    assert ax.get_xlim() == (0.5, 4.5)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c", "d"]
    if make_boxplot:
        assert len(ax.patches) == 2
    else:
        assert drawn(ax) == [([1, 1, 1], [1, 2, 4]), ([], []), ([3], [3]), ([], [])]


def test_the_whiskers_end_at_the_percentiles_asked_for(ax):
    plot_vertical_densities(ax, [np.arange(101)], make_boxplot=True, whis=(10, 80))
    ends = {y for _, ys in drawn(ax) for y in ys}
    assert {10, 80, 25, 75, 50} <= ends


def test_sampled_values_stand_in_one_row_each():
    figure, axes = create_fig((4, 1))
    samples = {"lr": [1e-4, 1e-2], "n": np.array([1, 2]), "opt": ["adam", None], "off": [0.0, 1.0]}
    plot_sampled_hyperparams(axes, samples, ["lr", "off"])
    assert [row.get_xscale() for row in axes] == ["log", "linear", "linear", "linear"]
    assert [texts(row) for row in axes] == [["lr"], ["n"], ["opt"], ["off"]]
    assert drawn(axes[0]) == [([1e-4, 1e-2], [0, 0])]
    figure.savefig(os.devnull, format="png")
    figure, one = create_fig((1, 1))
    plot_sampled_hyperparams(one, {"lr": [1]}, [])
    assert drawn(one) == [([1], [0])]
    with pytest.raises(ValueError, match="2 hyper-parameters need as many axes, not 1"):
        plot_sampled_hyperparams(one, {"a": [1], "b": [1]}, [])


def ticks_between(axis, low, high):
    return [tick for tick in axis.get_majorticklocs().tolist() if low <= tick <= high]


@pytest.mark.parametrize("epochs", [[1, 2], [5], [0, 1, 2, 3]])
def test_whole_numbers_along_x_have_ticks_at_whole_numbers_alone(ax, epochs):
    plot_curves(ax, [[0.5] * len(epochs)], xs=[epochs])
    assert ticks_between(ax.xaxis, epochs[0], epochs[-1]) == epochs
    plot_sampled_hyperparams(ax, {"n_epochs": epochs}, [])
    assert ticks_between(ax.xaxis, epochs[0], epochs[-1]) == epochs


def test_ticks_stand_at_round_numbers(ax):
    plot_curves(ax, [[0.955, 0.982]], xs=[[0.1, 0.32]])
    assert ticks_between(ax.yaxis, 0.955, 0.982) == pytest.approx([0.96, 0.97, 0.98])
    assert ticks_between(ax.xaxis, 0.1, 0.32) == pytest.approx([0.1, 0.15, 0.2, 0.25, 0.3])
