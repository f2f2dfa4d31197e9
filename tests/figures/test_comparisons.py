"""The figures that compare: their numbers, what they say at 2 and at 12 algorithms, and where they go."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from alfred.analysis.gather import gather
from alfred.analysis.luck import RetrainGap
from alfred.analysis.scores import score_search
from alfred.analysis.settings import settings
from alfred.figures.curve_panel import Curve, draw_curves, gather_band
from alfred.figures.models import Model, _draw_gaps, _draw_learning, _draw_performance, draw_compare_models
from alfred.figures.names import Name, in_order, looks_of, names_of
from alfred.figures.saving import save_figure
from alfred.figures.searches import _draw_trials, compared_searches, draw_compare_searches
from alfred.figures.style import ONE_COLUMN, TWO_COLUMNS, look, printed
from alfred.figures.visuals import Visuals

TWELVE = [f"algorithm_{letter}" for letter in "abcdefghijk"] + ["an_algorithm_with_a_name_of_many_parts_v2"]


@pytest.fixture
def searches(make_tree):
    """`searches(algorithms, tasks, experiments, seeds)`: one storage directory each, all gathered."""

    def make(algorithms, tasks, n_experiments=1, n_seeds=3, desc="random_try", length=20):
        made = []
        for at, (alg, task) in enumerate((alg, task) for alg in algorithms for task in tasks):
            tree = make_tree(f"Ju{at + 1}_f7b375e_{alg}_{task}_{desc}", alg, task)
            for experiment in range(1, n_experiments + 1):
                for seed in range(n_seeds):
                    tree.learn(experiment, seed, at + experiment, n=length)
            made.append(gather(tree.dir))
        return made

    return make


def scores_of(found, wanted):
    return [
        score_search(one, wanted.metric, wanted.aggregation, wanted.goal, wanted.interval) for one in found
    ]


def compare_models(found, wanted, visuals=None, gap=None):
    models = [Model(one, scores, gap) for one, scores in zip(found, scores_of(found, wanted), strict=True)]
    return draw_compare_models(models, wanted, visuals)


def benchmark_figure(read_figure, search, name):
    return read_figure(search.storage_dir / "benchmark" / f"benchmark_{name}")


def test_the_numbers_of_compared_searches_are_the_means_of_their_experiments(searches):
    found = searches(["ppo", "sac"], ["ant"], n_experiments=4)
    wanted = settings()
    scores = scores_of(found, wanted)
    compared = compared_searches(found, scores, "max")
    means = [one.mean for one in scores[0].experiments]
    np.testing.assert_array_equal(compared[0].experiment_scores, means)
    assert [one.name for one in compared] == [Name("ppo"), Name("sac")]
    best = compared[0].best_of_k
    assert best.k.tolist() == [1, 2, 3, 4]
    assert best.estimate[0] == pytest.approx(np.mean(means))
    assert best.estimate[-1] == pytest.approx(max(means))


def test_an_experiment_that_can_not_be_the_best_counts_as_tried(make_tree):
    tree = make_tree("Ju1_f7b375e_ppo_ant_random_try", "ppo", "ant")
    for experiment in (1, 2, 3):
        tree.learn(experiment, 1, experiment)
    tree.lay(4, 1, None, "CRASH.txt")
    tree.learn(5, 1, 9)
    tree.lay(5, 2, None, "CRASH.txt")  # the highest score, and not that of all its runs
    found = [gather(tree.dir)]
    scores = scores_of(found, settings())
    (compared,) = compared_searches(found, scores, "max")
    assert compared.best_of_k.n_total == 5
    assert len(compared.experiment_scores) == 4
    assert np.isnan(compared.best_of_k.estimate).tolist() == [True, True, False, False, False]
    assert compared.best_of_k.estimate[-1] == scores[0].experiment(3).mean < max(compared.experiment_scores)


def test_searches_are_compared_in_two_figures_in_every_storage_directory(searches, read_figure):
    found = searches(["ppo", "sac"], ["ant"], n_experiments=4)
    wanted = settings()
    paths = draw_compare_searches(found, scores_of(found, wanted), wanted)
    assert len(paths) == 12
    for search in found:
        densities = benchmark_figure(read_figure, search, "vertical_densities")
        assert "experiments with a score: n = 4, 8 of 8; 24 runs: 24 completed" in densities.text
        assert "ppo" in densities.text
        assert "mean of the last 20 %" in densities.text
        best = benchmark_figure(read_figure, search, "expected_best")
        assert "dashed: beyond a quarter" in best.text
        assert best.sources["bootstrap"] == {"replicates": 10_000, "seed": 0}
        assert densities.ink() > 0.01


def test_models_are_compared_by_curves_and_scores(searches, read_figure):
    found = searches(["ppo", "sac"], ["ant", "hopper"])
    visuals = Visuals(
        titles={"ant": "The ant"},
        labels={"ppo": "PPO"},
        axis_titles={"eval_return": "return (1000 points)"},
        hlines={"ant": [{"y": 1.0, "label": "expert"}]},
    )
    compare_models(found, settings(), visuals)
    learning = benchmark_figure(read_figure, found[0], "learning")
    for text in (
        "The ant",
        "hopper",
        "PPO (n = 3)",
        "sac (n = 3)",
        "return (1000 points)",
        "expert",
        "Student t",
    ):
        assert text in learning.text
    performance = benchmark_figure(read_figure, found[0], "performance")
    assert "dots: the runs themselves" in performance.text
    assert performance.sources["n"] == {search.name: 3 for search in found}
    assert not (found[0].storage_dir / "benchmark" / "benchmark_retrain_gap.pdf").exists()


def test_the_runs_used_are_those_of_the_experiment_that_is_shown(searches, read_figure):
    found = searches(["ppo"], ["ant"], n_experiments=2)
    compare_models(found, settings())
    for kind in ("learning", "performance"):
        (source,) = benchmark_figure(read_figure, found[0], kind).sources["sources"]
        assert source["runs_used"] == [f"experiment2/seed{seed}" for seed in range(3)]


def test_the_gap_between_search_and_retrain_is_shown_with_its_numbers_of_runs(searches, read_figure):
    found = searches(["ppo"], ["ant"])
    gap = RetrainGap(2.0, 3, 1.5, 9, 1.8, 10, 50.0, -0.5)
    compare_models(found, settings(), gap=gap)
    figure = benchmark_figure(read_figure, found[0], "retrain_gap")
    assert "n = 3 in the search, 9 retrained and cut, 10 retrained in full" in figure.text
    (record,) = figure.sources["gaps"].values()
    numbers = [record[f"n_{which}"] for which in ("in_search", "at_equal_length", "at_full_length")]
    assert numbers == [3, 9, 10]
    assert record["last_x_of_search"] == 50.0
    models = [Model(found[0], scores_of(found, settings())[0], gap)]
    with printed():
        (ax,) = _draw_gaps(models, names_of(found), settings(), Visuals()).axes
    joined, *marks = (line.get_ydata().tolist() for line in ax.lines)
    assert (joined, marks) == ([2.0, 1.5], [[2.0], [1.5], [1.8]])


def test_twelve_algorithms_on_six_tasks_have_all_their_names_in_the_figure(searches, tmp_path, read_figure):
    found = searches(TWELVE, [f"task{number}" for number in range(6)], n_seeds=2, length=5)
    wanted = settings()
    models = [Model(one, scores) for one, scores in zip(found, scores_of(found, wanted), strict=True)]
    bands = [gather_band(model.runs, wanted.x_metric, wanted.y_metric, wanted.interval) for model in models]
    with printed():
        drawn = _draw_learning(models, names_of(found), bands, wanted, Visuals())
        save_figure(drawn, tmp_path / "learning", {})
    figure = read_figure(tmp_path / "learning")
    squeezed = figure.text.replace(" ", "")
    assert all(f"{name}(n=2)" in squeezed for name in TWELVE)
    assert figure.inches[0] == pytest.approx(TWO_COLUMNS, abs=0.01)
    assert figure.inches[1] < 9  # it fits on a page


def test_no_two_texts_of_a_figure_with_twelve_algorithms_overlap(searches):
    """Labels below the columns and titles above the panels, by the boxes that the renderer gives them."""
    found = searches(TWELVE, ["ant", "a_task_with_a_name_that_is_wider_than_a_panel"], n_seeds=2, length=5)
    wanted = settings()
    models = [Model(one, scores) for one, scores in zip(found, scores_of(found, wanted), strict=True)]
    with printed():
        figure = _draw_performance(models, names_of(found), wanted, Visuals())
        figure.canvas.draw()
        texts = [ax.title for ax in figure.axes] + [figure._suptitle]
        texts += [text for ax in figure.axes for text in ax.get_xticklabels() if text.get_text()]
        boxes = [text.get_window_extent() for text in texts]
    assert len(boxes) == 2 + 1 + 24
    for at, one in enumerate(boxes):
        assert figure.bbox.x0 <= one.x0
        assert one.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= one.y0
        assert not any(one.overlaps(other) for other in boxes[at + 1 :]), texts[at]


def test_one_seed_has_no_interval_and_says_so(searches, read_figure):
    found = searches(["ppo"], ["ant"], n_seeds=1)
    compare_models(found, settings())
    assert "ppo (n = 1)" in benchmark_figure(read_figure, found[0], "learning").text
    assert benchmark_figure(read_figure, found[0], "performance").inches[0] == pytest.approx(
        ONE_COLUMN, abs=0.01
    )


def test_where_runs_end_early_the_number_of_the_others_is_shown(make_tree, read_figure):
    tree = make_tree("Ju1_f7b375e_ppo_ant_retrainBestJu9_x", "ppo", "ant")
    for seed, length in ((1, 50), (2, 50), (3, 30)):
        tree.learn(1, seed, 1, n=length)
    found = [gather(tree.dir)]
    compare_models(found, settings())
    figure = benchmark_figure(read_figure, found[0], "learning")
    assert "n = 2 to 3" in figure.text
    assert "n=2" in figure.text


def test_the_numbers_of_runs_that_go_on_stand_above_the_curves(make_tree):
    for at, alg in enumerate(("ppo", "sac", "td3"), start=1):
        tree = make_tree(f"Ju{at}_f7b375e_{alg}_ant_retrainBestJu9_x", alg, "ant")
        for seed, length in ((1, 50), (2, 50), (3, 30)):
            tree.learn(1, seed, 1, n=length)
    found = [gather(path) for path in sorted(tree.dir.parent.iterdir())]
    wanted = settings()
    models = [Model(one, scores) for one, scores in zip(found, scores_of(found, wanted), strict=True)]
    curves = [gather_band(model.runs, wanted.x_metric, wanted.y_metric, wanted.interval) for model in models]
    with printed():
        figure = _draw_learning(models, names_of(found), curves, wanted, Visuals())
        figure.canvas.draw()
        (ax,) = figure.axes
        highest = max(np.nanmax(one.band.high) for one in curves)
        above = ax.transData.transform((0, highest))[1]
        numbers = [text.get_window_extent() for text in ax.texts if text.get_text() == "n=2"]
    assert len(numbers) == 3
    assert all(box.y0 >= above for box in numbers)


def test_a_line_far_from_all_curves_is_named_and_does_not_press_them_together(searches):
    found = searches(["ppo"], ["ant"])
    wanted = settings()
    models = [Model(one, scores) for one, scores in zip(found, scores_of(found, wanted), strict=True)]
    curves = [gather_band(models[0].runs, wanted.x_metric, wanted.y_metric, wanted.interval)]
    lines = [{"y": 1.5, "label": "human"}, {"y": 500, "label": "perfect"}]
    with printed():
        figure = _draw_learning(models, names_of(found), curves, wanted, Visuals(hlines={"ant": lines}))
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["human", "above: perfect (500)"]
    assert 1.5 < ax.get_ylim()[1] < 5


def test_a_score_that_no_run_has_spoils_no_learning_curve(searches, read_figure):
    found = searches(["ppo"], ["ant"])
    compare_models(found, settings(performance_metric="return"))
    assert "ppo (n = 3)" in benchmark_figure(read_figure, found[0], "learning").text
    assert "no run has a score" in benchmark_figure(read_figure, found[0], "performance").text


@pytest.mark.parametrize(("n_experiments", "n_unscored"), [(1, 0), (3, 0), (1, 3), (0, 2)])
def test_experiments_tried_are_counted_in_whole_numbers(searches, make_tree, n_experiments, n_unscored):
    tree = make_tree("Ju1_f7b375e_ppo_ant_random_try", "ppo", "ant")
    for experiment in range(1, n_experiments + n_unscored + 1):
        tree.learn(experiment, 1, 1, flag="COMPLETED" if experiment <= n_experiments else "CRASH.txt")
    found = [gather(tree.dir)]
    wanted = settings()
    with printed():
        figure = _draw_trials(compared_searches(found, scores_of(found, wanted), "max"), wanted, Visuals())
        figure.canvas.draw()
    (ax,) = figure.axes
    assert all(tick == int(tick) for tick in ax.get_xticks())
    low, high = ax.get_xlim()
    assert low < 1 <= n_experiments + n_unscored < high
    assert [text.get_text() for text in ax.texts] == ([] if n_experiments else ["no run has a score"])


def test_the_expected_best_has_its_band_up_to_a_quarter_of_the_experiments_and_is_dashed_beyond(searches):
    found = searches(["ppo"], ["ant"], n_experiments=8, n_seeds=1)
    wanted = settings()
    with printed():
        figure = _draw_trials(compared_searches(found, scores_of(found, wanted), "max"), wanted, Visuals())
    (ax,) = figure.axes
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2], [2, 3, 4, 5, 6, 7, 8]]
    (band,) = ax.collections
    assert set(band.get_paths()[0].vertices[:, 0]) == {1, 2}


def test_a_comparison_of_fewer_storage_directories_does_not_replace_the_larger_one(searches):
    found = searches(["ppo", "sac"], ["ant"])
    wanted = settings()
    compare_models(found, wanted)
    folder = found[0].storage_dir / "benchmark"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    compare_models(found[:1], wanted)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: after[name] for name in before} == before
    assert {"benchmark_learning_0.pdf", "benchmark_performance_0.pdf"} <= after.keys()
    compare_models(found, wanted)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == after


def test_storage_directories_of_one_algorithm_and_task_are_told_apart(make_tree):
    trees = [
        make_tree(f"Ju{at}_f7b375e_ppo_ant_{desc}", "ppo", "ant")
        for at, desc in enumerate(["random_old", "random_new", "random_new"])
    ]
    for tree in trees:
        tree.learn(1, 1, 1)
    names = names_of([gather(tree.dir) for tree in trees])
    assert names[0] == Name("ppo", "random_old")
    assert len(in_order(names)) == 3
    assert len({one.color for one in looks_of(names, Visuals(colors={"ppo": "red"})).values()}) == 3


def test_numbers_of_runs_that_go_on_do_not_touch_on_a_short_curve_beside_a_long_one(make_tree):
    for at, lengths in enumerate(((60, 60), (30, 25, 20, 15, 10)), start=1):
        tree = make_tree(f"Ju{at}_f7b375e_alg{at}_ant_retrainBestJu9_x", f"alg{at}", "ant")
        for seed, length in enumerate(lengths, start=1):
            tree.learn(1, seed, 1, n=length)
    wanted = settings()
    bands = [
        gather_band(gather(path).runs, wanted.x_metric, wanted.y_metric, wanted.interval).band
        for path in sorted(tree.dir.parent.iterdir())
    ]
    with printed():
        figure = Figure(figsize=(2.0, 2.0))
        ax = figure.subplots()
        draw_curves(ax, [Curve(band, look(at)) for at, band in enumerate(bands)])
        figure.canvas.draw()
        boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.x0)
    assert len(boxes) > 1
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
