"""What the kernel says of this process's share of its machine; the trees have the shape of the kernel's."""

import math

import pytest

from alfred.launchers import control_groups


@pytest.fixture(params=["version 1", "version 2"])
def allow(request, tmp_path):
    """`allow(folder, quota, period)` writes a limit; `allow.cores()` reads what that makes."""
    version_1 = request.param == "version 1"
    mine = tmp_path / "cgroup"
    mine.write_text("9:name=systemd:/\n5:cpu,cpuacct:/job/step\n0::/\n" if version_1 else "0::/job/step\n")
    top = tmp_path / "cpu" if version_1 else tmp_path
    (top / "job/step").mkdir(parents=True)

    def write(folder, quota, period=100_000):
        if version_1:
            (top / folder / "cpu.cfs_quota_us").write_text(f"{-1 if quota == 'max' else quota}\n")
            (top / folder / "cpu.cfs_period_us").write_text(f"{period}\n")
        else:
            (top / folder / "cpu.max").write_text(f"{quota} {period}\n")

    write.cores = lambda: control_groups.cores(str(tmp_path), str(mine))
    write.top = top
    return write


def test_the_least_of_the_limits_counts_and_part_of_a_core_is_one(allow):
    assert allow.cores() is None
    allow("job/step", "max")
    assert allow.cores() is None
    allow("job", 400_000)
    assert allow.cores() == 4
    allow("job/step", 150_000)
    assert allow.cores() == math.ceil(1.5)
    allow("job/step", 20_000, 50_000)
    assert allow.cores() == 1


def test_in_a_container_the_topmost_folder_is_the_own_one(allow):
    (allow.top / "job/step").rmdir()
    allow("", 300_000)
    assert allow.cores() == 3


@pytest.mark.parametrize("told", ["", "nonsense", "0 100000", "100000 0", "1 2 3", "-5 100000"])
def test_what_is_no_limit_is_not_taken_for_one(allow, told):
    allow("job/step", "max")
    for name in ("cpu.max", "cpu.cfs_quota_us"):
        (allow.top / "job/step" / name).write_text(told)
    assert allow.cores() is None


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert control_groups.cores(str(tmp_path), str(tmp_path / "none")) is None
