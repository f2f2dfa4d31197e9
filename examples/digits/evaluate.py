"""Measure a trained model on the test split, which neither the training nor the selection has seen."""

import argparse

import numpy as np
from main import load_task, set_up_alfred

from alfred.utils.config import load_config_from_json, parse_bool
from alfred.utils.directory_tree import DirectoryTree


def get_evaluation_args(overwritten_args=None):
    """Which run to evaluate; alfred fills these in, one run after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage_name", default=None)
    parser.add_argument("--experiment_num", type=int, default=1)
    parser.add_argument("--seed_num", type=int, default=1)
    parser.add_argument("--root_dir", default=None)
    parser.add_argument(
        "--n_episodes", type=int, default=1, help="not used: the same split gives the same score"
    )
    parser.add_argument("--render", type=parse_bool, default=False, help="not used: there is nothing to see")
    return parser.parse_args(overwritten_args)


def predict(layers, inputs):
    """The class of each row of `inputs` (n x features), from the weights that main.py has saved."""
    n_layers = len(layers) // 2
    outputs = inputs
    for i in range(n_layers):
        outputs = outputs @ layers[f"w{i}"] + layers[f"b{i}"]
        if i < n_layers - 1:
            outputs = np.maximum(outputs, 0.0)
    if outputs.shape[1] == 1:  # of two classes one output tells
        return (outputs[:, 0] > 0).astype(int)
    return outputs.argmax(axis=1)


def evaluate(config):
    """The share of the test split that the model of one run classifies correctly."""
    dir_tree = DirectoryTree.init_from_branching_info(
        root_dir=config.root_dir,
        storage_name=config.storage_name,
        experiment_num=config.experiment_num,
        seed_num=config.seed_num,
    )
    run_config = load_config_from_json(dir_tree.seed_dir / "config.json")
    inputs, labels = load_task(run_config.task_name)["test"]
    with np.load(dir_tree.seed_dir / "model.npz") as layers:
        return float((predict(layers, inputs) == labels).mean())


if __name__ == "__main__":
    set_up_alfred()
    print(f"accuracy on the test split: {evaluate(get_evaluation_args()):.3f}")
