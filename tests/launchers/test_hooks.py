"""What is said of plots and summaries that did not come to their end."""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alfred.launchers.hooks import HookCaller
from alfred.storage import processes
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process

calls = runpy.run_path(str(Path(__file__).parents[1] / "storage" / "system_calls.py"))["calls"]
# Its hook says which process it is and whether that has a session of its own, and goes on for long.
LAUNCHER = """
import os, sys, time
from pathlib import Path
from alfred.launchers.hooks import HookCaller
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process
def hook(storage_dir):
    print(os.getpid(), os.getsid(0), flush=True)
    time.sleep(600)
caller = HookCaller({"summary": hook}, Leases(this_process()), print)
caller.call_where_ended([Path(sys.argv[1])])
caller.wait()
"""


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


def test_a_run_that_is_put_back_at_the_last_moment_keeps_the_summary_waiting(ended):
    (seed_dir,) = ended.glob("experiment*/seed*")

    def put_back(call):
        if call.name == "rename" and call.path.endswith("WAITING"):
            os.rename(seed_dir / "COMPLETED", seed_dir / "UNHATCHED")
        return call.do()

    with calls(ended / ".alfred", put_back):
        assert call(ended, lambda _: ["made"], cancel=False) == (0, [])
    assert os.listdir(ended / ".alfred" / "summary") == ["WAITING"]


def test_a_summary_ends_with_its_launcher_and_has_a_session_of_its_own(ended, look):
    """So a terminal's Ctrl-C reaches the launcher alone."""
    with subprocess.Popen([sys.executable, "-c", LAUNCHER, ended], stdout=subprocess.PIPE) as launcher:
        hook, session = map(int, launcher.stdout.readline().split())
        launcher.kill()
        launcher.wait()
        look.wait_for(lambda: processes.start_token(hook) is None)
    assert hook == session
