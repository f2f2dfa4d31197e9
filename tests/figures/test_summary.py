"""The summary of a search: its numbers, its files, when it is made; an old one is never half lost."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from pypdf import PdfReader

import alfred
from alfred.analysis.settings import settings
from alfred.errors import NothingToDoError, UsageError
from alfred.figures.summary import summarize_search, without_score
from alfred.storage.batons import claim
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
from alfred.utils.recorder import Recorder
from alfred.utils.stats import get_95_confidence_interval

TINY = Path(__file__).resolve().parents[1] / "projects" / "tiny"
FILES = {
    *(
        f"summary_{kind}{end}"
        for kind in ("learning", "performance")
        for end in (".pdf", ".png", "_sources.json")
    ),
    "summary_seed_scores.json",
    "summary_seed_scores.csv",
}


def lay(root, scores):
    """A search with a run for each score: {experiment: {seed: score}}; all wait still."""
    experiments = tuple(
        Experiment({"alg_name": "a", "task_name": "t", "lr": number / 10}, {"lr": number / 10}, tuple(seeds))
        for number, seeds in scores.items()
    )
    (name,) = lay_search(root, [Preparation("a", "t", "grid_x", "grid", experiments)])
    for number, seeds in scores.items():
        for seed, score in seeds.items():
            if score is not None:
                end(root / name / f"experiment{number}" / f"seed{seed}", score)
    return root / name


def end(seed_dir, score, flag="COMPLETED", **more):
    """Let a run end that has climbed to `score`; `more` are other metrics."""
    recorder = Recorder(["episode", "eval_return", *more])
    for episode in range(10):
        value = None if score is None else score * min(episode / 7, 1)
        recorder.write_to_tape({"episode": episode, "eval_return": value, **more})
    (seed_dir / "recorders").mkdir()
    recorder.save(seed_dir / "recorders" / "train_recorder.pkl")
    (seed_dir / "UNHATCHED").rename(seed_dir / flag)


def words(pdf):
    """The text of a figure."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


