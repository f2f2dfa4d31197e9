ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1 / 0]
VARIATIONS = {"lr": [0.1, 0.2]}
