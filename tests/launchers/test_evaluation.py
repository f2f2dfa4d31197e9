"""Scores from the project's evaluate(): in parallel, kept beside the runs, whatever one of them does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import alfred
from alfred.errors import ProjectError
from alfred.launchers.evaluation import Evaluation, evaluate_runs

# What evaluate() does for a run stands in `do.txt` of its seed directory; each call is noted in calls.txt.
EVALUATE = """\
import argparse, ctypes, json, os, signal, time
from pathlib import Path

import numpy as np


def get_evaluation_args(overwritten_args):
    parser = argparse.ArgumentParser()
    parser.add_argument("--n_episodes", type=int, default=3)
    parser.add_argument("--own_option", default="kept")
    return parser.parse_args(overwritten_args.split() or None)


def wait_for(path):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.005)
    return 1.0


def evaluate(config):
    seed_dir = Path(config.root_dir, config.storage_name, f"experiment{config.experiment_num}")
    seed_dir /= f"seed{config.seed_num}"
    with open(seed_dir / "calls.txt", "a") as calls:
        calls.write(json.dumps(vars(config)) + "\\n")
    return eval((seed_dir / "do.txt").read_text())
"""

ENDINGS = {
    "input()": Evaluation(error="EOFError: EOF when reading a line"),
    "1.5": Evaluation((1.5,)),
    "[1, 2.5, -3]": Evaluation((1.0, 2.5, -3.0)),
    "(x / 2 for x in (1, 2))": Evaluation((0.5, 1.0)),
    "np.float32(0.5)": Evaluation((0.5,)),
    "np.array(2.5)": Evaluation((2.5,)),
    "np.arange(3)": Evaluation((0.0, 1.0, 2.0)),
    "print('{\"scores\": [7]}') or 3": Evaluation((3.0,)),
    "os.write(1, b'half a line') * 0 + 4": Evaluation((4.0,)),
    "1 / 0": Evaluation(error="ZeroDivisionError: division by zero"),
    "config.missing": Evaluation(error="AttributeError: 'Namespace' object has no attribute 'missing'"),
    # exit() closes sys.stdin, which must not be where the requests come from
    "exit('two\\nlines')": Evaluation(error="SystemExit: two lines"),
    "os._exit(3)": Evaluation(error="its process ended with status 3"),
    "ctypes.string_at(0)": Evaluation(error="its process ended with status -11"),
    "os.kill(os.getpid(), signal.SIGKILL)": Evaluation(error="its process ended with status -9"),
    "float('nan')": Evaluation(error="evaluate() returned nan"),
    "[1.0, float('inf')]": Evaluation(error="evaluate() returned inf"),
    "[]": Evaluation(error="evaluate() returned no score"),
    "None": Evaluation(error="evaluate() returned no number: None"),
    "'good'": Evaluation(error="evaluate() returned no number: 'good'"),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with an evaluate.py, the current folder as for a command typed there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(alfred.__file__).parents[1]))
    (tmp_path / "evaluate.py").write_text(EVALUATE)
    return tmp_path


@pytest.fixture
def runs(project):
    """`runs(do, ...)`: one seed directory for each thing that evaluate() is to do."""

    def lay(*dos):
        folders = [
            project / "storage" / "Ab1_ppo_hill_grid_x" / f"experiment{number}" / f"seed{10 * number}"
            for number in range(1, len(dos) + 1)
        ]
        for folder, do in zip(folders, dos, strict=True):
            folder.mkdir(parents=True)
            (folder / "do.txt").write_text(do)
        return folders

    return lay


@pytest.fixture
def evaluate(project):
    """`evaluate(seed_dirs, n_episodes, ...)`, under the project's root."""
    return lambda seed_dirs, n=5, **more: evaluate_runs(seed_dirs, project / "storage", n, **more)


