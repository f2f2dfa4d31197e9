"""A client that does what its configuration says in Python, so that a test can have anything done."""

import fcntl
import os
import sys
import time
from argparse import Namespace
from pathlib import Path


def get_run_args(overwritten_cmd_line):
    return Namespace(alg_name="any", task_name="thing", desc="", seed=0, do="pass")


def main(config, dir_tree, logger, pbar):
    """Notes its start and end in the project's folder; the lock shows if a run is ever done twice at once."""
    run = f"{dir_tree.storage_dir.name}.{dir_tree.experiment_dir.name}.{dir_tree.seed_dir.name}"
    with open(Path(__file__).parent / "journal" / run, "a") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("start", os.getpid(), time.time(), file=journal, flush=True)
        exec(compile(config.do, "<do>", "exec"), {**globals(), **locals()})
        print("end", os.getpid(), time.time(), file=journal, flush=True)
