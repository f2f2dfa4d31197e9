"""A client that records twice: with alfred's recorder, and with W&B offline, in its own seed directory."""

import argparse

from alfred.utils.recorder import Recorder


def get_run_args(overwritten_cmd_line=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--alg_name", default="walk")
    parser.add_argument("--task_name", default="line")
    parser.add_argument("--desc", default="by_hand")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max_episodes", type=int, default=7)
    parser.add_argument("--step", type=float, default=0.1)
    return parser.parse_args(overwritten_cmd_line)


def main(config, dir_tree, logger):
    import wandb  # here, since every command loads this file

    run = wandb.init(
        mode="offline",
        project="walks",
        name=dir_tree.get_run_name(),
        config=vars(config),
        dir=dir_tree.seed_dir,
    )
    recorder = Recorder(["episode", "eval_return"])
    for episode in range(config.max_episodes):
        values = {"episode": episode, "eval_return": config.step / 3 * episode + config.seed}
        recorder.write_to_tape(values)
        run.log(values)
    run.finish()
    recorder.save(dir_tree.recorders_dir / "train_recorder.pkl")
