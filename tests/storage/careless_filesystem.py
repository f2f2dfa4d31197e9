"""A small file system in memory, mounted twice as two machines would: `... KIND MOUNT1 MOUNT2 COMMAND...`.

It speaks the kernel's FUSE protocol itself and runs the command while both are mounted; needs root and a
mount namespace of its own. The kinds:

    sound      keeps every promise
    copying    renames by copying, as object stores do: the old name goes later, nothing is in the way
    forgetful  what one machine makes the other sees a moment later, and making it again is fine
    late       each machine believes for a minute what it was told
    fixed      time stamps can't be set
"""

import ctypes
import errno
import itertools
import os
import stat
import struct
import subprocess
import sys
import threading
import time

MOMENT = 0.05
HEADER, ANSWER, ATTRIBUTES = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ"), struct.Struct("<6Q10I")
SETATTR = struct.Struct("<IIQQQQQQIIIIIIII")
NO_ANSWER = (2, 36, 42)  # forget, interrupt, forget many
MTIME, SIZE = 1 << 5, 1 << 3


class Node:
    numbers = itertools.count(1)

    def __init__(self, mode, made_by=None):
        self.number = next(Node.numbers)
        self.mode = mode
        self.data = bytearray()
        self.children = {} if stat.S_ISDIR(mode) else None
        self.ghosts = {}  # names that were renamed away -> (node, until when they are seen)
        self.stamp = time.time_ns()
        self.made_by, self.born = made_by, time.monotonic()
        self.gone = False


class FileSystem:
    def __init__(self, kind):
        self.kind = kind
        self.root = Node(stat.S_IFDIR | 0o777)
        self.nodes = {1: self.root}
        self.lock = threading.Lock()

    def seen(self, folder, name, client):
        """What a client sees under a name."""
        node = folder.children.get(name)
        if node is None and name in folder.ghosts:
            ghost, until = folder.ghosts[name]
            return ghost if time.monotonic() < until else None
        fresh = node is not None and time.monotonic() - node.born < MOMENT
        hidden = self.kind == "forgetful" and fresh and node.made_by != client
        return None if hidden else node

    def make(self, folder, name, mode, client):
        if folder.children.get(name) is not None and self.kind != "forgetful":
            raise OSError(errno.EEXIST, "")
        node = folder.children[name] = Node(mode, client)
        self.nodes[node.number] = node
        folder.stamp = time.time_ns()
        return node

    def rename(self, folder, name, into, new_name, client):
        node = self.seen(folder, name, client)
        if node is None:
            raise OSError(errno.ENOENT, "")
        there = into.children.get(new_name)
        if there is not None and there.children and self.kind != "copying":
            raise OSError(errno.ENOTEMPTY, "")
        folder.children.pop(name, None)
        if self.kind == "copying":
            folder.ghosts[name] = (node, time.monotonic() + MOMENT)
        into.children[new_name] = node

    def remove(self, folder, name, client):
        node = self.seen(folder, name, client)
        if node is None:
            raise OSError(errno.ENOENT, "")
        if node.children:
            raise OSError(errno.ENOTEMPTY, "")
        folder.children.pop(name, None)
        folder.ghosts.pop(name, None)
        node.gone = True


