"""Bad input is told in one line that names the place and what to do, and nothing is made: all of cases.txt.

README.md says how a case is written.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import io
import os
import pkgutil
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import alfred.defaults
from alfred import umbrella

HERE = Path(__file__).resolve().parent
FILES = HERE / "files"
SOMEBODY = 65534  # a user who owns nothing here
LARGE = 1 << 20  # bytes of a file that are not compared


@dataclass
class Case:
    """One mistake: what is done to a copy of files/project, and what is said about it."""

    section: str
    name: str
    line: int
    put: str = ""  # where its file is put, if it has one
    setup: list[str] = field(default_factory=list)  # lines for a shell
    command: str = ""
    as_somebody: bool = False
    stderr: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)  # ends of lines on standard output
    status: int = 2
    stays: list[str] = field(default_factory=list)  # where others went on: what is as it was

    @property
    def file(self) -> Path:
        """The bad file, in files/<section>/; not every case has one."""
        return FILES / self.section / self.name


def read_cases(text: str) -> list[Case]:
    """The cases of the table."""
    cases: list[Case] = []
    section = case = Case("", "", 0)
    for number, line in enumerate(text.splitlines(), start=1):
        mark, _, rest = line.partition(" ")
        if mark == "===":
            section = case = Case(rest.partition(":")[0], "", number)
        elif mark == "---":
            case = Case(section.section, rest, number, section.put, command=section.command)
            case.status = section.status
            cases.append(case)
        elif mark == "put":
            case.put = rest
        elif mark in ("$", "somebody$") and rest.startswith("alfred "):
            case.command, case.as_somebody = rest, mark == "somebody$"
        elif mark == "$":
            case.setup.append(rest)
        elif mark == "exit":
            case.status = int(rest)
        elif mark == "stays":
            case.stays.append(rest)
        elif mark == "log:":
            case.log.append(rest)
        elif mark in ("alfred:", "evaluated"):
            case.stderr.append(line)
        else:
            assert not line.strip() or line.startswith("#"), f"cases.txt:{number}: {line}"
    return cases


CASES = read_cases((HERE / "cases.txt").read_text(encoding="utf-8"))


@pytest.fixture
def project(monkeypatch):
    """A copy of files/project that everybody may look into; what the commands load and set is undone."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")  # the next id is Ab3
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Abel")
    known = set(vars(alfred.defaults))
    for name in filter(str.isupper, known):
        monkeypatch.setattr(alfred.defaults, name, copy.copy(getattr(alfred.defaults, name)))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Path(folder).resolve() / "project"
        shutil.copytree(FILES / "project", made)
        monkeypatch.chdir(made)
        yield made
        subprocess.run(["chmod", "-R", "u+rwX", made], check=True)
    for name in ("main", "evaluate", "alfred_schedule"):
        sys.modules.pop(name, None)
    for name in set(vars(alfred.defaults)) - known:
        delattr(alfred.defaults, name)


def arrange(case: Case, project: Path) -> None:
    """Put the bad file in its place and do what the case says in a shell."""
    if case.file.is_file():
        target = project / case.put.replace("CASE", case.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(case.file, target)
    if case.setup:
        script = "\n".join(case.setup).replace("CASE", case.name)
        subprocess.run(["bash", "-ec", script], cwd=project, check=True)


def tree(folder: Path) -> dict[str, object]:
    """What stands below a folder: kind, permissions and content of everything."""
    found: dict[str, object] = {}
    for parent, folders, names in os.walk(folder):
        for name in folders + names:
            path = Path(parent, name)
            status = path.lstat()
            content: object = status.st_size
            if stat.S_ISLNK(status.st_mode):
                content = path.readlink()
            elif stat.S_ISREG(status.st_mode) and status.st_size < LARGE and os.access(path, os.R_OK):
                content = path.read_bytes()
            elif stat.S_ISDIR(status.st_mode):
                content = None
            found[str(path.relative_to(folder))] = (status.st_mode, content)
    return found


def type_command(case: Case, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, output and error lines of the case's command, typed in the current folder."""
    words = shlex.split(case.command.replace("CASE", case.name))[1:]
    if case.as_somebody:
        status = as_somebody(words)
    else:
        status = umbrella.main(words)
    out, err = capfd.readouterr()
    return status, out, err


def as_somebody(words: list[str]) -> int:
    """The exit status of a command of a user who owns nothing here, if this one may become such a user."""
    _load_everything()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(SOMEBODY)
                os.setuid(SOMEBODY)
            code = umbrella.main(words)
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@functools.cache
def _load_everything() -> None:
    """Python's own files may be closed to somebody else."""
    for module in pkgutil.walk_packages(alfred.__path__, "alfred."):
        if not module.name.startswith(("alfred.schedules_examples", "alfred.__main__")):
            importlib.import_module(module.name)
    listed = FILES / "project" / "schedules" / "good" / "list_searches_good.txt"
    with contextlib.chdir(FILES / "project"), contextlib.redirect_stdout(io.StringIO()):
        umbrella.main(["status", "--from_file", str(listed)])
    sys.modules.pop("main")


@pytest.mark.parametrize("case", CASES, ids=[f"{case.section}/{case.name}" for case in CASES])
def test_bad_input_is_told_in_one_line_and_nothing_is_made(case, project, capfd, monkeypatch):
    arrange(case, project)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))  # whoever asks first is told to go on
    before = tree(project)
    status, out, err = type_command(case, capfd)
    told = [line.replace(str(project), "PROJECT") for line in err.splitlines()]
    assert (told, status) == (case.stderr, case.status), out
    said = out.replace(str(project), "PROJECT").splitlines()
    assert [line for line in case.log if not any(one.endswith(line) for one in said)] == [], out
    assert case.status not in (2, 3) or len(said) == len(case.log), out
    after = tree(project)
    if not case.stays:
        assert after == before
    else:
        assert after != before, "the others went on"
        assert [path for path in case.stays if inside(path, after) != inside(path, before)] == []


def inside(path: str, tree: dict[str, object]) -> dict[str, object]:
    """The part of a tree that stands at a path and below."""
    found = {name: known for name, known in tree.items() if name == path or name.startswith(f"{path}/")}
    assert found, path
    return found


def test_every_bad_file_has_its_case_and_every_case_of_a_file_has_one():
    files = {(path.parent.name, path.name) for path in FILES.glob("*/*") if path.parent.name != "project"}
    named = {(case.section, case.name) for case in CASES if Path(case.name).suffix and " " not in case.name}
    assert named == files


def test_there_are_many_cases_and_each_says_something():
    assert len(CASES) >= 100
    assert len({(case.section, case.name) for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.stderr or case.log or case.status == 0, case
        assert (case.status == 0) == bool(
            not case.stderr or "notice" in case.stderr[-1]
        ) or case.status == 1, case
