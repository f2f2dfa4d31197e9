"""What stands on disk after kill -9 of all that can be killed, and that the ledger would see the worst."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys

import kill_storm
import pytest
from client import Client, new_client
from ledger import check_all, read_events

from alfred.utils.recorder import Recorder


@pytest.mark.timeout(400)
def test_a_thousand_runs_survive_a_hundred_kills(tmp_path):
    """Of launchers, runs, fork servers and cleaners: no run twice at once, none finished twice, none lost."""
    words = ["--directories", "1000", "--workers", "8", "--kills", "100", "--limit", "300"]
    outcome = kill_storm.run([*words, "--folder", str(tmp_path)])
    assert outcome.violations == []
    counts = outcome.counts
    assert counts["kills"] == sum(counts[f"kills_of_{kind}s"] for kind in kill_storm.KINDS) == 100
    assert all(counts[f"kills_of_{kind}s"] for kind in kill_storm.KINDS), counts
    assert counts["finishes"] == 1000
    assert counts["claims"] == 1000 + counts["crashes"] + counts["resets"]
    assert counts["crashes"] == counts["crashed_by_kill_of_run"] + counts["crashed_by_third_death"]
    assert counts["crashed_by_third_death"] > 0, counts
    assert counts["resets"] > 0, counts


@pytest.fixture(scope="module")
def done():
    """A client whose two runs are completed."""
    with new_client() as client:
        list_file = client.lay(tasks=1, experiments=3, seeds=1)
        client.run("launch_schedule", "--from_file", list_file, "--experiments", "1-2")
        yield client


def tell(client, seed_dir, **changes):
    """An event in the ledger like the first of this run, but for the changes."""
    run = "/".join(seed_dir.parts[-3:])
    event = next(event for event in read_events(client.ledger)[0] if event["run"] == run)
    with client.ledger.open("a") as file:
        print(json.dumps({**event, **changes}), file=file)


def shorten(client, seed_dir):
    recorder = Recorder.init_from_pickle_file(seed_dir / "recorders/train_recorder.pkl")
    recorder.tape["score"].pop()
    recorder.save(seed_dir / "recorders/train_recorder.pkl")


def tear(client, seed_dir):
    path = seed_dir / "recorders/train_recorder.pkl"
    path.write_bytes(path.read_bytes()[:-3])


BREAKAGES = {
    "1 seed directories in .* instead of 2": lambda client, seed_dir: shutil.rmtree(seed_dir),
    r"holds \['COMPLETED', 'UNHATCHED'\]": lambda client, seed_dir: (seed_dir / "UNHATCHED").touch(),
    "holds no baton": lambda client, seed_dir: (seed_dir / "COMPLETED").unlink(),
    "was finished by another than": lambda client, seed_dir: (seed_dir / "COMPLETED").write_text("x-1-a"),
    "counts 0 attempts": lambda client, seed_dir: (seed_dir / ".alfred/attempts.json").unlink(),
    "other than 6 points": shorten,
    "recorder that can't be read": tear,
    "a damaged config.json": lambda client, seed_dir: (seed_dir / "config.json").write_text("{"),
    "two at once": lambda client, seed_dir: tell(client, seed_dir, what="overlap"),
    "attempt 1 began 2 times": tell,
    r"began beside the batons \['COMPLETED'\]": lambda client, seed_dir: tell(
        client, seed_dir, batons=["COMPLETED"]
    ),
    "never came to its end": lambda client, seed_dir: tell(client, seed_dir, attempt=2, at=10**19),
}


@pytest.mark.parametrize("seen", BREAKAGES)
def test_the_ledger_sees_what_must_not_happen(done, tmp_path, seen):
    client = Client(shutil.copytree(done.folder, tmp_path / "client"), done.environment)
    assert check_all(client.root, 2, [3], read_events(client.ledger)[0]) == []
    (seed_dir,) = client.root.glob("*/experiment1/seed0")
    BREAKAGES[seen](client, seed_dir)
    violations = check_all(client.root, 2, [3], read_events(client.ledger)[0])
    assert re.search(seen, "\n".join(violations)), violations
    assert str(client.root) in violations[0]


def test_a_fork_server_whose_launcher_died_while_it_loaded_the_project_ends_without_a_word(done):
    ours, theirs = socket.socketpair()
    ours.close()
    words = [str(theirs.fileno()), str(os.getpid()), str(done.folder)]
    ended = subprocess.run(
        [sys.executable, "-m", "alfred.launchers.fork_server", *words],
        env=dict(done.environment),
        pass_fds=[theirs.fileno()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    theirs.close()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
