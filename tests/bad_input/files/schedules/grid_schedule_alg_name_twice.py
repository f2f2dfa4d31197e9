ALG_NAMES = ["a", "a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.2]}
