"""How a loop waits: until it can read, until a time has come, or until a signal wakes it up."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import TypeAlias

from alfred.launchers.base import heeded_signals

Wait: TypeAlias = Callable[[Collection[int], float], None]


@contextlib.contextmanager
def woken_by_signals(came: list[int]) -> Iterator[Wait]:
    """Inside the block signals that a launcher heeds interrupt nothing: their numbers are added to `came`.

    `wait(handles, seconds)` returns when one of the handles can be read, a signal came, a child has ended or
    so many seconds have passed.
    """
    woken, wakes = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wakes, False)

    def note(number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            came.append(number)

    before = {number: signal.signal(number, note) for number in (*heeded_signals(), signal.SIGCHLD)}
    wakeup = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            yield partial(_wait, selector)
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(woken)
        os.close(wakes)


def _wait(selector: selectors.BaseSelector, handles: Collection[int], seconds: float) -> None:
    for handle in handles:
        selector.register(handle, selectors.EVENT_READ)
    try:
        for key, _ in selector.select(seconds):
            if key.fd not in handles:  # the pipe that signals write to
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
    finally:
        for handle in handles:
            selector.unregister(handle)
