"""Launching what researchers have: projects of every kind, odd paths, and main.py files with mistakes."""

from __future__ import annotations

import json
import subprocess

import pytest

from alfred.utils.recorder import Recorder

LAST_LINES = {
    7: "ValueError: this run raises",
    8: "killed by SIGSEGV (Segmentation fault)",
    9: "the process left with exit status 0 before main() returned",
    10: "killed by SIGKILL; nobody said why",
    11: "ran out of its time: --timeout 2 seconds",
    12: "RecursionError: maximum recursion depth exceeded",
}


def test_of_twelve_runs_the_six_that_misbehave_leave_a_report_and_the_others_complete(client, look):
    one = client("misbehaving")
    (storage_dir,) = one.prepare("schedules/twelve/grid_schedule_twelve.py")
    words = ["--storage_name", storage_dir.name, "--n_processes", 2, "--timeout", 2]
    launched = one.run(*words)
    assert launched.returncode == 1
    assert look.counts(storage_dir) == {"COMPLETED": 6, "CRASH.txt": 6}
    for number, last_line in LAST_LINES.items():
        seed_dir = storage_dir / f"experiment{number}" / "seed1"
        lines = (seed_dir / "CRASH.txt").read_text().splitlines()
        assert last_line in lines[-1]
        assert last_line in lines[1]
        assert f"experiment{number}/seed1 crashed: {last_line}" in launched.stdout
        assert "about to" in (seed_dir / "CRASH.txt").read_text(), "the last words are there"
    assert "ctypes" in (storage_dir / "experiment8/seed1/CRASH.txt").read_text(), "where Python was"
    assert len((storage_dir / "experiment3/seed1/output.out").read_text().splitlines()) == 20_001
    assert (storage_dir / "experiment4/seed1/logger.out").read_text().count("message") == 2_000

    shown = one.run("--storage_name", storage_dir.name, module="alfred.commands.status")
    assert shown.returncode == 0, shown.stderr
    for last_line in LAST_LINES.values():
        assert last_line in " ".join(shown.stdout.split())


def test_clients_of_every_age_run_as_they_are(client, look):
    """`rl_like` takes no pbar, `legacy` rewrites its json files and joins a repository that isn't one."""
    for project, schedule in (("rl_like", "grid_rl"), ("rl_like", "random_rl"), ("legacy", "grid_legacy")):
        one = client(project, folder=f"{project}_{schedule}")
        kind = schedule.partition("_")[0]
        storage_dirs = one.prepare(f"schedules/{schedule}/{kind}_schedule_{schedule}.py")
        listed = f"schedules/{schedule}/list_searches_{schedule}.txt"
        launched = one.run("--from_file", listed, "--n_processes", 2, "--use_pbar", "--seeds", "10,131")
        assert launched.returncode == 0, launched.stdout + launched.stderr
        for storage_dir in storage_dirs:
            assert set(look.counts(storage_dir)) == {"COMPLETED", "UNHATCHED"}
            for path in storage_dir.glob("*/*/recorders/train_recorder.pkl"):
                assert Recorder.init_from_pickle_file(path).tape["return"]
    config = json.loads(next(storage_dirs[0].glob("*/seed131/config.json")).read_text())
    assert config["observation_names"] == ["x", "y"]


@pytest.mark.parametrize(
    ("signature", "gets_pbar"),
    [
        ("pbar, logger, dir_tree, config", True),
        ("dir_tree, config, logger", False),
        ("logger, *, config, dir_tree, extra=3, pbar=None", True),
        ("**everything", True),
    ],
)
def test_main_is_called_by_keyword_whatever_its_parameters_are_called_in_which_order(
    client, look, signature, gets_pbar
):
    one = client()
    (one.folder / "main.py").write_text(
        "from argparse import Namespace\n"
        "def get_run_args(_): return Namespace(alg_name='a', task_name='t', desc='', seed=0, do='')\n"
        f"def main({signature}):\n"
        "    given = dict(locals()); given = given.get('everything', given)\n"
        "    assert given['config'].do == 'this' and given['dir_tree'].seed_dir.is_dir()\n"
        "    given['logger'].info('it runs'); given.get('pbar') and given['pbar'].update()\n"
        "    print(sorted(given))\n"
    )
    storage_dir = one.lay("this")
    for words in (["--use_pbar"], ["--use_pbar", "--in_process"]):
        launched = one.run("--storage_name", storage_dir.name, *words)
        assert launched.returncode == 0, launched.stdout + launched.stderr
        seed_dir = storage_dir / "experiment1" / "seed1"
        printed = launched.stdout + (seed_dir / "output.out").read_text()
        assert ("'pbar'" in printed) == gets_pbar
        (seed_dir / "COMPLETED").rename(seed_dir / "UNHATCHED")


