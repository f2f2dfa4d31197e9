ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.2]}


def get_run_args(_):
    return {"lr": 0.1}
