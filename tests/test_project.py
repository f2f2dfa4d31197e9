"""Loading the user's main.py and evaluate.py, and what is said when they can't be used."""

import sys
import types

import pytest

import alfred.defaults
from alfred.errors import ProjectError, ScheduleError
from alfred.project import call_main, load_evaluate, load_project, load_schedule_module, set_up

GOOD = """\
from argparse import Namespace

def get_run_args(overwritten):
    return Namespace(lr=0.1, given=overwritten)

def main(config, dir_tree, logger, pbar):
    return config, dir_tree, logger, pbar
"""


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch):
    """What a test imports as `main` is gone after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("main", "evaluate", "alfred_schedule"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))


def write_main(folder, text, name="main.py"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_main_is_loaded_from_the_folder_and_found_by_what_imports_it(tmp_path):
    project = load_project(write_main(tmp_path, GOOD))
    assert project.folder == tmp_path
    assert sys.path[0] == str(tmp_path)
    assert sys.modules["main"] is project.module
    assert project.main is project.module.main


def test_the_current_folder_is_the_project_when_none_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(write_main(tmp_path, GOOD))
    assert load_project().folder == tmp_path


@pytest.mark.parametrize("name", ["with space", "quo'te\"s", "ünïcödé", "new\nline", "per%cent"])
def test_a_project_in_a_folder_with_any_name(tmp_path, name):
    assert load_project(write_main(tmp_path / name, GOOD)).default_config()["lr"] == 0.1


def test_get_run_args_is_called_with_an_empty_text_by_position(tmp_path):
    assert load_project(write_main(tmp_path, GOOD)).default_config() == {"lr": 0.1, "given": ""}


def test_a_get_run_args_that_reads_the_command_line_does_not_see_the_options_of_alfred(tmp_path, monkeypatch):
    text = (
        "import argparse\n"
        "def get_run_args(given):\n"
        "    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('--lr', default=0.1)\n"
        "    return parser.parse_args(given or None)\n"
        "def main(config, dir_tree, logger, pbar): pass\n"
    )
    monkeypatch.setattr(sys, "argv", ["alfred", "--schedule_file", "x"])
    assert load_project(write_main(tmp_path, text)).default_config() == {"lr": 0.1}
    assert sys.argv == ["alfred", "--schedule_file", "x"]


def test_set_up_alfred_is_applied(tmp_path, monkeypatch):
    monkeypatch.setattr(alfred.defaults, "DEFAULT_DIRECTORY_TREE_ROOT", "./storage")
    text = (
        "import alfred.defaults\ndef set_up_alfred(): alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT = 'here'\n"
    )
    load_project(write_main(tmp_path, text + GOOD))
    assert alfred.defaults.DEFAULT_DIRECTORY_TREE_ROOT == "here"


BROKEN = {
    "no_main_file": (None, ["no main.py in {folder}", "folder of your project"]),
    "syntax_error": ("x = (\n", ["main.py does not import", "SyntaxError", "main.py:1"]),
    "missing_package": (
        "\nimport no_such_package\n",
        ["ModuleNotFoundError", "no_such_package", "main.py:2"],
    ),
    "raises": ("\n\nraise ValueError('a\\nb')\n", ["ValueError: a b", "main.py:3"]),
    "leaves": ("import sys\nsys.exit('bye')\n", ["SystemExit: bye", "main.py:2"]),
    "null_byte": ("x = '\0'\n", ["main.py does not import", "null bytes"]),
    "no_main": (
        GOOD.replace("def main", "def mein"),
        ["main.py has no main()", "define main(config, dir_tree"],
    ),
    "main_is_no_function": (GOOD + "main = 3\n", ["has no main()"]),
    "main_lacks_config": (
        GOOD.replace("def main(config, ", "def main("),
        ["main.py:6", "does not take config", "define main(config"],
    ),
    "main_wants_more": (GOOD.replace("pbar)", "pbar, extra)", 1), ["main.py:6", "extra", "no default"]),
    "set_up_raises": (
        GOOD + "def set_up_alfred():\n    1 / 0\n",
        ["set_up_alfred()", "ZeroDivision", "main.py:9"],
    ),
}


@pytest.mark.parametrize("wrong", BROKEN)
def test_a_project_that_cannot_be_used_is_told_in_one_line(tmp_path, wrong):
    text, words = BROKEN[wrong]
    if text is not None:
        write_main(tmp_path, text)
    with pytest.raises(ProjectError) as error:
        load_project(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)
    assert [word for word in words if word.format(folder=tmp_path) not in str(error.value)] == []


@pytest.mark.parametrize(
    ("get_run_args", "words"),
    [
        ("", ["has no get_run_args()", "define get_run_args("]),
        ("def get_run_args(): pass", ['get_run_args("")', "TypeError"]),
        (
            "def get_run_args(x):\n    raise KeyError('lr')",
            ['get_run_args("")', "KeyError: 'lr'", "main.py:4"],
        ),
        ("def get_run_args(x):\n    raise SystemExit(2)", ["SystemExit: 2", "main.py:4"]),
        ("def get_run_args(x): return {'lr': 1}", ["returned dict", "argparse.Namespace"]),
    ],
)
def test_a_get_run_args_that_cannot_be_used_is_told_in_one_line(tmp_path, get_run_args, words):
    text = f"def main(config, dir_tree, logger): pass\n\n{get_run_args}\n"
    project = load_project(write_main(tmp_path, text))
    with pytest.raises(ProjectError) as error:
        project.default_config()
    assert str(tmp_path / "main.py") in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []


def test_the_line_told_is_the_last_one_of_the_user(tmp_path):
    write_main(tmp_path, "def parse():\n    import json\n    json.loads('{')\n", "helper.py")
    with pytest.raises(ProjectError, match=r"JSONDecodeError.*\(helper.py:3\)"):
        load_project(write_main(tmp_path, "import helper\nhelper.parse()\n"))
    sys.modules.pop("helper")


def test_another_main_on_the_path_is_never_taken(tmp_path):
    sys.path.insert(0, str(write_main(tmp_path / "other", GOOD)))
    (tmp_path / "own").mkdir()
    with pytest.raises(ProjectError, match=r"no main\.py"):
        load_project(tmp_path / "own")
    own = load_project(write_main(tmp_path / "own", GOOD))
    assert own.module.__file__ == str(tmp_path / "own" / "main.py")


def test_a_main_that_failed_is_not_left_behind(tmp_path):
    with pytest.raises(ProjectError):
        load_project(write_main(tmp_path, "raise ValueError\n"))
    assert "main" not in sys.modules


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("config, dir_tree, logger, pbar", "CDLP"),
        ("pbar, logger, dir_tree, config", "CDLP"),
        ("*, logger, config, dir_tree, pbar=None", "CDLP"),
        ("config, dir_tree, logger, extra=3", "CDL"),
        ("**given", "CDLP"),
        ("config, **given", "CDLP"),
    ],
)
def test_main_is_called_by_keyword_whatever_the_order_of_its_parameters(signature, expected):
    scope = {}
    exec(f"def main({signature}): return {{**locals(), **locals().get('given', {{}})}}", scope)
    got = call_main(scope["main"], config="C", dir_tree="D", logger="L", pbar="P")
    names = ("config", "dir_tree", "logger", "pbar")
    assert "".join(got[name] for name in names if got.get(name)) == expected


def test_set_up_does_without_a_main(tmp_path, capsys):
    set_up(tmp_path)
    assert capsys.readouterr() == ("", "")


def test_set_up_tells_of_a_main_that_does_not_import_and_goes_on(tmp_path, capsys):
    set_up(write_main(tmp_path, "import no_such_package\n"))
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "notice" in err
    assert "no_such_package" in err


def test_set_up_needs_no_main_function(tmp_path, monkeypatch):
    monkeypatch.setattr(alfred.defaults, "DEFAULT_BENCHMARK_X_METRIC", "episode")
    text = (
        "import alfred.defaults\ndef set_up_alfred(): alfred.defaults.DEFAULT_BENCHMARK_X_METRIC = 'step'\n"
    )
    set_up(write_main(tmp_path, text))
    assert alfred.defaults.DEFAULT_BENCHMARK_X_METRIC == "step"


def test_a_schedule_may_import_from_main_and_define_dataclasses(tmp_path):
    load_project(write_main(tmp_path, GOOD))
    text = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from main import get_run_args\n"
        "@dataclass\n"
        "class Pair:\n"
        "    x: int\n"
        "SEEDS = [Pair(1).x]\n"
    )
    write_main(tmp_path / "schedules" / "abc", text, "grid_schedule_abc.py")
    module = load_schedule_module(tmp_path / "schedules" / "abc" / "grid_schedule_abc.py")
    assert module.SEEDS == [1]
    assert [path.name for path in (tmp_path / "schedules" / "abc").iterdir()] == ["grid_schedule_abc.py"]


def test_a_schedule_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ScheduleError, match="--schedule_file"):
        load_schedule_module(tmp_path / "grid_schedule_abc.py")


def test_evaluate_is_loaded_when_it_has_both_functions(tmp_path):
    text = "def evaluate(config): return 1.0\n"
    write_main(tmp_path, text, "evaluate.py")
    with pytest.raises(ProjectError, match="get_evaluation_args"):
        load_evaluate(tmp_path)
    sys.modules.pop("evaluate")
    write_main(tmp_path, text + "def get_evaluation_args(overwritten): return None\n", "evaluate.py")
    assert load_evaluate(tmp_path).evaluate(None) == 1.0
