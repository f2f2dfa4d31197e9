"""The figure of a comparison shows every algorithm, says how it was made, and overlaps nowhere."""

import io
import itertools
import json

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from pypdf import PdfReader

from alfred.analysis.across_tasks import compare_across_tasks
from alfred.figures.across_notes import bootstrap_note
from alfred.figures.across_tasks import draw_across_tasks, save_across_tasks
from alfred.figures.names import Name
from alfred.figures.saving import render
from alfred.figures.style import printed, wrapped
from alfred.figures.visuals import Visuals

LONG = "soft_actor_critic_with_automatic_temperature"


def compared(n_algorithms, n_tasks, n, prefix="alg", normalization="min-max", goal="max"):
    rng = np.random.default_rng(0)
    scores = {
        f"{prefix}{at}": {f"task{task}": at + rng.normal(size=n) for task in range(n_tasks)}
        for at in range(n_algorithms)
    }
    left_out = {f"{prefix}0": {"task0": {"crashed": 2}}}
    return compare_across_tasks(scores, normalization, goal, n_replicates=50, left_out=left_out)


def pdf_text(figure):
    return " ".join(PdfReader(io.BytesIO(render(figure, 50).pdf)).pages[0].extract_text().split())


def axes_of(figure, title):
    return next(ax for ax in figure.axes if ax.get_title().startswith(title))


@pytest.mark.parametrize("prefix", ["alg", LONG])
@pytest.mark.parametrize(
    ("n_algorithms", "n_tasks", "n"), [(2, 2, 3), (12, 6, 3), (12, 1, 10), (4, 1, 3), (4, 2, 1)]
)
def test_no_label_touches_another_or_leaves_the_page(n_algorithms, n_tasks, n, prefix):
    figure = draw_across_tasks(compared(n_algorithms, n_tasks, n, prefix))
    with printed():
        FigureCanvasAgg(figure).draw()
    texts = [text for ax in figure.axes for text in (*tick_labels(ax), ax.title)]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    boxes = {
        (at, text.get_text()): text.get_window_extent().shrunk(0.98, 0.9)
        for at, text in enumerate(texts)
        if text.get_text()
    }
    assert len(boxes) > n_algorithms
    touching = [(a, b) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]
    assert touching == []
    outside = [a for a, box in boxes.items() if box.x0 < 0 or box.y0 < 0 or box.x1 > figure.bbox.x1]
    assert outside == []


