ALG_NAMES = ["actor_critic"]
TASK_NAMES = ["cart_pole_v1", "hill"]
SEEDS = [10, 20, 30]

VARIATIONS = {
    "gamma": [0.9, 0.99, 0.999],
    "learn_alpha": [True, False],
}
