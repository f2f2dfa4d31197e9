"""What the type of a file system and its mount options mean for alfred."""

from __future__ import annotations

from alfred.storage.diagnosis import Finding, Level
from alfred.storage.mounts import Mount

_CHECK = "file system"
_PROMISED = "local disks and NFS are what alfred's promises are made for"
_LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "apfs", "hfs"}
_MEMORY = {"tmpfs", "ramfs"}
_PARALLEL = {"lustre", "gpfs", "beegfs", "ceph", "fuse.ceph", "fuse.ceph-fuse", "fuse.glusterfs", "pvfs2"}
_SMB = {"cifs", "smb3", "smbfs", "smb2"}
_OBJECT_STORES = ("s3", "gcs", "goofys", "rclone", "blob", "oss", "cos", "juicefs", "wasb", "davfs")
_OLD_DISKS = {"vfat", "msdos", "exfat", "fuseblk", "ntfs", "ntfs3", "ntfs-3g"}
_LATEST_ATTRIBUTES = 60.0  # seconds for which an NFS client believes what it knows, unless told otherwise
_ONE_MACHINE = "keep --root_dir on a local disk or on NFS, or launch and clean from one machine only"


def judge_mount(mount: Mount) -> Finding:
    """What is known of a file system of this type, mounted with these options."""
    told = f"{mount.type or 'not told by this system'} at {mount.point}"
    numbers = {"type": mount.type, "source": mount.source, "options": list(mount.options)}
    level, meaning, remedy = _known_of(mount)
    if mount.type in ("nfs", "nfs4"):
        told += f", version {mount.option('vers') or '4'}"
    return Finding(_CHECK, level, told, meaning, remedy, numbers=numbers)


def judge_second(first: Mount, second: Mount, *, shared: bool) -> Finding | None:
    """Whether two mounts of one machine see what two machines would; None when nothing speaks against it.

    `shared`: they are on one device. Measured: the two share all caches then. Mounts by one minor version of
    NFS 4 are one client to the server: it lets that keep a file that was opened through the one (a
    delegation), and doesn't call it back when the other removes or changes it.
    """
    kinds = {first.type, second.type}
    if not kinds <= {"nfs", "nfs4"}:
        return None
    remedy = "mount one by another minor version, vers=4.1 beside 4.2; with version 3 by nosharecache"
    if shared:
        meaning = "both share what this machine remembers: another machine sees changes later"
        return Finding("second mount", Level.NOTE, "the same device", meaning, remedy)
    if kinds == {"nfs4"} and first.option("vers") == second.option("vers"):
        meaning = "to the server both are one client: another machine may see changes sooner, by open"
        return Finding("second mount", Level.NOTE, "the same version of NFS", meaning, remedy)
    return None


def _known_of(mount: Mount) -> tuple[Level, str, str]:
    kind = mount.type
    if not kind:
        return Level.NOTE, "not known which file system it is; what is measured below counts", ""
    if kind in ("nfs", "nfs4"):
        return _known_of_nfs(mount)
    if kind in _LOCAL:
        return Level.OK, _PROMISED, ""
    if kind in _MEMORY:
        return Level.NOTE, "it lives in memory: all is gone when the machine is started anew", ""
    if kind == "overlay":
        meaning = "a container's own layer: all is gone with the container"
        return Level.NOTE, meaning, "mount a folder of the host for --root_dir"
    if kind in _SMB:
        return Level.PROBLEM, "SMB is not promised: renames and caches differ by server", _ONE_MACHINE
    if kind == "fuse.sshfs":
        return Level.PROBLEM, "sshfs is not promised: its renames are not exclusive", _ONE_MACHINE
    if any(name in kind.removeprefix("fuse.") for name in _OBJECT_STORES) and kind.startswith("fuse"):
        meaning = "object stores are not supported: a rename there is a copy, and two can both win"
        return Level.PROBLEM, meaning, _ONE_MACHINE
    if kind in _PARALLEL:
        meaning = "it keeps the rules alfred needs on paper; alfred's own tests don't run on it"
        return Level.NOTE, meaning, "run `alfred doctor --full DIR` on two machines before a big search"
    if kind in _OLD_DISKS:
        meaning = "made for exchange: coarse time stamps, names without case, less safe at a power cut"
        return Level.NOTE, meaning, "use it for copies of results rather than for runs"
    return Level.NOTE, "alfred's own tests don't run on this type; what is measured below counts", ""


def _known_of_nfs(mount: Mount) -> tuple[Level, str, str]:
    """NFS keeps what alfred needs, unless a client is told to believe its cache for too long."""
    if mount.option("nocto") is not None:
        meaning = "nocto: an opened file may be an old one, so beats of living launchers are seen late"
        return Level.PROBLEM, meaning, "mount it without nocto"
    longest = max(_seconds(mount, name) for name in ("acregmax", "actimeo"))
    if longest > _LATEST_ATTRIBUTES:
        meaning = f"a client believes what it knows for {longest:g} s, too long to see beats by name"
        return Level.NOTE, meaning, "mount it with actimeo=30 or less"
    if mount.option("soft") is not None:
        meaning = "soft: a server that is slow for a while gives errors, and runs crash by them"
        return Level.NOTE, meaning, "mount it hard"
    if mount.option("nolock") is not None or mount.option("local_lock") in ("all", "posix"):
        meaning = (
            "no locks: claims are renames and need none, but names that two machines add to one list file "
        )
        meaning += "at the same instant can be lost"
        return Level.NOTE, meaning, "mount it without nolock, or prepare from one machine at a time"
    meaning = "claims are renames, so no run needs a lock"
    if mount.option("noac") is not None or _seconds(mount, "actimeo") == 0:
        return Level.OK, f"noac: others see everything at once, and each look asks the server; {meaning}", ""
    return Level.OK, meaning, ""


def _seconds(mount: Mount, option: str) -> float:
    try:
        return float(mount.option(option) or "")
    except ValueError:
        return -1.0
