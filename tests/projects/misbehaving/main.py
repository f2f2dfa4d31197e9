"""A client whose runs end in every way a run can end; `behaviour` selects it."""

import argparse
import ctypes
import os
import signal
import sys
import time

from alfred.utils.recorder import Recorder


def behave(config, dir_tree, logger):
    """Nothing at all: what a run does that just works."""


def wait(config, dir_tree, logger):
    time.sleep(config.slow)


def print_a_lot(config, dir_tree, logger):
    for line in range(20_000):
        print(f"line {line} of a run that prints a lot")


def log_a_lot(config, dir_tree, logger):
    for line in range(2_000):
        logger.info(f"message {line}")


def save_files(config, dir_tree, logger):
    (dir_tree.seed_dir / "model.pt").write_bytes(b"\0" * 1_000_000)


def use_memory(config, dir_tree, logger):
    assert len(bytearray(b"\1" * 50_000_000)) == 50_000_000


def raise_error(config, dir_tree, logger):
    raise ValueError("this run raises")


def segfault(config, dir_tree, logger):
    ctypes.string_at(0)


def exit_at_once(config, dir_tree, logger):
    os._exit(0)


def kill_itself(config, dir_tree, logger):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(config, dir_tree, logger):
    """Write a file that says `started`, then wait to be killed."""
    (dir_tree.seed_dir / "started").write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)


def recurse(config, dir_tree, logger):
    return recurse(config, dir_tree, logger)


def system_exit(config, dir_tree, logger):
    sys.exit(0)


BEHAVIOURS = {
    "fine": behave,
    "slow": wait,
    "print": print_a_lot,
    "log": log_a_lot,
    "files": save_files,
    "memory": use_memory,
    "raise": raise_error,
    "segfault": segfault,
    "exit": exit_at_once,
    "kill": kill_itself,
    "hang": hang,
    "recurse": recurse,
    "system_exit": system_exit,
}


def get_run_args(overwritten_cmd_line=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--alg_name", default="moody")
    parser.add_argument("--task_name", default="any")
    parser.add_argument("--desc", default="by_hand")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max_steps", type=int, default=3)
    parser.add_argument("--behaviour", choices=sorted(BEHAVIOURS), default="fine")
    parser.add_argument("--slow", type=float, default=0.5, help="seconds that the behaviour `slow` takes")
    parser.add_argument("--root_dir", default=None)
    parser.add_argument("--log_level", default="INFO")
    return parser.parse_args(overwritten_cmd_line)


def main(config, dir_tree, logger, pbar):
    print(f"about to {config.behaviour}", flush=True)
    BEHAVIOURS[config.behaviour](config, dir_tree, logger)
    recorder = Recorder(["episode", "eval_return"])
    for step in range(config.max_steps):
        recorder.write_to_tape({"episode": step, "eval_return": 1.0})
    dir_tree.recorders_dir.mkdir(exist_ok=True)
    recorder.save(dir_tree.recorders_dir / "train_recorder.pkl")
