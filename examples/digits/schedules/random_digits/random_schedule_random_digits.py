"""Which learning rate goes with how much regularization?"""

ALG_NAMES = ["sgd", "mlp"]
TASK_NAMES = ["digits", "breast_cancer"]
SEEDS = [1, 2, 3]

N_EXPERIMENTS = 8


def sample_experiment(rng):
    """One experiment. With a parameter named `rng`, alfred hands in a numpy.random.Generator."""
    return {
        "lr": round(float(10 ** rng.uniform(-3.5, -0.5)), 6),
        "l2": round(float(10 ** rng.uniform(-5, -1)), 6),
        "input_noise": float(rng.choice([0.0, 0.25, 0.5])),
    }
