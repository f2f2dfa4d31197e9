"""The suite's own manners: what is not run does not count as passed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MARKED = "import pytest\n@pytest.mark.may_skip(reason='for the test')\n"


def run_pytest(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(TESTS / "conftest.py", folder)
    (folder / "test_it.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\ndef test_it(): pytest.skip('no time')\n",
        "import pytest\n@pytest.mark.skip(reason='no time')\ndef test_it(): pass\n",
        "import pytest\npytest.skip('no time', allow_module_level=True)\n",
        "import pytest\npytest.importorskip('no_such_module', reason='no time')\ndef test_it(): pass\n",
    ],
    ids=["in the test", "by a mark", "the module", "a missing import"],
)
def test_a_skip_fails_the_run_and_says_why(tmp_path, source):
    ran = run_pytest(tmp_path, source)
    assert ran.returncode not in (0, 5), ran.stdout
    assert "no time" in ran.stdout


def test_a_skip_that_is_marked_as_allowed_passes(tmp_path):
    ran = run_pytest(tmp_path, MARKED + "def test_it(): pytest.skip('no time')\n")
    assert (ran.returncode, "1 skipped" in ran.stdout) == (0, True), ran.stdout


def test_an_expected_failure_is_no_skip(tmp_path):
    ran = run_pytest(tmp_path, "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n")
    assert (ran.returncode, "1 xfailed" in ran.stdout) == (0, True), ran.stdout


def test_a_run_that_collects_nothing_fails(tmp_path):
    assert run_pytest(tmp_path, "").returncode == 5
