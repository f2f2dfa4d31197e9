ALG_NAMES = ["a"]
TASK_NAMES = ["t" * 256]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.2]}
