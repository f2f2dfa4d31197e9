"""Launchers, fork servers and runs that are killed: nothing is done twice at once, nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

GRANDCHILD = "__import__('subprocess').Popen(['sleep', '1000']); "
WAIT_FOR_GO = "\nwhile not Path(__file__).with_name('go').exists(): time.sleep(0.01)"


def the_server(launch):
    """The fork server of a launch."""
    children = Path(f"/proc/{launch.pid}/task/{launch.pid}/children").read_text().split()
    servers = [
        pid for pid in map(int, children) if b"fork_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(servers) == 1
    return servers[0]


def intervals(notes):
    """The (start, end) times of the attempts of one run; a run that was killed has no end."""
    times = []
    for word, _, when in notes:
        if word == "start":
            times.append([when, None])
        else:
            times[-1][1] = when
    return times


def begun_twice(one):
    """How many runs have a second start."""
    return sum(len(intervals(notes)) == 2 for notes in one.journal().values())


def test_after_kill_9_of_one_of_two_launchers_another_takes_over_what_it_left(client, look):
    """The living launcher's runs are not touched, the dead one's are done again, nothing twice at once."""
    one = client()
    storage_dir = one.lay(*[GRANDCHILD + WAIT_FOR_GO] * 4, *["pass"] * 4)
    words = ["--storage_name", storage_dir.name, "--n_processes", 2]
    living, doomed = one.start(*words), one.start(*words)
    waiting = {f"{storage_dir.name}.experiment{number}.seed1" for number in (1, 2, 3, 4)}
    look.wait_for(lambda: waiting <= set(one.journal()))  # each launcher is busy with two of them now
    doomed.kill()
    doomed.communicate()
    look.wait_for(lambda: len(one.processes()) == 2 + 2 * 2)  # launcher, server, two runs, two grandchildren
    third = one.start(*words, "--run_clean_interrupted")
    look.wait_for(lambda: begun_twice(one) == 2)
    (one.folder / "go").touch()
    printed = [launch.communicate(timeout=60)[0] for launch in (living, third)]
    assert (living.returncode, third.returncode) == (0, 0), printed
    assert printed[1].count("waits again: its process had died") == 2
    assert look.counts(storage_dir) == {"COMPLETED": 8}
    journal = one.journal()
    assert len(journal) == 8
    for name, notes in journal.items():
        *cut_off, last = intervals(notes)
        assert last[1] is not None
        assert len(cut_off) == (1 if len(notes) == 3 else 0), name
        # The lock on the journal, which a second run at the same time would not have got, is the proof.
    reset = [name for name, notes in journal.items() if len(notes) == 3]
    assert len(reset) == 2
    assert set(reset) <= waiting
    for name in reset:
        _, experiment, seed = name.split(".")
        assert (storage_dir / experiment / seed / ".alfred/attempts/1/output.out").exists()


@pytest.mark.parametrize("method", ["forkserver", "fork", "spawn"])
def test_kill_9_of_a_launcher_leaves_no_run_behind(client, look, method):
    """The fork server ends grandchildren too; with the other methods whoever puts the run back does."""
    one = client()
    storage_dir = one.lay(GRANDCHILD + "time.sleep(1000)", "time.sleep(1000)")
    words = ["--storage_name", storage_dir.name, "--n_processes", 2, "--start_method", method]
    launch = one.start(*words)
    one.started(2)
    look.wait_for(lambda: len(one.processes()) == (5 if method == "forkserver" else 4))
    launch.kill()
    launch.communicate()
    left_over = 0 if method == "forkserver" else 1
    look.wait_for(lambda: len(one.processes()) == left_over)
    assert look.counts(storage_dir) == {"RUNNING": 2}
    # A launch that isn't asked to leaves them; who puts them back ends what is left of them first.
    assert one.run("--storage_name", storage_dir.name, "--n_experiments_per_proc", 1).returncode == 0
    assert look.counts(storage_dir) == {"RUNNING": 2}
    words = ["--storage_name", storage_dir.name, "--ask_for_validation", "false"]
    assert one.run(*words, module="alfred.clean_interrupted").returncode == 0
    assert look.counts(storage_dir) == {"UNHATCHED": 2}
    assert not one.processes()


def test_kill_9_of_the_fork_server_costs_its_runs_one_attempt(client, look):
    one = client()
    storage_dir = one.lay(GRANDCHILD + WAIT_FOR_GO, "pass", WAIT_FOR_GO, "pass")
    launch = one.start("--storage_name", storage_dir.name, "--n_processes", 2)
    one.started(3)
    os.kill(the_server(launch), signal.SIGKILL)
    look.wait_for(lambda: begun_twice(one) == 2)
    (one.folder / "go").touch()
    printed, _ = launch.communicate(timeout=60)
    assert launch.returncode == 0, printed
    assert printed.count("waits again: the process that starts the runs died") == 2
    assert look.counts(storage_dir) == {"COMPLETED": 4}
    assert (storage_dir / "experiment1/seed1/.alfred/attempts/1/output.out").exists()


def test_a_run_that_was_put_back_goes_on_from_its_files_in_a_project_that_resumes(client, look):
    one = client()
    with (one.folder / "main.py").open("a") as main:
        main.write("\ndef set_up_alfred():\n    import alfred.defaults\n")
        main.write("    alfred.defaults.DEFAULT_RESUME_FROM_CHECKPOINTS = True\n")
    storage_dir = one.lay(
        "saved = dir_tree.seed_dir / 'saved'\n"
        "if dir_tree.attempt == 1:\n"
        "    saved.write_text('half of it')\n"
        "    os.kill(os.getppid(), 9)\n"
        "    time.sleep(600)\n"
        "saved.write_text(f'{saved.read_text()}, gone on with in attempt {dir_tree.attempt}')"
    )
    assert one.run("--storage_name", storage_dir.name).returncode == 0
    told = (storage_dir / "experiment1" / "seed1" / "saved").read_text()
    assert told == "half of it, gone on with in attempt 2"
    assert not list(storage_dir.glob("*/*/.alfred/faults.out")), "nothing went wrong in the end"


def test_a_run_that_lost_its_fork_server_is_done_again_though_nothing_else_waits(client, look):
    """The second process has found by then that nothing waits any more."""
    one = client()
    storage_dir = one.lay(WAIT_FOR_GO, "pass")
    launch = one.start("--storage_name", storage_dir.name, "--n_processes", 2)
    look.wait_for(lambda: look.counts(storage_dir) == {"RUNNING": 1, "COMPLETED": 1})
    one.started(2)
    os.kill(the_server(launch), signal.SIGKILL)
    look.wait_for(lambda: begun_twice(one) == 1)
    (one.folder / "go").touch()
    printed, _ = launch.communicate(timeout=60)
    assert launch.returncode == 0, printed
    assert look.counts(storage_dir) == {"COMPLETED": 2}


def test_a_run_that_kills_its_fork_server_again_and_again_ends_the_launch(client, look):
    one = client()
    storage_dir = one.lay("os.kill(os.getppid(), 9); time.sleep(1000)")
    launched = one.run("--storage_name", storage_dir.name)
    assert launched.returncode == 2
    assert re.search(
        r"^alfred: the process that starts the runs died .* --start_method spawn$", launched.stderr
    )
    assert look.counts(storage_dir) == {"UNHATCHED": 1}


def test_grandchildren_end_with_a_run_however_it_ends(client, look):
    one = client()
    apart = GRANDCHILD.replace("])", "], process_group=0)")
    storage_dir = one.lay(GRANDCHILD, apart + "1 / 0", apart + "os.kill(os.getpid(), 9)")
    launched = one.run("--storage_name", storage_dir.name, stdout=subprocess.DEVNULL, capture_output=False)
    assert launched.returncode == 1
    assert look.counts(storage_dir) == {"COMPLETED": 1, "CRASH.txt": 2}
    look.wait_for(lambda: not one.processes())


def test_a_run_that_was_taken_over_publishes_nothing(client, look):
    """As another launcher would that believes this one dead: the baton gets another owner."""
    one = client()
    storage_dir = one.lay(WAIT_FOR_GO, WAIT_FOR_GO + "\n1 / 0")
    launch = one.start("--storage_name", storage_dir.name, "--n_processes", 2)
    one.started(2)
    for number in (1, 2):
        seed_dir = storage_dir / f"experiment{number}" / "seed1"
        (baton,) = look.wait_for(lambda folder=seed_dir: list(folder.glob("RUNNING.*")))
        baton.rename(seed_dir / "RUNNING.other-1-abcdef01")
    (one.folder / "go").touch()
    printed, _ = launch.communicate(timeout=60)
    assert launch.returncode == 1
    assert printed.count("was taken over") == 2
    assert all(names == ["RUNNING.other-1-abcdef01"] for names in look.states(storage_dir).values())


OVERTAKEN = """
import os
from pathlib import Path
from alfred.launchers import starters
from alfred.launchers.base import LaunchPlan
from alfred.launchers.local import LocalLauncher
from alfred.storage.owners import this_process
(storage_dir,) = Path("storage").absolute().iterdir()
launcher = LocalLauncher(this_process(beat=0.1), starters.load("fork", Path.cwd(), {}))
report = launcher.launch(LaunchPlan(Path.cwd(), storage_dir.parent, (storage_dir,)), {})
print(report.overtaken, report.completed, report.crashed)
"""


def test_at_each_beat_a_lease_that_somebody_removed_is_written_again_and_an_overtaken_run_is_killed(
    client, look
):
    one = client()
    storage_dir = one.lay("time.sleep(1000)")
    (one.folder / "driver.py").write_text(OVERTAKEN)
    launch = one.start(module="driver")
    one.started()
    (lease,) = (storage_dir / ".alfred" / "owners").iterdir()
    lease.unlink()
    look.wait_for(lease.exists)
    (baton,) = storage_dir.glob("*/*/RUNNING.*")
    baton.rename(baton.with_name("RUNNING.elsewhere-1-0123abcd"))
    printed, _ = launch.communicate(timeout=60)
    assert printed.splitlines()[-1] == "1 0 0", printed
    assert not one.processes()


def test_launches_started_at_once_and_one_after_the_other_share_the_work(client, look):
    """Thirty-six runs, four launches, two of them while others are at it: each run is done exactly once."""
    one = client("tiny")
    storage_dirs = one.prepare("schedules/grid_tiny/grid_schedule_grid_tiny.py")
    storage_dirs += one.prepare("schedules/random_tiny/random_schedule_random_tiny.py")
    lists = sorted((one.folder / "schedules").glob("*/list_searches_*.txt"))
    (one.folder / "all.txt").write_text("".join(path.read_text() for path in lists))
    words = ["--from_file", "all.txt", "--n_processes", 2]
    launches = [one.start(*words, "--order", order) for order in ("experiment", "seed")]
    look.wait_for(lambda: any("COMPLETED" in look.counts(folder) for folder in storage_dirs))
    launches += [one.start(*words) for _ in range(2)]
    printed = [launch.communicate(timeout=100)[0] for launch in launches]
    assert [launch.returncode for launch in launches] == [0] * 4, printed
    assert sum(look.counts(folder).get("COMPLETED", 0) for folder in storage_dirs) == 36
    assert all(set(look.counts(folder)) == {"COMPLETED"} for folder in storage_dirs)
    said = re.findall(r"^(\S+/experiment\d+/seed\d+) completed$", "\n".join(printed), re.MULTILINE)
    assert len(said) == len(set(said)) == 36
    for folder in storage_dirs:
        assert all(path.read_text().count("done") == 1 for path in folder.glob("*/*/logger.out"))
