"""What holds for a launch whatever does the runs: a fork server, forks, fresh interpreters, or itself."""

from __future__ import annotations

import json
import re
import sys

import pytest

METHODS = {
    "in_process": ["--in_process"],
    "forkserver": ["--start_method", "forkserver", "--n_processes", "2"],
    "fork": ["--start_method", "fork", "--n_processes", "2"],
    "spawn": ["--start_method", "spawn", "--n_processes", "2"],
    "slurm": ["--launcher", "slurm", "--n_jobs", "1", "--n_processes", "2", "--wait"],
    "ray": ["--launcher", "ray", "--ray_address", "127.0.0.1:6399", "--n_jobs", "1", "--n_processes", "2"],
}
CLUSTERS = ("slurm", "ray")
HERE = [method for method in METHODS if method not in CLUSTERS]
ORDER = """
with (Path(__file__).parent / 'order').open('a') as file:
    print(dir_tree.experiment_dir.name + '/' + dir_tree.seed_dir.name, file=file)
"""
FINE = """
assert dir_tree.recorders_dir.is_dir()
print('it speaks')
logger.info('it logs')
(dir_tree.seed_dir / 'attempt').write_text(f'{dir_tree.attempt} {pbar}')
"""


ON_CLUSTERS = [pytest.param(name, marks=[pytest.mark.server, pytest.mark.timeout(300)]) for name in CLUSTERS]


@pytest.fixture(params=[*HERE, *ON_CLUSTERS])
def method(request):
    if request.param == "slurm":
        request.getfixturevalue("cluster")
    return request.param


@pytest.fixture
def one(request, client, method):
    """A client of `scripted`, in the network in which the launchers are."""
    made = client()
    if method == "ray":
        made.inside = request.getfixturevalue("ray").inside
    return made


def said(one, launched):
    """What was printed here, or by the jobs of a cluster."""
    outputs = sorted((one.root / ".alfred" / "jobs").glob("*.out"))
    return launched.stdout + "".join(path.read_text() for path in outputs)


