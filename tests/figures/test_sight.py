"""One diverged experiment does not hide the others of its search."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from alfred.analysis.gather import gather
from alfred.analysis.scores import score_search
from alfred.analysis.settings import settings
from alfred.figures.searches import _keep_good_in_sight, draw_compare_searches
from alfred.figures.sight import far_text, is_far
from alfred.figures.summary_learning import draw_summary_learning
from alfred.figures.summary_performance import draw_summary_performance


@pytest.mark.parametrize(
    ("scores", "goal", "far"),
    [
        ([4.0, 4.1, 4.2, 5.0, 2600.0], "min", [4]),
        ([4.0, 4.1, 4.2, 5.0, -2600.0], "max", [4]),
        ([4.0, 4.1, 4.2, 5.0, -2600.0], "min", []),  # the best one hides nobody from whom it could be hidden
        ([1.0, 1.0, 1.0, 0.5], "max", []),
        ([1.0, 2.0, 2.5, 20.0], "min", []),
        ([1.0, 1.1, 1.2, np.nan, 1e6], "min", [4]),
        ([7.0], "max", []),
        ([], "max", []),
    ],
)
def test_far_is_what_would_leave_the_better_half_a_twentieth_of_the_axis(scores, goal, far):
    assert np.flatnonzero(is_far(np.array(scores), goal)).tolist() == far


def test_how_many_are_far_is_told_and_how_far():
    scores = np.array([-900.0, 1, 2, 3, -5000])
    assert far_text(scores, is_far(scores, "max"), "max") == "2 of 5 experiments, down to -5e+03"


@pytest.fixture
def diverged(tree):
    """Six experiments with the losses 1 to 1.4 and about 3000."""
    for experiment, loss in enumerate((1, 1.1, 1.2, 1.3, 1.4, 3000), start=1):
        for seed in (1, 2):
            tree.learn(experiment, seed, loss, noise=0.01)
    return gather(tree.dir)


def test_the_figures_of_a_search_show_its_good_experiments_and_tell_of_the_diverged(
    diverged, tmp_path, read_figure
):
    wanted = settings(performance_goal="min")
    scores = score_search(diverged, wanted.metric, wanted.aggregation, wanted.goal, wanted.interval)
    draw_summary_learning(diverged, scores, wanted, tmp_path / "learning")
    draw_summary_performance(diverged, scores, wanted, tmp_path / "performance")
    draw_compare_searches([diverged], [scores], wanted)
    boxes = diverged.storage_dir / "benchmark/benchmark_vertical_densities"
    for stem in (tmp_path / "learning", tmp_path / "performance", boxes):
        text = read_figure(stem).text
        assert f"above: 1 of 6 experiments, up to {scores.experiment(6).mean:.3g}" in text
        assert "1.2" in text or "1.0" in text  # the numbers at the axis
        assert "1000" not in text
        assert "2000" not in text


def test_a_search_that_is_worse_than_another_by_far_is_no_diverged_experiment():
    good, bad = 1 + np.arange(6) / 1000, 3000 + np.arange(6) / 1000
    ax = Figure().subplots()
    _keep_good_in_sight(ax, [good, bad], "min")
    assert not list(ax.texts)
    _keep_good_in_sight(ax, [good, np.append(bad, 1e9)], "min")
    assert [text.get_text() for text in ax.texts] == ["above: 1 of 13 experiments, up to 1e+09"]
    assert ax.get_ylim()[0] < 1
    assert 3000 < ax.get_ylim()[1] < 5000
