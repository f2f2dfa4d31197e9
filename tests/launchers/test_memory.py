"""Out of memory is said only when somebody who knows says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from alfred.launchers.memory import Memory, of_machine

NOW = time.monotonic()
LOG = (
    "6,1,{us},-;oom-kill:constraint=CONSTRAINT_MEMCG,task=python3,pid=5986,uid=0\n"
    "3,2,{us},-;Memory cgroup out of memory: Killed process 5986 (python3) total-vm:114228kB, UID:0\n"
    " SUBSYSTEM=x\n"
)


@pytest.fixture(params=["version 1", "version 2"])
def group(request, tmp_path):
    """A tree in the shape of the kernel's: `.kill(n)`, `.limit(text)` and `.memory(log=...)`."""
    return Group(tmp_path, request.param == "version 1")


class Group:
    def __init__(self, folder, version_1):
        top = folder / "memory" if version_1 else folder
        self.mine = folder / "cgroup"
        self.mine.write_text("9:cpu:/\n4:memory:/job/step\n0::/\n" if version_1 else "0::/job/step\n")
        self.folder = top / "job/step"
        self.folder.mkdir(parents=True)
        self._files = (
            ("memory.oom_control", "memory.limit_in_bytes", "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n")
            if version_1
            else ("memory.events", "memory.max", "low 0\nmax 7\noom 3\noom_kill {}\noom_group_kill 0\n")
        )
        self.root = folder
        self.kill(0)

    def kill(self, times):
        (self.folder / self._files[0]).write_text(self._files[2].format(times))

    def limit(self, text, folder=None):
        ((folder or self.folder) / self._files[1]).write_text(text + "\n")

    def memory(self, log="/nowhere"):
        return Memory(str(self.root), str(self.mine), str(log))


def test_a_kill_that_the_kernel_counted_meanwhile_is_evidence_and_none_is_none(group):
    group.kill(2)
    memory = group.memory()
    before = memory.kills()
    assert before == 2
    assert memory.evidence(5986, before, NOW) == ""
    group.kill(3)
    assert "control group" in memory.evidence(5986, before, NOW)


def test_of_several_killed_runs_each_needs_a_kill_of_its_own(group):
    memory = group.memory()
    group.kill(1)
    assert memory.evidence(1, 0, NOW) != ""
    assert memory.evidence(2, 0, NOW) == "", "that kill was the first one's"
    group.kill(3)
    assert memory.evidence(3, 1, NOW) != ""
    assert memory.evidence(4, 1, NOW) != ""
    assert memory.evidence(5, 1, NOW) == ""


def test_the_least_limit_of_the_groups_above_counts(group):
    memory = group.memory()
    assert memory.limit() is None
    group.limit("max")
    assert memory.limit() is None
    group.limit("9223372036854771712")  # how version 1 says that there is none
    assert memory.limit() is None
    group.limit("2000000")
    group.limit("1000000", group.folder.parent)
    assert memory.limit() == 1_000_000


def test_without_control_groups_and_without_a_log_nothing_is_known(tmp_path):
    for mine in ("0::/\n", "1:name=systemd:/\n", "nonsense\n", ""):
        (tmp_path / "cgroup").write_text(mine)
        memory = Memory(str(tmp_path / "none"), str(tmp_path / "cgroup"), str(tmp_path / "none"))
        assert (memory.kills(), memory.limit(), memory.evidence(1, 0, NOW)) == (0, None, "")
    assert Memory(mine="/nowhere", log="/nowhere").kills() == 0


def test_in_a_container_the_topmost_folder_is_the_own_one(group):
    for file in group.folder.iterdir():
        file.rename(group.folder.parents[1] / file.name)
    group.folder.rmdir()
    group.folder = group.folder.parents[1]
    memory = group.memory()
    group.kill(4)
    assert memory.kills() == 4


@pytest.mark.parametrize(
    ("pid", "since", "named"), [(5986, 1000.0, True), (598, 1000.0, False), (5986, 2000.0, False)]
)
def test_the_kernels_log_is_believed_about_that_process_at_that_time(tmp_path, pid, since, named):
    """A number is used again: a line from before the run was about another process."""
    log = tmp_path / "kmsg"
    log.write_text(LOG.format(us=1_001_000_000))
    memory = Memory(str(tmp_path), "/nowhere", str(log))
    found = memory.evidence(pid, 0, since)
    assert bool(found) == named
    if named:
        assert found == (
            "the kernel's log says: Memory cgroup out of memory: Killed process 5986 (python3) "
            "total-vm:114228kB, UID:0"
        )


def test_in_a_container_the_kernels_log_speaks_of_other_processes_by_the_same_numbers(tmp_path, monkeypatch):
    (tmp_path / "kmsg").write_text(LOG.format(us=1_001_000_000))
    memory = Memory(str(tmp_path), "/nowhere", str(tmp_path / "kmsg"))
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026532222]")
    assert memory.evidence(5986, 0, 1000.0) == ""


def test_how_much_memory_the_machine_has_is_known():
    told = Path("/proc/meminfo").read_text().split()[1]
    assert of_machine() == int(told) * 1024


def make_group():
    """A real control group with a limit of 64 MiB; None where none can be made."""
    for top, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        folder = Path(top, f"alfred-test-{uuid.uuid4().hex[:8]}")
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(64 << 20))
            return folder
        except OSError:
            folder.rmdir()
    return None


PROGRAM = """
import os, sys, time
from alfred.launchers.memory import Memory
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write("0")
memory = Memory(log=sys.argv[2])
before, since = memory.kills(), time.monotonic()
for end in ("x = [bytearray(b'1') * 10_000_000 for _ in range(50)]", "import os; os.kill(os.getpid(), 9)"):
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", end])
    status = os.waitpid(pid, 0)[1]
    print(os.waitstatus_to_exitcode(status), memory.evidence(pid, before, since) or "nobody", memory.limit())
"""


@pytest.mark.server
@pytest.mark.may_skip(reason="control groups can be made by root alone, and not in every container")
def test_the_real_kernel_is_heard_and_a_kill_by_hand_is_told_from_its_own():
    if (folder := make_group()) is None:
        pytest.skip("no control group can be made here")
    root = str(Path(__file__).resolve().parents[2])
    try:
        told = [
            subprocess.run(
                [sys.executable, "-c", PROGRAM, str(folder), log],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONPATH": root},
            ).stdout.splitlines()
            for log in ("/dev/kmsg", "/nowhere")
        ]
    finally:
        end = time.monotonic() + 20
        while (folder / "cgroup.procs").read_text() and time.monotonic() < end:
            time.sleep(0.01)
        folder.rmdir()
    (from_log, by_hand), (from_group, again_by_hand) = told
    assert from_log.startswith("-9 the kernel")
    assert from_group == f"-9 the kernel killed for want of memory in its control group {64 << 20}"
    assert by_hand == again_by_hand == f"-9 nobody {64 << 20}"
