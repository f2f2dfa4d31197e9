"""Train a classifier, epoch by epoch, on one of the data sets that come with scikit-learn."""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import alfred.defaults
from alfred.utils.config import parse_log_level
from alfred.utils.directory_tree import DirectoryTree
from alfred.utils.misc import create_management_objects
from alfred.utils.recorder import Recorder

LOADERS = {"digits": load_digits, "breast_cancer": load_breast_cancer, "wine": load_wine}

# One split for all runs: what differs between two seeds is then the training, not the data.
SPLIT_SEED = 20


def set_up_alfred():
    """Tell alfred what this project records; every command of alfred calls this first."""
    alfred.defaults.DEFAULT_BENCHMARK_X_METRIC = "epoch"
    alfred.defaults.DEFAULT_BENCHMARK_Y_METRIC = "valid_accuracy"
    alfred.defaults.DEFAULT_BENCHMARK_PERFORMANCE_METRIC = "valid_accuracy"
    alfred.defaults.DEFAULT_PLOTS_ARRAYS_TO_MAKE = [
        ("epoch", "valid_accuracy", (None, None), (0.0, 1.0)),
        ("epoch", "train_loss", (None, None), (0.0, None)),
        ("epoch", "valid_loss", (None, None), (0.0, None)),
    ]
    DirectoryTree.git_repos_to_track["digits"] = str(Path(__file__).resolve().parent)


def get_run_args(overwritten_cmd_line=None):
    """Every hyper-parameter with its default value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alg_name", default="sgd", choices=["sgd", "mlp"])
    parser.add_argument("--task_name", default="digits", choices=sorted(LOADERS))
    parser.add_argument("--desc", default="by_hand", help="goes into the name of the storage directory")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n_epochs", type=int, default=30)
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate")
    parser.add_argument("--l2", type=float, default=1e-4, help="weight of the penalty on large weights")
    parser.add_argument("--input_noise", type=float, default=0.0, help="deviation of noise on the inputs")
    parser.add_argument("--hidden_size", type=int, default=32, help="hidden units (mlp only)")
    parser.add_argument("--batch_size", type=int, default=32, help="examples a step (mlp only)")
    parser.add_argument("--root_dir", default=None, help="where storage directories live")
    parser.add_argument("--log_level", type=parse_log_level, default="INFO")
    return parser.parse_args(overwritten_cmd_line)


def load_task(task_name):
    """Split -> (inputs, labels): 60 % train, 20 % valid, 20 % test; inputs are standardized on train."""
    inputs, labels = LOADERS[task_name](return_X_y=True)
    x_train, x_rest, y_train, y_rest = train_test_split(
        inputs, labels, test_size=0.4, stratify=labels, random_state=SPLIT_SEED
    )
    x_valid, x_test, y_valid, y_test = train_test_split(
        x_rest, y_rest, test_size=0.5, stratify=y_rest, random_state=SPLIT_SEED
    )
    mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
    deviation[deviation == 0] = 1.0  # some pixels of the digits are always white
    splits = {"train": (x_train, y_train), "valid": (x_valid, y_valid), "test": (x_test, y_test)}
    return {name: ((x - mean) / deviation, y) for name, (x, y) in splits.items()}


def make_model(config, rng):
    """An untrained classifier whose partial_fit goes once through the data it is given."""
    if config.alg_name == "sgd":
        return SGDClassifier(
            loss="log_loss", learning_rate="constant", eta0=config.lr, alpha=config.l2, random_state=rng
        )
    return MLPClassifier(
        hidden_layer_sizes=(config.hidden_size,),
        learning_rate_init=config.lr,
        alpha=config.l2,
        batch_size=config.batch_size,
        random_state=rng,
    )


def get_layers(model):
    """Copies of the weights and biases of each layer; the linear classifier has one layer."""
    if isinstance(model, MLPClassifier):
        weights, biases = model.coefs_, model.intercepts_
    else:
        weights, biases = [model.coef_.T], [model.intercept_]
    layers = {f"w{i}": weight.copy() for i, weight in enumerate(weights)}
    return layers | {f"b{i}": bias.copy() for i, bias in enumerate(biases)}


def measure(model, inputs, labels):
    """Log loss and accuracy on `inputs` (n x features) of class numbers `labels` (n)."""
    probabilities = model.predict_proba(inputs)
    likelihoods = probabilities[np.arange(len(labels)), labels].clip(min=np.finfo(float).eps)
    return float(-np.log(likelihoods).mean()), float((probabilities.argmax(axis=1) == labels).mean())


def main(config, dir_tree=None, logger=None, pbar=None):
    """Train, record a learning curve, and keep the weights of the epoch that did best on validation."""
    dir_tree, logger, pbar = create_management_objects(
        dir_tree=dir_tree, logger=logger, pbar=pbar, config=config
    )
    rng = np.random.RandomState(config.seed)
    splits = load_task(config.task_name)  # the test split is for evaluate.py alone
    (x_train, y_train), (x_valid, y_valid) = splits["train"], splits["valid"]
    classes = np.unique(y_train)
    model = make_model(config, rng)

    recorder = Recorder(["epoch", "train_loss", "valid_loss", "valid_accuracy"])
    dir_tree.recorders_dir.mkdir(exist_ok=True)
    best_accuracy = -1.0
    if pbar is not None:
        pbar.total = config.n_epochs

    for epoch in range(1, config.n_epochs + 1):
        noise = config.input_noise * rng.normal(size=x_train.shape)
        # Weights that overflow make scikit-learn raise: the run ends in CRASH.txt, which says so.
        model.partial_fit(x_train + noise, y_train, classes=classes)
        train_loss, _ = measure(model, x_train, y_train)
        valid_loss, accuracy = measure(model, x_valid, y_valid)
        recorder.write_to_tape(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "valid_loss": valid_loss,
                "valid_accuracy": accuracy,
            }
        )
        if accuracy > best_accuracy:
            best_accuracy, best_epoch, best_layers = accuracy, epoch, get_layers(model)
        if epoch % 10 == 0 or epoch == config.n_epochs:
            recorder.save(dir_tree.recorders_dir / "train_recorder.pkl")
            logger.info(f"epoch {epoch}: accuracy {accuracy:.3f} on the validation split")
        if pbar is not None:
            pbar.update()

    np.savez(dir_tree.seed_dir / "model.npz", **best_layers)
    logger.info(f"kept the weights of epoch {best_epoch}, accuracy {best_accuracy:.3f}")


if __name__ == "__main__":
    set_up_alfred()
    main(get_run_args(), pbar="default_pbar")
