from argparse import ArgumentParser


def get_run_args(overwritten):
    parser = ArgumentParser()
    parser.add_argument("--data", required=True)
    return parser.parse_args(overwritten)


def main(config, dir_tree, logger, pbar):
    pass
