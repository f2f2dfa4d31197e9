"""The plot arrays of a storage directory: what they say, and that many plots stay cheap."""

import json
import time

import pytest

import alfred.defaults
from alfred.analysis.gather import gather
from alfred.errors import StorageError
from alfred.figures.array_ink import draw_array
from alfred.figures.array_plan import Definition, plan_arrays
from alfred.figures.plot_arrays import plot_storage_dir
from alfred.figures.style import printed

WANTED = Definition("episode", "eval_return")


@pytest.fixture
def mixed(tree):
    """A storage directory with one run of each kind."""
    tree.learn(1, 1, 1, lr=0.1)
    tree.lay(2, 1, None, "UNHATCHED", lr=0.2)
    tree.learn(3, 1, 1, flag="CRASH.txt", lr=0.3)
    tree.lay(4, 1, {"episode": [0, 1], "loss": [1.0, 2.0]}, lr=0.4)
    return tree


def test_the_figure_says_what_each_run_is_and_counts_them(mixed, read_figure):
    made = plot_storage_dir(mixed.dir, [WANTED])
    stem = mixed.dir / "eval_return_over_episode"
    assert [path.name for path in made.paths] == [
        stem.name + end for end in (".pdf", ".png", "_sources.json")
    ]
    assert made.absent == ()
    figure = read_figure(stem)
    for text in ("experiment 1: lr=0.1, seed=1", "waiting", "crashed", "no eval_return recorded"):
        assert text in figure.text
    assert "runs: 2 completed, 1 crashed, 1 waiting" in figure.text
    assert figure.ink() > 0.01
    assert figure.sources["n_plots"] == 4
    states = figure.sources["sources"][0]["runs_by_state"]
    assert states == {"waiting": 1, "completed": 2, "crashed": 1}


def test_the_same_tree_gives_the_same_bytes(mixed):
    first = [path.read_bytes() for path in plot_storage_dir(mixed.dir, [WANTED]).paths]
    assert [path.read_bytes() for path in plot_storage_dir(mixed.dir, [WANTED]).paths] == first


def test_a_metric_that_no_run_recorded_is_named_and_spoils_nothing_else(mixed):
    made = plot_storage_dir(mixed.dir, [Definition("episode", "eval_retrun"), WANTED])
    assert len(made.paths) == 3
    (sentence,) = made.absent
    assert "no run recorded eval_retrun" in sentence
    assert "did you mean eval_return?" in sentence
    assert mixed.dir.name in sentence
    assert (mixed.dir / "PLOT_ARRAYS_COMPLETED").exists()
    assert not (mixed.dir / "PLOT_ARRAYS_ONGOING").exists()


def test_flags_tell_of_a_figure_that_failed(mixed):
    (mixed.dir / "PLOT_ARRAYS_COMPLETED").touch()
    in_the_way = mixed.dir / "eval_return_over_episode.pdf"
    in_the_way.mkdir()
    with pytest.raises(OSError):
        plot_storage_dir(mixed.dir, [WANTED])
    assert not (mixed.dir / "PLOT_ARRAYS_COMPLETED").exists()
    assert not (mixed.dir / "PLOT_ARRAYS_ONGOING").exists()


def test_the_defaults_are_those_of_the_moment(mixed, monkeypatch):
    wanted = [("episode", "loss", (None, None), (0, 5))]
    monkeypatch.setattr(alfred.defaults, "DEFAULT_PLOTS_ARRAYS_TO_MAKE", wanted)
    assert {path.name for path in plot_storage_dir(mixed.dir).paths} == {
        "loss_over_episode.pdf",
        "loss_over_episode.png",
        "loss_over_episode_sources.json",
    }


def test_a_storage_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        plot_storage_dir(tmp_path / "nowhere", [WANTED])


def test_one_diverged_run_does_not_flatten_the_others(tree, read_figure):
    for seed in range(1, 5):
        tree.learn(1, seed, 1)
    tree.lay(1, 5, {"episode": list(range(10)), "eval_return": [0.0] * 9 + [1e12]})
    plot_storage_dir(tree.dir, [WANTED])
    text = read_figure(tree.dir / "eval_return_over_episode").text
    assert text.count("cut off") == 2  # in the heading, and at the one run


def test_limits_that_were_given_are_kept(tree, read_figure):
    tree.learn(1, 1, 1)
    plot_storage_dir(tree.dir, [Definition("episode", "eval_return", (0, 10), (-7, 7))])
    text = read_figure(tree.dir / "eval_return_over_episode").text
    assert "−5" in text
    assert "0 5 10" in text
    assert "40" not in text


def test_two_epochs_have_two_ticks_and_ticks_close_together_are_told_apart(tree, read_figure):
    tree.lay(1, 1, {"episode": [1, 2], "eval_return": [1e9, 1e9 + 2]})
    plot_storage_dir(tree.dir, [WANTED])
    text = read_figure(tree.dir / "eval_return_over_episode").text.replace(" ", "")
    assert "10000000001000000001100000000212Ju1" in text


def test_a_tree_of_an_older_tool_is_drawn(tmp_path):
    """No .alfred, no variations.json, and a name that tells no field apart."""
    seed_dir = tmp_path / "Ju1_g_mix_3_cart_pole_grid_x" / "experiment1" / "seed5"
    (seed_dir / "recorders").mkdir(parents=True)
    unique = {"alg_name": "g_mix_3", "task_name": "cart_pole", "seed": 5}
    (seed_dir / "config.json").write_text(json.dumps({**unique, "desc": "grid_x"}))
    (seed_dir / "config_unique.json").write_text(json.dumps(unique))
    (seed_dir / "UNHATCHED").touch()
    made = plot_storage_dir(seed_dir.parents[1], [WANTED])
    assert made.paths == ()
    assert "no run recorded episode and eval_return" in made.absent[0]
    from alfred.utils.recorder import Recorder

    recorder = Recorder(["episode", "eval_return"])
    recorder.write_to_tape({"episode": 1, "eval_return": [2.0]})
    recorder.save(seed_dir / "recorders" / "some_recorder.pkl")
    assert len(plot_storage_dir(seed_dir.parents[1], [WANTED]).paths) == 3


def test_two_hundred_plots_are_a_handful_of_artists_and_take_no_time(tree):
    for experiment in range(1, 21):
        for seed in range(10):
            tree.learn(experiment, seed, experiment, n=200)
    (array,) = plan_arrays(gather(tree.dir, every_condition=True), WANTED)
    assert len(array.cells) == 200
    with printed():
        start = time.process_time()
        figure = draw_array(array)
        assert time.process_time() - start < 4
    (ax,) = figure.axes
    assert len(ax.collections) == 3  # frames, lines at the ticks, curves
    curves = ax.collections[-1].get_paths()
    assert len(curves) == 200
    assert {len(path.vertices) for path in curves} == {200}
    width, height = figure.get_size_inches()
    assert height < 2 * width < 60


def test_a_long_array_goes_on_beside_itself(make_tree):
    tree = make_tree("Ju2_f7b375e_ppo_cartpole_random_try")
    for experiment in range(1, 41):
        tree.learn(experiment, 1, 1, n=3)
    (array,) = plan_arrays(gather(tree.dir), WANTED)
    assert (array.n_rows, array.n_columns) == (40, 1)
    with printed():
        width, height = draw_array(array).get_size_inches()
    assert height < 2.5 * width
