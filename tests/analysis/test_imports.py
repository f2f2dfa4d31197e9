"""Analysis without any drawing is possible, and starts fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import alfred.analysis

PACKAGE = Path(alfred.analysis.__file__).parent

PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"alfred.analysis.{name}")
from alfred.analysis.comparisons import compare_pair
from alfred.analysis.intervals import intervals
import numpy
compare_pair([1, 2, 3], [2, 3, 5])
intervals(numpy.eye(3), "student_t")
print(*sorted({"matplotlib", "scipy.stats", "pandas", "scipy.special"} & set(sys.modules)))
"""


def test_neither_matplotlib_nor_scipy_stats_nor_pandas_is_loaded_not_even_by_a_test():
    names = [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    assert "aggregates" in names
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names], cwd=PACKAGE.parents[1], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "scipy.special", "")
