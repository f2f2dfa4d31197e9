ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
VARIATIONS = {"lr": [0.1, 0.2]}
