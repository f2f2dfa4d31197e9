ALG_NAMES = ["a"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.2]}
