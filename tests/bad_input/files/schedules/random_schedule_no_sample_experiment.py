ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
N_EXPERIMENTS = 2


def sample_experiments():
    return {"lr": 0.1}
