ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
N_EXPERIMENTS = 10**12


def sample_experiment():
    return {"lr": 0.1}