class Mount:
    """One client: answers what its kernel asks."""

    def __init__(self, files, client, point):
        self.files, self.client = files, client
        self.handle = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.handle},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"careless", os.fsencode(point), b"fuse", 0, options):
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                request = os.read(self.handle, 1 << 18)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                continue
            _, code, unique, number, *_ = HEADER.unpack_from(request)
            if code in NO_ANSWER:
                continue
            failure, body = 0, b""
            with self.files.lock:
                try:
                    body = self.answer(code, self.files.nodes.get(number), request[HEADER.size :])
                except OSError as error:
                    failure = -error.errno
            os.write(self.handle, ANSWER.pack(ANSWER.size + len(body), failure, unique) + body)

    def answer(self, code, node, body):
        name = body.split(b"\0")[0]
        match code:
            case 26:  # init
                return struct.pack("<IIIIHHIIHH32x", 7, 31, 1 << 17, 0, 12, 9, 1 << 16, 1, 0, 0)
            case 1:  # lookup
                return self.entry(self.files.seen(node, name, self.client))
            case 3:  # getattr
                return self.attributes_out(node)
            case 4:  # setattr
                return self.set_attributes(node, SETATTR.unpack_from(body))
            case 5:  # readlink
                return bytes(node.data)
            case 6:  # symlink
                made = self.files.make(node, name, stat.S_IFLNK | 0o777, self.client)
                made.data += body.split(b"\0")[1]
                return self.entry(made)
            case 9:  # mkdir
                mode = struct.unpack_from("<I", body)[0] | stat.S_IFDIR
                return self.entry(self.files.make(node, body[8:-1], mode, self.client))
            case 35:  # create
                mode = struct.unpack_from("<II", body)[1]
                made = self.files.make(node, body[16:].split(b"\0")[0], mode, self.client)
                return self.entry(made) + bytes(16)
            case 10 | 11:  # unlink, rmdir
                self.files.remove(node, name, self.client)
                return b""
            case 12 | 45:  # rename
                into = self.files.nodes[struct.unpack_from("<Q", body)[0]]
                old, new = body[8 if code == 12 else 16 :].split(b"\0")[:2]
                self.files.rename(node, old, into, new, self.client)
                return b""
            case 14 | 27:  # open, opendir
                if node.gone:
                    raise OSError(errno.ESTALE, "")
                return bytes(16)
            case 15:  # read
                offset, size = struct.unpack_from("<8xQI", body)
                return bytes(node.data[offset : offset + size])
            case 16:  # write
                offset, size = struct.unpack_from("<8xQI", body)
                node.data[offset : offset + size] = body[40 : 40 + size]
                return struct.pack("<II", size, 0)
            case 17:  # statfs
                return struct.pack(
                    "<5Q4I24x", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0
                )
            case 28:  # readdir
                return self.listing(node, *struct.unpack_from("<8xQI", body))
            case (
                18 | 20 | 25 | 29 | 30 | 34 | 38
            ):  # release, fsync, flush, releasedir, fsyncdir, access, destroy
                return b""
        raise OSError(errno.ENOSYS, "")

    @property
    def believed(self):
        """For how many seconds the kernel may answer from memory."""
        return 60 if self.files.kind == "late" else 0

    def entry(self, node):
        if node is None and not self.believed:
            raise OSError(errno.ENOENT, "")
        number, attributes = (node.number, self.attributes(node)) if node else (0, bytes(ATTRIBUTES.size))
        return struct.pack("<4QII", number, 0, self.believed, self.believed, 0, 0) + attributes

    def attributes_out(self, node):
        return struct.pack("<QII", self.believed, 0, 0) + self.attributes(node)

    def attributes(self, node):
        seconds, rest = divmod(node.stamp, 10**9)
        size = len(node.data)
        return ATTRIBUTES.pack(
            node.number, size, -(-size // 512), *[seconds] * 3, *[rest] * 3, node.mode, 1, 0, 0, 0, 4096, 0
        )  # fmt: skip

    def set_attributes(self, node, given):
        valid, size, seconds, rest = given[0], given[3], given[6], given[9]
        if valid & MTIME and self.files.kind != "fixed":
            node.stamp = seconds * 10**9 + rest
        if valid & SIZE:
            node.data = node.data[:size].ljust(size, b"\0")
        return self.attributes_out(node)

    def listing(self, node, offset, size):
        out = b""
        names = [
            (name, child)
            for name in list(node.children)
            if (child := self.files.seen(node, name, self.client))
        ]
        for at, (name, child) in enumerate(names[offset:], start=offset + 1):
            one = struct.pack("<QQII", child.number, at, len(name), child.mode >> 12) + name
            one += bytes(-len(one) % 8)
            if len(out) + len(one) > size:
                break
            out += one
        return out


def main():
    kind, first, second, *command = sys.argv[1:]
    files = FileSystem(kind)
    for client, point in enumerate((first, second)):
        Mount(files, client, point)
    status = subprocess.run(command, check=False).returncode
    left = sorted(os.fsdecode(name) for name in files.root.children)
    for point in (first, second):
        subprocess.run(["umount", "-l", point], check=True)
    if left:
        print(f"left behind: {left}", file=sys.stderr)
    os._exit(status)


if __name__ == "__main__":
    main()
