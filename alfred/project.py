"""The user's project: the one place that loads main.py, evaluate.py and schedule files."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from alfred.errors import AlfredError, ProjectError, ScheduleError, did_you_mean, say
from alfred.utils.check_defaults import unknown_defaults, unusable_defaults

_HANDED_TO_MAIN = ("config", "dir_tree", "logger", "pbar")


@dataclass(frozen=True)
class Project:
    """A client project whose main.py was imported and whose set_up_alfred() was applied."""

    folder: Path
    module: ModuleType
    main: Callable[..., Any]

    @property
    def main_file(self) -> Path:
        """Where main.py is."""
        return self.folder / "main.py"

    def default_config(self) -> dict[str, Any]:
        """What get_run_args("") of main.py returns, as a dict; ProjectError if it can't be used."""
        return default_config(self.module, self.main_file)


def load_project(folder: str | Path | None = None) -> Project:
    """Import main.py of `folder` (the current one if None) as the module `main` and apply set_up_alfred().

    The folder becomes the first on sys.path; another `main` on that path is never taken.
    Raises ProjectError when main.py is missing, does not import or has no main() that can be called.
    """
    folder = _absolute(folder)
    module = _import_from(folder, "main")
    main_file = folder / "main.py"
    _apply_set_up(module, main_file)
    main = getattr(module, "main", None)
    if not callable(main):
        raise ProjectError(f"{main_file} has no main(): define main(config, dir_tree, logger, pbar)")
    _keywords_for(main)
    return Project(folder, module, main)


def set_up(folder: str | Path | None = None) -> None:
    """Apply set_up_alfred() where main.py offers it, for commands that need nothing else of the project.

    A missing main.py is fine; one that does not import is told on stderr and passed over.
    """
    folder = _absolute(folder)
    if not (folder / "main.py").is_file():
        return
    try:
        module = _import_from(folder, "main")
    except ProjectError as error:
        say(f"notice: set_up_alfred() is not applied, {error}")
        return
    _apply_set_up(module, folder / "main.py")


def load_evaluate(folder: str | Path | None = None) -> ModuleType:
    """evaluate.py of the project, with its functions evaluate and get_evaluation_args; else ProjectError."""
    folder = _absolute(folder)
    module = _import_from(folder, "evaluate")
    for name in ("evaluate", "get_evaluation_args"):
        if not callable(getattr(module, name, None)):
            raise ProjectError(f"{folder / 'evaluate.py'} has no {name}(): define it")
    return module


def load_schedule_module(path: str | Path) -> ModuleType:
    """Run a schedule file; it may import from main.py, which was loaded before. Raises ScheduleError."""
    path = _absolute(path)
    if not path.is_file():
        raise ScheduleError(f"no schedule file {path}: check --schedule_file; {_schedules_beside(path)}")
    module = ModuleType("alfred_schedule")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and the like look for their module
    with user_code(ScheduleError, path, "does not run"):
        # Not by an import: that would leave a __pycache__ beside the lists and pictures of the search.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


def _schedules_beside(path: Path) -> str:
    if os.path.lexists(path):
        return "what is there is no file"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [file.name for file in path.parent.glob("*_schedule*.py") if file.is_file()]
    return did_you_mean(path.name, names)


def default_config(module: ModuleType, file: Path) -> dict[str, Any]:
    """The hyper-parameters that `module.get_run_args("")` returns; ProjectError if it can't be used."""
    get_run_args = getattr(module, "get_run_args", None)
    if not callable(get_run_args):
        raise ProjectError(
            f"{file} has no get_run_args(): define get_run_args(overwritten_cmd_line), which returns "
            "an argparse.Namespace of defaults"
        )
    with user_code(ProjectError, file, 'raised in get_run_args("")'), _quiet_argparse():
        options = get_run_args("")
    if not isinstance(options, argparse.Namespace):
        raise ProjectError(
            f'{file}: get_run_args("") returned {type(options).__name__}: let it return an argparse.Namespace'
        )
    return dict(vars(options))


def call_main(main: Callable[..., Any], *, config: Any, dir_tree: Any, logger: Any, pbar: Any) -> Any:
    """The result of the user's main(), called by keyword; pbar is left out where main() does not take it."""
    handed = {"config": config, "dir_tree": dir_tree, "logger": logger, "pbar": pbar}
    return main(**{name: handed[name] for name in _keywords_for(main)})


