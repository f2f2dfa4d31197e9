"""What a project's main() and the commands both need: loggers, lists of storage directories, short texts."""

from __future__ import annotations

import codecs
import logging
import math
import os
import re
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import alfred.defaults
from alfred.errors import NothingToDoError, ScheduleError, StorageError, UsageError, did_you_mean, say
from alfred.utils.config import config_to_str, parse_log_level, save_config_to_json, save_dict_to_json
from alfred.utils.directory_tree import DirectoryTree, get_root, why_no_storage_dir
from alfred.utils.storage_names import is_folder_name

__all__ = [
    "check_params_defined_twice",
    "close_logger",
    "create_logger",
    "create_management_objects",
    "create_new_filehandler",
    "formatted_time_diff",
    "is_commented",
    "keep_two_signif_digits",
    "select_storage_dirs",
    "sorted_nicely",
    "uniquify",
]

T = TypeVar("T")

_LONGEST_LIST = 1 << 24  # bytes
_ALWAYS_UNIQUE = ("alg_name", "task_name", "seed")  # in config_unique.json, varied or not


def create_logger(
    name: str, loglevel: int, logfile: str | Path | None = None, streamHandle: bool = True
) -> logging.Logger:
    """The logger of this name, writing to a file (appended to), to standard output, or both.

    Lines read `dd/mm/yyyy HH:MM:SS - LEVEL - name - message`. Called again for the same name it puts its
    new handlers in the place of its old ones. StorageError if the file can't be opened.
    """
    handlers: list[logging.Handler] = []
    if logfile is not None:
        handlers.append(create_new_filehandler(name, logfile))
    if streamHandle:
        handlers.append(logging.StreamHandler(sys.stdout))
        handlers[-1].setFormatter(_formatter(name))
    logger = logging.getLogger(name)
    _remove_handlers(logger)
    logger.setLevel(loglevel)
    for handler in handlers:
        handler._alfred = True  # type: ignore[attr-defined]
        logger.addHandler(handler)
    return logger


def create_new_filehandler(logger_name: str, logfile: str | Path) -> logging.FileHandler:
    """A handler that appends a logger's lines to a file; StorageError if that can't be opened."""
    path = Path(logfile)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"log file {path} can't be written: {error.strerror}") from error
    handler.setFormatter(_formatter(logger_name))
    return handler


def close_logger(logger: logging.Logger) -> None:
    """Close what `create_logger` opened and let `logging` forget the name: a thousand runs leak nothing."""
    _remove_handlers(logger)
    if not logger.handlers:
        logging.Logger.manager.loggerDict.pop(logger.name, None)


def keep_two_signif_digits(x: T) -> T:
    """A number rounded to its first two digits that are not 0; anything else as it is."""
    if isinstance(x, bool | str) or not hasattr(x, "__round__"):
        return x
    number: Any = x
    if number == 0 or not math.isfinite(number):
        return x
    return round(number, 1 - math.floor(math.log10(abs(number))))  # type: ignore[no-any-return]


def sorted_nicely(l: Iterable[T]) -> list[T]:  # noqa: E741
    """Sorted as text, but numbers in it as numbers: seed2 before seed10."""
    return sorted(l, key=lambda item: [_as_number(part) for part in re.split("([0-9]+)", str(item))])


def check_params_defined_twice(keys: Iterable[str]) -> None:
    """ScheduleError that names every parameter that stands more than once among `keys`."""
    twice = [f"{key!r} {times} times" for key, times in Counter(keys).items() if times > 1]
    if twice:
        raise ScheduleError(f"parameters are defined more than once: {', '.join(twice)}; keep one of each")


def is_commented(str_line: str, commenting_char_list: Iterable[str]) -> bool:
    """True if the first sign of a line, white space aside, is one of those that begin a comment."""
    return str_line.lstrip().startswith(tuple(commenting_char_list))


