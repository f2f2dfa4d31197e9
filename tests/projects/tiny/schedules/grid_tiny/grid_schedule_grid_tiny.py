ALG_NAMES = ["alpha", "beta"]
TASK_NAMES = ["hill"]
SEEDS = [1, 2]

VARIATIONS = {
    "lr": [0.1, 0.01],
    "width": [4, 8, 16],
}
