"""Durable files: what is written is there whole, or not at all."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys

import pytest

from alfred import files

WRITER = """
import itertools, sys
from pathlib import Path
from alfred import files
print("ready", flush=True)
for letter in itertools.cycle("ab"):
    files.write_text(sys.argv[1], letter * 300_000)
"""

CROWD = """
import sys
from alfred import files
sys.stdin.readline()
for number in range(200):
    files.append_lines(sys.argv[1], [f"{sys.argv[2]} {number} " + "x" * 300])
"""


NFS_CLIENT = """
import os
real_open, real_write, real_fstat, ends = os.open, os.write, os.fstat, {}
def open_(path, flags, *mode):
    handle = real_open(path, flags & ~os.O_APPEND, *mode)
    if flags & os.O_APPEND:
        ends[handle] = real_fstat(handle).st_size
    return handle
def fstat(handle):
    found = real_fstat(handle)
    if handle in ends:
        ends[handle] = found.st_size
    return found
os.open, os.fstat = open_, fstat
def write(handle, data):
    return os.pwrite(handle, data, ends[handle]) if handle in ends else real_write(handle, data)
os.write = write
"""


def test_a_file_holds_the_old_or_the_new_content_whenever_its_writer_is_killed(tmp_path):
    path = tmp_path / "file"
    whole = {"old", "a" * 300_000, "b" * 300_000}
    for kill_after in range(25):
        path.write_text("old")
        command = [sys.executable, "-c", WRITER, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            while not (content := path.read_text()).startswith("ab"[kill_after % 2]):
                assert content in whole, len(content)
            for _ in range(kill_after * 20):
                path.stat()
            writer.kill()
        content = path.read_text()
        assert content in whole, len(content)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    script = f"import sys; from alfred import files; files.write_bytes({str(path)!r}, b'x' * 50_000)"

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run(
        [sys.executable, "-B", "-c", script], preexec_fn=limit, capture_output=True, text=True
    )
    assert "File too large" in done.stderr
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_created_takes_no_name_that_is_taken_even_by_a_link_to_nowhere(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").write_text("old")
    for name in ("link", "file"):
        with pytest.raises(FileExistsError):
            files.create(tmp_path / name, b"new")
    assert (tmp_path / "file").read_text() == "old"
    assert not (tmp_path / "nowhere").exists()


def test_a_new_file_gets_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_link_is_replaced_and_its_target_stays(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    files.write_text(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "old"
    assert (tmp_path / "link").read_text() == "new"


def test_lines_are_added_after_a_last_line_without_its_end(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"first\r\nsecond")
    files.append_lines(path, ["third", "fourth"])
    files.append_lines(path, [])
    assert path.read_bytes() == b"first\r\nsecond\nthird\nfourth\n"


def let_go(crowd):
    """All at once, and wait for their ends."""
    for process in crowd:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [process.wait() for process in crowd] == [0] * len(crowd)
    for process in crowd:
        process.stdin.close()


def test_lines_that_many_processes_add_stay_whole(tmp_path):
    path = tmp_path / "list.txt"
    command = [sys.executable, "-c", CROWD, path]
    crowd = [subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE) for n in range(4)]
    let_go(crowd)
    lines = path.read_text().splitlines()
    expected = {f"{n} {number} " + "x" * 300 for n in range(4) for number in range(200)}
    assert len(lines) == 800
    assert set(lines) == expected


def test_lines_that_many_clients_of_nfs_add_are_not_lost(tmp_path):
    """As on NFS, where each client writes at what it believes to be the end: here, since it last looked."""
    path = tmp_path / "list.txt"
    crowd = [
        subprocess.Popen([sys.executable, "-c", NFS_CLIENT + CROWD, path, str(n)], stdin=subprocess.PIPE)
        for n in range(4)
    ]
    let_go(crowd)
    assert sorted(path.read_text().splitlines()) == sorted(
        f"{n} {number} " + "x" * 300 for n in range(4) for number in range(200)
    )


def test_lines_that_a_full_disk_cut_short_are_taken_back(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("first\n")
    script = f"from alfred import files; files.append_lines({str(path)!r}, ['y' * 900] * 20)"

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = subprocess.run([sys.executable, "-B", "-c", script], preexec_fn=limit, capture_output=True)
    assert b"File too large" in done.stderr
    assert path.read_text() == "first\n"


def test_a_line_that_a_kill_cut_short_is_completed(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("first\nJu2_alg_ta")
    files.append_lines(path, ["Ju2_alg_task", "Ju3_alg_task"])
    assert path.read_text() == "first\nJu2_alg_task\nJu3_alg_task\n"


def test_a_list_is_appended_to_where_the_file_system_knows_no_locks(tmp_path, monkeypatch):
    def no_locks(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    files.append_lines(tmp_path / "list.txt", ["one"])
    assert (tmp_path / "list.txt").read_text() == "one\n"


def test_a_small_file_is_read_where_little_memory_may_be_had(tmp_path):
    (tmp_path / "small").write_text("{}")
    program = "import resource, sys; from alfred import files; "
    program += "resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20)); "
    program += "sys.exit(files.read_whole(sys.argv[1]) != b'{}')"
    subprocess.run([sys.executable, "-c", program, tmp_path / "small"], check=True)


def test_a_file_that_another_machine_replaces_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("new")
    real, calls = os.fstat, []

    def stale_at_first(handle):
        calls.append(handle)
        if len(calls) == 1:
            raise OSError(errno.ESTALE, "stale")
        return real(handle)

    monkeypatch.setattr(os, "fstat", stale_at_first)
    assert files.read_whole(tmp_path / "file") == b"new"
    assert len(calls) > 1


def test_errors_that_pass_are_tried_again_and_others_are_raised_at_once():
    calls = []

    def stale_twice():
        calls.append("stale")
        if len(calls) < 3:
            raise OSError(errno.ESTALE, "stale")
        return "answer"

    def denied():
        calls.append("denied")
        raise PermissionError(errno.EACCES, "denied")

    assert files.retry(stale_twice) == "answer"
    with pytest.raises(PermissionError):
        files.retry(denied)
    assert calls == ["stale"] * 3 + ["denied"]


def test_a_tree_is_removed_but_for_what_nfs_keeps_and_where_links_lead(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "deep" / "deeper").mkdir(parents=True)
    (tree / "deep" / "link").symlink_to(tmp_path / "outside")
    (tree / "deep" / "file").touch()
    (tree / ".nfs0001").touch()
    files.remove_tree(tree)
    files.remove_tree(tmp_path / "missing")
    assert [path.name for path in tree.iterdir()] == [".nfs0001"]
    assert (tmp_path / "outside" / "kept").exists()


def test_a_tree_with_pipes_and_links_in_circles_reaches_the_disk_without_hanging(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(".")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "file").write_text("x")
    files.sync_tree(tmp_path)
    files.flush_filesystem(tmp_path)
    assert (tmp_path / "file").read_text() == "x"