def record(storage_dir):
    return json.loads((storage_dir / "summary" / "summary_seed_scores.json").read_text())


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_scores_stand_there_with_every_digit_and_intervals_with_both_their_ends(tmp_path):
    scores = [1 / 3, 0.5, 7.1]
    storage_dir = lay(tmp_path, {1: dict(enumerate(scores, start=1))})
    summarize_search(storage_dir, settings(y_error_bars="bootstrapped_CI"))
    made = record(storage_dir)
    with open(storage_dir / "summary" / "summary_seed_scores.csv", newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == scores
    assert [run["score"] for run in made["runs"]] == scores
    mean, up, down = get_95_confidence_interval(scores, "bootstrapped_CI")
    assert up > 1.1 * down
    (one,) = made["experiments"]
    assert (one["mean"], one["low"], one["high"]) == pytest.approx((mean, mean - down, mean + up))


# --- at the end of a launch


class Launched:
    """The tiny project, its main.py with a few lines more, launched by some processes at once."""

    def __init__(self, folder, more="", launchers=1, evaluate=""):
        shutil.copytree(TINY, folder)
        if evaluate:
            (folder / "evaluate.py").write_text(evaluate)
        (folder / "main.py").write_text(
            (folder / "main.py").read_text().replace("\nif __name__", more + "\nif __name__")
        )
        schedules = folder / "schedules" / "lr"
        schedules.mkdir()
        lines = ['ALG_NAMES = ["alpha"]', 'TASK_NAMES = ["hill"]', "SEEDS = [1, 3]"]
        lines += ['VARIATIONS = {"lr": [0.2, 0.1, 0.3], "width": [2]}']
        (schedules / "grid_schedule_lr.py").write_text("\n".join(lines) + "\n")
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}
        prepare = (
            "prepare --schedule_file schedules/lr/grid_schedule_lr.py --desc x --ask_for_validation false"
        )
        said = self.start(prepare).communicate()[0]
        found = list((folder / "storage").glob("*_*"))
        assert len(found) == 1, said
        self.storage_dir = found[0]
        command = "launch --from_file schedules/lr/list_searches_lr.txt"
        processes = [self.start(command) for _ in range(launchers)]
        self.said = [process.communicate()[0] for process in processes]
        self.codes = [process.returncode for process in processes]

    def start(self, command):
        return subprocess.Popen(
            [sys.executable, "-m", "alfred", *command.split()],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


SET_UP = """

def set_up_alfred():
    import alfred.defaults

    alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE = []
    alfred.defaults.DEFAULT_BENCHMARK_{0} = "{1}"

"""


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    return Launched(tmp_path_factory.mktemp("launched") / "project", launchers=3)


def test_exactly_one_of_several_launchers_makes_the_summary(launched):
    assert launched.codes == [0, 0, 0]
    lines = [line for said in launched.said for line in said.splitlines() if "/summary: " in line]
    assert lines == [f"made {launched.storage_dir}/summary: experiment3 is the best"]
    assert names(launched.storage_dir) & {f"SUMMARY_{end}" for end in ("ONGOING", "FAILED", "COMPLETED")} == {
        "SUMMARY_COMPLETED"
    }
    assert names(launched.storage_dir / ".alfred" / "summary") == {"DONE"}


def test_the_best_of_a_search_known_in_advance_is_found_and_its_configuration_saved(launched):
    """eval_return is lr * width * episode + seed, ten episodes; the last fifth is episodes 8 and 9."""
    folder = launched.storage_dir / "summary"
    assert names(folder) == FILES | {"bestConfig_exp3.json"}
    best = json.loads((folder / "bestConfig_exp3.json").read_text())
    config = json.loads((launched.storage_dir / "experiment3" / "seed3" / "config.json").read_text())
    assert config.pop("seed") == 3
    assert best == config
    assert best["lr"] == 0.3
    found = record(launched.storage_dir)
    assert found["best"] == 3
    assert found["ranking"] == [3, 1, 2]
    expected = {(n, seed): lr * 2 * 8.5 + seed for n, lr in ((1, 0.2), (2, 0.1), (3, 0.3)) for seed in (1, 3)}
    assert {(run["experiment"], run["seed"]): run["score"] for run in found["runs"]} == pytest.approx(
        expected
    )


def test_the_interval_of_an_experiment_is_student_t(launched):
    """Scores s + 1 and s + 3: mean s + 2, standard error 1, t quantile for one degree of freedom 12.706."""
    one = record(launched.storage_dir)["experiments"][0]
    assert one["mean"] == pytest.approx(0.2 * 2 * 8.5 + 2)
    assert one["high"] - one["mean"] == pytest.approx(12.706205)
    assert one["mean"] - one["low"] == pytest.approx(12.706205)
    assert (one["scored"], one["runs"]) == (2, 2)


def test_the_scores_are_a_table_too_best_experiment_first(launched):
    with open(launched.storage_dir / "summary" / "summary_seed_scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [(row["rank"], row["experiment"], row["seed"]) for row in rows]
    assert keys == [
        (rank, n, seed) for rank, n in (("1", "3"), ("2", "1"), ("3", "2")) for seed in ("1", "3")
    ]
    assert float(rows[0]["score"]) == pytest.approx(0.3 * 2 * 8.5 + 1)
    assert {row["why_none"] for row in rows} == {""}


@pytest.mark.parametrize("figure", ["summary_learning", "summary_performance"])
def test_a_figure_is_pdf_and_png_with_what_it_was_made_of(launched, figure):
    folder = launched.storage_dir / "summary"
    assert "6 runs: 6 completed" in words(folder / f"{figure}.pdf")
    assert (folder / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    sources = json.loads((folder / f"{figure}_sources.json").read_text())
    assert sources["settings"]["metric"] == "eval_return"
    (source,) = sources["sources"]
    assert source["storage_name"] == launched.storage_dir.name
    assert source["runs_by_state"] == {"completed": 6}
    assert source["runs_left_out"] == {}
    assert len(source["runs_used"]) == 6


def test_the_goal_of_the_project_min_picks_the_lowest(tmp_path):
    launched = Launched(tmp_path / "project", SET_UP.format("PERFORMANCE_GOAL", "min"))
    assert launched.codes == [0], launched.said
    assert record(launched.storage_dir)["ranking"] == [2, 1, 3]
    assert (launched.storage_dir / "summary" / "bestConfig_exp2.json").exists()


def test_a_metric_that_no_run_recorded_is_named_and_fails_neither_the_launch_nor_the_curves(tmp_path):
    launched = Launched(tmp_path / "project", SET_UP.format("PERFORMANCE_METRIC", "accuracy"))
    assert launched.codes == [0], launched.said
    assert "no experiment is the best (no run has a score)" in launched.said[0]
    assert "without a score, no accuracy recorded: experiment1/seed1, experiment1/seed3" in launched.said[0]
    assert names(launched.storage_dir / "summary") == FILES
    curves = json.loads((launched.storage_dir / "summary" / "summary_learning_sources.json").read_text())
    assert len(curves["sources"][0]["runs_used"]) == 6


EVALUATE = """
import argparse


def get_evaluation_args(words):
    return argparse.Namespace()


def evaluate(config):
    return [config.experiment_num % 3, config.seed_num]
"""


def test_evaluation_runs_as_the_projects_metric_asks_evaluate_at_the_end_of_a_launch(tmp_path):
    more = SET_UP.format("PERFORMANCE_METRIC", "evaluation_runs")
    launched = Launched(tmp_path / "project", more, evaluate=EVALUATE)
    assert launched.codes == [0], launched.said
    assert [run["score"] for run in record(launched.storage_dir)["runs"]] == [1, 2, 1.5, 2.5, 0.5, 1.5]
    assert record(launched.storage_dir)["best"] == 2


# --- runs that can't be used


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """Two experiments in order; of the others one run each has NaN, has crashed, runs still, left a recorder
    file cut short, and has not recorded the metric.
    """
    storage_dir = lay(
        tmp_path_factory.mktemp("troubled"),
        {1: {1: 1.0, 2: 2.0}, **{n: {1: 9.0, 2: None} for n in range(2, 7)}, 7: {1: 1.0, 2: 1.0}},
    )
    of = {n: storage_dir / f"experiment{n}" / "seed2" for n in range(2, 7)}
    end(of[2], float("nan"))
    end(of[3], 9.0, flag="CRASH.txt")
    end(of[5], 9.0)
    end(of[6], None, loss=1.0)
    recorder = of[5] / "recorders" / "train_recorder.pkl"
    recorder.write_bytes(recorder.read_bytes()[:-20])
    leases = Leases(this_process())
    leases.hold(storage_dir)
    assert claim(str(of[4]), leases.owner.name)
    yield summarize_search(storage_dir)
    leases.close()


WHY = {
    2: "NaN in eval_return",
    3: "crashed",
    4: "running",
    5: "train_recorder.pkl",
    6: "no eval_return recorded",
}


def test_only_an_experiment_whose_runs_all_have_a_score_can_be_the_best(troubled):
    assert troubled.best == 1
    found = record(troubled.folder.parent)
    assert found["ranking"] == [1, 7, 2, 3, 4, 5, 6]
    assert [one["mean"] for one in found["experiments"]] == pytest.approx([1.5, 9, 9, 9, 9, 9, 1])
    assert [one["scored"] for one in found["experiments"]] == [2, 1, 1, 1, 1, 1, 2]


def test_runs_without_a_score_are_named_with_the_reason(troubled):
    found = record(troubled.folder.parent)
    without = {(run["experiment"], run["seed"]): run["why"] for run in found["runs"] if run["score"] is None}
    assert set(without) == {(n, 2) for n in WHY}
    for (number, _), why in without.items():
        assert WHY[number] in why
        told = [
            line
            for line in without_score(troubled.made_of[1])
            if line.endswith(f": experiment{number}/seed2")
        ]
        assert len(told) == 1
        assert WHY[number] in told[0]
        assert "/recorders/" not in told[0]
    assert len(tuple(without_score(troubled.made_of[1]))) == len(WHY)


@pytest.mark.parametrize("figure", ["summary_learning", "summary_performance"])
def test_runs_that_cannot_be_used_are_counted_in_the_figures_and_named_in_their_sources(troubled, figure):
    text = words(troubled.folder / f"{figure}.pdf")
    assert "14 runs: 12 completed, 1 running, 1 crashed; left out of the completed:" in text
    (source,) = json.loads((troubled.folder / f"{figure}_sources.json").read_text())["sources"]
    left_out = source["runs_left_out"]
    assert {f"experiment{n}/seed2" for n in WHY} == set(left_out)
    assert len(source["runs_used"]) == 9


def test_a_reason_that_many_runs_share_is_told_once(tmp_path):
    storage_dir = lay(tmp_path, {n: {1: 1.0} for n in range(1, 9)})
    made = summarize_search(storage_dir, settings(performance_metric="loss"))
    assert made.best is None
    (line,) = tuple(without_score(made.made_of[1]))
    five = ", ".join(f"experiment{n}/seed1" for n in range(1, 6))
    assert line == f"no loss recorded: {five} and 3 more"


def test_no_completed_run_is_nothing_to_summarize_and_leaves_nothing(tmp_path):
    storage_dir = lay(tmp_path, {1: {1: None}})
    with pytest.raises(NothingToDoError, match="no completed run"):
        summarize_search(storage_dir)
    assert not any(name.lower().startswith("summary") for name in names(storage_dir))


# --- when it is made, and that it is never half lost


@pytest.fixture(scope="module")
def summarized(tmp_path_factory):
    storage_dir = lay(tmp_path_factory.mktemp("summarized"), {1: {1: 1.0}, 2: {1: 2.0}, 3: {1: None}})
    summarize_search(storage_dir)
    return storage_dir


@pytest.fixture
def copy(summarized, tmp_path):
    """A copy of a search that has its summary; one run still waits."""
    return Path(shutil.copytree(summarized, tmp_path / summarized.name))


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_summary_of_the_same_settings_is_left_as_it_is(copy):
    before = {path: path.stat().st_mtime_ns for path in (copy / "summary").iterdir()}
    assert (summarize_search(copy).made_now, summarize_search(copy).best) == (False, 2)
    assert {path: path.stat().st_mtime_ns for path in (copy / "summary").iterdir()} == before


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"performance_metric": "episode"}, "metric 'eval_return' instead of 'episode'"),
        ({"performance_aggregation": "min"}, "aggregation 'mean_on_last_20_percents' instead of 'min'"),
        ({"performance_goal": "min"}, "goal 'max' instead of 'min'"),
    ],
)
@pytest.mark.parametrize("more_ended", [False, True])
def test_a_summary_of_other_settings_is_refused_with_the_option_named(copy, other, named, more_ended):
    if more_ended:
        end(copy / "experiment3" / "seed1", 3.0)
    before = content(copy / "summary")
    with pytest.raises(UsageError, match=f"{named}: .*--re_run_if_exists true") as caught:
        summarize_search(copy, settings(**other))
    assert "\n" not in str(caught.value)
    assert content(copy / "summary") == before


