from argparse import Namespace


def get_evaluation_args(overwritten):
    return Namespace()


def evaluates(config):
    return 1.0
