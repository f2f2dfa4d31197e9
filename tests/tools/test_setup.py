"""The script behind `make`: what pip is told on this machine, uv is told too."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup() -> ModuleType:
    spec = importlib.util.spec_from_file_location("alfred_tools_setup", ROOT / "tools" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """No setting of pip's or uv's but those of the test, and those of the machine's files."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "SSL_", "ALL_PROXY")):
            monkeypatch.delenv(name)


@pytest.fixture
def pip_file(tmp_path, monkeypatch) -> Path:
    file = tmp_path / "pip.conf"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    return file


def test_pips_own_file_is_read(setup, pip_file):
    pip_file.write_text("[global]\nindex-url = https://packages.example/root\ntimeout = 77\n")
    settings = setup.pip_settings()
    assert settings["index-url"] == "https://packages.example/root"
    environment = setup.uv_environment(settings)
    assert environment["UV_DEFAULT_INDEX"] == "https://packages.example/root"
    assert environment["UV_HTTP_TIMEOUT"] == "77"


def test_the_environment_wins_over_pips_file(setup, pip_file, monkeypatch):
    pip_file.write_text("[global]\ncert = /from/the/file.pem\n[install]\nproxy = http://proxy.example\n")
    monkeypatch.setenv("PIP_CERT", str(pip_file))
    environment = setup.uv_environment(setup.pip_settings())
    assert environment["SSL_CERT_FILE"] == str(pip_file)
    assert environment["ALL_PROXY"] == "http://proxy.example"


def test_several_values_are_separated_as_uv_wants_them_and_absent_folders_are_left_out(setup, tmp_path):
    here, gone = tmp_path / "here", tmp_path / "gone"
    here.mkdir()
    told = setup.uv_environment(
        {
            "find-links": f"{here} {gone} https://wheels.example/",
            "extra-index-url": f"https://one.example\n{here.as_uri()}\n{gone.as_uri()}",
        }
    )
    assert told["UV_FIND_LINKS"] == f"{here},https://wheels.example/"
    assert told["UV_INDEX"] == f"https://one.example {here.as_uri()}"


def test_what_the_user_told_uv_stays(setup, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example")
    told = setup.uv_environment({"index-url": "https://pips.example"})
    assert told["UV_DEFAULT_INDEX"] == "https://mine.example"


def test_uv_downloads_no_interpreter(setup):
    assert setup.uv_environment({})["UV_PYTHON_DOWNLOADS"] == "never"


def test_changed_pins_ask_for_a_new_environment(setup, tmp_path):
    pins = tmp_path / "pins.txt"
    pins.write_text("numpy==2.0.0\n")
    before = setup.fingerprint(pins)
    assert setup.fingerprint(pins) == before
    pins.write_text("numpy==2.0.1\n")
    assert setup.fingerprint(pins) != before


def test_the_larger_environment_of_the_tests_does_for_the_demo_too(setup, tmp_path):
    demo, dev, venv = tmp_path / "demo.txt", tmp_path / "dev.txt", tmp_path / "venv"
    demo.write_text("numpy==2.0.0\n")
    dev.write_text("numpy==2.0.0\npytest==8.3.0\n")
    venv.mkdir()
    (venv / "kept").touch()
    (venv / ".alfred-setup").write_text(setup.fingerprint(dev))
    setup.make_environment(venv, demo, dev)
    assert (venv / "kept").exists()


def test_an_activated_environment_is_made_anew_by_the_interpreter_it_was_made_with(tmp_path):
    for name in (
        "requirements/uv.txt",
        "pyproject.toml",
        "alfred/__init__.py",
        "pins.txt",
        ".tools/uv/.pins",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    script = Path(shutil.copytree(ROOT / "tools", tmp_path / "tools")) / "setup.py"
    uv, venv = tmp_path / ".tools" / "uv" / "bin" / "uv", tmp_path / ".venv"
    uv.parent.mkdir()
    # `uv venv --quiet --python INTERPRETER FOLDER` needs an interpreter that is still there.
    uv.write_text('#!/bin/sh\ntest "$1" != venv || { test -x "$4" && mkdir "$5"; }\n')
    uv.chmod(0o755)
    outside = f"{sys.base_prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    subprocess.run([outside, "-m", "venv", "--without-pip", venv], check=True)
    command = [venv / "bin" / "python", script, ".venv", "pins.txt"]
    made = subprocess.run(command, capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")
    assert [path.name for path in venv.iterdir()] == [".alfred-setup"]
    again = subprocess.run([outside, *command[1:]], capture_output=True, text=True)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_the_demo_runs_with_the_versions_that_are_tested():
    demo, dev = (
        set(re.findall(r"^[\w.-]+==.*(?= \\$)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("demo.txt", "dev.txt")
    )
    assert "scikit-learn" in {line.partition("==")[0] for line in demo}
    assert not any(line.startswith("pytest==") for line in demo)
    assert demo <= dev


def test_make_alone_lists_every_target_that_a_user_may_call():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    targets = set(declared[1].split()) - {"setup", "servers"}
    assert {line.split()[1] for line in listed.splitlines()} == targets
    assert {"demo", "test", "test-all", "help"} <= targets


def test_no_server_to_install_asks_nothing_of_apt(tmp_path):
    nothing = tmp_path / "debian.txt"
    nothing.write_text("# none yet\n\n")
    ran = subprocess.run([ROOT / "tools" / "install_servers", nothing], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