MISTAKES = {
    "def main(config, dir_tree, logger, pbar)\n    pass": "does not import: SyntaxError",
    "import no_such_module": "does not import: ModuleNotFoundError: No module named",
    "x = 1": "has no main()",
    "def main(config, logger): pass": "does not take dir_tree as a keyword",
    "def main(config, dir_tree, logger, pbar, more): pass": "the parameter more of main() has no default",
    "raise SystemExit(0)": "does not import: SystemExit: 0 (main.py:1)",
    "import os; os._exit(7)": "ended Python when it was imported (status 7)",
    "def set_up_alfred(): 1 / 0\ndef main(config, dir_tree, logger): pass": "raised in set_up_alfred()",
    "import alfred.defaults as d\ndef set_up_alfred(): d.DEFAULT_BENCHMARK_X_METRIC = lambda: 0\n"
    "def main(config, dir_tree, logger): pass": "DEFAULT_BENCHMARK_X_METRIC is <function",
    None: "no main.py in",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_main_that_cannot_be_used_is_one_line_and_nothing_runs(client, look, text):
    one = client()
    storage_dir = one.lay("pass")
    if text is None:
        (one.folder / "main.py").unlink()
    else:
        (one.folder / "main.py").write_text(text + "\n")
    launched = one.run("--storage_name", storage_dir.name)
    assert launched.returncode == 2
    assert launched.stderr.count("\n") == 1
    assert launched.stderr.startswith("alfred: ")
    assert MISTAKES[text] in launched.stderr
    assert str(one.folder) in launched.stderr or "set_up_alfred" in launched.stderr
    assert {path.name for path in (storage_dir / "experiment1/seed1").iterdir()} == {
        *("config.json", "config_unique.json", "UNHATCHED")
    }


@pytest.mark.parametrize(
    "method", [["--in_process"], ["--start_method", "fork"], ["--start_method", "spawn"], []]
)
def test_what_set_up_alfred_assigns_is_where_the_launch_looks(client, look, method):
    one = client()
    with (one.folder / "main.py").open("a") as main:
        main.write(
            "import alfred.defaults\n"
            "def set_up_alfred():\n    alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT = './elsewhere'\n"
        )
    one.root = one.folder / "elsewhere"
    storage_dir = one.lay("pass")
    launched = one.run("--storage_name", storage_dir.name, *method)
    assert launched.returncode == 0, launched.stderr
    assert look.counts(storage_dir) == {"COMPLETED": 1}


def test_runs_that_do_not_seed_draw_different_numbers(client):
    one = client()
    main = (one.folder / "main.py").read_text()
    (one.folder / "main.py").write_text(
        main.replace('"""\n', '"""\nimport random, numpy\nnumpy.random.rand()\n', 1)
    )
    storage_dir = one.lay(
        *["print(random.random(), numpy.random.rand(), numpy.random.default_rng().random())"] * 2
    )
    for method in ("forkserver", "fork"):
        assert one.run("--storage_name", storage_dir.name, "--start_method", method).returncode == 0
        drawn = [path.read_text() for path in sorted(storage_dir.glob("*/*/output.out"))]
        assert len(set(" ".join(drawn).split())) == 6, drawn
        for path in storage_dir.glob("*/*/COMPLETED"):
            path.rename(path.with_name("UNHATCHED"))
            path.with_name("output.out").unlink()


@pytest.mark.parametrize("method", ["forkserver", "fork"])
def test_what_the_import_left_for_its_end_outlives_the_first_run(client, look, method):
    """A folder made at import is still there for the second run; what a run registers itself is done."""
    one = client()
    with (one.folder / "main.py").open("a") as main:
        main.write("import atexit, tempfile\nfolder = tempfile.TemporaryDirectory(dir='.')\n")
        main.write("atexit.register(print, 'registered at import')\n")
    storage_dir = one.lay(
        *["assert os.path.isdir(folder.name); atexit.register(print, 'registered here')"] * 2
    )
    assert one.run("--storage_name", storage_dir.name, "--start_method", method).returncode == 0
    assert look.counts(storage_dir) == {"COMPLETED": 2}
    for path in storage_dir.glob("*/*/output.out"):
        assert path.read_text() == "registered here\n"


def test_trees_of_older_tools_are_launched_and_put_back_as_well(client, look):
    """No .alfred, no batons, underscores in every name; a run that an older tool left without a flag."""
    one = client()
    fields = ("gmix_3", "cart_pole_v1", "grid_my_try")
    storage_dir = one.lay("pass", "print('again')", id="Ju12", fields=fields, seeds=(131, 214), drawn=False)
    stopped = storage_dir / "experiment2" / "seed214"
    (stopped / "UNHATCHED").unlink()
    (stopped / "model.pt").write_text("half")
    words = ["--storage_name", storage_dir.name]
    first = one.run(*words)
    assert first.returncode == 0
    assert "3 done, 0 running, 0 crashed, 0 waiting, 1 without a flag" in first.stdout
    assert look.counts(storage_dir) == {"COMPLETED": 3, "": 1}
    subprocess.run(["touch", "-d", "2 minutes ago", *stopped.iterdir(), stopped], check=True)
    launched = one.run(*words, "--run_clean_interrupted")
    assert launched.returncode == 0, launched.stderr
    assert look.counts(storage_dir) == {"COMPLETED": 4}
    assert (stopped / ".alfred/attempts/0/model.pt").read_text() == "half"
    assert (stopped / "output.out").read_text() == "again\n"


ODD = 'it\'s "odd" & é 世界\nsecond line $HOME'


@pytest.mark.parametrize("method", ["forkserver", "fork", "spawn", "in_process"])
def test_paths_with_spaces_quotes_unicode_and_a_newline_work(client, look, method):
    one = client(folder=ODD)
    one.root = one.folder.parent / f"root {ODD}"
    storage_dir = one.lay("print('fine'); assert dir_tree.root.is_dir()", "1 / 0")
    words = ["--in_process"] if method == "in_process" else ["--start_method", method]
    launched = one.run("--storage_name", storage_dir.name, "--root_dir", one.root, *words)
    assert launched.returncode == 1, launched.stderr
    assert look.counts(storage_dir) == {"COMPLETED": 1, "CRASH.txt": 1}
    report = (storage_dir / "experiment2/seed1/CRASH.txt").read_text()
    assert report.rstrip().endswith("ZeroDivisionError: division by zero")
