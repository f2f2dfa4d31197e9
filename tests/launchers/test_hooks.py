"""What is said of plots and summaries that did not come to their end."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from alfred.launchers.hooks import HookCaller
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process


@pytest.fixture
def ended(client):
    """A storage directory in which the only run has completed, and nothing is drawn yet."""
    one = client()
    storage_dir = one.lay("pass", drawn=False)
    (seed_dir,) = storage_dir.glob("experiment*/seed*")
    (seed_dir / "UNHATCHED").rename(seed_dir / "COMPLETED")
    return storage_dir


def call(storage_dir, hook, *, cancel):
    """The number of failures, and what was said, of a hook that is called and cut off or waited for."""
    said = []
    with contextlib.closing(Leases(this_process())) as leases:
        caller = HookCaller({"summary": hook}, leases, lambda _, text: said.append(text))
        caller.call_where_ended([storage_dir])
        caller.cancel() if cancel else caller.wait()
    return caller.failed, said


def test_a_summary_that_ctrl_c_cut_off_has_not_failed_and_waits_for_the_next_launch(ended):
    failed, said = call(ended, lambda _: time.sleep(1000), cancel=True)
    assert (failed, said) == (0, [f"{ended.name}: summary cut off: the next launch makes what is missing"])
    assert call(ended, lambda _: ["made"], cancel=False) == (0, ["made"])


def test_a_summary_whose_process_was_killed_by_another_has_failed(ended):
    failed, said = call(ended, lambda _: os.kill(os.getpid(), signal.SIGKILL), cancel=False)
    assert (failed, said) == (1, [f"{ended.name}: summary failed: its process ended with status -9"])
