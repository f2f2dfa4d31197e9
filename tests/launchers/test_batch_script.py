"""The batch script as text, and as bash reads it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alfred.errors import UsageError
from alfred.launchers.batch_script import batch_script


def test_it_goes_to_the_project_prepares_and_becomes_the_command(tmp_path):
    folder = tmp_path / 'it\'s a "project"; $HOME\n'
    folder.mkdir()
    tell = "import os, sys; print(os.getcwd(), sys.argv[1:], os.environ['PREPARED'], os.getppid())"
    command = [sys.executable, "-c", tell, "a b", "$x"]
    script = tmp_path / "script"
    script.write_text(batch_script({}, str(folder), ["export PREPARED='by setup'"], command))
    ran = subprocess.run(["bash", str(script)], capture_output=True, text=True)
    assert ran.stderr == ""
    assert ran.stdout.startswith(f"{folder} ['a b', '$x'] by setup ")


def test_a_folder_that_has_gone_ends_it_before_anything_runs(tmp_path):
    script = tmp_path / "script"
    script.write_text(batch_script({}, str(tmp_path / "gone"), [], ["touch", str(tmp_path / "made")]))
    assert subprocess.run(["bash", str(script)], capture_output=True).returncode == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("cpus_per_task", 4, "#SBATCH --cpus-per-task=4"),
        ("requeue", "", "#SBATCH --requeue"),
        ("output", "/a b/%A_%a.out", '#SBATCH --output="/a b/%A_%a.out"'),
        ("comment", 'say "x\\"', '#SBATCH --comment="say \\"x\\\\\\""'),
    ],
)
def test_options_of_sbatch_stand_in_lines_of_their_own(name, value, line):
    assert batch_script({name: value}, "/p", [], ["x"]).splitlines()[1] == line


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("comment", "a\nb", "the value of comment, 'a\\nb', has a line end: a batch script can't hold that"),
        ("mail type", "END", "--slurm_option mail type: sbatch's options have names like gres or mail-type"),
    ],
)
def test_what_a_line_can_not_hold_is_refused(name, value, message):
    with pytest.raises(UsageError) as refused:
        batch_script({name: value}, "/p", [], ["x"])
    assert str(refused.value) == message
