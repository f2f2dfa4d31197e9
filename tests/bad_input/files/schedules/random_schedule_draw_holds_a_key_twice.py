ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
N_EXPERIMENTS = 2


def sample_experiment():
    return {"lr": 0.1, "lr": 0.2}
