"""Launches on a real Ray: it finds the machines, the tree keeps the truth."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

pytestmark = [pytest.mark.server, pytest.mark.timeout(200)]

UNTIL_TOLD = """
while not (Path(__file__).parent / 'go on').exists():
    time.sleep(0.05)
"""


@pytest.fixture
def one(client, ray):
    made = client()
    made.inside = ray.inside
    return made


def words(storage_dir, ray, *more):
    return ("--storage_name", storage_dir.name, "--launcher", "ray", "--ray_address", ray.address, *more)


def outputs(one):
    return "\n".join(path.read_text() for path in sorted((one.root / ".alfred" / "jobs").glob("*.out")))


def ends(one):
    """How often each run came to its end."""
    return sorted(sum(word == "end" for word, *_ in notes) for notes in one.journal().values())


def owners(look, storage_dir):
    """The batons of running runs."""
    return {
        name for names in look.states(storage_dir).values() for name in names if name.startswith("RUNNING")
    }


def workers(one, ray):
    """The processes of Ray that called this client's launchers."""
    word = f"--root_dir={one.root}".encode()
    return {parent_of(pid) for pid in ray.processes() if word in command_of(pid).split(b"\0")}


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_launchers_share_the_work_and_no_two_runs_share_a_graphics_processor(one, look, ray):
    note = "open(Path(__file__).parent / 'gpus', 'a').write(os.environ['CUDA_VISIBLE_DEVICES'] + '\\n')"
    storage_dir = one.lay(*[f"time.sleep(0.4); {note}"] * 8)
    launched = one.run(*words(storage_dir, ray, "--n_jobs", "2", "--gpus_per_node", "1"))
    assert launched.returncode == 0, launched.stdout + launched.stderr + outputs(one)
    assert look.counts(storage_dir) == {"COMPLETED": 8}
    assert ends(one) == [1] * 8
    assert set((one.folder / "gpus").read_text().split()) == {"0", "1"}
    runs = [json.loads(path.read_text()) for path in storage_dir.glob("experiment*/seed*/.alfred/run.json")]
    assert len({run["owner"] for run in runs}) == 2


def test_a_task_whose_process_is_killed_is_done_again_and_no_run_is_lost(one, look, ray):
    storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD, "pass")
    launch = one.start(*words(storage_dir, ray, "--n_jobs", "1", "--n_processes", "2"))
    look.wait_for(lambda: look.counts(storage_dir).get("RUNNING") == 2)
    (worker,) = look.wait_for(lambda: workers(one, ray))
    before = owners(look, storage_dir)
    os.kill(worker, signal.SIGKILL)
    look.wait_for(
        lambda: look.counts(storage_dir).get("RUNNING") == 2 and not before & owners(look, storage_dir)
    )
    (one.folder / "go on").touch()
    assert launch.wait(100) == 0, launch.stdout.read() + outputs(one)
    assert look.counts(storage_dir) == {"COMPLETED": 3}
    assert ends(one) == [1, 1, 1]


def test_when_the_driver_is_killed_the_launchers_end_and_their_runs_wait_again(one, look, ray):
    storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD)
    launch = one.start(*words(storage_dir, ray, "--n_jobs", "1", "--n_processes", "2"))
    look.wait_for(lambda: look.counts(storage_dir).get("RUNNING") == 2)
    launch.kill()
    look.wait_for(lambda: look.counts(storage_dir) == {"UNHATCHED": 2})
    (one.folder / "go on").touch()
    again = one.run(*words(storage_dir, ray))
    assert again.returncode == 0, again.stdout + again.stderr
    assert ends(one) == [1, 1]


def test_ctrl_c_ends_the_launchers_and_their_runs_wait_again(one, look, ray):
    storage_dir = one.lay(UNTIL_TOLD, UNTIL_TOLD)
    launch = one.start(*words(storage_dir, ray, "--n_jobs", "2"))
    look.wait_for(lambda: look.counts(storage_dir).get("RUNNING") == 2)
    launch.send_signal(signal.SIGINT)
    assert launch.wait(60) == 130, launch.stdout.read()
    look.wait_for(lambda: look.counts(storage_dir) == {"UNHATCHED": 2})


def test_what_no_machine_has_is_an_error_at_once_on_a_cluster_that_can_not_grow(one, look, ray):
    storage_dir = one.lay("pass")
    asked = ("--storage_name", storage_dir.name, "--launcher", "ray")
    refused = one.run(*asked, "--cpus_per_task", "999", "--ray_resource", "magic=1")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith(
        "alfred: no machine of the Ray cluster has CPU 999, magic 1 for a launcher: the most is CPU "
    )
    assert look.counts(storage_dir) == {"UNHATCHED": 1}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--ray_address", "127.0.0.1:1"), "no Ray cluster at 127.0.0.1:1: "),
        (("--ray_resource", "magic"), "--ray_resource 'magic': write it as in big_memory=1"),
        (("--cpus_per_task", "many"), "--cpus_per_task many: a number, as in 2"),
        (("--partition", "main"), "--partition is nothing for --launcher ray: give another or leave it out"),
        (("--dry_run",), "--dry_run is nothing for --launcher ray: give another or leave it out"),
    ],
)
def test_what_can_not_be_asked_is_one_line(one, ray, more, message):
    refused = one.run("--storage_name", one.lay("pass").name, "--launcher", "ray", *more)
    assert refused.returncode == 2
    assert message in refused.stderr.splitlines()[-1], refused.stderr


def test_without_ray_the_extra_is_named(client):
    one = client()
    (one.folder / "ray.py").write_text("raise ImportError('no such thing')")
    refused = one.run("--storage_name", one.lay("pass").name, "--launcher", "ray")
    assert refused.returncode == 2
    assert refused.stderr == (
        "alfred: --launcher ray needs the package ray, which is not installed: pip install 'alfred[ray]'\n"
    )