def test_asked_for_anew_the_summary_is_replaced_and_nothing_of_the_old_one_is_left(copy):
    (copy / "summary" / "left over.txt").write_text("of old")
    made = summarize_search(copy, settings(performance_goal="min"), re_run_if_exists=True)
    assert (made.made_now, made.best) == (True, 1)
    assert names(copy / "summary") == FILES | {"bestConfig_exp1.json"}


def test_the_summary_is_made_anew_when_more_runs_have_ended(copy):
    end(copy / "experiment3" / "seed1", 3.0)
    made = summarize_search(copy)
    assert (made.made_now, made.best) == (True, 3)
    assert "3 runs: 3 completed" in words(copy / "summary" / "summary_performance.pdf")
    assert not summarize_search(copy).made_now


def test_what_fails_leaves_the_old_summary_and_a_flag_that_says_why_until_it_is_made(copy):
    before = content(copy / "summary")

    def evaluate(seed_dirs):
        raise ZeroDivisionError("by hand")

    wanted = settings(performance_metric="evaluation_runs")
    with pytest.raises(ZeroDivisionError):
        summarize_search(copy, wanted, re_run_if_exists=True, evaluate=evaluate)
    assert content(copy / "summary") == before
    assert (copy / "SUMMARY_FAILED").read_text() == "ZeroDivisionError: by hand\n"
    assert not (copy / "SUMMARY_ONGOING").exists()
    summarize_search(copy, wanted, re_run_if_exists=True, evaluate=lambda dirs: {one: [1.0] for one in dirs})
    assert not (copy / "SUMMARY_FAILED").exists()