def select_storage_dirs(
    from_file: str | Path | None, storage_name: str | None, root_dir: str | Path | None
) -> list[Path]:
    """The storage directories that a command is to work on, in order, each once.

    Those of a list file need not exist; a single one must. UsageError for both or neither, for a list file
    that can't be read, for names that lead elsewhere; StorageError for a root or a directory that is missing;
    NothingToDoError for a list without names.
    """
    if (from_file is None) == (storage_name is None):
        given = "both were" if from_file is not None else "neither was"
        raise UsageError(f"give one and only one of --from_file and --storage_name: {given} given")
    names = [storage_name or ""] if from_file is None else _listed_names(Path(from_file))
    root = get_root(root_dir)
    if from_file is None:
        _check_name(names[0], "--storage_name")
    check_root(root)
    storage_dirs = [root / name for name in names]
    why_not = why_no_storage_dir(storage_dirs[0]) if from_file is None else ""
    if why_not and os.path.lexists(storage_dirs[0]):
        raise StorageError(why_not)
    if why_not:
        there = [path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        raise StorageError(
            f"there is no storage directory {storage_dirs[0]}: {did_you_mean(names[0], there)}"
        )
    return storage_dirs


def check_root(root: Path) -> None:
    """StorageError unless there is a folder to look for storage directories in."""
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise StorageError(f"the root directory {root} {what}: give another --root_dir")


def formatted_time_diff(total_time_seconds: float) -> str:
    """Seconds as hours, minutes and whole seconds: 3723.4 is "1h02m03s"."""
    seconds = int(abs(total_time_seconds))
    sign = "-" if total_time_seconds < 0 and seconds else ""
    return f"{sign}{seconds // 3600}h{seconds // 60 % 60:02}m{seconds % 60:02}s"


def uniquify(path: str | Path) -> Path:
    """The first of `stem_0suffix`, `stem_1suffix`, ... that does not exist, beside `path`."""
    path = Path(path)
    number = 0
    while (free := path.with_name(f"{path.stem}_{number}{path.suffix}")).exists() or free.is_symlink():
        number += 1
    return free


def create_management_objects(
    dir_tree: DirectoryTree | None, logger: logging.Logger | None, pbar: Any, config: Namespace
) -> tuple[DirectoryTree, logging.Logger, Any]:
    """(dir_tree, logger, pbar): what a launcher hands to main(), and what it does not, made here.

    So that `python main.py` works alone: a tree of its own, named by what `config` has of alg_name,
    task_name, desc, seed and root_dir, with the configuration in it; a logger to `logger.out` and the
    terminal; a tqdm bar if `pbar` is "default_pbar". What is given stays as it is.
    """
    if dir_tree is None:
        dir_tree = _tree_of_its_own(config)
    if logger is None:
        level = parse_log_level(getattr(config, "log_level", None) or logging.INFO)
        logger = create_logger(dir_tree.get_run_name(), level, dir_tree.seed_dir / "logger.out")
    logger.debug(config_to_str(config))
    if isinstance(pbar, str):
        if pbar != "default_pbar":
            raise UsageError(f'pbar is "default_pbar", None or a progress bar, not {pbar!r}')
        pbar = _tqdm_bar(dir_tree, config)
    return dir_tree, logger, pbar


def _tree_of_its_own(config: Namespace) -> DirectoryTree:
    given = vars(config)
    alg, task, desc = given.get("alg_name"), given.get("task_name"), given.get("desc")
    if not (alg or task or desc or DirectoryTree.git_repos_to_track):
        desc = "run"  # a storage name is more than an id
    tree = DirectoryTree(alg, task, desc, given.get("seed") or 0, root=given.get("root_dir"))
    tree.create_directories()
    save_config_to_json(config, tree.seed_dir / "config.json")
    unique = {key: value for key, value in given.items() if key in _ALWAYS_UNIQUE}
    save_dict_to_json(unique, tree.seed_dir / "config_unique.json")
    return tree


def _tqdm_bar(dir_tree: DirectoryTree, config: Namespace) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        # tqdm compares bars by their place, and raises where one is compared with a string, as projects do.
        def __eq__(self, other: object) -> bool:
            return self is other

        __hash__ = tqdm.__hash__

    lengths = (getattr(config, name, None) for name in alfred.defaults.DEFAULT_TRAIN_TIME_PARAMS)
    return Bar(desc=dir_tree.get_run_name(), total=next((length for length in lengths if length), None))


def _listed_names(list_file: Path) -> list[str]:
    """The names in a list file, each once; NothingToDoError where there is none."""
    names: dict[str, int] = {}
    for number, name in _entries(list_file):
        _check_name(name, f"{list_file}, line {number}")
        if name in names:
            already = f"{name} stands in line {names[name]} already, it is worked once"
            say(f"notice: {list_file}, line {number}: {already}")
        names.setdefault(name, number)
    if not names:
        raise NothingToDoError(f"{list_file} names no storage directory: write one name a line")
    return list(names)


def _entries(list_file: Path) -> Iterator[tuple[int, str]]:
    """Number and content of each line that holds more than a comment."""
    try:
        with open(list_file, "rb") as file:  # which may be a pipe, as in --from_file <(ls storage)
            data = file.read(_LONGEST_LIST + 1)
    except OSError as error:
        raise UsageError(f"list file {list_file} can't be read: {error.strerror}: check its name") from error
    if len(data) > _LONGEST_LIST:
        raise UsageError(f"{list_file} is longer than any list of names: check --from_file")
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise UsageError(f"{list_file} is UTF-16: save it as UTF-8")
    text = data.decode("utf-8-sig", "surrogateescape")
    for number, line in enumerate(re.split("\r\n|\n|\r", text), start=1):
        if name := line.partition("#")[0].strip():
            yield number, name


def _check_name(name: str, where: str) -> None:
    """A storage name is one folder of the root: it leads neither up, nor down, nor elsewhere."""
    if not is_folder_name(name):
        raise UsageError(f"{where}: {name!r} is no storage name: give the plain name of a folder in the root")


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Half characters, as odd file names hold, are escaped: no stream could write them."""
        return super().format(record).encode("utf-8", "backslashreplace").decode("utf-8")


def _formatter(name: str) -> logging.Formatter:
    fixed_name = name.replace("%", "%%")
    return _Formatter(f"%(asctime)s - %(levelname)s - {fixed_name} - %(message)s", "%d/%m/%Y %H:%M:%S")


def _remove_handlers(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        if getattr(handler, "_alfred", False):
            logger.removeHandler(handler)
            handler.close()


def _as_number(part: str) -> int | str:
    return int(part) if re.fullmatch("[0-9]+", part) else part