class TestEveryLauncher:
    def test_what_waits_completes_and_what_raises_is_a_crash_that_says_so(self, one, look, method):
        dos = [FINE, "raise ValueError('no luck')", "import sys; sys.exit(0)", FINE]
        storage_dir = one.lay(*dos, seeds=(1, 2))
        (storage_dir / "experiment1" / "seed1" / "model.pt").write_text("brought along")
        launched = one.run("--storage_name", storage_dir.name, *METHODS[method])
        assert launched.returncode == 1, launched.stdout + launched.stderr
        assert look.counts(storage_dir) == {"COMPLETED": 4, "CRASH.txt": 4}
        assert "4 done, 0 running, 4 crashed, 0 waiting" in launched.stdout

        crash = (storage_dir / "experiment2/seed1/CRASH.txt").read_text()
        assert crash.rstrip().endswith("ValueError: no luck")
        assert "Traceback (most recent call last)" in crash
        assert "alfred/launchers" not in crash, "the traceback begins in the user's code"
        assert "SystemExit: 0" in (storage_dir / "experiment3/seed2/CRASH.txt").read_text()

        fine = storage_dir / "experiment1" / "seed1"
        assert (fine / "attempt").read_text() == "1 None"
        assert (fine / "model.pt").read_text() == "brought along"
        assert re.fullmatch(
            r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d - INFO - Ab1/experiment1/seed1 - it logs\n",
            (fine / "logger.out").read_text(),
        )
        assert "it logs" in said(one, launched)
        if method == "in_process":
            assert "it speaks" in launched.stdout
        else:
            assert (fine / "output.out").read_text() == "it speaks\n"
            assert "it speaks" not in said(one, launched)
        run = json.loads((fine / ".alfred" / "run.json").read_text())
        assert (run["attempt"], run["how"]) == (1, "completed")
        assert run["versions"]["python"] == sys.version.split()[0]
        assert (fine / "COMPLETED").read_text().startswith(run["owner"])
        log = (storage_dir / "alfred_launch_schedule_logger.out").read_text()
        assert log.count(" completed\n") == 4
        assert log.count("crashed: ValueError: no luck\n") == 2
        assert list((storage_dir / ".alfred" / "owners").iterdir()) == []
        assert all(next(word for word, *_ in notes) == "start" for notes in one.journal().values())
        assert len(one.journal()) == 8

    def test_it_does_only_what_was_asked_for_in_the_order_that_was_asked_for(self, one, look, method):
        storage_dir = one.lay(*[ORDER] * 4, seeds=(3, 20, 100))
        one_at_a_time = [word for word in METHODS[method] if word not in ("--n_processes", "2")]
        select = ["--storage_name", storage_dir.name, *one_at_a_time]
        for words in (
            ["--experiments", "2-3", "--seeds", "3,100", "--order", "seed"],
            ["--experiments", "1,4", "--n_experiments_per_proc", "4"],
        ):
            assert one.run(*select, *words).returncode == 0
        assert (one.folder / "order").read_text().split() == [
            *("experiment2/seed3", "experiment3/seed3", "experiment2/seed100", "experiment3/seed100"),
            *("experiment1/seed3", "experiment1/seed20", "experiment1/seed100", "experiment4/seed3"),
        ]
        assert look.counts(storage_dir) == {"COMPLETED": 8, "UNHATCHED": 4}

    def test_two_flags_side_by_side_are_named_and_left_alone(self, one, look, method):
        storage_dir = one.lay("pass", "pass", "pass")
        (storage_dir / "experiment1" / "seed1" / "COMPLETED").touch()
        (storage_dir / "experiment2" / "seed1" / "UNHATCHED").unlink()
        (storage_dir / "experiment2" / "seed1" / "UNHATCHED").mkdir()
        launched = one.run("--storage_name", storage_dir.name, *METHODS[method])
        assert launched.returncode == 1
        conflict = str(storage_dir / "experiment1" / "seed1")
        assert f"COMPLETED and UNHATCHED stand side by side in {conflict}" in said(one, launched)
        assert "UNHATCHED is no plain file" in said(one, launched)
        found = look.states(storage_dir)
        assert found["experiment1/seed1"] == ["COMPLETED", "UNHATCHED"]
        assert found["experiment2/seed1"] == ["UNHATCHED"]
        assert found["experiment3/seed1"] == ["COMPLETED"]

    @pytest.mark.parametrize("method", HERE)
    def test_hooks_are_called_once_when_all_has_ended_and_something_has_completed(self, client, method):
        one = client()
        mixed = one.lay("pass", "1 / 0", id="Ab1", drawn=False)
        one.lay("1 / 0", id="Ab2", drawn=False)
        one.lay("pass", "pass", id="Ab3", drawn=False)
        first, second, third = launch_with(one, method)
        assert [called for called in first["called"] if "Ab1" in called] == [
            "plots Ab1_any_thing_grid_x",
            "summary Ab1_any_thing_grid_x",
        ]
        assert not [called for called in first["called"] if "Ab2" in called or "Ab3" in called]
        assert (first["failed"], first["all_well"]) == (0, False)
        # The next launch ends the last run of Ab3, where the hook for plots fails.
        assert second["called"] == ["plots Ab3_any_thing_grid_x", "summary Ab3_any_thing_grid_x"]
        assert second["failed"] == 1
        assert third["called"] == ["plots Ab3_any_thing_grid_x"]
        assert (third["failed"], third["all_well"]) == (0, True)
        log = (mixed.parent / "Ab3_any_thing_grid_x" / "alfred_launch_schedule_logger.out").read_text()
        assert log.count("plots failed: RuntimeError: no ink") == 1


DRIVER = """
import json, os, sys
from pathlib import Path
from alfred.launchers.base import LaunchPlan
from alfred.storage.owners import this_process

def launch(method, names, failing=(), **limits):
    calls = Path("calls")
    calls.write_text("")
    def hook(chore):
        def call(storage_dir):
            with calls.open("a") as file:
                print(chore, storage_dir.name, file=file)
            if chore in failing:
                raise RuntimeError("no ink")
        return call
    root = Path("storage").absolute()
    plan = LaunchPlan(Path.cwd(), root, tuple(root / name for name in names), **limits)
    owner = this_process()
    if method == "in_process":
        from alfred.launchers.in_process import InProcessLauncher
        from alfred.project import load_project
        launcher = InProcessLauncher(owner, load_project())
    else:
        from alfred.launchers import starters
        from alfred.launchers.local import LocalLauncher
        launcher = LocalLauncher(owner, starters.load(method, Path.cwd(), {}))
    report = launcher.launch(plan, {name: hook(name) for name in ("plots", "summary")})
    called = sorted(calls.read_text().splitlines())
    return {"called": called, "failed": report.failed_hooks, "all_well": report.all_well}

if __name__ == "__main__":
    names = [f"{id}_any_thing_grid_x" for id in ("Ab1", "Ab2", "Ab3")]
    method = sys.argv[1]
    results = [
        launch(method, names, max_runs=4),
        launch(method, names, failing=["plots"], environments=({}, {})),
        launch(method, names),
    ]
    Path("results").write_text(json.dumps(results))
"""


def launch_with(one, method):
    """Three launches by the Python interface; what each has called."""
    (one.folder / "driver.py").write_text(DRIVER)
    ran = one.run(method, module="driver")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((one.folder / "results").read_text())
