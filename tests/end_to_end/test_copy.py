"""`alfred copy`: the runs of a search again with parameters changed, as a user types it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import alfred
from alfred.figures.sampled_hyperparams import sampled_hyperparams_png
from alfred.storage.creation import Experiment, Preparation, lay_search
from alfred.storage.flags import CRASH, UNHATCHED, batons_among
from alfred.storage.metadata import read_metadata

TINY = Path(__file__).parents[1] / "projects" / "tiny"
LIST = "schedules/lr/list_searches_lr.txt"
NO_QUESTION = "--ask_for_validation=false"
GRID = """\
ALG_NAMES = ["al_pha"]
TASK_NAMES = ["hi_ll"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.01], "width": [4, 8]}
"""

ONE_PLOT = """
def set_up_alfred():
    import alfred.defaults
    alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE = [("episode", "eval_return", (None, None), (None, None))]
"""


def typed(*words, folder, **options):
    options = {"stdin": subprocess.DEVNULL, **options} if "input" not in options else options
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(alfred.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def copied(folder, *words, **options):
    return typed("alfred.copy_config", *words, NO_QUESTION, folder=folder, **options)


def works(*words, folder):
    done = typed("alfred", *words, folder=folder)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done


def listed(folder):
    return [folder / "storage" / name for name in (folder / LIST).read_text().split()]


def read(path):
    return json.loads(path.read_text())


def tree(folder):
    """Every file and its content, but for the bytecode of the project."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


def a_project(folder):
    """The tiny project, with a search laid."""
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("__pycache__", "schedules"))
    (folder / "schedules" / "lr").mkdir(parents=True)
    file = "schedules/lr/grid_schedule_lr.py"
    (folder / file).write_text(GRID)
    with open(folder / "main.py", "a") as main:
        main.write(ONE_PLOT)
    works("prepare", "--schedule_file", file, "--desc", "one", NO_QUESTION, folder=folder)
    return folder


@pytest.fixture
def project(tmp_path):
    return a_project(tmp_path / "project")


def test_a_copy_launches_plots_summarises_benchmarks_and_retrains_like_its_source(project):
    done = copied(
        project, "--from_file", LIST, "--new-desc", "v2", "--additional_param", "max_episodes=5,int"
    )
    assert (done.returncode, done.stderr) == (0, "")
    source, copy = listed(project)
    assert done.stdout.splitlines()[-2:] == [
        f"Made {copy.name}: a copy of {source.name}, 4 experiments, 8 runs",
        f"Next: alfred launch --from_file {LIST}",
    ]
    laid = [{name for name in tree(one) if not name.startswith(".alfred")} for one in (source, copy)]
    assert laid[1] - laid[0] == {f"config_copied_from_{source.name}"}
    assert laid[0] - laid[1] == set()
    changed = {"max_episodes": 5, "desc": "grid_one_v2"}
    for name in ("experiment3/seed1/config.json", "experiment4/seed2/config.json"):
        assert read(copy / name) == {**read(source / name), **changed}
    works("launch", "--storage_name", copy.name, "--n_processes", "2", folder=project)
    assert len(list(copy.glob("*/*/COMPLETED"))) == 8
    plot = read(copy / "eval_return_over_episode_sources.json")
    assert (plot["n_plots"], (copy / "PLOT_ARRAYS_COMPLETED").exists()) == (8, True)
    # eval_return grows with lr * width, so the largest of both is the best
    best = next(path.parts[-3] for path in copy.glob("*/seed1/config.json") if is_best(read(path)))
    assert (copy / "summary" / f"bestConfig_exp{best.removeprefix('experiment')}.json").is_file()
    words = ["--benchmark_type", "compare_searches", "--storage_names", copy.name]
    works("benchmark", *words, folder=project)
    assert (copy / "benchmark" / "benchmark_vertical_densities.png").is_file()
    words = ["--storage_name", copy.name, "--n_retrain_seeds", "2"]
    works("retrain", *words, folder=project)
    (retrain,) = (project / "storage").glob("*_retrainBest*")
    assert retrain.name.endswith(f"_al_pha_hi_ll_retrainBest{copy.name.split('_')[0]}_one_v2")
    assert read_metadata(retrain).origin == copy.name
    assert read(retrain / "experiment1" / "seed3" / "config.json")["max_episodes"] == 10