def tick_labels(ax):
    """The labels that are seen: matplotlib keeps those of ticks outside of the limits too."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if low <= tick.get_loc() <= high:
                yield from (label for label in (tick.label1, tick.label2) if label.get_visible())


def test_the_rows_are_the_estimates():
    result = compared(3, 2, 3)
    lines = axes_of(draw_across_tasks(result), "IQM").lines
    bars = [line.get_xdata() for line in lines if len(line.get_xdata()) == 2]
    points = [line.get_xdata()[0] for line in lines if len(line.get_xdata()) == 1]
    estimates = list(result.aggregates["iqm"].values())
    assert points == [one.point for one in estimates]
    assert [tuple(bar) for bar in bars] == [(one.low, one.high) for one in estimates]


def test_many_algorithms_have_a_square_of_both_directions_of_each_pair():
    result = compared(5, 2, 3)
    ax = axes_of(draw_across_tasks(result), "probability of improvement")
    shown = {tuple(map(int, text.get_position())): text.get_text() for text in ax.texts}
    assert len(shown) == 25
    assert shown[1, 0] == f"{100 * result.improvements[0].estimate.point:.0f}"
    assert int(shown[1, 0]) + int(shown[0, 1]) in (99, 100, 101)
    assert shown[2, 2] == ""


def test_the_caption_says_normalization_n_method_and_what_was_left_out():
    rng = np.random.default_rng(0)
    scores = {alg: {task: rng.normal(size=3) for task in "st"} | {"flat": [1.0, 1.0]} for alg in "ab"}
    left_out = {"a": {"s": {"crashed": 2}}, "b": {"t": {"crashed": 1, "running": 1}}}
    text = pdf_text(draw_across_tasks(compare_across_tasks(scores, n_replicates=50, left_out=left_out)))
    assert "95 % stratified bootstrap, 50 replicates, narrower than it says below 10 runs" in text
    assert "n = 3 on each of 2 tasks" in text
    assert "normalization: min-max" in text
    assert "tasks left out: flat (all scores are equal)" in text
    assert "runs left out: 3 crashed, 1 running" in text


def test_of_ragged_runs_the_fewest_say_how_far_to_trust_an_interval():
    rng = np.random.default_rng(0)
    scores = {alg: {"s": rng.normal(size=10), "t": rng.normal(size=9 + at)} for at, alg in enumerate("ab")}
    said = bootstrap_note(compare_across_tasks(scores, n_replicates=50))
    assert said.endswith(", narrower than it says below 10 runs; n = 9 to 10 on each of 2 tasks")


def test_where_lower_is_better_profiles_are_shares_below_with_the_better_end_at_the_right():
    figure = draw_across_tasks(compared(2, 2, 3, normalization="none", goal="min"))
    ax = axes_of(figure, "performance profiles")
    assert ax.xaxis_inverted()
    assert ax.get_ylabel().startswith("share of runs below")
    assert axes_of(figure, "IQM").get_title().endswith("(lower is better)")


def test_one_task_shows_differences_with_welchs_interval():
    result = compare_across_tasks({"alg0": {"s": [1.0, 2.0, 3.0]}, "alg1": {"s": [7.0, 8.0, 9.5]}})
    figure = draw_across_tasks(result)
    (ax,) = figure.axes
    pair = result.pairs[0]
    assert pair.p_holm < 0.05
    assert [text.get_text() for text in ax.get_yticklabels()] == ["alg0 - alg1 *"]
    assert tuple(ax.lines[0].get_xdata()) == (pair.low, pair.high)
    assert "bars: 95 % interval (Welch), not adjusted" in pdf_text(figure)


def test_with_nothing_to_compare_the_figure_says_so():
    text = pdf_text(draw_across_tasks(compared(1, 1, 3)))
    assert "There is only alg0: nothing to compare it with." in text


def test_labels_and_colours_of_the_visuals_file_and_additions_to_names_are_shown():
    result = compare_across_tasks(
        {"ppo (wide)": {"s": [1.0, 2.0], "t": [2.0, 3.0]}, "sac": {"s": [2.0, 1.5], "t": [0.0, 3.5]}},
        n_replicates=50,
    )
    visuals = Visuals(labels={"ppo": "PPO"}, colors={"sac": "red"})
    figure = draw_across_tasks(result, visuals, [Name("ppo", "wide"), Name("sac")])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["PPO (wide)", "sac"]
    assert axes_of(figure, "IQM").lines[2].get_color() == "red"


def test_figure_tables_and_sources_are_written_into_every_folder(tmp_path):
    result = compared(2, 2, 3)
    folders = [tmp_path / "one" / "benchmark", tmp_path / "two" / "benchmark"]
    paths = save_across_tasks(result, folders, {"settings": {"metric": "m"}, "seed": 0})
    assert sorted(path.name for path in folders[1].iterdir()) == [
        "benchmark_across_tasks.pdf",
        "benchmark_across_tasks.png",
        "benchmark_across_tasks_aggregates.csv",
        "benchmark_across_tasks_differences.csv",
        "benchmark_across_tasks_performance.csv",
        "benchmark_across_tasks_sources.json",
        "benchmark_across_tasks_tables.tex",
    ]
    assert len(paths) == 14
    sources = json.loads((folders[0] / "benchmark_across_tasks_sources.json").read_text())
    assert sources["n"] == {"task0": {"alg0": 3, "alg1": 3}, "task1": {"alg0": 3, "alg1": 3}}
    assert (sources["normalization"], sources["replicates"]) == ("min-max", 50)
    assert {task: tuple(ends) for task, ends in sources["normalization_constants"].items()} == (
        result.normalized.constants
    )
    assert sources["verdict"] == result.sentence
    assert sources["interval_of_aggregates"] == "95 % stratified percentile bootstrap"
    assert save_across_tasks(result, folders, {"settings": {"metric": "m"}, "seed": 0}) == paths


@pytest.mark.parametrize("spread", [0.002, 0.003, 0.004, 0.006])
def test_numbers_at_four_panels_side_by_side_do_not_touch(spread):
    rng = np.random.default_rng(0)
    scores = {
        f"{LONG}{at}": {f"task{i}": 0.95 + rng.normal(0, spread, 10) for i in range(2)} for at in range(2)
    }
    found = compare_across_tasks(scores, {"task0": (0.1, 1.0), "task1": (0.5, 1.0)}, n_replicates=50)
    figure = draw_across_tasks(found)
    with printed():
        FigureCanvasAgg(figure).draw()
    for title in ("mean", "median", "IQM", "optimality gap"):
        ax = axes_of(figure, title)
        low, high = ax.get_xlim()
        labels = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
        boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
        assert len(boxes) >= 1
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_a_line_breaks_neither_n_from_its_number_nor_a_number_from_its_percent_sign():
    for inches in np.linspace(1.0, 3.0, 21):
        lines = wrapped("best experiment 12 (n = 3), band: 95 % interval", inches).split("\n")
        assert any("(n = 3)" in line for line in lines)
        assert any("95 %" in line for line in lines)
