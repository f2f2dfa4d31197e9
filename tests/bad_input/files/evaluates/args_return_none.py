from argparse import Namespace


def get_evaluation_args(overwritten):
    return None


def evaluate(config):
    return 1.0
