"""What happens inside the process of one run, from its first breath to its exit status."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import logging
import os
import random
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from alfred.errors import OvertakenError
from alfred.files import sync_tree
from alfred.launchers import raised
from alfred.launchers.base import STOP_SIGNALS
from alfred.launchers.tasks import RunTask
from alfred.launchers.wire import WireEnd, WireHandler
from alfred.project import call_main
from alfred.storage import batons, processes
from alfred.utils import misc, recorder
from alfred.utils.config import load_config_from_json
from alfred.utils.directory_tree import DirectoryTree
from alfred.utils.progress_bar import PlainProgressBar

Handlers = Mapping[int, Any]


def work(task: RunTask, main: Callable[..., Any], wire_handle: int, parent: int, handlers: Handlers) -> None:
    """Do one run and leave the process; never returns.

    `parent` is the process that made this one, `handlers` the signal handlers that the project installed
    when it was imported: those get their signals, the others raise KeyboardInterrupt.
    """
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if os.getsid(0) != os.getpid():
            os.setsid()
        processes.die_with_parent(parent)
        wire = WireEnd(wire_handle)
        stops = _listen(handlers)
        batons.note_process(task.seed_dir, task.owner, os.getpid(), processes.start_token(os.getpid()) or "")
        _stand_alone(task)
        code = _told(task, main, wire, stops)
    except OvertakenError:
        pass  # the supervisor finds out by itself, and nothing was done yet
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code)


def _told(task: RunTask, main: Callable[..., Any], wire: WireEnd, stops: list[int]) -> int:
    try:
        _call_main(task, main, wire)
        flush()
        sync_tree(task.seed_dir)
    except BaseException as error:  # SystemExit too: only a main() that returns has done its work
        flush()
        wire.raised(raised.describe(error, Path(task.project), stops[-1] if stops else None))
        return 1
    wire.done()
    return 0


def _call_main(task: RunTask, main: Callable[..., Any], wire: WireEnd) -> None:
    seed_dir = Path(task.seed_dir)
    dir_tree = DirectoryTree.init_from_seed_path(seed_dir, task.root)
    dir_tree.attempt = task.attempt
    dir_tree.recorders_dir.mkdir(exist_ok=True)
    name = short_name(seed_dir)
    logger = misc.create_logger(name, task.log_level, seed_dir / "logger.out", streamHandle=False)
    terminal = WireHandler(wire)
    terminal.setFormatter(logger.handlers[0].formatter)
    logger.addHandler(terminal)
    pbar = PlainProgressBar(desc=name, report=wire.bar) if task.use_pbar else None
    config = load_config_from_json(seed_dir / "config.json")
    recorder.may_publish = lambda: batons.is_mine(task.seed_dir, task.owner)
    call_main(main, config=config, dir_tree=dir_tree, logger=logger, pbar=pbar)
    recorder.fold_files()


def short_name(seed_dir: Path) -> str:
    """`<id>/experiment<N>/seed<S>`: how a run is called where its lines stand beside those of others."""
    experiment_dir = seed_dir.parent
    return f"{experiment_dir.parent.name.partition('_')[0]}/{experiment_dir.name}/{seed_dir.name}"


def _stand_alone(task: RunTask) -> None:
    """Take nothing along from the process that this one was forked from."""
    os.environ.update(task.environment)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    output = os.open(
        f"{task.seed_dir}/output.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666
    )
    for source, target in ((nowhere, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nowhere)
    os.close(output)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    faults = os.open(f"{task.seed_dir}/.alfred/faults.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    faulthandler.enable(faults)
    random.seed()  # else all runs forked from one process would draw the same numbers
    if "numpy.random" in sys.modules:  # else it will seed itself when it is imported
        sys.modules["numpy.random"].seed()


def _listen(handlers: Handlers) -> list[int]:
    """Let the signals that end a launch raise KeyboardInterrupt; the list holds those that came."""
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

    for number in STOP_SIGNALS:
        signal.signal(number, handlers.get(number, stop))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    return came


def forget_exit_functions() -> None:
    """In a forked process: what the project's import has registered for the end is the parent's to do.

    A temporary folder made there, say, must outlive the first run. What this process registers itself is
    done when it leaves, and so is what its copies of `multiprocessing` and `logging` need.
    """
    atexit._clear()
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    atexit.register(logging.shutdown)
    if "multiprocessing.util" in sys.modules:
        atexit.register(sys.modules["multiprocessing.util"]._exit_function)


def project_handlers() -> dict[int, Any]:
    """The handlers that importing the project has installed for the signals that end a launch."""
    usual = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, None)
    return {number: kept for number in STOP_SIGNALS if (kept := signal.getsignal(number)) not in usual}


def flush() -> None:
    """Write out what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _leave(code: int) -> None:
    """End as an interpreter does, but without going back into the code that forked this process."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
        atexit._run_exitfuncs()
        flush()
    finally:
        os._exit(code)
