"""An error at every single call to the disk of what lays directories: all of it is there or nothing, the
error is one line that names the place, and once it has passed the work goes on (`every_error.py` says how).
"""

import contextlib
import os
import pickle
import runpy
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from alfred.storage import batons, laying, retrains
from alfred.storage.creation import Experiment, Preparation, lay_more, lay_search
from alfred.storage.flags import State
from alfred.storage.leases import Leases
from alfred.storage.leftovers import find_leftovers
from alfred.storage.more_seeds import lay_seeds
from alfred.storage.owners import this_process
from alfred.storage.survey import storage_dirs, survey

pytestmark = pytest.mark.timeout(600)  # some hundred cases each, whatever else the machine does
every_error = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("every_error.py"))))


@pytest.fixture
def tmp_path(in_memory):
    return in_memory


@pytest.fixture(autouse=True)
def _no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.chdir(tmp_path)


def plan(task, first=0):
    experiments = (Experiment({"lr": first}, {"lr": first}, (10,)),)
    return Preparation("a", task, "grid_x", "grid", experiments, variations={"lr": [first]})


def lay_retrain(root, name, listed):
    with contextlib.closing(Leases(this_process())) as me, retrains.reserved(root / name, me) as mine:
        assert mine
        return lay_search(root, [replace(plan("t"), desc="retrainBestNo1_x", origin=name)], listed)


# name: what is done, how many runs stand then where one stood before
LAYINGS = {
    "a search": (lambda root, name, listed: lay_search(root, [plan("u")], listed), 2),
    "more experiments": (lambda root, name, listed: lay_more(root, name, plan("t", 2)), 2),
    "more seeds": (lambda root, name, listed: lay_seeds(root, name, [1], 2), 3),
    "a retrain": (lay_retrain, 2),
    "what was cut short": (lambda root, name, listed: laying.recover(root, tell=told_lines.append), 2),
}
told_lines = []


@pytest.mark.parametrize("what", sorted(LAYINGS))
def test_an_error_of_any_call_of_laying(what, child, tmp_path, monkeypatch):
    """All of it is there or nothing; when it is said to be there it is."""
    monkeypatch.setenv("PATH", "")  # no git to be asked for a name
    work, size = LAYINGS[what]
    everywhere = what in ("a search", "what was cut short")  # the others build as the first does
    results, template = tmp_path / "results", tmp_path / "template"
    (name,) = lay_search(template, [plan("t")])

    def die_with_a_journal(folder):
        laying.LayingFolder._carry_out = lambda *args: os.kill(os.getpid(), 9)
        lay_search(folder, [plan("u")], folder / "list_x.txt")

    def do(case, number):
        root = tmp_path / str(number)
        shutil.copytree(template, root, copy_function=shutil.copyfile)
        for journal in root.glob(".alfred/laying.*/journal.json"):
            journal.write_text(journal.read_text().replace(str(template), str(root)))
        listed = root / "list_x.txt"
        listed.write_text(f"{name}\n")
        told_lines.clear()
        with every_error.failing(case, root if everywhere else root / name) as seen:
            outcome = every_error.told(lambda: work(root, name, listed))
        assert all("/" in line and "\n" not in line for line in told_lines)
        if outcome.value:
            assert runs_in(root) == (size, size)
            assert len(listed.read_text().split()) == len(storage_dirs(root))
        return seen, outcome

    def go_on(root):
        lines = []
        laying.recover(root, tell=lines.append)
        assert lines == []
        found = storage_dirs(root)
        assert (root / "list_x.txt").read_text().split() == [path.name for path in found]
        assert runs_in(root)[0] in (1, size)
        assert {found.path for found in find_leftovers(root)} == set(root.rglob("*.tmp"))
        assert all(batons.claim(run.seed_dir, "host-1-0123abcd") for path in found for run in survey(path))
        assert not list((root / ".alfred").glob("laying.*"))
        assert [name for name in os.listdir(root / ".alfred/owners") if not name.endswith(".tmp")] == []

    if what == "what was cut short":
        assert child(lambda: die_with_a_journal(template)) == -9
    assert child(lambda: results.write_bytes(pickle.dumps(every_error.all_cases(do)))) == 0
    every_error.look_at(results, go_on)


def runs_in(root):
    """How many runs stand in a root, and how many of them wait."""
    runs = [run for storage_dir in storage_dirs(root) for run in survey(storage_dir)]
    return len(runs), sum(run.baton is not None and run.baton.state is State.WAITING for run in runs)
