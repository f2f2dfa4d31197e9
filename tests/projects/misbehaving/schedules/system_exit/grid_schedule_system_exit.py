"""One run that completes and one that calls sys.exit(0) before it is done."""

ALG_NAMES = ["moody"]
TASK_NAMES = ["any"]
SEEDS = [1]

VARIATIONS = {"behaviour": ["fine", "system_exit"]}
