from argparse import Namespace


def get_run_args(overwritten):
    raise SystemExit(0)


def main(config, dir_tree, logger, pbar):
    pass
