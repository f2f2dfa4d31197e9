"""A client written long ago: it leans on names that came along by accident, and on being left alone."""

import argparse

from alfred.utils.config import parse_bool, parse_log_level, save_config_to_json, save_dict_to_json
from alfred.utils.directory_tree import *
from alfred.utils.misc import create_management_objects
from alfred.utils.recorder import Recorder


def set_up_alfred():
    DirectoryTree.default_root = "./storage"
    DirectoryTree.git_repos_to_track["legacy"] = str(Path(__file__).resolve().parent)


def get_run_args(overwritten_args=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--alg_name", type=str, default="old_alg")
    parser.add_argument("--task_name", type=str, default="old_task_v0")
    parser.add_argument("--desc", type=str, default="by_hand")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max_episode", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--use_wandb", type=parse_bool, default=False)
    parser.add_argument("--root_dir", default=None, type=str)
    parser.add_argument("--log_level", default="INFO", type=parse_log_level)
    return parser.parse_args(overwritten_args)


def main(config, dir_tree=None, logger=None, pbar="default_pbar"):
    dir_tree, logger, pbar = create_management_objects(
        dir_tree=dir_tree, logger=logger, pbar=pbar, config=config
    )

    # The two json files are written anew, with keys that no schedule knows.
    config.state_dim = 4
    config.observation_names = ["x", "y"]
    save_config_to_json(config, str(dir_tree.seed_dir / "config.json"))
    config_unique = {"alg_name": config.alg_name, "task_name": config.task_name, "seed": config.seed}
    if not os.path.exists(dir_tree.seed_dir / "config_unique.json"):
        save_dict_to_json(config_unique, str(dir_tree.seed_dir / "config_unique.json"))

    os.makedirs(dir_tree.recorders_dir, exist_ok=True)
    recorder = Recorder({"episode", "return", "eval_return"})
    for episode in range(config.max_episode):
        recorder.write_to_tape({"episode": episode, "return": config.lr * episode})
        recorder.tape["eval_return"][-1] = recorder.tape["return"][-1]
        if pbar is not None and pbar != "default_pbar":
            pbar.update()
            pbar.desc += "."
    assert len(recorder.tape["return"]) == len(recorder.tape["eval_return"])
    recorder.save(filename=str(dir_tree.recorders_dir / "train_recorder.pkl"))
    logger.info(f"wrote to {Path(dir_tree.seed_dir).name}")


if __name__ == "__main__":
    main(get_run_args(), pbar=None)
