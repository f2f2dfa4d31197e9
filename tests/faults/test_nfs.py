"""Two machines on a real NFS, each with a kernel and caches of its own; docs/nfs.md has longer runs."""

from __future__ import annotations

import json
import random
import time

import guests
import nfs
import pytest
from client import ACTOR

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

LOOK = """
import os, sys
folder, beside = sys.argv[1:]
os.path.exists(f"{folder}/new")
os.mkdir(f"{beside}/ready")
while "go" not in os.listdir(beside):
    pass
print(os.path.exists(f"{folder}/new"), os.listdir(folder))
"""
ADD_NAMES = """
import os, sys
from alfred.files import append_lines
folder, who, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.mkdir(f"{folder}/{who}")
while len([name for name in os.listdir(folder) if name.startswith("client")]) < 2:
    pass
for count in range(number):
    append_lines(f"{folder}/list.txt", [f"{who} {count}"])
"""


@pytest.fixture(scope="module")
def lab():
    with guests.lab() as started:
        yield started


def test_the_doctor_says_of_two_mounts_what_two_machines_see(lab):
    """That names are seen late by stat and at once by listing, and that each race has one winner."""
    started = []
    for client, versions in zip(lab.clients, [("4.2", "4.1"), ("3", "3")], strict=True):
        folders = []
        for version, mount in zip(versions, ("one", "two"), strict=True):
            client.mount(lab.server, version, f"/mnt/{mount}", ",nosharecache")
            folders.append(f"/mnt/{mount}/doctor-{client.name}")
        client.run("mkdir", folders[0])
        words = ("-m", "alfred", "doctor", *folders, "--json")
        started.append((client, words, client.python(*words), versions))
    for client, words, doctor, versions in started:
        status, told = doctor.wait()
        for _ in range(5):
            if "s was over" not in told:
                break
            status, told = client.python(*words).wait()  # it says so where the machine is too busy for it
        assert status == 0, told
        found = {}
        for finding in json.loads(told[told.index("{") :])["findings"]:
            found.setdefault(finding["check"], []).append(finding["measured"])
        kind = "nfs" if versions == ("3", "3") else "nfs4"
        mounted = zip(("one", "two"), versions, strict=True)
        assert found["file system"] == [
            f"{kind} at /mnt/{name}, version {version}" for name, version in mounted
        ]
        assert "second mount" not in found
        for race in ("claim (rename)", "create (O_EXCL)", "reserve (mkdir)", "folder over folder"):
            assert "races, one winner each" in found[race][0]
        assert "by stat not within" in found["new file seen"][0]


def test_a_new_file_is_seen_by_listing_before_it_is_seen_by_name(lab):
    """So these are two machines, and the doctor's two mounts are like them."""
    one, two = lab.clients
    folder, beside = "/mnt/3/looked-at", "/mnt/3/beside"
    one.run("mkdir", folder, beside)
    look = two.python("-c", LOOK, folder, beside)
    one.run(
        "sh", "-c", f"until ls {beside} | grep -q ready; do sleep 0.1; done; mkdir {folder}/new {beside}/go"
    )
    assert look.wait() == (0, "False ['new']\n")


def test_names_that_two_machines_add_to_a_list_at_the_same_time_are_all_there(lab):
    lab.server.run("mkdir", f"{guests.EXPORT}/lists")
    started = [
        client.python("-c", ADD_NAMES, f"/mnt/{version}/lists", client.name, 100)
        for client, version in zip(lab.clients, guests.VERSIONS, strict=True)
    ]
    assert [process.wait() for process in started] == [(0, "")] * 2
    lines = lab.server.run("cat", f"{guests.EXPORT}/lists/list.txt").splitlines()
    assert sorted(lines) == sorted(f"{client.name} {count}" for client in lab.clients for count in range(100))
    assert lines != sorted(lines), "one came after the other: they did not race"


def test_two_machines_do_what_both_prepared_once_though_launchers_are_killed(lab):
    share = nfs.Share(lab, ("4.2", "3"), runs=40, seconds=0.3)
    share.prepare()
    share.launch_with_kills(1, random.Random(1))
    share.finish()
    outcome = share.outcome()
    assert outcome.violations == []
    counts = outcome.counts
    assert (counts["kills"], counts["doubles"], counts["lost"], counts["completed"]) == (1, 0, 0, 40)
    assert counts["begun_on_client1"] >= 1 <= counts["begun_on_client2"], counts


def test_another_machine_takes_a_launcher_for_dead_only_after_its_silence(lab):
    """While it lives, its beats are seen whatever the caches hold."""
    near, far = lab.clients
    share = nfs.Share(lab, ("4.2", "4.2"), runs=2, seconds=0.0)
    share.prepare()
    paused = {"FAULTS_PAUSE_BEFORE": "save", "FAULTS_GO": "go"}
    launcher = share.start(near, ACTOR, "launch", nfs.LIST_FILE, "--beat", 2, **paused)
    waiting = f"{guests.EXPORT}/{share.folder}/waiting"
    lab.server.run("sh", "-c", f"until ls {waiting}/* 2>/dev/null; do sleep 0.1; done")

    def see(what):
        status, told = share.start(far, ACTOR, what, nfs.LIST_FILE).wait()
        assert status == 0, told
        found = json.loads(told.splitlines()[-1])
        return [found[name] for name in ("dead_at_once", "doubtful", "dead", "put_back")]

    assert see("put_back") == [0, 1, 0, 0]
    near.run("kill", "-9", launcher.pid)
    assert launcher.wait()[0] == -9
    assert see("look") == [0, 1, 0, 0]
    since = time.monotonic()
    assert see("put_back") == [0, 0, 1, 1]
    assert time.monotonic() - since > 8, "five looks are four beats apart"
