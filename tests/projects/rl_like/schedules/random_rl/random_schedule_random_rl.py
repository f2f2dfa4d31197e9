ALG_NAMES = ["actor_critic"]
TASK_NAMES = ["cart_pole_v1"]
SEEDS = [10, 20, 30]

N_EXPERIMENTS = 4


def sample_experiment(rng):
    return {"gamma": float(1 - 10 ** rng.uniform(-3, -1)), "learn_alpha": bool(rng.integers(2))}
