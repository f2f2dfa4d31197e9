from main import get_run_args

ALG_NAMES = ["old_alg", "gmix_3"]
TASK_NAMES = ["old_task_v0"]
SEEDS = [131, 214]

VARIATIONS = {"lr": [0.1, 0.5]}
