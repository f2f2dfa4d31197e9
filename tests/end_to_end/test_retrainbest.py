"""`alfred retrain`: the best of a search again with fresh seeds, as a user types it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import alfred
from alfred.analysis.settings import settings
from alfred.figures.summary import summarize_search
from alfred.storage.flags import UNHATCHED
from alfred.storage.metadata import read_metadata
from alfred.utils.recorder import Recorder

TINY = Path(__file__).parents[1] / "projects" / "tiny"
GRID_FILE = "schedules/grid_tiny/grid_schedule_grid_tiny.py"
RANDOM_FILE = "schedules/random_tiny/random_schedule_random_tiny.py"
GRID_LIST = "schedules/grid_tiny/list_searches_grid_tiny.txt"
RETRAINS = "schedules/grid_tiny/list_retrains_grid_tiny.txt"
NO_QUESTION = "--ask_for_validation=false"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])}


def command(*words):
    return [sys.executable, "-m", *words]


def typed(*words, folder):
    return subprocess.run(
        command(*words),
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def retrain(*words, folder):
    return typed("alfred.create_retrainbest", *words, folder=folder)


def prepared(folder, schedule_file, desc="one"):
    words = ["--schedule_file", schedule_file, "--desc", desc, NO_QUESTION]
    done = typed("alfred.prepare_schedule", *words, folder=folder)
    assert done.returncode == 0, done.stderr
    list_file = next((folder / schedule_file).parent.glob("list_searches_*.txt"))
    return [folder / "storage" / name for name in list_file.read_text().split()]


@pytest.fixture
def project(tmp_path):
    """A copy of the tiny project in which a grid search of the algorithms alpha and beta was laid."""
    folder = tmp_path / "project"
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    prepared(folder, GRID_FILE)
    return folder


def searches(project):
    return [project / "storage" / name for name in (project / GRID_LIST).read_text().split()]


def name_best(search, experiment):
    """What a summary leaves."""
    (search / "summary").mkdir(exist_ok=True)
    (search / "summary" / f"bestConfig_exp{experiment}.json").write_text("{}")


def retrains(project):
    return sorted((project / "storage").glob("*_retrainBest*"))


def read(path):
    return json.loads(path.read_text())


def seeds(storage_dir):
    return sorted(int(path.parent.name.removeprefix("seed")) for path in storage_dir.glob(f"*/*/{UNHATCHED}"))


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in p.parts)


def test_the_best_of_each_search_is_laid_again_longer_with_seeds_of_its_own(project):
    alpha, beta = searches(project)
    name_best(alpha, 3)
    name_best(beta, 6)
    done = retrain("--from_file", GRID_LIST, folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    made = [project / "storage" / name for name in (project / RETRAINS).read_text().split()]
    ids = [path.name.split("_")[0] for path in (alpha, beta)]
    assert [path.name.split("_", 1)[1] for path in made] == [
        f"alpha_hill_retrainBest{ids[0]}_one",
        f"beta_hill_retrainBest{ids[1]}_one",
    ]
    assert [os.listdir(path).count("GRID_SEARCH") for path in made] == [1, 1]
    assert seeds(made[0]) == seeds(made[1]) == list(range(3, 13))
    run = made[0] / "experiment1" / "seed12"
    source = alpha / "experiment3" / "seed1"
    desc = f"retrainBest{ids[0]}_one"
    changed = {"max_episodes": 20, "seed": 12, "desc": desc}
    assert read(run / "config.json") == {**read(source / "config.json"), **changed}
    assert type(read(run / "config.json")["max_episodes"]) is int
    assert read(run / "config_unique.json") == {**read(source / "config_unique.json"), "seed": 12}
    known = read_metadata(made[0])
    assert (known.origin, known.desc, known.kind) == (alpha.name, desc, "grid")
    assert done.stdout.endswith(f"Next: alfred launch --from_file {RETRAINS}\n")
    next_words = shlex.split(done.stdout.splitlines()[-1].removeprefix("Next: alfred launch"))
    launched = typed("alfred.launch_schedule", *next_words, "--seeds", "3", folder=project)
    assert launched.returncode == 0, launched.stderr
    assert (made[1] / "experiment1" / "seed3" / "COMPLETED").exists()


def test_the_summary_is_made_first_where_it_is_missing(project):
    """eval_return grows with lr * width: experiment 5 of the grid, lr 0.1 and width 16, is the best."""
    search = searches(project)[0]
    launched = typed("alfred.launch_schedule", "--storage_name", search.name, folder=project)
    assert launched.returncode == 0, launched.stderr
    shutil.rmtree(search / "summary", ignore_errors=True)
    best = max(search.glob("experiment*/seed1/config.json"), key=lambda p: read(p)["lr"] * read(p)["width"])
    done = retrain("--storage_name", search.name, folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    number = best.parts[-3].removeprefix("experiment")
    assert (search / "summary" / f"bestConfig_exp{number}.json").is_file()
    config = read(retrains(project)[0] / "experiment1" / "seed3" / "config.json")
    assert (config["lr"], config["width"]) == (0.1, 16)


def completed(run, score):
    """Leave a run that waits as one that has completed."""
    recorder = Recorder(["episode", "eval_return"])
    recorder.write_to_tape({"episode": 1, "eval_return": score})
    recorder.save(run / "recorders" / "train_recorder.pkl")
    (run / UNHATCHED).rename(run / "COMPLETED")


def test_runs_that_ended_after_the_summary_was_made_count_by_its_own_goal(project):
    search = searches(project)[0]
    runs = [search / f"experiment{number}" / f"seed{seed}" for number in (2, 4) for seed in (1, 2)]
    for run in runs[:2]:
        completed(run, 5.0)
    assert summarize_search(search, settings(performance_goal="min")).best == 2
    for run in runs[2:]:
        completed(run, 3.0)
    done = retrain("--storage_name", search.name, "--n_retrain_seeds", "1", folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"experiment4 of {search.name}" in done.stdout
    assert f"{search.name}: the best so far is taken, 8 of its runs have not ended\n" in done.stdout
    assert [path.name for path in search.glob("summary/best*")] == ["bestConfig_exp4.json"]


def test_a_search_without_a_completed_run_has_no_best(project):
    before = tree(project)
    done = retrain("--storage_name", searches(project)[0].name, folder=project)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "no completed run" in done.stderr
    assert tree(project) == before


def test_a_search_that_has_its_retrain_is_reported_and_not_doubled(project):
    alpha, beta = searches(project)
    name_best(alpha, 3)
    name_best(beta, 1)
    assert retrain("--storage_name", alpha.name, folder=project).returncode == 0
    (first,) = retrains(project)
    done = retrain("--from_file", GRID_LIST, "--n_retrain_seeds", "2", folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{alpha.name} has its retrain already: {first.name}" in done.stdout
    assert len(retrains(project)) == 2
    (second,) = set(retrains(project)) - {first}
    assert (project / RETRAINS).read_text().split() == [first.name, second.name]
    before = tree(project)
    assert retrain("--from_file", GRID_LIST, folder=project).returncode == 0
    assert tree(project) == before


PLANS_AND_WAITS = """
import sys
from alfred import create_retrainbest
from alfred.search import retrain
plan = retrain.plan_retrain
def plan_and_wait(*words):
    planned = plan(*words)
    print("planned", flush=True)
    sys.stdin.readline()
    return planned
