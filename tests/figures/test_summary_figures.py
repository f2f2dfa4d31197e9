"""The figures of a summary: their numbers, then what they say, for good runs and for bad ones."""

import numpy as np
import pytest

from alfred.analysis.gather import gather
from alfred.analysis.scores import score_search
from alfred.analysis.settings import settings
from alfred.figures.curve_panel import gather_band
from alfred.figures.style import ONE_COLUMN, TWO_COLUMNS
from alfred.figures.summary_learning import draw_summary_learning, summary_curves
from alfred.figures.summary_performance import draw_summary_performance, ranked


def scored(tree, **options):
    wanted = settings(**options)
    search = gather(tree.dir)
    scores = score_search(search, wanted.metric, wanted.aggregation, wanted.goal, wanted.interval)
    return search, scores, wanted


@pytest.fixture
def spoilt(tree):
    """Three good experiments, and one run each with NaN, a crash, a wait, a cut file and an absent metric."""
    for experiment in (1, 2, 3):
        for seed in (1, 2, 3):
            tree.learn(experiment, seed, experiment)
    nan = float("nan")
    tree.lay(4, 1, {"episode": [0, 1], "eval_return": [100.0, nan]})
    tree.lay(5, 1, {"episode": [0], "eval_return": [100.0]}, "CRASH.txt")
    tree.lay(6, 1, None, "UNHATCHED")
    cut = tree.learn(7, 1, 9) / "recorders" / "train_recorder.pkl"
    cut.write_bytes(cut.read_bytes()[:30])
    tree.lay(8, 1, {"episode": [0], "loss": [1.0]})
    return tree


def test_the_curves_are_the_means_of_the_runs_best_first(spoilt):
    search, scores, wanted = scored(spoilt)
    curves = summary_curves(search, scores, wanted)
    assert [number for number, _ in curves.named] == [3, 2, 1]
    assert curves.others == ()
    best = curves.named[0][1]
    runs = [run.tape["eval_return"] for run in search.of_experiment(3)]
    np.testing.assert_allclose(best.centre, np.mean(runs, axis=0))
    assert set(best.n.tolist()) == {3}
    assert set(curves.left_out) == {f"experiment{number}/seed1" for number in (4, 7, 8)}
    assert curves.left_out["experiment4/seed1"] == "NaN in eval_return"


def test_only_the_ten_best_are_named(tree, tmp_path, read_figure):
    for experiment in range(1, 14):
        tree.learn(experiment, 1, experiment)
    search, scores, wanted = scored(tree)
    draw_summary_learning(search, scores, wanted, tmp_path / "learning")
    figure = read_figure(tmp_path / "learning")
    assert "1. experiment 13 (n = 1)" in figure.text
    assert "10. experiment 4 (n = 1)" in figure.text
    assert "experiment 3 " not in figure.text
    assert "the other 3" in figure.text
    assert figure.text.count("n = 1: no interval") == 1
    assert figure.sources["named"] == list(range(13, 3, -1))
    assert figure.inches[0] == pytest.approx(TWO_COLUMNS, abs=0.01)


def test_both_figures_count_and_name_what_is_left_out(spoilt, tmp_path, read_figure):
    search, scores, wanted = scored(spoilt)
    draw_summary_learning(search, scores, wanted, tmp_path / "learning")
    draw_summary_performance(search, scores, wanted, tmp_path / "performance")
    for name in ("learning", "performance"):
        figure = read_figure(tmp_path / name)
        assert "14 runs: 12 completed, 1 waiting, 1 crashed" in figure.text
        for why in ("NaN in eval_return (1)", "no eval_return recorded (1)", "train_recorder.pkl is damaged"):
            assert why in figure.text
        assert "95 % interval of the mean (Student t), n = 3" in figure.text
        (source,) = figure.sources["sources"]
        assert len(source["runs_used"]) == 9
        assert len(source["runs_left_out"]) == 5
        assert figure.inches[0] == pytest.approx(ONE_COLUMN, abs=0.01)
        assert set(figure.embedded_fonts()) == {"/FontFile2"}
    assert "without any score: experiment 4, 5, 6, 7, 8" in read_figure(tmp_path / "performance").text


