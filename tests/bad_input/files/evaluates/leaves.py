from argparse import Namespace


def get_evaluation_args(overwritten):
    return Namespace()


def evaluate(config):
    raise SystemExit(3)
