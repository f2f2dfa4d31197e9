ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.2]}


def get_run_args(_):
    from argparse import Namespace

    return Namespace(alg_name="a", task_name="t", desc="", seed=0, lr=object)