retrain.plan_retrain = plan_and_wait
sys.exit(create_retrainbest.main())
"""


def planning(project, search, how_many):
    """Commands that have looked for a retrain, found none and planned one."""
    words = [sys.executable, "-c", PLANS_AND_WAITS, "--storage_name", search.name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    crowd = [subprocess.Popen(words, cwd=project, env=ENVIRONMENT, **pipes) for _ in range(how_many)]
    assert [process.stdout.readline() for process in crowd] == ["planned\n"] * how_many
    return crowd


def test_of_many_retrains_at_once_one_is_made(project):
    search = searches(project)[0]
    name_best(search, 2)
    crowd = planning(project, search, 5)
    for process in crowd:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=90) for process in crowd]
    assert len(retrains(project)) == 1
    assert (project / RETRAINS).read_text().split() == [retrains(project)[0].name]
    assert sum("Made " in out for out, _ in told) == 1
    assert all("Made " in out or "already" in out or "right now" in err for out, err in told), told
    assert {process.returncode for process in crowd} <= {0, 3}


def test_a_retrain_made_while_another_command_planned_is_not_doubled(project):
    search = searches(project)[0]
    name_best(search, 2)
    first, second = planning(project, search, 2)
    assert "Made " in first.communicate("go\n", timeout=90)[0]
    out, err = second.communicate("go\n", timeout=90)
    assert (second.returncode, err, len(retrains(project))) == (0, "", 1)
    assert f"has its retrain already: {retrains(project)[0].name}" in out


def test_more_seeds_go_into_the_retrain_that_is_there(project):
    alpha, beta = searches(project)
    name_best(alpha, 3)
    assert retrain("--storage_name", alpha.name, "--n_retrain_seeds", "2", folder=project).returncode == 0
    done = retrain("--storage_name", alpha.name, "--add-seeds", "3", folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    (made,) = retrains(project)
    assert seeds(made) == [3, 4, 5, 6, 7]
    assert read(made / "experiment1" / "seed7" / "config.json")["max_episodes"] == 20
    assert done.stdout.endswith(f"Next: alfred launch --from_file {RETRAINS}\n")
    done = retrain("--from_file", GRID_LIST, "--add_seeds", "1", folder=project)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{beta.name} has no retrain yet" in done.stderr
    assert seeds(made) == [3, 4, 5, 6, 7, 8]
    assert retrains(project) == [made]


def test_the_mapping_says_which_experiments_are_the_best(project):
    alpha, beta = searches(project)
    name_best(alpha, 3)
    name_best(beta, 6)
    (project / "best.json").write_text(json.dumps({alpha.name: 4}))
    words = ["--from_file", GRID_LIST, "--best_experiments_mapping", "best.json", "--n_retrain_seeds", "1"]
    done = retrain(*words, folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    for made, source in zip(retrains(project), (alpha / "experiment4", beta / "experiment6"), strict=True):
        laid, best = read(made / "experiment1/seed3/config.json"), read(source / "seed1/config.json")
        assert (laid["lr"], laid["width"]) == (best["lr"], best["width"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--train_time_factor", "1"], {"max_episodes": 10, "lr": 0.1}),
        (["--train_time_factor", "1.26"], {"max_episodes": 13, "lr": 0.1}),
        (["--train_time_factor", "0.01"], {"max_episodes": 1, "lr": 0.1}),
        (["--train_time_param", "lr"], {"max_episodes": 10, "lr": 0.2}),
        (["--train_time_param", "lr", "--train_time_factor", "1"], {"max_episodes": 10, "lr": 0.1}),
    ],
)
def test_training_time_is_multiplied_a_whole_number_staying_one(project, words, expected):
    search = searches(project)[0]
    name_best(search, 1)
    done = retrain("--storage_name", search.name, "--n_retrain_seeds", "1", *words, folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    run = retrains(project)[0] / "experiment1" / "seed3"
    config = read(run / "config.json")
    assert {name: config[name] for name in expected} == expected
    assert type(config["max_episodes"]) is int
    assert read(run / "config_unique.json")["lr"] == expected["lr"]


def test_a_usual_parameter_without_a_value_is_passed_by_for_the_next(project):
    search = searches(project)[0]
    name_best(search, 1)
    for path in search.glob("experiment1/seed*/config.json"):
        changed = {"max_episodes": None, "max_steps": -1, "num_steps": 5.0, "n_epochs": 3}
        path.write_text(json.dumps({**read(path), **changed}))
    assert retrain("--storage_name", search.name, folder=project).returncode == 0
    config = read(retrains(project)[0] / "experiment1" / "seed3" / "config.json")
    assert [config[name] for name in ("max_episodes", "max_steps", "num_steps", "n_epochs")] == [
        None,
        -1,
        10.0,
        3,
    ]


def test_without_a_known_schedule_no_list_is_written_and_that_is_said(project):
    search = searches(project)[0]
    name_best(search, 1)
    shutil.move(project / "schedules", project / "plans")
    done = retrain("--storage_name", search.name, folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    (made,) = retrains(project)
    assert "No list was written" in done.stdout
    assert done.stdout.endswith(f"Next: alfred launch --storage_name {made.name}\n")
    assert not list(project.rglob("list_retrains*"))


def test_a_tree_that_records_nothing_is_listed_where_its_list_of_searches_names_it(project):
    search = searches(project)[0]
    name_best(search, 1)
    shutil.rmtree(search / ".alfred")
    done = retrain("--storage_name", search.name, folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    (made,) = retrains(project)
    assert (project / RETRAINS).read_text() == f"{made.name}\n"


def test_the_list_lies_beside_a_list_of_any_name_and_is_called_by_the_folder(project):
    search = searches(project)[0]
    name_best(search, 1)
    odd = project / "schedules" / "öd d"
    odd.mkdir()
    (odd / "mine").write_bytes(f"\ufeff{search.name}  # the first\r\n".encode())
    done = retrain("--from_file", "schedules/öd d/mine", folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert (odd / "list_retrains_öd d.txt").read_text() == f"{retrains(project)[0].name}\n"


def test_a_random_search_keeps_its_marker_and_a_root_may_be_elsewhere(project, tmp_path):
    (search, _) = prepared(project, RANDOM_FILE, "bench")
    name_best(search, 2)
    shutil.move(project / "storage", tmp_path / "ro ot")
    words = ["--storage_name", search.name, "--root_dir", str(tmp_path / "ro ot")]
    done = retrain(*words, folder=project)
    assert (done.returncode, done.stderr) == (0, "")
    (made,) = (tmp_path / "ro ot").glob("*_retrainBest*_bench")
    assert (made / "RANDOM_SEARCH").is_file()
    assert not (made / "variations.json").exists()
    assert not (project / "storage").exists()
    assert f"--root_dir '{tmp_path / 'ro ot'}'" in done.stdout.splitlines()[-1]


def test_what_is_not_there_is_reported_and_the_others_go_on(project):
    search = searches(project)[0]
    name_best(search, 1)
    (project / GRID_LIST).write_text(f"Zz9_gone\n{search.name}\n")
    done = retrain("--from_file", GRID_LIST, folder=project)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Zz9_gone does not exist" in done.stderr
    assert len(retrains(project)) == 1


def test_an_empty_list_is_nothing_to_do(project):
    (project / GRID_LIST).write_text("# all commented out\n")
    before = tree(project)
    done = retrain("--from_file", GRID_LIST, folder=project)
    assert (done.returncode, done.stdout) == (3, "")
    assert "names no storage directory: write one name a line" in done.stderr
    assert tree(project) == before


def test_when_every_search_is_passed_over_that_is_told_with_the_reasons(project):
    before = tree(project)
    done = retrain("--from_file", GRID_LIST, folder=project)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 3)
    assert all(f"{search.name} has no completed run" in done.stderr for search in searches(project))
    assert done.stderr.endswith("every search was passed over, see above\n")
    assert tree(project) == before


def test_a_retrain_is_not_trained_again(project):
    search = searches(project)[0]
    name_best(search, 1)
    assert retrain("--storage_name", search.name, folder=project).returncode == 0
    before = tree(project)
    done = retrain("--storage_name", retrains(project)[0].name, folder=project)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "is a retrain itself" in done.stderr
    assert tree(project) == before


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (
            ["--storage_name", "{name}", "--best_experiments_mapping", "unknown.json"],
            2,
            ["unknown.json", "Zz9_x"],
        ),
        (
            ["--storage_name", "{name}", "--best_experiments_mapping", "no_number.json"],
            2,
            ["no_number.json", "'3'"],
        ),
        (
            ["--storage_name", "{name}", "--best_experiments_mapping", "broken.json"],
            2,
            ["broken.json, line 1"],
        ),
        (
            ["--storage_name", "{name}", "--best_experiments_mapping", "none.json"],
            2,
            ["none.json does not exist"],
        ),
        (
            ["--storage_name", "{name}", "--best_experiments_mapping", "gone.json"],
            2,
            ["no experiment99 with runs", "1, 2, 3, 4, 5, 6"],
        ),
        (["--storage_name", "{several}"], 2, ["several best experiments, 2 and 10"]),
        (
            ["--storage_name", "{name}", "--train_time_param", "max_episode"],
            2,
            ["did you mean max_episodes?"],
        ),
        (["--storage_name", "{name}", "--train_time_param", "desc"], 2, ["desc is 'grid_one', no positive"]),
        (["--storage_name", "{name}", "--train_time_factor", "0"], 2, ["--train_time_factor is 0.0"]),
        (["--storage_name", "{name}", "--train_time_factor", "nan"], 2, ["--train_time_factor is nan"]),
        (["--storage_name", "{name}", "--n_retrain_seeds", "0"], 2, ["--n_retrain_seeds is 0"]),
        (["--storage_name", "{name}", "--add_seeds", "-1"], 2, ["--add_seeds is -1"]),
        (
            ["--storage_name", "{name}", "--add_seeds", "1"],
            3,
            ["has no retrain yet", "leave out --add_seeds"],
        ),
        (["--storage_name", "{name}x"], 2, ["there is no storage directory", "{name}"]),
        (["--from_file", "gone.txt"], 2, ["gone.txt can't be read"]),
        ([], 2, ["--from_file", "--storage_name"]),
    ],
)
def test_a_refusal_is_one_line_and_nothing_is_made(project, words, status, told):
    name, several = (path.name for path in searches(project))
    name_best(project / "storage" / name, 1)
    name_best(project / "storage" / several, 2)
    name_best(project / "storage" / several, 10)
    (project / "unknown.json").write_text('{"Zz9_x": 1}')
    (project / "no_number.json").write_text(json.dumps({name: "3"}))
    (project / "broken.json").write_text("{")
    (project / "gone.json").write_text(json.dumps({name: 99}))
    before = tree(project)
    done = retrain(*(word.format(name=name, several=several) for word in words), folder=project)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1)
    assert [word for word in told if word.format(name=name) not in done.stderr] == [], done.stderr
    assert tree(project) == before


def test_a_configuration_without_a_training_time_is_an_error_unless_the_factor_is_one(project):
    search = searches(project)[0]
    name_best(search, 1)
    for path in search.glob("experiment1/seed*/config.json"):
        path.write_text(json.dumps({**read(path), "max_episodes": None}))
    before = tree(project)
    done = retrain("--storage_name", search.name, folder=project)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--train_time_param" in done.stderr
    assert tree(project) == before
    assert retrain("--storage_name", search.name, "--train_time_factor", "1", folder=project).returncode == 0


def test_a_project_may_name_its_own_training_time_parameter(project):
    search = searches(project)[0]
    name_best(search, 1)
    main = project / "main.py"
    main.write_text(
        f"{main.read_text()}\n\ndef set_up_alfred():\n    import alfred.defaults\n"
        '    alfred.defaults.DEFAULT_TRAIN_TIME_PARAMS = ["width"]\n'
    )
    assert retrain("--storage_name", search.name, folder=project).returncode == 0
    config = read(retrains(project)[0] / "experiment1" / "seed3" / "config.json")
    before = read(search / "experiment1" / "seed1" / "config.json")
    assert (config["width"], config["max_episodes"]) == (2 * before["width"], before["max_episodes"])


KILLED = """
import os, signal, sys
from alfred import create_retrainbest
real, left = os.rename, int(sys.argv.pop(1))
def rename(source, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    real(source, target)
os.rename = rename
sys.exit(create_retrainbest.main())
"""


def killed_at(renames, project, search):
    words = ["--storage_name", search.name, "--n_retrain_seeds", "2"]
    command_line = [sys.executable, "-c", KILLED, str(renames), *words]
    done = subprocess.run(command_line, cwd=project, env=ENVIRONMENT, capture_output=True, check=False)
    return done.returncode == -signal.SIGKILL


def test_killed_at_any_rename_it_is_finished_by_the_next_and_made_once(project):
    """Until a run of it needs no more renames than it was allowed."""
    search = searches(project)[0]
    name_best(search, 2)
    renames = 0
    while killed_at(renames, project, search):
        done = retrain("--storage_name", search.name, "--n_retrain_seeds", "2", folder=project)
        assert (done.returncode, done.stderr) == (0, "")
        (made,) = retrains(project)
        assert seeds(made) == [3, 4]
        assert (project / RETRAINS).read_text() == f"{made.name}\n"
        assert not list((project / "storage" / ".alfred").glob("laying.*"))
        shutil.rmtree(made)
        (project / RETRAINS).unlink()
        shutil.rmtree(search / ".alfred" / "retraining")
        renames += 1
    assert renames >= 4  # the reservation made, taken, the directory in its place, the reservation given back


def test_one_that_was_killed_when_its_journal_stood_is_finished_by_one_that_had_planned_already(project):
    search = searches(project)[0]
    name_best(search, 2)
    (late,) = planning(project, search, 1)
    assert killed_at(3, project, search)
    assert retrains(project) == []
    assert list((project / "storage" / ".alfred").glob("laying.*/journal.json"))
    out, err = late.communicate("go\n", timeout=90)
    assert (late.returncode, err) == (0, "")
    (made,) = retrains(project)
    assert f"has its retrain already: {made.name}" in out
    assert seeds(made) == [3, 4]
