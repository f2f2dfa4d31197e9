ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = range(10**30)
VARIATIONS = {"lr": [0.1, 0.2]}
