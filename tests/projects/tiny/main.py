"""The smallest client: ten points of three metrics, in no time."""

import argparse

from alfred.utils.misc import create_management_objects
from alfred.utils.recorder import Recorder


def get_run_args(overwritten_cmd_line=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--alg_name", default="alpha")
    parser.add_argument("--task_name", default="hill")
    parser.add_argument("--desc", default="by_hand")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max_episodes", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--root_dir", default=None)
    parser.add_argument("--log_level", default="INFO")
    return parser.parse_args(overwritten_cmd_line)


def main(config, dir_tree=None, logger=None, pbar=None):
    """eval_return is `lr * width * episode + seed`, so that a test can say what the best run is."""
    dir_tree, logger, pbar = create_management_objects(
        dir_tree=dir_tree, logger=logger, pbar=pbar, config=config
    )
    recorder = Recorder(["episode", "return", "eval_return"])
    for episode in range(config.max_episodes):
        score = config.lr * config.width * episode + config.seed
        recorder.write_to_tape({"episode": episode, "return": score - 1.0, "eval_return": score})
        if pbar is not None:
            pbar.update()
    dir_tree.recorders_dir.mkdir(exist_ok=True)
    recorder.save(dir_tree.recorders_dir / "train_recorder.pkl")
    logger.info("done")


if __name__ == "__main__":
    main(get_run_args())
