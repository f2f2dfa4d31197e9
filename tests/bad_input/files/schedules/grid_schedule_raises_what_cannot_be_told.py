class Odd(Exception):
    def __str__(self):
        return 1 / 0


raise Odd
ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [0.1, 0.2]}
