"""Launches on a real Ray: it finds the machines, the tree keeps the truth."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from alfred.errors import LaunchError
from alfred.launchers import ray as ray_launcher

UNTIL_TOLD = """
while not (Path(__file__).parent / 'go on').exists():
    time.sleep(0.05)
"""
NOTED = """
with open(Path(__file__).parent / 'given', 'a') as file:
    print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['OMP_NUM_THREADS'], file=file)
"""


@pytest.fixture
def one(client, ray, look):
    """A client in the network of the cluster; a launcher that outlives its test fails it."""
    made = client()
    made.inside = ray.inside
    yield made
    look.wait_for(lambda: not launchers(made, ray))


@pytest.fixture(scope="module")
def hopeless(look, ray, tmp_path_factory):
    """A launch that asks for more than there is, begun early: it waits for the cluster to grow."""
    made = look.Client(tmp_path_factory.mktemp("hopeless") / "project", "scripted")
    made.inside = ray.inside
    storage_dir = made.lay("pass")
    asked = ("--cpus_per_task", "999", "--ray_resource", "magic=1")
    launch = made.start(*words(storage_dir, ray, *asked))
    yield launch, storage_dir
    launch.kill()
    launch.communicate()


def words(storage_dir, ray, *more):
    return ("--storage_name", storage_dir.name, "--launcher", "ray", "--ray_address", ray.address, *more)


def outputs(one):
    """What the launchers printed, for a failing test to show."""
    return "\n".join(path.read_text() for path in sorted((one.root / ".alfred" / "jobs").glob("*.out")))


def ends(one):
    """How often each run came to its end."""
    return sorted(sum(word == "end" for word, *_ in notes) for notes in one.journal().values())


def owners(look, storage_dir):
    """The batons of running runs."""
    return {
        name for names in look.states(storage_dir).values() for name in names if name.startswith("RUNNING")
    }


def launchers(one, ray):
    """The processes that Ray's workers started for this client."""
    root = f"--root_dir={one.root}".encode()
    return {pid for pid in ray.processes() if {root, b"alfred.launchers.leash"} <= words_of(pid)}


def words_of(pid):
    try:
        return set(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    except OSError:
        return set()


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.server
@pytest.mark.usefixtures("hopeless")
@pytest.mark.timeout(300)
class TestARealRay:
    def test_launchers_share_the_work_and_no_two_runs_share_a_graphics_processor(self, one, look, ray):
        storage_dir = one.lay(*[UNTIL_TOLD + NOTED] * 8)
        launch = one.start(*words(storage_dir, ray, "--n_jobs", "2", "--gpus_per_node", "1"))
        look.wait_for(lambda: look.counts(storage_dir).get("RUNNING") == 2, 120)
        (one.folder / "go on").touch()
        assert launch.wait(100) == 0, launch.stdout.read() + outputs(one)
        assert look.counts(storage_dir) == {"COMPLETED": 8}
        assert ends(one) == [1] * 8
        assert set((one.folder / "given").read_text().splitlines()) == {"0 1", "1 1"}
        runs = [
            json.loads(path.read_text()) for path in storage_dir.glob("experiment*/seed*/.alfred/run.json")
        ]
        assert len({run["owner"] for run in runs}) == 2

    def test_a_task_whose_process_is_killed_is_done_again_and_no_run_is_lost(self, one, look, ray):
        storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD, NOTED)
        asked = ("--n_jobs", "1", "--n_processes", "auto", "--cpus_per_task", "2")
        launch = one.start(*words(storage_dir, ray, *asked))
        look.wait_for(lambda: look.counts(storage_dir).get("RUNNING") == 2, 120)
        before = owners(look, storage_dir)
        (launcher,) = launchers(one, ray)
        os.kill(parent_of(launcher), signal.SIGKILL)
        look.wait_for(
            lambda: look.counts(storage_dir).get("RUNNING") == 2 and not before & owners(look, storage_dir),
            120,
        )
        (one.folder / "go on").touch()
        assert launch.wait(100) == 0, launch.stdout.read() + outputs(one)
        assert look.counts(storage_dir) == {"COMPLETED": 3}
        assert ends(one) == [1, 1, 1]
        assert (one.folder / "given").read_text() == " 1\n", "no graphics processor, one thread for each run"

    @pytest.mark.parametrize(
        ("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
    )
    def test_whatever_ends_the_command_ends_its_launchers_and_their_runs_wait_again(
        self, one, look, ray, number, status
    ):
        storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD)
        launch = one.start(*words(storage_dir, ray, "--n_jobs", "1", "--n_processes", "2"))
        look.wait_for(lambda: look.counts(storage_dir).get("RUNNING") == 2, 120)
        launch.send_signal(number)
        assert launch.wait(100) == status, launch.stdout.read()
        look.wait_for(lambda: look.counts(storage_dir) == {"UNHATCHED": 2})
        log = storage_dir / "alfred_launch_schedule_logger.out"
        look.wait_for(lambda: log.read_text().count("waits again: stopped by SIGTERM") == 2)

    def test_a_ray_of_this_machine_alone_is_started_and_ended(self, one, look, ray):
        storage_dir = one.lay(NOTED)
        env = {"RAY_TMPDIR": str(ray.folder)}
        asked = ("--storage_name", storage_dir.name, "--launcher", "ray")
        for _ in range(4):
            launched = one.run(*asked, env=env, timeout=200)
            if "timed out during startup" not in launched.stderr:  # in the half minute that Ray gives itself
                break
        assert launched.returncode == 0, launched.stdout + launched.stderr + outputs(one)
        assert look.counts(storage_dir) == {"COMPLETED": 1}

    def test_what_no_machine_has_is_refused_after_half_a_minute_and_nothing_is_run(self, look, hopeless):
        launch, storage_dir = hopeless
        said = launch.communicate(timeout=200)[0].splitlines()
        assert launch.returncode == 2, said
        message = (
            "no machine of the Ray cluster has CPU 999, magic 1 for a launcher: the most is CPU 4, magic 0"
        )
        assert said[-2:] == [f"{message}; waiting 30 s for another machine", f"alfred: {message}"]
        assert look.counts(storage_dir) == {"UNHATCHED": 1}


def test_somebody_else_who_listens_is_found_out_before_ray_tries_for_minutes(monkeypatch):
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(LaunchError, match=f"no Ray cluster at {address}: something else listens there"):
            ray_launcher._check_ray_listens(address)
        thread.join()
