import sys

ALG_NAMES = ["a"]
TASK_NAMES = ["t"]
SEEDS = [int(sys.stdin.readline())]
VARIATIONS = {"lr": [0.1, 0.2]}
