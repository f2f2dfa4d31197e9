"""The programs in benchmarks/ run: people read what they print, and nothing else notices when one breaks."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SMALLEST = ["--sizes", "3", "--repeats", "1"]


@pytest.mark.parametrize(
    ("program", "words", "said"),
    [
        ("claiming.py", SMALLEST, "ratio"),
        ("crash_report.py", SMALLEST, "growth"),
        ("exporting.py", SMALLEST, "growth"),
        ("laying.py", SMALLEST, "ratio"),
        ("noop_launch.py", SMALLEST, "fork server, 2 processes"),
        ("recorder_saves.py", ["--steps", "20"], "folds"),
        ("status.py", SMALLEST, "ratio"),
    ],
)
def test_a_benchmark_runs_at_its_smallest_size(tmp_path, program, words, said):
    command = [sys.executable, BENCHMARKS / program, *words, "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert said in done.stdout
    assert not list(tmp_path.iterdir())