def killed_before(event, part, work):
    """Call `work` in a process that is killed before the first `event` whose last path ends in `part`."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def hook(name, args):
        path = {"os.rename": 1, "os.rmdir": 0}.get(name)
        if name == event and part in f"{os.fspath(args[path])}$":
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(hook)
        work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


@pytest.mark.parametrize(
    ("event", "part", "is_new"),
    [
        ("os.rename", "/summary_performance.pdf$", False),
        ("os.rename", "/summary_seed_scores.json$", False),
        ("os.rename", "/summary.ready$", False),
        ("os.rename", "/.summary.ready", True),  # the old one is about to be put aside
        ("os.rename", "_x/summary$", True),  # it is, and the new one not yet there
        ("os.rmdir", "/.summary.ready", True),  # what is left of the old one
    ],
)
def test_killed_in_the_middle_of_being_made_anew_the_summary_is_whole_for_the_next_command(
    copy, event, part, is_new
):
    old, other = content(copy / "summary"), settings(performance_goal="min")
    assert killed_before(event, part, lambda: summarize_search(copy, other, re_run_if_exists=True)) == -9
    made = summarize_search(copy, other if is_new else None)
    assert not made.made_now
    if is_new:
        assert made.best == 1
        assert names(copy / "summary") == FILES | {"bestConfig_exp1.json"}
        assert record(copy)["settings"]["goal"] == "min"
    else:
        assert content(copy / "summary") == old
