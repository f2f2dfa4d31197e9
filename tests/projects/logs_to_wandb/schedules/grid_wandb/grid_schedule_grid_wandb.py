ALG_NAMES = ["alpha"]
TASK_NAMES = ["hill"]
SEEDS = [1, 2]

VARIATIONS = {"lr": [0.1]}
