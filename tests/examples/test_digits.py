"""examples/digits is a project that a reader of the README can run and trust."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alfred.utils.recorder import Recorder

REPOSITORY = Path(__file__).resolve().parents[2]
DIGITS = REPOSITORY / "examples" / "digits"
SCHEDULES = sorted((DIGITS / "schedules").glob("*/*_schedule_*.py"))
SEARCHED_ELSEWHERE = {"seed", "alg_name", "task_name"}


@pytest.fixture
def project(tmp_path):
    left_over = shutil.ignore_patterns("storage", "__pycache__")
    return Path(shutil.copytree(DIGITS, tmp_path / "my digits", ignore=left_over))


def run_python(project, *words):
    """What `python <words>` prints, called from the project's folder."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


def only_run(root):
    (seed_dir,) = root.glob("*/experiment1/seed*")
    return seed_dir


def learning_curve(seed_dir):
    return Recorder.init_from_pickle_file(seed_dir / "recorders" / "train_recorder.pkl").tape


@pytest.mark.parametrize(
    ("alg", "task", "largest_class"),
    [
        ("sgd", "breast_cancer", 0.63),
        ("mlp", "breast_cancer", 0.63),
        ("mlp", "wine", 0.4),
        ("sgd", "digits", 0.11),
    ],
)
def test_training_alone_records_a_curve_and_a_model_that_beats_the_largest_class(
    project, alg, task, largest_class
):
    run_python(project, "main.py", "--alg_name", alg, "--task_name", task, "--n_epochs", "12")

    seed_dir = only_run(project / "storage")
    tape = learning_curve(seed_dir)
    assert tape["epoch"] == list(range(1, 13))
    assert tape["train_loss"][-1] < tape["train_loss"][0]
    assert all(0 <= accuracy <= 1 for accuracy in tape["valid_accuracy"])
    storage_name = seed_dir.parents[1].name
    answer = run_python(project, "evaluate.py", "--storage_name", storage_name)
    assert largest_class + 0.2 < float(answer.split()[-1]) <= 1


def test_evaluation_reads_the_model_as_it_was_at_its_best_epoch(project):
    run_python(project, "main.py", "--alg_name", "mlp", "--task_name", "wine", "--lr", "0.1")
    seed_dir = only_run(project / "storage")
    recompute = (
        "import sys, numpy, evaluate, main\n"
        "inputs, labels = main.load_task('wine')['valid']\n"
        "print((evaluate.predict(numpy.load(sys.argv[1]), inputs) == labels).mean())"
    )
    accuracy = float(run_python(project, "-c", recompute, str(seed_dir / "model.npz")))
    assert accuracy == pytest.approx(max(learning_curve(seed_dir)["valid_accuracy"]))


def test_training_does_not_need_the_test_split(project):
    train_without = (
        "import main\n"
        "load_all = main.load_task\n"
        "main.load_task = lambda name: {k: v for k, v in load_all(name).items() if k != 'test'}\n"
        "config = main.get_run_args('')\n"
        "config.n_epochs = 2\n"
        "main.main(config)\n"
    )
    run_python(project, "-c", train_without)
    assert (only_run(project / "storage") / "model.npz").is_file()


def test_no_example_is_in_two_splits_and_none_is_lost(project):
    digest = (
        "import main\n"
        "from sklearn.datasets import load_wine\n"
        "splits = main.load_task('wine')\n"
        "rows = [tuple(row) for inputs, labels in splits.values() for row in inputs]\n"
        "sizes = [len(labels) for _, labels in splits.values()]\n"
        "print(len(load_wine().target), len(rows), len(set(rows)), *sizes)"
    )
    assert run_python(project, "-c", digest).split() == ["178", "178", "178", "106", "36", "36"]


def test_the_seed_alone_decides_the_curve(project):
    for root, seed in [("first", 1), ("again", 1), ("other", 2)]:
        options = ["--root_dir", root, "--seed", str(seed), "--n_epochs", "3", "--input_noise", "0.5"]
        run_python(project, "main.py", "--alg_name", "mlp", "--task_name", "wine", *options)
    first, again, other = (learning_curve(only_run(project / root)) for root in ("first", "again", "other"))
    assert first == again
    assert first["train_loss"] != other["train_loss"]


def test_main_stays_short_enough_for_a_text_book():
    assert len((DIGITS / "main.py").read_text().splitlines()) < 150


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda path: path.stem)
def test_a_schedule_varies_only_what_main_knows(project, schedule):
    known = set(
        json.loads(
            run_python(project, "-c", "import json, main; print(json.dumps(vars(main.get_run_args(''))))")
        )
    )
    names = runpy.run_path(str(schedule))
    if "VARIATIONS" in names:
        varied = names["VARIATIONS"]
    else:
        varied = names["sample_experiment"](np.random.default_rng(1))
        assert varied == names["sample_experiment"](np.random.default_rng(1))
    json.dumps(varied)
    assert set(varied) <= known - SEARCHED_ELSEWHERE
    assert {"alg_name", "task_name", "seed"} <= known


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda path: path.stem)
def test_looks_are_given_for_each_algorithm_and_task_of_a_schedule(schedule):
    names = runpy.run_path(str(schedule))
    folder = schedule.parent
    visuals = json.loads((folder / f"visuals_{folder.name}.json").read_text())
    for look in ("labels_dict", "colors_dict", "markers_dict"):
        assert set(names["ALG_NAMES"]) == set(visuals[look])
    assert set(names["TASK_NAMES"]) <= set(visuals["titles_dict"])
    assert "valid_accuracy" in visuals["axis_titles_dict"]