@contextlib.contextmanager
def user_code(kind: type[AlfredError], file: Path, what: str) -> Iterator[None]:
    """What the user's code raises inside becomes `kind`: `<file> <what>: <error> (<file>:<line>)`.

    It sees no options of alfred and takes no answer that was piped in for alfred; what it prints goes to
    stderr, since standard output is the command's.
    """
    arguments, answers = sys.argv, sys.stdin
    sys.argv = [str(file)]
    if answers is None or not answers.isatty():  # at a terminal a debugger may stand in that code
        sys.stdin = io.StringIO()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise kind(f"{file} {what}: {_told(error)} ({_line_of(error, file)}): mend it there") from error
    finally:
        sys.argv, sys.stdin = arguments, answers


def _import_from(folder: Path, name: str) -> ModuleType:
    file = folder / f"{name}.py"
    if not file.is_file():
        raise ProjectError(f"no {name}.py in {folder}: call alfred from the folder of your project")
    _put_first(folder)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ProjectError(f"{file} is no file that Python can import: check what it is")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with user_code(ProjectError, file, "does not import"):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _put_first(folder: Path) -> None:
    with contextlib.suppress(ValueError):
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))


def _apply_set_up(module: ModuleType, file: Path) -> None:
    set_up_alfred = getattr(module, "set_up_alfred", None)
    if set_up_alfred is not None:
        if not callable(set_up_alfred):
            raise ProjectError(f"{file}: set_up_alfred is no function: make it one")
        with user_code(ProjectError, file, "raised in set_up_alfred()"):
            set_up_alfred()
    for wrong in unusable_defaults():
        raise ProjectError(f"{file}: {wrong}")
    for unknown in unknown_defaults():
        say(f"notice: {file}: {unknown}")


def _keywords_for(main: Callable[..., Any]) -> list[str]:
    """Which of config, dir_tree, logger and pbar main() takes; ProjectError if that can't be called."""
    try:
        parameters = inspect.signature(main).parameters
    except (TypeError, ValueError):  # written in C: nothing is known, so all are handed over
        return list(_HANDED_TO_MAIN)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    by_keyword = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    place = _place_of(main)
    for name in ("config", "dir_tree", "logger"):
        if name not in by_keyword and not takes_any:
            raise ProjectError(
                f"{place}: main() does not take {name} as a keyword: "
                "define main(config, dir_tree, logger, pbar)"
            )
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        handed = name in _HANDED_TO_MAIN and name in by_keyword
        if not handed and parameter.default is parameter.empty:
            raise ProjectError(f"{place}: the parameter {name} of main() has no default: give it one")
    return [name for name in _HANDED_TO_MAIN if name in by_keyword or takes_any]


def _place_of(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return "main.py" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


@contextlib.contextmanager
def _quiet_argparse() -> Iterator[None]:
    """What argparse says before it leaves becomes its error, instead of lines of usage on the terminal."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as error:
        last = said.getvalue().strip().rpartition("\n")[2]
        if last:
            error.args = (last,)
        raise
    sys.stderr.write(said.getvalue())


def _told(error: BaseException) -> str:
    try:
        text = error.msg if isinstance(error, SyntaxError) else _one_line(str(error))
    except Exception:  # an error of the user's own whose text can't be made
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line_of(error: BaseException, file: Path) -> str:
    """`file:line` of the last line of the user's own code that the error came through."""
    name, line = str(file), 0
    if isinstance(error, SyntaxError) and error.filename:
        name, line = error.filename, error.lineno or 0
    else:
        for frame, frame_line in traceback.walk_tb(error.__traceback__):
            if _is_own(frame.f_code.co_filename, file.parent):
                name, line = frame.f_code.co_filename, frame_line
    shown = os.path.relpath(name, file.parent) if _is_own(name, file.parent) else name
    return f"{shown}:{line}" if line else shown


def _is_own(name: str, folder: Path) -> bool:
    if "site-packages" in name or name.startswith(str(Path(__file__).parent)):
        return False
    return any(name.startswith(f"{place}{os.sep}") for place in (folder, Path.cwd()))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _absolute(path: str | Path | None) -> Path:
    return Path.cwd() if path is None else Path.cwd() / path
