"""What the README and the pages of docs/ show works as it is written."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from alfred import umbrella

HERE = Path(__file__).resolve().parent
pages = runpy.run_path(str(HERE / "pages.py"))
ROOT, PAGES = pages["ROOT"], pages["PAGES"]
QUICKER = {  # what examples/digits is told here, so that its pages take seconds
    '"--n_epochs", type=int, default=30': '"--n_epochs", type=int, default=2',
    '        ("epoch", "train_loss", (None, None), (0.0, None)),\n': "",
    '        ("epoch", "valid_loss", (None, None), (0.0, None)),\n': "",
}
LIMIT = 240  # seconds a page may take on a busy machine
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    """A folder with `python` and alfred's scripts, as an installation would put them on the PATH."""
    folder = tmp_path_factory.mktemp("bin")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    programs = {"python": "", "python3": ""}
    for name, target in scripts.items():
        module, function = target.split(":")
        code = f"import sys; from {module} import {function}; sys.exit({function}())"
        programs[name] = f"-c {shlex.quote(code)}"
    for name, words in programs.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def environment(commands, tmp_path):
    """That of a user called Julia who has alfred installed."""
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\n\tname = Julia\n\temail = julia@example.org\n")
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return kept | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GIT_CONFIG_GLOBAL": str(settings),
        "GIT_CONFIG_NOSYSTEM": "1",
        "COLUMNS": "100",
    }


@pytest.mark.timeout(LIMIT + 30)
@EACH_PAGE
def test_what_a_page_shows_works_as_it_is_written(page, environment, tmp_path):
    steps = pages["steps"](page)
    where = pages["place"](page)
    assert (where is None) == (not steps), "a page with commands says where they are called"
    folder = start(where, tmp_path, environment)
    for step, status, output in run(steps, folder, environment):
        shown = f"{page.name}:{step.line}: $ {step.command}\n{output}"
        assert status == step.status, f"{shown}\nended with status {status}, not {step.status}"
        assert (missing := first_missing(step.output, output)) is None, f"{shown}\nlacks the line: {missing}"
    assert unexplained(folder) == [], "docs/architecture.md lists everything in .alfred/"


def unexplained(folder):
    """What lies in .alfred/ folders below `folder` and is not in the list of docs/architecture.md."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    listed = text.partition("## Everything in `.alfred/`")[2].partition("\n## ")[0]
    found = {entry.name for hidden in folder.rglob(".alfred") for entry in hidden.iterdir()}
    names = {re.sub(r"\.[^.]+-[0-9]+-[0-9a-f]{8}$", ".<owner>", name) for name in found}
    return sorted(name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", listed))


def start(where, tmp_path, environment):
    """The folder in which the session of a page begins."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    if where == "examples":
        left_over = shutil.ignore_patterns("storage", "__pycache__", "list_*.txt")
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=left_over)
        main = folder / "examples" / "digits" / "main.py"
        for slow, quick in QUICKER.items():
            assert slow in main.read_text()
            main.write_text(main.read_text().replace(slow, quick))
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Begin"]):
            subprocess.run(["git", *words], cwd=folder, env=environment, check=True)
    else:
        assert where in ("empty", None)
    return folder


def run(steps, folder, environment):
    """(step, status, output) of each step, done in one shell in which every question is answered with y."""
    answers = folder.parent / "answers"
    answers.write_text("y\n" * 50)
    script = []
    for number, step in enumerate(steps):
        file = folder.parent / f"step{number}.sh"
        file.write_text(step.command + "\n")
        script.append(f"source '{file}' < '{answers}'; printf '\\0%s\\0' $?")
    process = subprocess.Popen(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        told = f"{process.communicate()[0]}\nnot done in {LIMIT} seconds"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what a page left in the background
    outputs, statuses = told.split("\0")[::2], told.split("\0")[1::2]
    assert len(statuses) == len(steps), told
    seen = [output.replace("[y/n] ", "[y/n] y\n") for output in outputs]  # as on a terminal, where y is typed
    return zip(steps, map(int, statuses), seen, strict=False)


def first_missing(wanted, output):
    """The first of the lines wanted that doesn't follow in the output; None when all do."""
    lines = iter(" ".join(line.split()) for line in output.splitlines())
    for line in wanted:
        words = re.escape(" ".join(line.split()))
        pattern = re.compile(words.replace(re.escape("..."), ".*"))
        if not any(pattern.fullmatch(found) for found in lines):
            return line
    return None


@EACH_PAGE
def test_every_block_of_code_is_run_or_says_why_not(page):
    for block in pages["blocks"](page):
        if "file" in block.told or "not run" in block.told:
            continue
        assert block.info in (*pages["CODE"], "text", "json"), f"{page.name}:{block.line}"
        if block.info == "text":
            assert not re.search(r"^\$ ", block.body, re.MULTILINE), (
                f"{page.name}:{block.line} is a console block"
            )


def test_few_blocks_are_not_run():
    told = [block.told for page in PAGES for block in pages["blocks"](page)]
    reasons = [words["not run"] for words in told if "not run" in words]
    assert len(reasons) <= 8
    assert all(len(reason.split()) >= 4 for reason in reasons)


@EACH_PAGE
def test_every_link_leads_to_something_that_is_there(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}, target


def test_the_readme_leads_to_every_page():
    linked = set(re.findall(r"\]\((docs/[^)#\s]+)", (ROOT / "README.md").read_text()))
    assert linked >= {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"}


def test_the_reference_of_commands_and_the_list_of_modules_are_what_the_code_says():
    """`python tools/reference.py` brings both up to date."""
    reference = runpy.run_path(str(ROOT / "tools" / "reference.py"))
    assert (ROOT / "docs" / "commands.md").read_text() == reference["commands_page"]()
    architecture = (ROOT / "docs" / "architecture.md").read_text()
    assert architecture == reference["with_modules"](architecture)


def test_every_command_and_every_option_is_in_the_docs():
    text = (ROOT / "docs" / "commands.md").read_text()
    for name, command in umbrella.COMMANDS.items():
        part = text.partition(f"\n## alfred {name}\n")[2].partition("\n## ")[0]
        assert command.module in part
        for action in importlib.import_module(command.module).parser()._actions:
            named = [option for option in action.option_strings if option not in ("-h", "--help")]
            assert all(re.search(rf"`{re.escape(option)}\b", part) for option in named[:1]), (name, named)


def test_a_wrong_page_is_found_out(tmp_path, environment):
    """A command that fails and an output that doesn't appear are both noticed."""
    page = tmp_path / "page.md"
    page.write_text("<!-- test: empty -->\n```console\n$ echo one \\\n  two\none ...\nthree\n$ false\n```\n")
    first, second = run(pages["steps"](page), start("empty", tmp_path, environment), environment)
    assert first[1] == 0
    assert first_missing(first[0].output, first[2]) == "three"
    assert (second[0].status, second[1]) == (0, 1)
