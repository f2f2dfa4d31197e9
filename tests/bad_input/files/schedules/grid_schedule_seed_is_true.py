ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [True]
VARIATIONS = {"lr": [0.1, 0.2]}
