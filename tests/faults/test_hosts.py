"""Several hosts that share a file system, as far as namespaces of one Linux can be hosts.

Each has a host name, a machine id, process numbers and, where asked, a boot id of its own; the leases here
beat twice a second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from client import ACTOR, new_client, wait_for
from ledger import read_events

pytestmark = pytest.mark.server  # namespaces need root

# As the first process of a host: its names, then the command in its place.
SETTLE = """
hostname "$1" && mount --bind "$2" /etc/machine-id || exit 97
if [ -n "$3" ]; then mount --bind "$3" /proc/sys/kernel/random/boot_id || exit 98; fi
shift 3; exec "$@"
"""
NUMBERS = ("--pid", "--fork", "--mount-proc", "--kill-child")
LIVING = {"dead_at_once": 0, "doubtful": 1, "dead": 0, "put_back": 0}
SILENT = {"dead_at_once": 0, "doubtful": 0, "dead": 1, "put_back": 1}


class Host:
    """A host of the client's file system; every process is in namespaces of its own."""

    def __init__(self, client, name, machine, boot="", namespaces=NUMBERS):
        self.client, self.name, self.namespaces, self.started = client, name, namespaces, []
        self.files, self.open = [], []
        for what, text in (("machine", machine), ("boot", boot)):
            path = client.folder / f"{what}-{len(text)}-{text or 'none'}"
            path.write_text(f"{text}\n")
            self.files.append(path if text else "")

    def start(self, *command):
        words = ["unshare", "--uts", "--mount", *self.namespaces, "sh", "-c", SETTLE, "sh", self.name]
        self.started.append(
            subprocess.Popen(
                [*words, *map(str, self.files), *map(str, command)],
                cwd=self.client.folder,
                env=dict(self.client.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return self.started[-1]

    def launch(self):
        """A launcher that has begun a run."""
        before = len(begun(self.client))
        launcher = self.start(sys.executable, ACTOR, "launch", self.client.list_file, "--beat", 0.5)
        wait_for(lambda: len(begun(self.client)) > before or launcher.poll() is not None)
        assert launcher.poll() is None, launcher.communicate()
        # As long as this is open no other namespace gets the number of its own; with it the next would be
        # the same machine, where a process that is gone is known dead at once.
        self.open.append(os.open(f"/proc/{launcher.pid}/ns/pid_for_children", os.O_RDONLY))
        return launcher

    def see(self, what):
        """What an observer of this host finds: the counts that `LIVING` and `SILENT` have."""
        printed = self.start(sys.executable, ACTOR, what, self.client.list_file).communicate(timeout=60)[0]
        found = json.loads(printed.splitlines()[-1])
        return {name: found[name] for name in LIVING}

    def alfred(self, *words):
        command = self.start(sys.executable, "-m", "alfred", *words)
        return command.communicate(timeout=60)[0]


def begun(client):
    return [event for event in read_events(client.ledger)[0] if event["what"] == "begin"]


@pytest.fixture
def client():
    with new_client(FAULTS_PAUSE_BEFORE="save", FAULTS_GO="go") as one:
        one.list_file = one.lay(tasks=1, experiments=1, seeds=1)
        yield one
        (one.folder / "go").touch()


@pytest.fixture
def host(client):
    """`host(name, machine, ...)`; whatever was started there ends with the test."""
    hosts = []

    def make(*words, **options):
        hosts.append(Host(client, *words, **options))
        return hosts[-1]

    yield make
    for process in (process for one in hosts for process in one.started):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)
    for handle in (handle for one in hosts for handle in one.open):
        os.close(handle)


def kill(launcher):
    """As if its host lost its power: with the namespace's first process all others are killed."""
    launcher.kill()
    launcher.communicate(timeout=30)


def test_another_host_takes_a_run_over_only_when_its_launcher_has_fallen_silent(client, host):
    near, far = host("near", "a" * 32), host("far", "b" * 32)
    launcher = near.launch()
    clean = ("clean", "--from_file", client.list_file, "--ask_for_validation", "false", "--no_wait")
    assert "not proven dead, left alone" in far.alfred(*clean)
    assert "0 done, 1 running" in far.alfred(
        "launch", "--from_file", client.list_file, "--run_clean_interrupted"
    )
    assert far.see("put_back") == LIVING
    kill(launcher)
    assert "not proven dead, left alone" in far.alfred(*clean)
    assert far.see("put_back") == SILENT
    far.launch()
    assert [event["batons"][0].split("-")[0] for event in begun(client)] == ["RUNNING.near", "RUNNING.far"]


@pytest.mark.parametrize(
    ("name", "machine"),
    [("near", "b" * 32), ("far", "a" * 32), ("near", "a" * 32)],
    ids=["equal host names", "equal machine ids", "containers of one machine with equal names"],
)
def test_equal_process_numbers_and_names_fool_nobody(client, host, name, machine):
    """The same number is a living process here, before and after the other one's death."""
    launcher = host("near", "a" * 32).launch()
    other = host(name, machine)
    assert other.see("put_back") == LIVING
    (number,) = {event["batons"][0].split("-")[1] for event in begun(client)}
    watcher = other.start("sh", "-c", "echo $$; sleep 60")
    assert watcher.stdout.readline().strip() == number, "the shell has not the number of the launcher"
    kill(launcher)
    assert other.see("look") == {**LIVING}
    assert other.see("put_back") == SILENT


def test_clones_of_one_machine_with_other_boot_ids_need_silence_but_less_of_it(client, host):
    """Same host name, machine id and process numbers: this machine before its last start, or its clone."""
    first, second = ("10000000-0000-4000-8000-00000000000" + digit for digit in "12")
    launcher = host("near", "a" * 32, boot=first, namespaces=()).launch()
    clone = host("near", "a" * 32, boot=second, namespaces=())
    assert clone.see("put_back") == LIVING
    kill(launcher)
    assert clone.see("look") == LIVING
    since = time.monotonic()
    assert clone.see("put_back") == SILENT
    assert time.monotonic() - since > 0.5, "two looks are an interval apart"


def test_a_process_with_another_clock_since_boot_is_not_taken_for_a_dead_one(client, host):
    """In a time namespace the start of the same process is another number."""
    launcher = host("near", "a" * 32, namespaces=()).launch()
    shifted = host("near", "a" * 32, namespaces=("--time", "--boottime", "1000000", "--fork", "--kill-child"))
    assert shifted.see("look") == LIVING
    assert shifted.see("put_back") == LIVING
    kill(launcher)
