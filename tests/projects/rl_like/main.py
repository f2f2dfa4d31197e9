"""A client of the reinforcement learning kind: runs of unequal length, sparse evaluation, no progress bar."""

from argparse import Namespace

import numpy as np

from alfred.utils.recorder import Recorder


def get_run_args(cmd):
    return Namespace(
        alg_name="actor_critic",
        task_name="cart_pole_v1",
        desc="",
        seed=0,
        max_steps=100,
        gamma=0.99,
        learn_alpha=True,
        root_dir=None,
        log_level="INFO",
    )


def main(logger, config, dir_tree):
    """Stops after 80 to 120 episodes; eval_return stands at every tenth one only."""
    rng = np.random.default_rng(config.seed)
    recorder = Recorder(["episode", "return", "eval_return", "actions", "loss"])
    n_episodes = config.max_steps - 20 + int(rng.integers(0, 41))
    for episode in range(n_episodes):
        values = {
            "episode": np.int64(episode),
            "return": np.float32(config.gamma * episode + rng.normal()),
            "actions": [0, 1, int(rng.integers(2))],
            "loss": np.array(1.0 / (episode + 1)),
        }
        if episode % 10 == 0:
            values["eval_return"] = np.float64(config.gamma * episode)
        recorder.write_to_tape(values)
    dir_tree.recorders_dir.mkdir(exist_ok=True)
    recorder.save(dir_tree.recorders_dir / "train_recorder.pkl")
    logger.info(f"{n_episodes} episodes")
