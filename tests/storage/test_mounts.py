"""Which file system a folder is on, told from the table of mounts, and what that means."""

import os
from pathlib import Path

import pytest

from alfred.storage.diagnosis import Level
from alfred.storage.mount_checks import judge_mount, judge_second
from alfred.storage.mounts import Mount, mount_of, parse_mounts

TABLE = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:41 / /home rw shared:7 master:1 - nfs4 server:/export/home rw,vers=4.2,acregmax=60,hard
41 27 0:42 / /mnt/with\\040space\\134 rw - fuse.sshfs me@host:/data rw,user_id=0
no line of such a table
"""


def test_types_options_and_odd_names_are_read_from_the_table():
    root, home, odd = parse_mounts(TABLE)
    assert root == Mount("/", "ext4", "/dev/vda", ("rw", "relatime", "discard"))
    assert (home.type, home.source, home.point) == ("nfs4", "server:/export/home", "/home")
    assert [home.option(name) for name in ("vers", "hard", "soft")] == ["4.2", "", None]
    assert odd.point == "/mnt/with space\\"


def test_the_mount_nearest_above_a_folder_is_its_own(tmp_path):
    assert mount_of(Path("/proc/self/fd")).type == "proc"
    (tmp_path / "link").symlink_to("/proc")
    assert mount_of(tmp_path / "link").point == "/proc"
    point = mount_of(tmp_path).point
    assert os.path.ismount(point)
    assert tmp_path.resolve().is_relative_to(point)


def nfs(options, kind="nfs4"):
    return Mount("/data", kind, "server:/data", tuple(options.split(",")))


@pytest.mark.parametrize(
    ("mount", "level", "word"),
    [
        (Mount("/", "ext4"), Level.OK, "NFS"),
        (Mount("/", ""), Level.NOTE, "not known"),
        (nfs("rw,vers=4.2,local_lock=none"), Level.OK, "needs a lock"),
        (nfs("rw,vers=3,nolock,local_lock=all", "nfs"), Level.NOTE, "can be lost"),
        (nfs("rw,vers=3,local_lock=posix", "nfs"), Level.NOTE, "can be lost"),
        (nfs("rw,vers=3,local_lock=flock", "nfs"), Level.OK, "needs a lock"),
        (nfs("rw,noac"), Level.OK, "at once"),
        (nfs("rw,actimeo=0"), Level.OK, "at once"),
        (nfs("rw,nocto"), Level.PROBLEM, "nocto"),
        (nfs("rw,acregmax=600"), Level.NOTE, "600 s"),
        (nfs("rw,acregmax=odd"), Level.OK, "needs a lock"),
        (nfs("rw,soft"), Level.NOTE, "crash"),
        (Mount("/data", "cifs"), Level.PROBLEM, "SMB"),
        (Mount("/data", "fuse.sshfs"), Level.PROBLEM, "sshfs"),
        (Mount("/data", "fuse.s3fs"), Level.PROBLEM, "object store"),
        (Mount("/data", "fuse.gcsfuse"), Level.PROBLEM, "object store"),
        (Mount("/data", "lustre"), Level.NOTE, "tests"),
        (Mount("/tmp", "tmpfs"), Level.NOTE, "memory"),
        (Mount("/", "overlay"), Level.NOTE, "container"),
        (Mount("/media/stick", "exfat"), Level.NOTE, "coarse"),
        (Mount("/data", "whatever"), Level.NOTE, "measured"),
    ],
)
def test_what_a_type_and_its_options_mean_is_told(mount, level, word):
    found = judge_mount(mount)
    assert found.level is level
    assert word in found.meaning
    assert (found.level is Level.PROBLEM) <= bool(found.remedy)


def test_the_version_of_nfs_is_told():
    assert judge_mount(nfs("rw,vers=4.2")).measured == "nfs4 at /data, version 4.2"


def test_two_mounts_that_do_not_see_what_two_machines_would_are_a_note():
    new, old, three = nfs("vers=4.2"), nfs("vers=4.1"), nfs("vers=3", "nfs")
    assert judge_second(new, old, shared=False) is None
    assert judge_second(three, three, shared=False) is None
    assert "sooner" in judge_second(new, new, shared=False).meaning
    assert "later" in judge_second(new, new, shared=True).meaning
    assert "later" in judge_second(three, three, shared=True).meaning
    assert judge_second(Mount("/", "ext4"), Mount("/", "ext4"), shared=True) is None
