import numpy as np

ALG_NAMES = ["alpha", "beta"]
TASK_NAMES = ["hill"]
SEEDS = [1, 2]

N_EXPERIMENTS = 3


def sample_experiment():
    return {"lr": float(10 ** np.random.uniform(-3, -1)), "width": int(np.random.choice([4, 8, 16]))}