def calls(seed_dir):
    """The configurations with which evaluate() was called for a run."""
    path = seed_dir / "calls.txt"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_each_run_has_its_scores_or_why_there_are_none_and_no_other_suffers(runs, evaluate, capfd):
    seed_dirs = runs(*ENDINGS)
    told = []
    found = evaluate(seed_dirs, n_processes=2, progress=lambda done, total: told.append((done, total)))
    assert {(path / "do.txt").read_text(): found[path] for path in seed_dirs} == ENDINGS
    assert told == [(done, len(ENDINGS)) for done in range(1, len(ENDINGS) + 1)]
    assert [len(calls(path)) for path in seed_dirs] == [1] * len(ENDINGS)
    assert capfd.readouterr().out == "", "what evaluate() prints is no result of the command"


def test_the_config_has_the_run_and_the_projects_own_options(project, runs, evaluate):
    (seed_dir,) = runs("config.seed_num")
    assert evaluate([seed_dir], 7) == {seed_dir: Evaluation((10.0,))}
    assert calls(seed_dir) == [
        {
            "storage_name": "Ab1_ppo_hill_grid_x",
            "experiment_num": 1,
            "seed_num": 10,
            "render": False,
            "n_episodes": 7,
            "root_dir": str(project / "storage"),
            "own_option": "kept",
        }
    ]


def test_raw_scores_are_kept_for_as_many_episodes_and_made_anew_when_asked(runs, evaluate):
    good, bad = runs("[1, 2]", "1 / 0")
    first = evaluate([good, bad])
    kept = json.loads((good / ".alfred" / "evaluation.json").read_text())
    assert kept == {"n_episodes": 5, "scores": [1.0, 2.0]}
    (good / "do.txt").write_text("3")
    assert evaluate([good, bad]) == first
    assert (len(calls(good)), len(calls(bad))) == (1, 2), "only what failed is tried again"
    assert evaluate([good], 6) == {good: Evaluation((3.0,))}, "other episodes, other scores"
    (good / "do.txt").write_text("4")
    assert evaluate([good], 6, again=True) == {good: Evaluation((4.0,))}
    assert len(calls(good)) == 3


@pytest.mark.parametrize("kept", ["", "{", '{"n_episodes": 5, "scores": [NaN]}', '{"n_episodes": 5}'])
def test_kept_scores_that_cannot_be_used_are_made_anew(runs, evaluate, kept):
    (seed_dir,) = runs("2")
    (seed_dir / ".alfred").mkdir()
    (seed_dir / ".alfred" / "evaluation.json").write_text(kept)
    assert evaluate([seed_dir]) == {seed_dir: Evaluation((2.0,))}


def test_two_runs_are_evaluated_at_the_same_time_in_processes_of_their_own(project, runs, evaluate):
    """Each waits until the other has begun: one after the other would never come to an end."""
    dos = [
        f"(Path('began{one}').write_text(str(os.getpid())), wait_for(Path('began{other}')))[1]"
        for one, other in ((1, 2), (2, 1))
    ]
    found = evaluate(runs(*dos), n_processes=2)
    assert [one.scores for one in found.values()] == [(1.0,), (1.0,)]
    processes = {(project / f"began{number}").read_text() for number in (1, 2)}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes


def test_nothing_is_loaded_where_all_is_known(project, runs, evaluate):
    (seed_dir,) = runs("2")
    evaluate([seed_dir])
    (project / "evaluate.py").unlink()
    assert evaluate([seed_dir]) == {seed_dir: Evaluation((2.0,))}
    assert evaluate([]) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no evaluate.py in "),
        ("import nowhere_to_be_found", "evaluate.py does not import: ModuleNotFoundError"),
        ("def evaluate(config): return 1", r"evaluate.py has no get_evaluation_args\(\): define it"),
        ("def get_evaluation_args(words): return 1", r"evaluate.py has no evaluate\(\): define it"),
        ("import os; os._exit(7)", "its process ended with status 7"),
    ],
)
def test_an_evaluate_py_that_cannot_be_used_is_one_line(project, runs, evaluate, text, told):
    (project / "evaluate.py").unlink()
    if text is not None:
        (project / "evaluate.py").write_text(text)
    with pytest.raises(ProjectError, match=told) as caught:
        evaluate(runs("1", "2"), n_processes=2)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2
