class Odd:
    def __repr__(self):
        return 1 / 0


ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [1, 2]
VARIATIONS = {"lr": [Odd()]}
