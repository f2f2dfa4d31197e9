"""The house rules of DESIGN.md that a program can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "alfred").rglob("*.py"))
LONGEST_FUNCTION = 60
# The scripts of SPEC 4; a door gets its script when it is there.
SCRIPTS = {
    "alprep": "prepare_schedule",
    "allaunch": "launch_schedule",
    "alclean": "clean_interrupted",
    "alplot": "make_plot_arrays",
    "alretrain": "create_retrainbest",
    "albench": "benchmark",
    "alsync": "sync_wandb",
    "alcopy": "copy_config",
    "alupdate": "update_config_unique",
}
ADDRESS = re.compile(
    rb"""https?://[^\s"'<>]*(?:/simple\b|pypi[.]|pythonhosted[.])"""
    rb"""|--(?:extra-)?index-url[ =]\S*/|^--find-links|file:///\w""",
    re.MULTILINE,
)


def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


def short(module: Path) -> str:
    return str(module.relative_to(ROOT))


@pytest.fixture(scope="module")
def committed() -> list[Path]:
    """Every file that git tracks here."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert ROOT / "pyproject.toml" in files
    return [file for file in files if file.is_file()]


def test_imports_go_in_the_direction_that_the_contracts_in_pyproject_say():
    linter = Path(sys.executable).parent / "lint-imports"
    ran = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"[1-9]\d* kept, 0 broken", ran.stdout)


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_a_module_says_in_its_first_line_what_it_is(module):
    docstring = ast.get_docstring(tree_of(module))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":")), "the first line is a sentence"


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_no_function_is_longer_than_sixty_lines(module):
    functions = [
        node for node in ast.walk(tree_of(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions}
    assert {name: count for name, count in lines.items() if count > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_no_assert_stands_in_the_package(module):
    """`python -O` drops them, and a user's mistake deserves a sentence."""
    assert [node.lineno for node in ast.walk(tree_of(module)) if isinstance(node, ast.Assert)] == []


def test_every_command_that_is_there_has_its_script_and_no_other():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    there = {name: f"alfred.{door}:main" for name, door in SCRIPTS.items() if door_exists(door)}
    assert scripts == {"alfred": "alfred.umbrella:main"} | there


def door_exists(door: str) -> bool:
    return (ROOT / "alfred" / f"{door}.py").exists()


def test_no_committed_file_names_a_place_of_this_machine(committed):
    """Neither this checkout's path, nor a user's home, nor an environment has a meaning anywhere else."""
    places = [bytes(ROOT), bytes(Path.home() / "x")[:-1], bytes(Path(sys.prefix))]
    places = [place for place in places if place.strip(b"/")]
    found = [short(file) for file in committed for place in places if place in file.read_bytes()]
    assert found == []


def test_no_committed_file_names_the_address_of_a_package_registry(committed):
    """Which registry is asked is the machine's own business."""
    found = {short(file): ADDRESS.findall(file.read_bytes()) for file in committed}
    assert {name: addresses for name, addresses in found.items() if addresses} == {}


@pytest.mark.parametrize("pins", sorted((ROOT / "requirements").glob("*.txt")), ids=short)
def test_every_pin_has_a_hash(pins):
    without_comments = re.sub(r"(?m)^\s*#.*\n", "", pins.read_text())
    requirements = without_comments.replace("\\\n", " ").splitlines()
    if pins.name == "debian.txt":  # Debian signs its packages instead
        assert not any("==" in line for line in requirements)
    else:
        assert requirements
        assert [line for line in requirements if not re.search(r"==\S+ .*--hash=sha256:", line)] == []
