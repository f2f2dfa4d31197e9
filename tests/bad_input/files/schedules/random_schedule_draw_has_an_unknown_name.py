ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
N_EXPERIMENTS = 2


def sample_experiment():
    return {"learning_rate": 0.1}
