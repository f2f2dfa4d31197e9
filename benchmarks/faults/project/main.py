"""The client that gets broken: a run tells a ledger when it begins and ends, and holds a lock for its life.

The lock and the ledger lie beside this file, outside the tree that alfred works on; the kernel gives a lock
back when its process is gone, however that ended. Times are of the machine's monotonic clock, in
nanoseconds.
"""

import fcntl
import json
import os
import random
import signal
import time
from argparse import Namespace
from pathlib import Path

import alfred.defaults
from alfred.storage.flags import batons_among
from alfred.utils.recorder import Recorder

HERE = Path(__file__).resolve().parent
POINTS = 6
LEDGER = os.environ.get("FAULTS_LEDGER", "ledger.jsonl")  # one for each machine: NFS appends for one alone
SECONDS = float(os.environ.get("FAULTS_SECONDS", "0"))  # that a run takes on average
PAUSE_BEFORE = os.environ.get("FAULTS_PAUSE_BEFORE", "")  # save or return: wait there for the file FAULTS_GO

STOP_AT_FORK = (
    "FAULTS_STOP_AT_FORK" in os.environ
)  # the fork server and its first run stop at the run's birth


def set_up_alfred():
    alfred.defaults.DEFAULT_BENCHMARK_X_METRIC = "step"
    alfred.defaults.DEFAULT_BENCHMARK_Y_METRIC = "score"
    alfred.defaults.DEFAULT_BENCHMARK_PERFORMANCE_METRIC = "score"
    alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE = [("step", "score", (None, None), (None, None))]


def get_run_args(overwritten_cmd_line):
    return Namespace(alg_name="any", task_name="t0", desc="", seed=0, load=0)


def main(config, dir_tree, logger, pbar):
    run = "/".join(dir_tree.seed_dir.parts[-3:])
    lock = os.open(HERE / "locks" / run.replace("/", "."), os.O_WRONLY | os.O_CREAT, 0o666)
    batons = sorted(baton.name for baton in batons_among(os.listdir(dir_tree.seed_dir)))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell("overlap", run, batons=batons, attempt=dir_tree.attempt)
    tell("begin", run, batons=batons, attempt=dir_tree.attempt)
    work(dir_tree.recorders_dir / "train_recorder.pkl", random.Random(f"{run} {dir_tree.attempt}"))
    tell("end", run, attempt=dir_tree.attempt)


def stop_at_fork():
    os.kill(os.getpid(), signal.SIGSTOP)


if STOP_AT_FORK:
    os.register_at_fork(after_in_parent=stop_at_fork, after_in_child=stop_at_fork)


def work(file, chance):
    """Six points, saved after every second one: a kill hits a save now and then."""
    recorder = Recorder(["step", "score"])
    for step in range(POINTS):
        recorder.write_to_tape({"step": step, "score": chance.random()})
        time.sleep(SECONDS * 2 * chance.random() / POINTS)
        if step % 2:
            wait_for_go("save")
            recorder.save(file)
    wait_for_go("return")


def wait_for_go(place):
    if place == PAUSE_BEFORE:
        go = HERE / os.environ["FAULTS_GO"]
        (HERE / "waiting" / f"{os.environ['FAULTS_GO']}.{os.getpid()}").touch()
        while not go.exists():
            time.sleep(0.01)


def tell(what, run, **more):
    """One line in one write to the end of the ledger, on a new line should a killed writer's be unended."""
    line = json.dumps({"what": what, "run": run, "pid": os.getpid(), "at": time.monotonic_ns(), **more})
    handle = os.open(HERE / LEDGER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(handle, f"\n{line}\n".encode())
    os.close(handle)
