"""Loggers, lists of storage directories, short texts, and what main() gets when nobody hands it anything."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

import alfred
import alfred.defaults
from alfred.errors import ScheduleError, StorageError, UsageError
from alfred.utils.config import load_dict_from_json
from alfred.utils.directory_tree import DirectoryTree
from alfred.utils.misc import (
    check_params_defined_twice,
    close_logger,
    create_logger,
    create_management_objects,
    create_new_filehandler,
    formatted_time_diff,
    is_commented,
    keep_two_signif_digits,
    select_storage_dirs,
    sorted_nicely,
    uniquify,
)

LINE = r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d - INFO - %s - %s"


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """An empty root directory, the default one of this test, and a git user Julia."""
    monkeypatch.setattr(alfred.defaults, "DEFAULT_DIRECTORY_TREE_ROOT", str(tmp_path / "root"))
    monkeypatch.setattr(alfred.defaults, "DEFAULT_DIRECTORY_TREE_GIT_REPOS_TO_TRACK", OrderedDict())
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Julia\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_logger_writes_the_same_line_to_file_and_terminal(tmp_path, capsys):
    logger = create_logger("100% mine", logging.INFO, tmp_path / "new" / "logger.out")
    logger.debug("hidden")
    logger.info("hello\ud800 é")
    close_logger(logger)
    written = (tmp_path / "new" / "logger.out").read_text("utf-8")
    assert re.fullmatch(LINE % ("100% mine", r"hello\\ud800 é\n"), written)
    assert re.match(LINE % ("100% mine", "hello"), capsys.readouterr().out)


def test_a_logger_made_twice_writes_each_line_once(tmp_path, capsys):
    create_logger("twice", logging.INFO, tmp_path / "first.out")
    logger = create_logger("twice", logging.INFO, tmp_path / "second.out", streamHandle=False)
    logger.info("x")
    assert (tmp_path / "first.out").read_text() == ""
    assert len((tmp_path / "second.out").read_text().splitlines()) == 1
    assert capsys.readouterr().out == ""
    close_logger(logger)


def test_a_thousand_loggers_leave_no_file_open_and_no_name_behind(tmp_path):
    before = open_files(), len(logging.Logger.manager.loggerDict)
    for number in range(1000):
        close_logger(create_logger(f"run{number}", logging.INFO, tmp_path / "logger.out"))
    assert (open_files(), len(logging.Logger.manager.loggerDict)) == before


def test_a_file_handler_writes_for_any_logger_under_the_name_given(tmp_path):
    handler = create_new_filehandler("worker 1", tmp_path / "x.out")
    logger = logging.Logger("other")
    logger.addHandler(handler)
    logger.info("hello")
    handler.close()
    assert re.fullmatch(LINE % ("worker 1", "hello\n"), (tmp_path / "x.out").read_text())
    with pytest.raises(StorageError, match="can't be written"):
        create_new_filehandler("x", tmp_path / "x.out" / "y.out")


@pytest.mark.parametrize(
    ("number", "rounded"),
    [
        (0.012345, 0.012),
        (1234, 1200),
        (-0.0999, -0.1),
        (0, 0),
        (0.0, 0.0),
        (99.9, 100.0),
        (5, 5),
        (1e-7, 1e-7),
    ],
)
def test_two_significant_digits(number, rounded):
    assert keep_two_signif_digits(number) == rounded


def test_what_has_no_two_digits_stays_as_it_is():
    for value in ("text", None, True, float("inf"), [1]):
        assert keep_two_signif_digits(value) is value
    assert np.isnan(keep_two_signif_digits(float("nan")))
    assert keep_two_signif_digits(np.float64(0.1234)) == 0.12


def test_numbers_in_texts_sort_as_numbers():
    names = ["seed10", "seed9", "a", "seed1b", "10", "9"]
    assert sorted_nicely(names) == ["9", "10", "a", "seed1b", "seed9", "seed10"]
    assert sorted_nicely([Path("x10"), Path("x2")]) == [Path("x2"), Path("x10")]


def test_every_parameter_defined_twice_is_named():
    check_params_defined_twice(["a", "b"])
    with pytest.raises(ScheduleError, match="'a' 2 times, 'c' 3 times"):
        check_params_defined_twice(["a", "b", "c", "c", "a", "c"])


def test_comments():
    assert is_commented("# x", ["#"])
    assert is_commented("  % x", ["#", "%"])
    assert not is_commented("x # y", ["#"])
    assert not is_commented("", ["#"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3723.4, "1h02m03s"), (0, "0h00m00s"), (59.99, "0h00m59s"), (360000, "100h00m00s"), (-61, "-0h01m01s")],
)
def test_times(seconds, text):
    assert formatted_time_diff(seconds) == text


def test_the_next_free_name_counts_from_0(tmp_path):
    assert uniquify(tmp_path / "a.b.pdf") == tmp_path / "a.b_0.pdf"
    (tmp_path / "a.b_0.pdf").touch()
    (tmp_path / "a.b_1.pdf").symlink_to(tmp_path / "nowhere")
    assert uniquify(str(tmp_path / "a.b.pdf")) == tmp_path / "a.b_2.pdf"


def test_a_list_file_gives_each_name_once_in_order(root, tmp_path, capsys):
    list_file = tmp_path / "list.txt"
    list_file.write_bytes(
        b"\xef\xbb\xbfJu2_b\r\n\r\n# Ju3_c\r\n  Ju1_a  # the first\r\nJu2_b#again\r\n\t# x\rJu9_gone"
    )
    dirs = select_storage_dirs(str(list_file), None, None)
    assert dirs == [root / "Ju2_b", root / "Ju1_a", root / "Ju9_gone"]
    notice = f"alfred: notice: {list_file}, line 5: Ju2_b stands in line 1 already, it is worked once\n"
    assert capsys.readouterr().err == notice


@pytest.mark.parametrize("name", ["../x", "..", ".hidden", "/etc", "a/b", "Ju1_a/", "a\0b"])
def test_names_that_lead_elsewhere_are_refused_with_file_and_line(root, tmp_path, name):
    list_file = tmp_path / "list.txt"
    list_file.write_text(f"\n{name}\n")
    with pytest.raises(UsageError, match=re.escape(f"{list_file}, line 2: {name!r}")):
        select_storage_dirs(list_file, None, root)
    with pytest.raises(UsageError, match="--storage_name"):
        select_storage_dirs(None, name, root)


def test_one_of_list_and_name_is_asked_for(root, tmp_path):
    with pytest.raises(UsageError, match="neither was given"):
        select_storage_dirs(None, None, root)
    with pytest.raises(UsageError, match="both were given"):
        select_storage_dirs("x.txt", "Ju1_a", root)
    with pytest.raises(UsageError, match=r"x\.txt can't be read"):
        select_storage_dirs(tmp_path / "x.txt", None, root)


def test_a_single_directory_and_the_root_must_exist(root, tmp_path):
    (root / "Ju1_grid_abc").mkdir()
    assert select_storage_dirs(None, "Ju1_grid_abc", None) == [root / "Ju1_grid_abc"]
    with pytest.raises(StorageError, match=r"Ju1_grid_abd: did you mean Ju1_grid_abc\?"):
        select_storage_dirs(None, "Ju1_grid_abd", str(root))
    with pytest.raises(StorageError, match=r"root directory .*nowhere does not exist"):
        select_storage_dirs(None, "Ju1_grid_abc", tmp_path / "nowhere")


def test_what_is_none_is_made_so_that_main_works_alone(root, capsys):
    config = Namespace(alg_name="sgd", task_name="digits", desc="by_hand", seed=7, lr=0.1, max_episodes=30)
    config.log_level = "DEBUG"
    dir_tree, logger, pbar = create_management_objects(None, None, "default_pbar", config)
    assert dir_tree.seed_dir == root / "Ju1_sgd_digits_by_hand" / "experiment1" / "seed7"
    assert load_dict_from_json(dir_tree.seed_dir / "config.json") == vars(config)
    unique = load_dict_from_json(dir_tree.seed_dir / "config_unique.json")
    assert unique == {"alg_name": "sgd", "task_name": "digits", "seed": 7}
    assert "lr:" in (dir_tree.seed_dir / "logger.out").read_text()
    assert isinstance(pbar, tqdm)
    assert pbar != "default_pbar", "projects compare it, though tqdm's own raises"
    assert pbar.total == 30
    pbar.update(3)
    assert pbar.n == 3
    pbar.close()
    close_logger(logger)


def test_a_config_of_anything_is_enough(root):
    dir_tree, logger, pbar = create_management_objects(
        dir_tree=None, logger=None, pbar=None, config=Namespace(root_dir=str(root / "other"))
    )
    assert dir_tree.seed_dir == root / "other" / "Ju1_run" / "experiment1" / "seed0"
    assert logger.level == logging.INFO
    assert pbar is None
    close_logger(logger)


def test_what_is_given_stays_as_it_is(root):
    given = DirectoryTree("a", "t", "d", 1), logging.Logger("mine"), object()
    assert create_management_objects(*given, Namespace()) == given
    assert list(root.iterdir()) == []
    with pytest.raises(UsageError, match="defaultpbar"):
        create_management_objects(given[0], given[1], "defaultpbar", Namespace())


def test_the_star_brings_every_name_and_nothing_heavy():
    program = (
        "import sys; from alfred.utils import *; import alfred.utils as u\n"
        "heavy = {'matplotlib', 'scipy', 'pandas', 'rich', 'tqdm'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "for module in (config, directory_tree, misc, plots, recorder, stats):\n"
        "    assert module.__name__.startswith('alfred.utils.')\n"
        "    for name in module.__all__:\n"
        "        assert globals()[name] is getattr(module, name), name\n"
        "modules = (config, directory_tree, misc, plots, recorder, stats)\n"
        "names = {name for module in modules for name in module.__all__}\n"
        "assert names | set(u._NAMES) == set(u.__all__)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_worker_imports_loads_no_numpy():
    modules = "directory_tree, misc, config, recorder, progress_bar, storage_names"
    program = f"import sys; from alfred.utils import {modules}; sys.exit('numpy' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(alfred.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0