def is_best(config):
    return (config["lr"], config["width"]) == (0.1, 8)


def test_a_copy_is_copied_like_any_other_search(project):
    (first,) = listed(project)
    words = ["--additional_param", "lr=0.5,float"]
    assert copied(project, "--storage_name", first.name, "--new_desc", "b", *words).returncode == 0
    assert len(listed(project)) == 1, "no list was given, so none is written"
    (second,) = (project / "storage").glob("*_b")
    words = ["--additional_param", "width=32,int"]
    done = copied(project, "--storage_name", second.name, "--new_desc", "c_d", *words)
    (third,) = (project / "storage").glob("*_c_d")
    assert done.stdout.endswith(f"Next: alfred launch --storage_name {third.name}\n")
    assert third.name.endswith("_al_pha_hi_ll_grid_one_b_c_d")
    assert (read_metadata(second).origin, read_metadata(third).origin) == (first.name, second.name)
    markers = [path.name for path in third.iterdir() if path.name.startswith("config_copied")]
    assert markers == [f"config_copied_from_{second.name}"]
    unique = read(third / "experiment2" / "seed1" / "config_unique.json")
    own = {"alg_name": "al_pha", "task_name": "hi_ll", "seed": 1}
    assert unique == {"width": 32, "lr": 0.5, **own}
    assert read(third / "variations.json")["1-4"]["lr"] == [0.5]


def test_a_random_search_keeps_its_picture_or_has_it_drawn_anew(tmp_path):
    drawn = [{"alg_name": "a", "task_name": "t", "n": 1, "lr": lr} for lr in (0.3, 0.2)]
    experiments = tuple(Experiment(config, {"lr": config["lr"]}, (1,)) for config in drawn)
    plan = Preparation("a", "t", "random_x", "random", experiments, picture=b"drawn")
    (name,) = lay_search(tmp_path / "storage", [plan])
    for desc, change in (("same", "n=4,int"), ("other", "lr=1,float")):
        words = ["--storage_name", name, "--new_desc", desc, "--additional_param", change]
        assert copied(tmp_path, *words).returncode == 0
    (same,), (other,) = ((tmp_path / "storage").glob(f"*_{desc}") for desc in ("same", "other"))
    assert (same / "variations1.png").read_bytes() == b"drawn"
    assert (other / "variations1.png").read_bytes() == sampled_hyperparams_png({"lr": [1.0, 1.0]})
    assert (same / "RANDOM_SEARCH").exists()
    assert not (same / "variations.json").exists()


def test_only_configurations_are_copied_of_runs_that_run_crashed_or_were_killed(laid, held, killed, tmp_path):
    source = laid(experiments=3)
    killed(source, "experiment1/seed1")
    held(source, "experiment2/seed1")
    (source / "experiment3" / "seed2" / UNHATCHED).rename(source / "experiment3" / "seed2" / CRASH)
    before = {name: data for name, data in tree(source).items() if "owners" not in name}
    done = copied(tmp_path, "--storage_name", source.name, "--additional_param", "lr=5,int")
    assert (done.returncode, done.stderr) == (0, "")
    (made,) = set((tmp_path / "storage").glob("*_t_*")) - {source}
    seeds = sorted(made.glob("experiment*/seed*"))
    assert len(seeds) == 6
    assert {tuple(sorted(os.listdir(path))) for path in seeds} == {
        (UNHATCHED, "config.json", "config_unique.json")
    }
    assert {name: data for name, data in tree(source).items() if "owners" not in name} == before
    assert [baton.name for baton in batons_among(os.listdir(source / "experiment3/seed2"))] == [CRASH]


def test_a_tree_of_an_older_tool_is_copied_by_what_its_configurations_say(project):
    (laid,) = listed(project)
    source = laid.rename(laid.with_name("Ju7_f7b375e-58332a7_al_pha_hi_ll_grid_one"))
    shutil.rmtree(source / ".alfred")
    for flag in source.glob("*/*/UNHATCHED"):
        flag.unlink()
    done = copied(project, "--storage_name", source.name, "--new_desc", "b")
    assert (done.returncode, done.stderr) == (0, "")
    (made,) = (project / "storage").glob("*_b")
    known = read_metadata(made)
    assert (known.alg_name, known.task_name, known.desc) == ("al_pha", "hi_ll", "grid_one_b")
    assert (known.kind, known.origin) == ("grid", source.name)
    assert (made / "variations.json").read_text() == (source / "variations.json").read_text()
    works("launch", "--storage_name", made.name, "--seeds", "2", folder=project)
    assert len(list(made.glob("*/*/COMPLETED"))) == 4


