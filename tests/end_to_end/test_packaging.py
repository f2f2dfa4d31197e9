"""The built wheel and both ways to install the checkout, each in an environment of its own.

The environments borrow numpy and the other dependencies from the one that runs the tests, and the build
uses the pinned hatchling from there: that leaves alfred's own packaging to be tested, without a download.
"""

from __future__ import annotations

import email
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import alfred

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def run(*command: str | Path, cwd: Path) -> str:
    """What `command` prints; fails with its whole output where it fails."""
    # An inherited PYTHONPATH could lead back to the checkout.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def make_environment(folder: Path) -> Path:
    """A new environment in `folder` that finds the dependencies of this one, but not its alfred; its bin/."""
    # Debian's python has no ensurepip without python3-venv, so pip is called from outside.
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    # A folder added by a .pth file has its own .pth files ignored, and so the editable alfred there.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def pip_install(environment: Path, *what: str | Path) -> None:
    python = environment / "python"
    # The environment sees hatchling already, and the dependencies: nothing is asked of a registry.
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed", "--quiet"]
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what, cwd=environment)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """bin/ of an environment with the wheel, in a path with a space."""
    environment = make_environment(tmp_path_factory.mktemp("with a wheel") / "venv")
    pip_install(environment, wheel)
    return environment


def test_the_wheel_holds_every_module_the_examples_the_types_and_the_licence(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    listed = run("git", "ls-files", "-z", "alfred", cwd=ROOT).split("\0")
    tracked = {name for name in listed if name and (ROOT / name).exists()}
    assert "alfred/py.typed" in tracked
    assert {".py", ".txt", ".json"} <= {Path(n).suffix for n in tracked if "schedules_examples/" in n}
    assert tracked - held == set()
    assert f"alfred-{alfred.__version__}.dist-info/licenses/LICENSE" in held


def test_the_wheel_holds_nothing_but_the_package(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"alfred", f"alfred-{alfred.__version__}.dist-info"}


def test_the_wheel_says_what_it_is(wheel):
    name = f"alfred-{alfred.__version__}.dist-info/METADATA"
    metadata = email.message_from_bytes(zipfile.ZipFile(wheel).read(name))
    assert metadata["Name"] == "alfred"
    assert metadata["Version"] == alfred.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    needed = {
        entry.split(">")[0] for entry in metadata.get_all("Requires-Dist", []) if "extra ==" not in entry
    }
    assert needed == {"matplotlib", "numpy", "psutil", "rich", "scipy", "tqdm"}


def test_the_installed_wheel_is_found_from_outside_the_checkout(installed, tmp_path):
    where = run(installed / "python", "-c", "import alfred; print(alfred.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent)
    assert run(installed / "alfred", "--version", cwd=tmp_path).split() == ["alfred", alfred.__version__]


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_each_script_of_the_installed_wheel_explains_itself(installed, tmp_path, script):
    assert run(installed / script, "--help", cwd=tmp_path).startswith("usage:")


@pytest.mark.parametrize("script", sorted(set(SCRIPTS) - {"alfred"}))
def test_a_script_and_its_module_are_the_same_command(installed, tmp_path, script):
    module = SCRIPTS[script].split(":")[0]
    by_script = run(installed / script, "--help", cwd=tmp_path)
    by_module = run(installed / "python", "-m", module, "--help", cwd=tmp_path)
    assert by_script.split("\n\n")[1:] == by_module.split("\n\n")[1:], "all but the usage line"


def test_an_editable_install_runs_the_checkout(tmp_path):
    environment = make_environment(tmp_path / "venv")
    pip_install(environment, "--editable", ROOT)
    where = run(environment / "python", "-c", "import alfred; print(alfred.__file__)", cwd=tmp_path).strip()
    assert Path(where) == ROOT / "alfred" / "__init__.py"
    assert run(environment / "alfred", "--version", cwd=tmp_path).split() == ["alfred", alfred.__version__]
