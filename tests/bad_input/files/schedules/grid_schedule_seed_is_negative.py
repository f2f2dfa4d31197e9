ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [-1]
VARIATIONS = {"lr": [0.1, 0.2]}
