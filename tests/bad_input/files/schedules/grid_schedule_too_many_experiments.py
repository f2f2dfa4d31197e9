ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
VARIATIONS = {"lr": list(range(100_000)), "width": list(range(100_000))}
