"""Scores in columns: reference lines must not press them together."""

import numpy as np

from alfred.figures.score_panel import Column, draw_columns
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
