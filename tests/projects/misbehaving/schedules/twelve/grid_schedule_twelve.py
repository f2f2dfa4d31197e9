"""Twelve runs: the first six complete; of the others `hang` ends only by a time-out or a signal."""

ALG_NAMES = ["moody"]
TASK_NAMES = ["any"]
SEEDS = [1]

VARIATIONS = {
    "behaviour": [
        "fine",
        "slow",
        "print",
        "log",
        "files",
        "memory",
        "raise",
        "segfault",
        "exit",
        "kill",
        "hang",
        "recurse",
    ],
}
