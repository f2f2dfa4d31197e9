"""Launches on file systems that really are full, or may only be read: mounts of their own, made as root."""

import json
import pickle
import subprocess

import pytest

pytestmark = pytest.mark.server

SAVE = """
from alfred.utils.recorder import Recorder
recorder = Recorder(["n"])
recorder.write_to_tape({"n": 1})
recorder.save(dir_tree.recorders_dir / "tape.pkl")
"""
FILL = """
import contextlib
with contextlib.suppress(OSError), open(dir_tree.root / "filler", "wb", buffering=0) as filler:
    while True:
        filler.write(bytes(512))
"""
TINY = "mv storage laid; mkdir storage; mount -t tmpfs -o size=64k none storage; cp -r laid/. storage"
READ_ONLY = "mount --bind storage storage; mount -o remount,ro,bind storage"


def in_mounts(client, *steps):
    """Shell commands in a mount namespace of its own; what the launches among them said, and their status."""
    script = "\n".join(steps)
    return subprocess.run(
        ["unshare", "-m", "sh", "-ec", script],
        cwd=client.folder,
        env=client.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def launch(client, storage_dir, out):
    """The command in the shell; what it says goes to the file `out`, its status to the end of that."""
    words = " ".join(client.command("--storage_name", storage_dir.name))
    return f"status=0; {words} > {out} 2>&1 || status=$?; echo $status >> {out}"


def said(client, out):
    *lines, status = (client.folder / out).read_text().splitlines()
    return lines, int(status)


def flags(copy):
    found = {}
    for seed_dir in sorted(copy.glob("*/experiment*/seed1")):
        (found[seed_dir.parent.name],) = [
            path.name
            for path in seed_dir.iterdir()
            if path.name.partition(".")[0] in ("UNHATCHED", "RUNNING", "COMPLETED", "CRASH")
        ]
    return found


def tape_of(copy, experiment):
    (path,) = copy.glob(f"*/{experiment}/seed1/recorders/tape.pkl")
    return pickle.loads(path.read_bytes())


def test_a_disk_that_fills_up_in_the_midst_of_a_launch_is_named_and_with_room_the_same_command_does_the_rest(
    client,
):
    """64 KiB that hold two runs: the first saves its results and fills the rest; a third would crash."""
    client = client("scripted")
    storage_dir = client.lay(SAVE + FILL, SAVE)
    ran = in_mounts(
        client,
        TINY,
        launch(client, storage_dir, "first"),
        "cp -r storage full; rm storage/filler",
        launch(client, storage_dir, "second"),
        "cp -r storage room",
    )
    assert ran.returncode == 0, ran.stderr
    lines, status = said(client, "first")
    assert status == 1
    told = [line for line in lines if "No space left on device" in line]
    (line,) = told
    assert f"{storage_dir.name}/experiment2/seed1 could not be started: " in line
    assert f"{storage_dir}/experiment2/seed1/.alfred/" in line
    assert "Traceback" not in "\n".join(lines)
    full, room = client.folder / "full", client.folder / "room"
    assert flags(full) == {"experiment1": "COMPLETED", "experiment2": "UNHATCHED"}
    assert tape_of(full, "experiment1") == {"n": [1]}
    lines, status = said(client, "second")
    assert (status, lines[0]) == (0, f"{storage_dir.name}/experiment2/seed1 completed")
    assert flags(room) == {"experiment1": "COMPLETED", "experiment2": "COMPLETED"}
    assert tape_of(room, "experiment2") == {"n": [1]}


def test_a_run_that_finds_no_room_for_its_results_is_never_completed(client):
    client = client("scripted")
    storage_dir = client.lay(FILL + SAVE)
    ran = in_mounts(
        client,
        TINY,
        launch(client, storage_dir, "first"),
        "cp -r storage full; rm storage/filler",
        " ".join(
            client.command(
                *(
                    "--storage_name",
                    storage_dir.name,
                    "--clean_crashes",
                    "true",
                    "--ask_for_validation=false",
                ),
                module="alfred.clean_interrupted",
            )
        ),
        "cp -r storage room",
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines, status = said(client, "first")
    assert status == 1
    (line,) = [line for line in lines if "crashed" in line and "RecorderError" in line]
    assert "tape.pkl can't be written: No space left on device" in line
    assert flags(client.folder / "full") == {"experiment1": "CRASH.txt"}
    assert flags(client.folder / "room") == {"experiment1": "UNHATCHED"}
    assert not list((client.folder / "full").rglob("tape.pkl*"))


def test_on_a_mount_that_may_only_be_read_nothing_is_begun_and_what_is_read_only_is_named(client):
    client = client("scripted")
    storage_dir = client.lay("pass")
    ran = in_mounts(client, READ_ONLY, launch(client, storage_dir, "first"))
    assert ran.returncode == 0, ran.stderr
    lines, status = said(client, "first")
    assert status == 1
    told = [line for line in lines if "Read-only file system" in line]
    (line,) = told
    assert line.startswith(f"{storage_dir} is passed over: ")
    assert flags(client.root) == {"experiment1": "UNHATCHED"}
    assert json.loads((storage_dir / "experiment1/seed1/config.json").read_text())["do"] == "pass"
    ran = client.run("--storage_name", storage_dir.name)
    assert ran.returncode == 0, ran.stderr
    assert flags(client.root) == {"experiment1": "COMPLETED"}
