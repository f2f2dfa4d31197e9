ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
VARIATIONS = dict([("lr", [0.1]), ("lr", [0.2])])