def test_long_names_are_not_cut_off_at_the_edge_of_the_page(make_tree, tmp_path, read_figure):
    tree = make_tree(
        "Ju1_f7b375e_x_y_grid_z", "an_algorithm_with_a_name_of_many_parts", "a_task_of_many_words"
    )
    tree.learn(1, 1, 1)
    search, scores, wanted = scored(tree)
    draw_summary_learning(search, scores, wanted, tmp_path / "learning")
    draw_summary_performance(search, scores, wanted, tmp_path / "performance")
    for name in ("learning", "performance"):
        figure = read_figure(tmp_path / name)
        assert min(figure.left_ends()) > 0
        assert f"{tree.fields['alg_name']} on {tree.fields['task_name']}".replace(
            " ", ""
        ) in figure.text.replace(" ", "")


def test_with_the_goal_min_the_lowest_comes_first(spoilt, tmp_path, read_figure):
    search, scores, wanted = scored(spoilt, performance_goal="min")
    assert [one.experiment for one in ranked(scores)] == [1, 2, 3]
    draw_summary_performance(search, scores, wanted, tmp_path / "performance")
    figure = read_figure(tmp_path / "performance")
    assert figure.sources["ranking"] == [1, 2, 3]
    assert "goal min" in figure.text


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("bootstrapped_CI", "narrower than it says below 10 seeds"),
        ("stderr", "standard error, n = 3"),
        ("10th_quantile", "10th to 90th percentile of the runs"),
        ("None", "every run"),
    ],
)
def test_every_method_is_named_in_both_figures(tree, tmp_path, read_figure, method, said):
    for seed in (1, 2, 3):
        tree.learn(1, seed, 1)
    search, scores, wanted = scored(tree, y_error_bars=method)
    draw_summary_learning(search, scores, wanted, tmp_path / "learning")
    draw_summary_performance(search, scores, wanted, tmp_path / "performance")
    for name in ("learning", "performance"):
        assert said in read_figure(tmp_path / name).text


def test_the_same_search_gives_the_same_bytes(tree, tmp_path):
    for seed in (1, 2, 3):
        tree.learn(1, seed, 1)
    search, scores, wanted = scored(tree, y_error_bars="bootstrapped_CI")
    for draw in (draw_summary_learning, draw_summary_performance):
        first, second = (draw(search, scores, wanted, tmp_path / name) for name in ("a", "b"))
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_an_absent_metric_is_told_in_the_figure(tree, tmp_path, read_figure):
    tree.lay(1, 1, {"episode": [0, 1], "loss": [0.0, 1.0]})
    search, scores, wanted = scored(tree)
    draw_summary_learning(search, scores, wanted, tmp_path / "learning")
    draw_summary_performance(search, scores, wanted, tmp_path / "performance")
    said = read_figure(tmp_path / "learning").text
    assert "no completed run has a curve of eval_return over episode" in said
    assert "no run has a score" in read_figure(tmp_path / "performance").text


def test_a_long_curve_is_thinned_to_what_a_page_shows(tree):
    tree.learn(1, 1, 1, n=5000)
    found = gather_band(gather(tree.dir).runs, "episode", "eval_return", "student_t")
    assert len(found.band.x) == 600
    assert (found.band.x[0], found.band.x[-1]) == (0, 4999)


def test_equal_runs_have_an_interval_of_width_0_and_the_figures_say_so(tree, tmp_path, read_figure):
    for seed in (1, 2):
        tree.lay(1, seed, {"episode": [0, 1], "eval_return": [3.0, 3.0]})
    search, scores, wanted = scored(tree)
    draw_summary_learning(search, scores, wanted, tmp_path / "learning")
    draw_summary_performance(search, scores, wanted, tmp_path / "performance")
    assert "all runs are equal: width 0" in read_figure(tmp_path / "learning").text
    assert "width 0 where all runs are equal" in read_figure(tmp_path / "performance").text
