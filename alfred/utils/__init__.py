"""The ground floor: what a project's own main.py stands on.

`from alfred.utils import *` gives the modules below and their names. A module is loaded when one of its
names is first asked for, so that importing one of them does not cost the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alfred.utils import config, directory_tree, misc, plots, recorder, stats
    from alfred.utils.config import *
    from alfred.utils.directory_tree import *
    from alfred.utils.misc import *
    from alfred.utils.plots import *
    from alfred.utils.recorder import *
    from alfred.utils.stats import *

_NAMES = {
    "config": """config_to_str convert_to_type_from_str load_config_from_json load_dict_from_json parse_bool
        parse_log_level save_config_to_json save_dict_to_json validate_config_unique""",
    "directory_tree": """DirectoryTree Path SeedDirectoryExistsError full_git_state get_all_seeds get_git_hash
        get_git_name get_root get_some_seeds os sanity_check_exists sanity_check_hash""",
    "misc": """check_params_defined_twice close_logger create_logger create_management_objects
        create_new_filehandler formatted_time_diff is_commented keep_two_signif_digits select_storage_dirs
        sorted_nicely uniquify""",
    "plots": """bar_chart create_fig plot_curves plot_sampled_hyperparams plot_vertical_densities
        smooth_out""",
    "recorder": """Recorder TrainingIterator remove_nones""",
    "stats": """get_95_confidence_interval get_95_confidence_interval_of_sequence""",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [*_NAMES, *_MODULE_OF]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return importlib.import_module(f"alfred.utils.{name}")
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"alfred.utils.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'alfred.utils' has no attribute {name!r}")
