"""Trees to work on, and processes of their own that race or are killed at a chosen step."""

import os
import runpy
import shutil
import signal
import tempfile
import traceback
from pathlib import Path

import pytest

system_calls = runpy.run_path(str(Path(__file__).with_name("system_calls.py")))


def _start(work, *before):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for call in before:
            call()
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def in_memory(tmp_path):
    """A folder that is gone afterwards, in memory where the system has such a place: for tests that change
    thousands of files, none of which has to outlive a power loss."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="alfred-test-", dir=memory))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def child(tmp_path):
    """`child(work, kill_before=n)`: call it in a process of its own, killed before its `n`th change to the
    disk (a write counts twice: before it, and half done); its exit code, -9 when it was killed. What it does
    in `before` does not count."""

    def run(work, kill_before=0, before=lambda: None):
        killing = [lambda: system_calls["signal_at"](kill_before, tmp_path)] if kill_before else []
        return _exit_code(_start(work, before, *killing))

    return run


class _Stopped:
    """A child that stands still in the middle of its work."""

    def __init__(self, pid):
        self.pid = pid

    code = None

    def let_go(self, number=signal.SIGCONT):
        """Let it go on; its exit code in the end."""
        if self.code is None:
            os.kill(self.pid, number)
            self.code = _exit_code(self.pid)
        return self.code


@pytest.fixture
def stopping_child(tmp_path):
    """`stopping_child(work, n)`: one that stops before its `n`th change to the disk (as `child` counts), or
    before its first write into the file `before_write_into`; None when it came to its end instead."""
    stopped = []

    def run(work, number, before_write_into=None):
        def arm():
            system_calls["signal_at"](number, tmp_path, signal.SIGSTOP, before_write_into)

        pid = _start(work, arm)
        if not os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]):
            return None
        stopped.append(_Stopped(pid))
        return stopped[-1]

    yield run
    for child in stopped:
        child.let_go(signal.SIGKILL)


@pytest.fixture
def together():
    """`together([work, ...])`: call all at the same instant, each in a process of its own; none may fail."""

    def run(works):
        ready, go = os.pipe(), os.pipe()

        def wait():
            os.close(go[1])
            os.write(ready[1], b".")
            os.read(go[0], 1)

        pids = [_start(work, wait) for work in works]
        for _ in pids:
            os.read(ready[0], 1)
        for handle in (go[1], go[0], *ready):
            os.close(handle)
        assert [_exit_code(pid) for pid in pids] == [0] * len(pids)

    return run


@pytest.fixture
def lay(tmp_path):
    """`lay(n)`: a storage directory of n experiments with one waiting seed each; the seed directories."""

    def build(how_many, name="Ab1_any_thing_grid_x"):
        seed_dirs = [tmp_path / name / f"experiment{n}" / "seed1" for n in range(1, how_many + 1)]
        for seed_dir in seed_dirs:
            seed_dir.mkdir(parents=True)
            (seed_dir / "config.json").write_text("{}\n")
            (seed_dir / "config_unique.json").write_text("{}\n")
            (seed_dir / "UNHATCHED").touch()
        return seed_dirs

    return build


@pytest.fixture
def names():
    """`names(folder)`: what is in a folder but alfred's own."""
    return lambda folder: sorted(name for name in os.listdir(folder) if name != ".alfred")
