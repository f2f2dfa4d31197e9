"""Scores in columns: reference lines must not press them together."""

import numpy as np
import pytest

from alfred.figures.score_panel import Column, draw_columns, label_spots
from alfred.figures.style import look
from alfred.utils.plots import create_fig


def drawn(*hlines):
    """Two columns around 0.96, with an interval of 0.01 on each side, and these lines."""
    _, ax = create_fig((1, 1))
    columns = [Column("a", look(0), np.array([0.95, 0.96, 0.97]), 0.96, 0.01, 0.01)] * 2
    draw_columns(ax, columns, hlines=hlines)
    return ax.get_ylim(), [text.get_text() for text in ax.texts]


def test_a_line_near_the_scores_is_drawn_and_named():
    (low, high), texts = drawn({"y": 0.9, "label": "baseline"})
    assert low < 0.9 < high
    assert texts == ["baseline"]


def test_lines_far_from_the_scores_are_told_at_the_edge_they_lie_beyond():
    (low, high), texts = drawn({"y": 0.1, "label": "chance"}, {"y": 3.0})
    assert 0.9 < low < 0.95
    assert 0.97 < high < 1.1
    assert texts == ["below: chance (0.1)", "above: 3"]


@pytest.mark.parametrize(
    ("n", "reach", "n_shown"),
    [(10, 0.1, 10), (11, 0.1, 0), (11, np.nan, 11)],
    ids=["few", "many", "no interval"],
)
def test_few_points_are_shown_themselves_and_all_where_there_is_no_interval(n, reach, n_shown):
    _, ax = create_fig((1, 1))
    draw_columns(ax, [Column("a", look(0), np.arange(float(n)), (n - 1) / 2, reach, reach)])
    shown = [line.get_ydata().tolist() for line in ax.lines if line.get_marker() == "."]
    assert shown == [list(range(n_shown))]


def test_where_no_run_has_a_score_the_panel_says_so_and_has_no_scale():
    _, ax = create_fig((1, 1))
    draw_columns(ax, [Column("a", look(0), np.empty(0), np.nan, np.nan, np.nan)], title="ant")
    assert [text.get_text() for text in ax.texts] == ["no run has a score"]
    assert ax.get_yticks().size == 0


@pytest.mark.parametrize(
    ("labels", "rotation"),
    [
        (["an_algorithm_with_a_name_of_many_parts", "another_one_with_prioritized_replay"], 0),
        (["anAlgorithmWithANameOfOneWord", "another"], 90),
        ([f"algorithm_{at}" for at in range(12)], 90),
    ],
)
def test_long_labels_stand_level_in_lines_where_no_word_is_cut_for_it_and_else_upright(labels, rotation):
    _, ax = create_fig((1, 1))
    label_spots(ax, labels, 1)
    shown = ax.get_xticklabels()
    assert {text.get_rotation() for text in shown} == {rotation}
    assert [text.get_text().replace("\n", "") for text in shown] == labels
