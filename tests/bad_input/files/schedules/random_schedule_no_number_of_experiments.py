ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]


def sample_experiment():
    return {"lr": 0.1}
