ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
VARIATIONS = {
    "lr": [0.1],
    "width": [8],
    "lr": [0.2],
}
