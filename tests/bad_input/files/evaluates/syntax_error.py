from argparse import Namespace


def get_evaluation_args(overwritten):
    return Namespace()


def evaluate(config)
    return 1.0
