"""`alfred prepare` from the schedule file to the directories, as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import alfred
from alfred.prepare_schedule import main, prepare_schedule

MAIN = """\
from argparse import Namespace

def get_run_args(overwritten):
    return Namespace(alg_name="a", task_name="t", desc="", seed=0, lr=0.1, width=8, act="relu")

def main(config, dir_tree, logger, pbar): pass
"""

GRID = """\
ALG_NAMES = ["sgd", "g_mix_3"]
TASK_NAMES = ["wine"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.01, 0.001], "width": [8, 16]}
"""

RANDOM = """\
import random
import numpy as np
ALG_NAMES = ["sgd", "g_mix_3"]
TASK_NAMES = ["wine"]
SEEDS = [1, 2]
N_EXPERIMENTS = 3
def sample_experiment():
    return {"lr": 10 ** np.random.uniform(-4, -1), "width": random.choice([None, 4, "wide"]), "act": True}
"""

GRID_FILE = "schedules/abc/grid_schedule_abc.py"
RANDOM_FILE = "schedules/abc/random_schedule_abc.py"
NO_QUESTION = "--ask_for_validation=false"


def write_project(folder, **files):
    """A client project; each keyword is a file's text, `main` or one of the schedules."""
    texts = {"main": MAIN, "grid": GRID, "random": RANDOM, **files}
    (folder / "schedules" / "abc").mkdir(parents=True)
    for key, name in (("main", "main.py"), ("grid", GRID_FILE), ("random", RANDOM_FILE)):
        if texts[key] is not None:
            (folder / name).write_text(texts[key])
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A fresh client project as the current folder."""
    folder = write_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("main", None)
    yield folder
    sys.modules.pop("main", None)
    sys.modules.pop("alfred_schedule", None)


def typed(*words, folder, answer=None, **options):
    """A command typed in a shell of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-m", "alfred.prepare_schedule", *words],
        cwd=folder,
        env=environment,
        input=answer,
        stdin=subprocess.DEVNULL if answer is None else None,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def tree(folder):
    """Every file and folder but what Python itself caches."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in p.parts)


def read(path):
    return json.loads(path.read_text())


def draws(storage_dir):
    seeds = sorted(storage_dir.glob("experiment*/seed1"))
    return [(read(path / "config.json")["lr"], read(path / "config.json")["width"]) for path in seeds]


def test_a_grid_is_laid_as_it_was_shown(project):
    done = typed("--schedule_file", GRID_FILE, "--desc", "try", folder=project, answer="y\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 x 6 x 2 = 24" in done.stdout
    names = (project / "schedules/abc/list_searches_abc.txt").read_text().splitlines()
    assert [name.split("_", 1)[1] for name in names] == ["sgd_wine_grid_try", "g_mix_3_wine_grid_try"]
    assert all(name in done.stdout for name in names)
    assert done.stdout.endswith("Next: alfred launch --from_file schedules/abc/list_searches_abc.txt\n")
    storage_dir = project / "storage" / names[1]
    assert (storage_dir / "GRID_SEARCH").is_file()
    waiting = {path.parent for path in storage_dir.glob("experiment*/seed*/UNHATCHED")}
    assert waiting == {storage_dir / f"experiment{n}" / f"seed{s}" for n in range(1, 7) for s in (1, 2)}
    own = {"alg_name": "g_mix_3", "task_name": "wine", "seed": 2}
    varied = {"lr": 0.1, "width": 16}
    run = storage_dir / "experiment2" / "seed2"
    assert read(run / "config.json") == {**own, **varied, "act": "relu", "desc": "grid_try"}
    assert read(run / "config_unique.json") == {**own, **varied}
    assert read(storage_dir / "variations.json") == {
        "1-6": {
            "lr": [0.1, 0.01, 0.001],
            "width": [8, 16],
            "alg_name": ["g_mix_3"],
            "task_name": ["wine"],
            "seed": [1, 2],
        }
    }


def test_a_random_search_is_laid_again_identical_from_its_sampling_seed(project):
    first = prepare_schedule(RANDOM_FILE, desc="one", sampling_seed=0, ask_for_validation=False)
    again = prepare_schedule(RANDOM_FILE, desc="two", sampling_seed=0, ask_for_validation=False)
    other = prepare_schedule(RANDOM_FILE, desc="new", sampling_seed=6, ask_for_validation=False)
    drawn = [[draws(project / "storage" / name) for name in names] for names in (first, again, other)]
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]
    assert drawn[0] != drawn[2]
    storage_dir = project / "storage" / first[0]
    assert (storage_dir / "RANDOM_SEARCH").is_file()
    assert (storage_dir / "variations1.png").read_bytes().startswith(b"\x89PNG")
    assert not (storage_dir / "variations.json").exists()


def test_without_resampling_all_have_the_same_draws(project):
    names = prepare_schedule(RANDOM_FILE, desc="one", resample=False, ask_for_validation=False)
    sgd, mix = (draws(project / "storage" / name) for name in names)
    assert sgd == mix


def test_a_sampling_seed_that_nobody_gave_is_shown_and_lays_the_search_again(project, capsys):
    (name, _) = prepare_schedule(RANDOM_FILE, desc="one", ask_for_validation=False)
    shown = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("sampling seed"))
    seed = int(shown.split()[-1])
    (again, _) = prepare_schedule(RANDOM_FILE, desc="two", sampling_seed=seed, ask_for_validation=False)
    assert draws(project / "storage" / name) == draws(project / "storage" / again)


def test_more_experiments_are_numbered_on_in_an_existing_storage_directory(project, capsys):
    (_, name) = prepare_schedule(GRID_FILE, desc="try", ask_for_validation=False)
    (project / GRID_FILE).write_text(GRID.replace("[0.1, 0.01, 0.001]", "[1.0]"))
    assert prepare_schedule(GRID_FILE, add_to_folder=name, ask_for_validation=False) == [name]
    storage_dir = project / "storage" / name
    assert list(read(storage_dir / "variations.json")) == ["1-6", "7-8"]
    added = read(storage_dir / "experiment8" / "seed2" / "config.json")
    assert (added["alg_name"], added["desc"], added["lr"]) == ("g_mix_3", "grid_try", 1.0)
    assert len(list((project / "storage").glob("*_sgd_*/experiment*"))) == 6
    assert capsys.readouterr().out.endswith(f"Next: alfred launch --storage_name {name}\n")


def test_more_draws_get_a_picture_of_their_own(project):
    (name, _) = prepare_schedule(RANDOM_FILE, desc="one", ask_for_validation=False)
    prepare_schedule(RANDOM_FILE, add_to_folder=name, ask_for_validation=False)
    assert (project / "storage" / name / "variations2.png").is_file()
    assert len(draws(project / "storage" / name)) == 6


@pytest.mark.parametrize("answer", ["n\n", "no\n", "what?\nN\n"])
def test_answering_no_changes_nothing(project, answer):
    before = tree(project)
    done = typed("--schedule_file", GRID_FILE, "--desc", "try", folder=project, answer=answer)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(project) == before


@pytest.mark.parametrize("answer", [None, "", "perhaps\n"])
def test_an_input_that_ends_without_an_answer_names_the_option(project, answer):
    before = tree(project)
    done = typed("--schedule_file", GRID_FILE, "--desc", "try", folder=project, answer=answer)
    assert done.returncode == 2
    assert "--ask_for_validation false" in done.stderr
    assert done.stderr.count("\n") == 1
    assert tree(project) == before


def test_a_dry_run_shows_the_summary_and_makes_nothing(project, capsys):
    before = tree(project)
    assert main(["--schedule_file", RANDOM_FILE, "--desc", "try", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert "2 x 3 x 2 = 12" in out
    assert out.endswith("nothing was made.\n")
    assert tree(project) == before


def test_many_draws_are_told_by_their_range(project, capsys):
    (project / RANDOM_FILE).write_text(RANDOM.replace("N_EXPERIMENTS = 3", "N_EXPERIMENTS = 20"))
    main(["--schedule_file", RANDOM_FILE, "--desc", "try", "--dry_run"])
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()}
    n_values, _, _, low, _, high = lines["lr"].split()
    assert int(n_values) == 40  # of both algorithms
    assert 1e-4 <= float(low) < float(high) <= 1e-1
    assert set(lines["width"].split(", ")) == {"None", "4", "wide"}


@pytest.mark.parametrize("name", ["with space", "quo'te\"s", "ünïcödé", "new\nline", "per%cent"])
def test_project_and_root_may_be_called_anything(tmp_path, name):
    folder = write_project(tmp_path / name / "project")
    root = tmp_path / name / "ro ot"
    words = ["--schedule-file", GRID_FILE, "--desc", "try", "--root-dir", str(root), NO_QUESTION]
    done = typed(*words, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(root.glob("*_sgd_wine_grid_try/experiment6/seed2/UNHATCHED"))) == 1


# What can't be prepared is in tests/bad_input, where the commands are called without a shell.


def test_a_bad_schedule_is_one_line_in_a_shell_too(tmp_path):
    folder = write_project(tmp_path / "project", grid=GRID.replace("width", "widht"))
    done = typed("--schedule_file", GRID_FILE, "--desc", "try", NO_QUESTION, folder=folder)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'widht', which get_run_args does not know: did you mean width?" in done.stderr
    assert not (folder / "storage").exists()


def test_a_search_in_which_nothing_varies_says_so(project, capsys):
    (project / GRID_FILE).write_text(GRID.partition("VARIATIONS")[0] + "VARIATIONS = {}\n")
    assert main(["--schedule_file", GRID_FILE, "--desc", "try", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert "2 x 1 x 2 = 4" in out
    assert "varied       nothing: every run has the defaults of get_run_args\n" in out


@pytest.mark.parametrize("task", ["..", ".t", "-t", "a b", "t\\u"])
def test_an_odd_name_is_a_plain_folder_in_the_root(project, task):
    (project / GRID_FILE).write_text(GRID.replace("wine", task.replace("\\", "\\\\")))
    names = prepare_schedule(GRID_FILE, desc="try", ask_for_validation=False)
    made = {path.name for path in (project / "storage").iterdir()} - {".alfred"}
    assert made == set(names)
    assert all(f"_{task}_grid_try" in name for name in names)
    assert {path.name for path in project.iterdir()} - {"__pycache__"} == {"main.py", "schedules", "storage"}
