"""`alfred benchmark`: searches and models compared, from storage directories to figures."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pypdf import PdfReader

import alfred
from alfred import benchmark, make_plot_arrays
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.utils.recorder import Recorder

RL_LIKE = Path(__file__).resolve().parents[1] / "projects" / "rl_like"
LIST = "schedules/lr/list_searches_lr.txt"
SEARCHES = ("--benchmark_type", "compare_searches")
MODELS = ("--benchmark_type", "compare_models")


def typed(folder, *words):
    """A command typed in a project's folder."""
    return subprocess.run(
        [sys.executable, "-m", "alfred", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def record(seed_dir, values, metric="eval_return"):
    recorder = Recorder(["episode", metric])
    for episode, value in enumerate(values):
        recorder.write_to_tape({"episode": episode, metric: value})
    (seed_dir / "recorders").mkdir(exist_ok=True)
    recorder.save(seed_dir / "recorders" / "train_recorder.pkl")


def lay(folder, fields):
    """Finished searches: two experiments with three seeds for each algorithm and task."""
    (folder / "schedules" / "lr").mkdir(parents=True)
    plans = []
    for alg, task in fields:
        common = {"alg_name": alg, "task_name": task, "desc": "grid_x", "max_episodes": 20}
        experiments = [Experiment({**common, "lr": lr}, {"lr": lr}, (1, 2, 3)) for lr in (0.1, 0.2)]
        plans.append(Preparation(alg, task, "grid_x", "grid", tuple(experiments)))
    names = lay_search(folder / "storage", plans, folder / LIST)
    for at, name in enumerate(names):
        for seed_dir in (folder / "storage" / name).glob("experiment*/seed*"):
            experiment, seed = int(seed_dir.parent.name[-1]), int(seed_dir.name[-1])
            final = 10 * at + experiment + seed / 10
            record(seed_dir, [final * min(episode / 15, 1) for episode in range(20)])
            (seed_dir / "UNHATCHED").rename(seed_dir / "COMPLETED")
    return names


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Two algorithms on two tasks whose searches were compared once by the command."""
    folder = tmp_path_factory.mktemp("compared")
    lay(folder, [("ppo", "hill"), ("sac", "hill"), ("ppo", "cart_pole"), ("sac", "cart_pole")])
    return folder, typed(folder, "benchmark", *SEARCHES, "--from_file", LIST)


class Project:
    """The folder of a project, where commands are called in this process."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self.names = [line.strip() for line in (folder / LIST).read_text().splitlines()]
        self._capsys = capsys

    def __call__(self, *words, door=benchmark):
        """(exit status, standard output, standard error)"""
        self._capsys.readouterr()
        status = door.main([str(word) for word in words])
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def storage_dir(self, number):
        return self.folder / "storage" / self.names[number]

    def figures(self, number):
        return {path.stem for path in (self.storage_dir(number) / "benchmark").glob("*.pdf")}

    def sources(self, number, figure):
        return json.loads((self.storage_dir(number) / "benchmark" / f"{figure}_sources.json").read_text())

    def text(self, number, figure):
        pages = PdfReader(self.storage_dir(number) / "benchmark" / f"{figure}.pdf").pages
        return " ".join(" ".join(page.extract_text() for page in pages).split())


@pytest.fixture
def project(compared, tmp_path, monkeypatch, capsys):
    """A copy of what was compared, to do more with."""
    shutil.copytree(compared[0], tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("PYTHONPATH", str(Path(alfred.__file__).parents[1]))
    return Project(tmp_path / "project", capsys)


def names_of(sources):
    return [source["storage_name"] for source in sources["sources"]]


# --- what is compared, and where it is written


def test_searches_of_a_list_are_summarized_and_compared_in_the_folder_of_each(compared, project):
    assert compared[1].returncode == 0, compared[1].stderr
    assert compared[1].stderr == ""
    for number, name in enumerate(project.names):
        assert f"made storage/{name}/summary" in compared[1].stdout
        assert (project.storage_dir(number) / "summary" / "bestConfig_exp2.json").exists()
        assert project.figures(number) == {"benchmark_vertical_densities", "benchmark_expected_best"}
        sources = project.sources(number, "benchmark_vertical_densities")
        assert names_of(sources) == project.names
        assert set(sources["n"].values()) == {2}
    text = project.text(0, "benchmark_vertical_densities")
    for word in ("ppo", "sac", "hill", "cart_pole", "24 runs: 24 completed"):
        assert word in text


def test_the_same_again_makes_no_new_names_and_no_summaries(project):
    status, out, _ = project(*SEARCHES, "--from_file", LIST)
    assert (status, "summary" in out) == (0, False)
    assert project.figures(0) == {"benchmark_vertical_densities", "benchmark_expected_best"}


def test_a_figure_of_other_sources_is_kept_and_the_new_one_gets_the_next_free_name(project):
    figure = project.storage_dir(0) / "benchmark" / "benchmark_vertical_densities.pdf"
    before = figure.read_bytes()
    assert project(*SEARCHES, "--storage_names", *project.names[:2], project.names[0])[0] == 0  # one twice
    assert figure.read_bytes() == before
    assert names_of(project.sources(0, "benchmark_vertical_densities_0")) == project.names[:2]
    assert "benchmark_vertical_densities_0" in project.figures(1)
    assert "benchmark_vertical_densities_0" not in project.figures(2)


def test_models_are_compared_per_task_with_tables_and_a_verdict(project):
    status, out, err = project(*MODELS, "--from_file", LIST)
    assert (status, err) == (0, "")
    for number in range(4):
        assert {"benchmark_learning", "benchmark_performance", "benchmark_across_tasks"} <= project.figures(
            number
        )
        sources = project.sources(number, "benchmark_performance")
        assert names_of(sources) == project.names
        assert set(sources["experiments_shown"].values()) == {2}
        assert set(sources["n"].values()) == {3}
        ends = {
            path.suffix
            for path in (project.storage_dir(number) / "benchmark").glob("benchmark_across_tasks*")
        }
        assert ends >= {".pdf", ".png", ".json", ".csv", ".tex"}
    flattered = "where there are several experiments, the best one is shown, which flatters it"
    tables = (project.storage_dir(0) / "benchmark" / "benchmark_across_tasks_tables.tex").read_text()
    told = (
        out,
        tables.lower(),
        *(project.text(0, f"benchmark_{name}") for name in ("performance", "across_tasks")),
    )
    assert all(flattered in text for text in told)
    assert f"{2.2:g}" in out, "the mean of 2.1, 2.2 and 2.3, ppo on hill"
    sources = project.sources(0, "benchmark_across_tasks")
    assert (sources["interval"], sources["settings"]["interval"]) == ("student_t", "student_t")


def test_one_algorithm_on_several_tasks_has_its_tables_made_as_was_asked_for(project):
    for experiment in (1, 2):
        crashed = project.storage_dir(0) / f"experiment{experiment}" / "seed3"
        (crashed / "COMPLETED").rename(crashed / "CRASH.txt")
    ppo = (project.names[0], project.names[2])
    asked_for = ("--y_error_bars", "stderr", "--performance_goal", "min")
    status, out, _ = project(*MODELS, "--storage_names", *ppo, *asked_for)
    assert (status, out.splitlines()[-1]) == (0, "There is only ppo: nothing to compare it with.")
    sources = project.sources(0, "benchmark_across_tasks")
    assert (sources["interval"], sources["goal"]) == ("stderr", "min")
    table = project.storage_dir(0) / "benchmark" / "benchmark_across_tasks_performance.csv"
    with open(table, newline="") as file:
        hill, cart_pole = csv.DictReader(file)
    assert (hill["n"], hill["left_out"]) == ("2", "1 crashed")
    assert (cart_pole["n"], cart_pole["left_out"]) == ("3", "")
    ends = [float(cart_pole[end]) for end in ("low", "mean", "high")]
    assert ends == pytest.approx([21.2 - 0.1 / 3**0.5, 21.2, 21.2 + 0.1 / 3**0.5])  # experiment1, the lowest
    assert out.rstrip().splitlines()[-1].endswith(".")
    assert "ppo" in out.rstrip().splitlines()[-1]


METHODS = {
    "student_t": "Student t",
    "bootstrapped_CI": "narrower than it says below 10 seeds",
    "stderr": "standard error",
    "10th_quantile": "10th to 90th percentile",
    "None": "no interval",
}


@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_error_bar_is_drawn_and_named(project, method):
    """student_t is the default; each other one is another figure."""
    words = () if method == "student_t" else ("--y_error_bars", method)
    assert project(*MODELS, "--storage_names", *project.names[:2], *words)[0] == 0
    assert project.sources(0, "benchmark_learning")["settings"]["interval"] == method
    for figure in ("benchmark_learning", "benchmark_performance"):
        assert METHODS[method] in project.text(0, figure)


def test_the_looks_of_the_schedule_folder_are_honoured_and_missing_ones_fall_back(project):
    looks = {
        "titles_dict": {"hill": "A steep hill"},
        "axis_titles_dict": {"eval_return": "return (m)"},
        "labels_dict": {"ppo": "Proximal"},
        "colors_dict": {"ppo": "crimson"},
    }
    folder = project.folder / "schedules" / "lr"
    (folder / "visuals_lr.json").write_text(json.dumps(looks))
    lines = {"hlines": {"hill": [{"y": 1.0, "label": "by chance", "colors": "k", "linestyles": "--"}]}}
    (folder / "additional_curves_lr.json").write_text(json.dumps(lines))
    assert project(*MODELS, "--from_file", LIST)[0] == 0
    for figure in ("benchmark_learning", "benchmark_performance"):
        text = project.text(0, figure)
        for word in ("A steep hill", "cart_pole", "return (m)", "Proximal", "sac", "by chance"):
            assert word in text, word
        assert "ppo" not in text


# --- what is passed over or refused


def test_a_listed_directory_that_is_missing_is_passed_over(project):
    (project.folder / LIST).write_text(f"{project.names[0]}\nAb9_gone_hill_grid_x\n{project.names[1]}\n")
    status, _, err = project(*SEARCHES, "--from_file", LIST)
    assert status == 1
    assert err == "alfred: notice: storage/Ab9_gone_hill_grid_x does not exist: passed over\n"
    figure = "benchmark_vertical_densities_0"
    assert names_of(project.sources(0, figure)) == project.names[:2]


def test_a_search_without_a_completed_run_is_passed_over(project):
    for flag in project.storage_dir(1).glob("experiment*/seed*/COMPLETED"):
        flag.rename(flag.with_name("CRASH.txt"))
    status, _, err = project(*MODELS, "--from_file", LIST)
    assert status == 1
    assert err == f"alfred: notice: storage/{project.names[1]} has no completed run: passed over\n"


@pytest.mark.parametrize("kind", [SEARCHES, MODELS])
def test_nothing_to_compare_is_one_clear_sentence(project, kind):
    for flag in project.storage_dir(0).glob("experiment*/seed*/COMPLETED"):
        flag.rename(flag.with_name("UNHATCHED"))
    shutil.rmtree(project.storage_dir(0) / "summary")
    status, out, err = project(*kind, "--storage_names", project.names[0])
    assert (status, out) == (3, "")
    assert err.splitlines()[-1].startswith("alfred: there is nothing to compare: no run has completed")
    (project.folder / LIST).write_text("# nothing yet\n")
    status, out, err = project(*kind, "--from_file", LIST)
    assert (status, out, len(err.splitlines())) == (3, "", 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--storage_names", "Ab9_gone_hill_grid_x"), "there is no storage directory"),
        (("--from_file", "nowhere.txt"), "list file nowhere.txt can't be read"),
        (("--from_file", LIST, "--y_error_bars", "student"), "student_t"),
        (("--from_file", LIST, "--performance_goal", "lowest"), "--performance_goal lowest"),
        (("--from_file", LIST, "--performance_metric", "loss"), "--re_run_if_exists true"),
        (("--from_file", LIST, "--performance_goal", "min"), "--re_run_if_exists true"),
        (("--from_file", LIST, "--storage_names", "a"), "not allowed with"),
        ((), "--from_file --storage_names is required"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(project, words, told):
    before = {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")}
    status, out, err = project(*SEARCHES, *words)
    assert (status, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")} == before


def test_looks_that_cannot_be_drawn_are_one_line_with_the_file(project):
    (project.folder / "schedules" / "lr" / "visuals_lr.json").write_text(
        '{"colors_dict": {"ppo": "reddish"}}'
    )
    status, _, err = project(*MODELS, "--from_file", LIST)
    assert (status, len(err.splitlines())) == (2, 1)
    assert "visuals_lr.json, colors_dict: ppo has 'reddish'" in err


def test_asked_for_anew_summaries_of_other_settings_are_replaced(project):
    words = ("--performance_goal", "min", "--re_run_if_exists", "true")
    status, out, _ = project(*SEARCHES, "--storage_names", project.names[0], *words)
    assert (status, "made storage" in out) == (0, True)
    assert (project.storage_dir(0) / "summary" / "bestConfig_exp1.json").exists()
    assert not (project.storage_dir(0) / "summary" / "bestConfig_exp2.json").exists()


# --- runs that can't be used


def test_runs_that_cannot_be_used_are_named_by_every_command_and_left_out(project):
    """NaN, crashed, still running, a recorder file cut short, the metric absent: each in the first search."""
    seeds = [project.storage_dir(0) / f"experiment{n}" / f"seed{s}" for n in (1, 2) for s in (1, 2, 3)]
    record(seeds[0], [1.0, float("nan")])
    (seeds[1] / "COMPLETED").rename(seeds[1] / "CRASH.txt")
    recorder = seeds[2] / "recorders" / "train_recorder.pkl"
    recorder.write_bytes(recorder.read_bytes()[:-20])
    record(seeds[3], [1.0], metric="loss")
    (seeds[4] / "COMPLETED").rename(seeds[4] / f"RUNNING.{os.uname().nodename}-{os.getpid()}-0123abcd")
    why = ["NaN in eval_return", "crashed", "is damaged or no pickle", "no eval_return recorded", "running"]
    selected = ("--storage_names", *project.names[:2])
    for kind in (SEARCHES, MODELS):
        status, _, err = project(*kind, *selected)
        assert status == 0, err
        for reason, seed_dir in zip(why, seeds, strict=False):
            (line,) = [line for line in err.splitlines() if f"{seed_dir.parent.name}/{seed_dir.name}" in line]
            assert reason in line
    for figure in ("benchmark_vertical_densities_0", "benchmark_learning", "benchmark_performance"):
        assert "12 runs: 10 completed, 1 running, 1 crashed; left out" in project.text(0, figure)
        (source, _) = project.sources(0, figure)["sources"]
        assert source["runs_used"] == ["experiment2/seed3"]
    assert project.sources(0, "benchmark_performance")["n"] == {project.names[0]: 1, project.names[1]: 3}
    assert project("--storage_name", project.names[0], door=make_plot_arrays)[0] == 0


# --- evaluate()


EVALUATE = """\
import argparse
from pathlib import Path

def get_evaluation_args(words):
    return argparse.Namespace()

def evaluate(config):
    run = f"{config.storage_name}/experiment{config.experiment_num}/seed{config.seed_num}"
    with open("calls.txt", "a") as calls:
        calls.write(run + "\\n")
    if (config.experiment_num, config.seed_num) == (2, 3):
        raise RuntimeError("no model here")
    return [config.seed_num, config.seed_num + 10 / config.experiment_num]
"""


def test_evaluation_runs_are_scores_that_are_kept_and_asked_for_once_in_a_command(project):
    (project.folder / "evaluate.py").write_text(EVALUATE)
    calls = project.folder / "calls.txt"
    words = (
        "--storage_names",
        project.names[0],
        "--performance_metric",
        "evaluation_runs",
        "--n_eval_runs",
        "4",
    )
    status, out, err = project(*SEARCHES, *words, "--re_run_if_exists")
    assert status == 1, "not all that was asked for could be done"
    assert "RuntimeError: no model here: experiment2/seed3" in err
    assert len(calls.read_text().splitlines()) == len(set(calls.read_text().splitlines())) == 6
    summary = json.loads((project.storage_dir(0) / "summary" / "summary_seed_scores.json").read_text())
    assert [run["score"] for run in summary["runs"]] == [6, 7, 8, 3.5, 4.5, None]
    assert summary["best"] == 1
    kept = project.storage_dir(0) / "experiment1" / "seed2" / ".alfred" / "evaluation.json"
    assert json.loads(kept.read_text()) == {"n_episodes": 4, "scores": [2, 12]}
    assert project(*MODELS, *words)[0] == 1
    assert len(calls.read_text().splitlines()) == 7, "only the one that failed was asked again"
    assert project.sources(0, "benchmark_performance")["n"] == {project.names[0]: 3}
    assert "made storage" in out
    assert project(*MODELS, *words, "--re_run_if_exists")[0] == 1
    assert len(calls.read_text().splitlines()) == 13, "all were asked anew"


def test_an_evaluate_py_that_cannot_be_used_is_one_line_and_leaves_the_summary(project):
    (project.folder / "evaluate.py").write_text("def evaluate(config): return 1")
    words = ("--performance_metric", "evaluation_runs", "--re_run_if_exists", "true")
    status, _, err = project(*SEARCHES, "--storage_names", project.names[0], *words)
    assert (status, len(err.splitlines())) == (2, 1), err
    assert "evaluate.py has no get_evaluation_args(): define it" in err
    assert (project.storage_dir(0) / "summary" / "bestConfig_exp2.json").exists()


# --- how it starts, and the whole way


def test_the_command_and_its_help_load_no_library_that_draws():
    code = "import sys, alfred.benchmark as b; s = b.main(['--help']); print(s, *sorted(sys.modules))"
    words = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        .stdout.splitlines()[-1]
        .split()
    )
    assert words[0] == "0"
    assert not {"matplotlib", "scipy", "numpy", "pandas"} & set(words)


def test_six_steps_on_runs_of_unequal_length_that_are_evaluated_now_and_then(tmp_path):
    """Prepare, launch, plot, retrain, launch, benchmark; every tenth episode is evaluated."""
    folder = Path(shutil.copytree(RL_LIKE, tmp_path / "project"))
    schedule = folder / "schedules" / "small" / "grid_schedule_small.py"
    schedule.parent.mkdir()
    schedule.write_text(
        'ALG_NAMES = ["actor_critic"]\nTASK_NAMES = ["hill"]\nSEEDS = [1, 2]\n'
        'VARIATIONS = {"gamma": [0.9, 0.99], "learn_alpha": [True]}\n'
    )
    lists = [f"schedules/small/list_{what}_small.txt" for what in ("searches", "retrains")]
    steps = [
        f"prepare --schedule_file {schedule.relative_to(folder)} --desc x --ask_for_validation false",
        f"launch --from_file {lists[0]} --n_processes 2",
        f"plot --from_file {lists[0]}",
        f"retrain --from_file {lists[0]} --n_retrain_seeds 3",
        f"launch --from_file {lists[1]} --n_processes 2",
        f"benchmark --benchmark_type compare_searches --from_file {lists[0]}",
        f"benchmark --benchmark_type compare_models --from_file {lists[1]}",
    ]
    for step in steps:
        done = typed(folder, *step.split())
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    search, retrain = (folder / "storage" / (folder / name).read_text().strip() for name in lists)
    assert (search / "eval_return_over_episode.png").exists()
    summary = json.loads((search / "summary" / "summary_seed_scores.json").read_text())
    for run, (experiment, seed) in zip(summary["runs"], ((1, 1), (1, 2), (2, 1), (2, 2)), strict=True):
        tape = Recorder.init_from_pickle_file(
            search / f"experiment{experiment}" / f"seed{seed}" / "recorders" / "train_recorder.pkl"
        ).tape
        values = [value for value in tape["eval_return"] if value is not None]
        assert len(values) == -(-len(tape["episode"]) // 10)
        assert run["score"] == pytest.approx(np.mean(values[int(0.8 * len(values)) :]))
    assert (search / "benchmark" / "benchmark_vertical_densities.pdf").exists()
    made = {path.stem for path in (retrain / "benchmark").glob("*.pdf")}
    assert made >= {"benchmark_learning", "benchmark_performance", "benchmark_retrain_gap"}
    sources = json.loads((retrain / "benchmark" / "benchmark_performance_sources.json").read_text())
    assert sources["n"] == {retrain.name: 3}
    config = json.loads(next(retrain.glob("experiment1/seed*/config.json")).read_text())
    assert config["max_steps"] == 200
