ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
N_EXPERIMENTS = True


def sample_experiment():
    return {"lr": 0.1}
