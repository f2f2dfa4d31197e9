from argparse import Namespace


def get_run_args(overwritten):
    return Namespace(alg_name="a", task_name="t", desc="", seed=0, lr=0.1, width=8)


def main(config, dir_tree, logger, pbar):
    pass


def set_up_alfred():
    import alfred.defaults

    alfred.defaults.DEFAULT_DIRECTORY_TREE_ROTT = "results"
