ALG_NAMES = ["walk"]
TASK_NAMES = ["line"]
SEEDS = [1, 2]

VARIATIONS = {"step": [0.1]}
