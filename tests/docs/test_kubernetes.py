"""The manifest of docs/kubernetes.md against the schema of Kubernetes, and its command in a container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from client import Client, children, new_client, wait_for
from ledger import read_events
from lightkube import codecs

MANIFEST = Path(__file__).resolve().parents[2] / "examples" / "kubernetes" / "launchers.yaml"
ORDINARY = {"PersistentVolumeClaim": "v1", "Job": "batch/v1"}


def told_wrong(text):
    """What the API would not take in manifests, as far as its schema says: None when there is nothing.

    A value of another type and a field that is missing are raised when the text is loaded; a field that the
    schema doesn't know is dropped then.
    """
    try:
        loaded = [one.to_dict() for one in codecs.load_all_yaml(text)]
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    written = list(yaml.safe_load_all(text))
    return None if loaded == written else f"{written} was read as {loaded}"


def test_the_manifest_holds_what_the_schema_of_kubernetes_knows():
    text = MANIFEST.read_text()
    assert told_wrong(text) is None
    assert {one["kind"]: one["apiVersion"] for one in yaml.safe_load_all(text)} == ORDINARY


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("backoffLimitPerIndex: 3", "backoffLimitPerIndex: three"),
        ("backoffLimitPerIndex:", "backofLimitPerIndex:"),
        ("onExitCodes:", "onExitCode:"),
        ("shareProcessNamespace: true", "shareProcessNamespace: 1"),
        ("      containers:", "      container:"),
        ("values: [1, 2, 3]", "values: 1"),
        ('status: "True"', "status: True"),
        ("mountPath: /project", "mountpath: /project"),
        ("[ReadWriteMany]", "ReadWriteMany"),
    ],
)
def test_a_mistake_in_the_manifest_is_found_out(right, wrong):
    text = MANIFEST.read_text()
    assert text.count(right) == 1
    assert told_wrong(text.replace(right, wrong)) is not None


def test_the_manifest_keeps_the_rules_that_no_schema_tells():
    """Of the API for indexed Jobs, and of its own parts for one another."""
    claim, job = yaml.safe_load_all(MANIFEST.read_text())
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (job["spec"]["completionMode"], pod["restartPolicy"]) == ("Indexed", "Never")
    assert job["spec"]["parallelism"] <= job["spec"]["completions"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    claimed = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in pod["volumes"]]
    assert claimed == [claim["metadata"]["name"], None]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert [volume["name"] for volume in pod["volumes"]] == [*mounts]
    assert container["workingDir"] == mounts["project"]
    rules = job["spec"]["podFailurePolicy"]["rules"]
    assert [rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule] == [
        container["name"]
    ]
    words = container["args"][0].split()
    assert float(words[words.index("--grace") + 1]) < pod["terminationGracePeriodSeconds"]
    assert words[words.index("--n_processes") + 1] == container["resources"]["requests"]["cpu"]


@pytest.fixture
def alfred_on_path(tmp_path):
    """The folder of a script `alfred`, as in an image."""
    (tmp_path / "alfred").write_text(f'#!/bin/sh\nexec {sys.executable} -m alfred "$@"\n')
    (tmp_path / "alfred").chmod(0o755)
    return tmp_path


@pytest.mark.server  # a namespace of processes needs root
def test_the_containers_command_is_its_first_process_and_puts_its_runs_back_on_sigterm(alfred_on_path):
    (container,) = list(yaml.safe_load_all(MANIFEST.read_text()))[1]["spec"]["template"]["spec"]["containers"]
    with new_client(FAULTS_SECONDS=600) as client:
        told = {"LIST_FILE": client.lay(tasks=1, experiments=6, seeds=1)}
        told["PATH"] = f"{alfred_on_path}{os.pathsep}{client.environment['PATH']}"
        status, output = stopped(Client(client.folder, {**client.environment, **told}), container)
        assert status == 128 + signal.SIGTERM, output
        assert output.count("waits again: stopped by SIGTERM") == 4, output
        assert len(list(client.root.glob("*/*/*/UNHATCHED"))) == 6


def stopped(client, container):
    """The end of the container's command, called as the first process of a namespace, after SIGTERM."""
    pod = subprocess.Popen(
        [
            "unshare",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            *container["command"],
            *container["args"],
        ],
        cwd=client.folder,
        env=dict(client.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(lambda: sum(e["what"] == "begin" for e in read_events(client.ledger)[0]) == 4 or pod.poll())
        (first,) = children(pod.pid)
        os.kill(first, signal.SIGTERM)
        output = pod.communicate(timeout=60)[0]
    finally:
        if pod.poll() is None:
            pod.kill()
            pod.wait()
    return pod.returncode, output