def test_the_copy_has_the_present_hashes(project):
    (source,) = listed(project)
    settings = project.parent / "gitconfig"
    settings.write_text("[user]\n\tname = Julia\n\temail = julia@example.org\n")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(settings)}
    for words in (["init", "-q"], ["add", "main.py"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *words], cwd=project, env=environment, check=True)
    with open(project / "main.py", "a") as main:
        main.write(
            "\ndef set_up_alfred():\n    from alfred.utils.directory_tree import DirectoryTree\n"
            "    DirectoryTree.git_repos_to_track['own'] = '.'\n"
        )
    assert copied(project, "--storage_name", source.name, "--new_desc", "b").returncode == 0
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True
    )
    (made,) = (project / "storage").glob("*_b")
    own = read_metadata(made).repositories["own"]
    assert own == {"hash": head.stdout.strip(), "dirty": True}
    assert head.stdout.startswith(read_metadata(made).git_hashes)
    assert made.name.split("_")[1] == read_metadata(made).git_hashes


def test_a_listed_directory_that_is_missing_is_passed_over(project):
    (source,) = listed(project)
    with open(project / LIST, "a") as file:
        file.write("Ju9_not_there\n")
    done = copied(project, "--from_file", LIST)
    assert done.returncode == 1
    assert "Ju9_not_there does not exist: passed over" in done.stderr
    names = [path.name for path in listed(project)]
    assert names[:2] == [source.name, "Ju9_not_there"]
    assert (project / "storage" / names[2] / f"config_copied_from_{source.name}").exists()
    (project / LIST).write_text("Ju9_not_there\n")
    assert copied(project, "--from_file", LIST).returncode == 3
    (project / LIST).write_text("# nothing\n")
    assert copied(project, "--from_file", LIST).returncode == 3


@pytest.mark.parametrize(
    ("words", "answer", "status", "told"),
    [
        ([], "n\n", 0, "Nothing was changed."),
        (["--dry_run"], "", 0, "Dry run: nothing was made."),
        ([], "", 2, "--ask_for_validation false"),
        (["--additional_param", "lrr=1,float"], "y\n", 2, "did you mean lr?"),
        (["--additional_param", "lr=1"], "y\n", 2, "name=value,type"),
        (["--additional_param", "task_name=a/b,str"], "y\n", 2, "'/'"),
        (["--new_desc", "x" * 250], "y\n", 2, "shorten desc"),
        (["--new_desc", ""], "y\n", 2, "--new_desc is empty"),
        (["--append_new_desc", "false"], "y\n", 2, "--new_desc"),
    ],
)
def test_what_is_not_confirmed_or_cannot_be_done_changes_nothing(laid, tmp_path, words, answer, status, told):
    source = laid()
    before = tree(tmp_path)
    done = typed("alfred", "copy", "--storage_name", source.name, *words, folder=tmp_path, input=answer)
    assert (done.returncode, told in done.stdout + done.stderr) == (status, True), done
    assert done.stderr.count("\n") == (status > 0)
    assert tree(tmp_path) == before


def test_a_broken_configuration_stops_all_copies_before_anything_is_made(laid, tmp_path):
    good, bad = laid("t", "u")
    (tmp_path / "all.txt").write_text(f"{good.name}\n{bad.name}\n")
    (bad / "experiment2" / "seed1" / "config.json").write_text("{")
    before = tree(tmp_path)
    done = copied(tmp_path, "--from_file", "all.txt")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "experiment2/seed1/config.json, line 1" in done.stderr
    assert tree(tmp_path) == before


def test_the_project_must_load_since_it_says_which_hashes_are_present(project):
    (source,) = listed(project)
    (project / "main.py").write_text("import not_there\n")
    done = copied(project, "--storage_name", source.name)
    assert (done.returncode, "not_there" in done.stderr) == (2, True)
    assert len(list((project / "storage").iterdir())) == 2, "the source and .alfred"
