"""What a run that saves after every step leaves in its recorders, however it ends."""

from __future__ import annotations

import io
import pickle
import signal

import pytest

from alfred.utils.recorder import Recorder

METHODS = {
    "in_process": ["--in_process"],
    "forkserver": ["--start_method", "forkserver"],
    "spawn": ["--start_method", "spawn"],
}
SAVES_OFTEN = """
from alfred.utils.recorder import Recorder
made = Recorder(['episode'])
made.write_to_tape({'episode': 'x' * 200_000})
for number in range(10):
    made.save(dir_tree.recorders_dir / 'train_recorder.pkl')
    made.write_to_tape({'episode': number})
made.save(dir_tree.recorders_dir / 'train_recorder.pkl')
assert b'rows' in (dir_tree.recorders_dir / 'train_recorder.pkl').read_bytes()
"""


def left_in(path):
    """The numbers recorded, and whether the file is a plain pickle to its last byte."""
    stream = io.BytesIO(path.read_bytes())
    pickle.load(stream)
    return Recorder.init_from_pickle_file(path).tape["episode"][1:], stream.read() == b""


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_completes_or_raises_leaves_a_plain_pickle(client, look, method):
    one = client()
    storage_dir = one.lay(SAVES_OFTEN, SAVES_OFTEN + "raise ValueError('no luck')")
    launched = one.run("--storage_name", storage_dir.name, *METHODS[method])
    assert look.counts(storage_dir) == {"COMPLETED": 1, "CRASH.txt": 1}, launched.stdout + launched.stderr
    for number in (1, 2):
        path = storage_dir / f"experiment{number}/seed1/recorders/train_recorder.pkl"
        assert left_in(path) == (list(range(10)), True)


def test_a_run_that_is_killed_or_put_back_loses_no_row_it_saved(client, look):
    one = client()
    killed = SAVES_OFTEN + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    waits = SAVES_OFTEN + "import time; (dir_tree.seed_dir / 'saved').touch(); time.sleep(1000)"
    storage_dir = one.lay(killed, waits)
    launch = one.start("--storage_name", storage_dir.name, "--n_processes", "2")
    seeds = [storage_dir / f"experiment{number}/seed1" for number in (1, 2)]
    look.wait_for((seeds[0] / "CRASH.txt").exists)
    look.wait_for((seeds[1] / "saved").exists)
    launch.send_signal(signal.SIGINT)
    assert launch.wait(60) == 130
    assert (seeds[1] / "UNHATCHED").exists()
    assert not (seeds[1] / "recorders").exists()
    assert left_in(seeds[0] / "recorders/train_recorder.pkl")[0] == list(range(10))
    assert left_in(seeds[1] / ".alfred/attempts/1/recorders/train_recorder.pkl")[0] == list(range(10))


def test_a_run_whose_recorder_can_not_be_made_plain_has_not_completed(client, look):
    one = client()
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))"
    storage_dir = one.lay(SAVES_OFTEN + full)
    one.run("--storage_name", storage_dir.name)
    crash = (storage_dir / "experiment1/seed1/CRASH.txt").read_text()
    assert "train_recorder.pkl can't be written: File too large" in crash
    path = storage_dir / "experiment1/seed1/recorders/train_recorder.pkl"
    assert left_in(path) == (list(range(10)), False)
