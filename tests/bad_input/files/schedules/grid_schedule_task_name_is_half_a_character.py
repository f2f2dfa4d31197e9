ALG_NAMES = ["a"]
TASK_NAMES = ["\ud800"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.2]}
