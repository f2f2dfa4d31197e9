"""How fast may each algorithm learn, and how much should large weights cost?"""

ALG_NAMES = ["sgd", "mlp"]
TASK_NAMES = ["digits", "breast_cancer"]
SEEDS = [1, 2, 3]

# 3 x 2 = 6 experiments for each algorithm on each task; everything else keeps its default of main.py.
VARIATIONS = {
    "lr": [0.001, 0.01, 0.1],
    "l2": [0.0001, 0.1],
}
