"""The same numbers of a comparison are printed, written as CSV and as LaTeX."""

import contextlib
import csv
import io
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest

from alfred.analysis.across_tasks import compare_across_tasks
from alfred.figures.tables import (
    as_csv,
    as_latex,
    comparison_rows,
    latex_text,
    p_text,
    print_table,
    table_files,
)

LEFT_OUT = {"b_2": {"t%1": {"crashed": 2, "NaN in return": 1}}}


def compared(algorithms=("a", "b_2"), tasks=("t%1", "t#2"), n=3):
    rng = np.random.default_rng(0)
    scores = {alg: {task: 3 * at + rng.normal(size=n) for task in tasks} for at, alg in enumerate(algorithms)}
    return compare_across_tasks(scores, n_replicates=100, left_out=LEFT_OUT)


def table(name, result=None):
    return {one.name: one for one in comparison_rows(result or compared())}[name]


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_csv_file_holds_every_number_unrounded():
    result = compared()
    rows = read(as_csv(table("performance", result)))
    for row, one in zip(rows, result.performances, strict=True):
        assert (row["algorithm"], row["task"], int(row["n"])) == (one.algorithm, one.task, 3)
        assert [float(row[end]) for end in ("mean", "low", "high")] == [one.mean, one.low, one.high]
    assert [row["left_out"] for row in rows] == ["", "1 NaN in return, 2 crashed", "", ""]


def test_every_pair_is_told_with_its_tests_and_the_seeds_that_would_tell():
    result = compared()
    rows = read(as_csv(table("differences", result)))
    assert [(row["task"], row["a"], row["b"]) for row in rows] == [
        ("t%1", "a", "b_2"),
        ("t#2", "a", "b_2"),
    ]
    for row, pair in zip(rows, result.pairs, strict=True):
        assert float(row["p_holm"]) == pair.p_holm
        assert float(row["smallest_p"]) == 0.1
        assert row["more_seeds"].endswith("since the observed difference is itself noisy.")
        assert row["verdict"] in result.verdicts


def test_a_pair_without_a_test_says_why_in_every_form():
    differences = table("differences", compared(n=1))
    assert differences.rows[0][-1] == "n = 1: no test"
    assert differences.rows[0][5:8] == ("-", "-", "-")
    row = read(as_csv(differences))[0]
    assert (row["p_welch"], row["low"], row["note"]) == ("", "", "n = 1: no test")
    assert "n = 1: no test" in as_latex(differences)


def test_aggregates_are_there_with_several_tasks_only():
    result = compared()
    rows = read(as_csv(table("aggregates", result)))
    assert [(row["aggregate"], row["algorithm"], row["over"]) for row in rows][-3:] == [
        ("IQM", "a", ""),
        ("IQM", "b_2", ""),
        ("probability of improvement", "a", "b_2"),
    ]
    assert float(rows[-2]["point"]) == result.aggregates["iqm"]["b_2"].point
    one_task = comparison_rows(compared(tasks=("t",)))
    assert [one.name for one in one_task] == ["performance", "differences"]
    assert [one.name for one in comparison_rows(compared(("a",), ("t",)))] == ["performance"]


def test_the_notes_say_how_the_numbers_were_made():
    notes = "\n".join(table("aggregates").notes)
    assert "95 % stratified bootstrap, 100 replicates, narrower than it says below 10 runs; n = 3" in notes
    assert "normalization: min-max" in notes
    assert "corrected over all 2 tests" in "\n".join(table("differences").notes)


def test_in_a_pipe_a_row_is_one_line_however_wide(capsys):
    long = "an_algorithm_" * 20
    print_table(table("differences", compared((long, "[bold]b[/bold]\n"))))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["task", "a", "b", "difference"]
    assert lines[2].startswith(f"t%1   {long}  [bold]b[/bold]\\n  ")
    assert len(lines) == 2 + 2 + len(table("differences").notes)


def test_a_narrow_terminal_breaks_no_number(tmp_path):
    """A row that doesn't fit is told cell by cell, in lines that fit."""
    program = tmp_path / "show.py"
    program.write_text(
        "from alfred.analysis.across_tasks import compare_across_tasks\n"
        "from alfred.figures.tables import comparison_rows, print_table\n"
        "runs = {'a': {'t': [1, 2.125, 3]}, 'b': {'t': [5, 7, 9.125]}}\n"
        "print_table(comparison_rows(compare_across_tasks(runs))[1])\n"
    )
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "60", "TERM": "xterm"}
    with subprocess.Popen([sys.executable, program], stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = read_all(ours)
    assert process.returncode == 0
    assert "task: t; a: a; b: b; difference: -5" in shown
    assert max(map(len, shown.splitlines())) <= 60


def read_all(terminal):
    """What a program writes to a terminal until it ends, which a terminal tells as an error."""
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 4096):
            parts.append(part)
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;]*m", "", b"".join(parts).decode())


def test_latex_is_booktabs_with_as_many_cells_in_each_line():
    text = as_latex(table("performance"))
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    sides = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]
    assert len(rows) == 5
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(sides)}
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert r"t\%1 & b\_2 & " in text


def test_a_table_of_many_columns_is_set_smaller_and_its_symbols_stay_small_letters():
    text = as_latex(table("differences"))
    assert r"\scriptsize\setlength{\tabcolsep}{2pt}" in text
    assert r" & \shortstack[r]{seeds that \\ would tell} \\" in text
    assert ". p: Welch's test" in text
    assert ". g: Hedges' effect size" in text
    assert r"\scriptsize" not in as_latex(table("performance"))


def test_a_table_longer_than_a_page_goes_over_pages():
    text = as_latex(table("differences", compared([f"alg{at}" for at in range(11)], ("t",))))
    assert r"\begin{longtable}" in text
    assert r"\endhead" in text
    assert r"\begin{table}" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"a\b", r"a\textbackslash{}b"),
        ("50% & $x_1^2$ #{}~", r"50\% \& \$x\_1\textasciicircum{}2\$ \#\{\}\textasciitilde{}"),
        ("<|>", r"\textless{}\textbar{}\textgreater{}"),
        ("-1.5 to -0.2, t-test", "$-$1.5 to $-$0.2, t-test"),
        ("1e-05", "1e-05"),
        ("two\nlines", r"two\textbackslash{}nlines"),
    ],
)
def test_latex_prints_a_text_letter_for_letter(text, expected):
    assert latex_text(text) == expected


@pytest.mark.parametrize(("p", "expected"), [(None, "-"), (0.0421, "0.042"), (0.00001, "< 0.0001"), (1, "1")])
def test_p_values_are_shown_with_two_digits(p, expected):
    assert p_text(p) == expected


def test_files_beside_a_figure_are_one_for_each_table_and_one_for_latex():
    texts = table_files(compared())
    assert set(texts) == {"_performance.csv", "_differences.csv", "_aggregates.csv", "_tables.tex"}
    assert texts["_tables.tex"].count(r"\toprule") == 3


def test_latex_has_the_titles_and_labels_of_the_figures_and_csv_the_names():
    titles = {"t%1": "first\n50 %"}
    texts = table_files(compared(), titles, {"a": r"$\lambda_1$-net (\$5)", "b_2": "B_2 $"})
    tex = texts["_tables.tex"]
    assert r"first 50 \% & $\lambda_1$-net (\$5) &" in tex
    assert r"first 50 \% & $\lambda_1$-net (\$5) & B\_2 \$ &" in tex
    assert r"t\#2 & B\_2 \$ &" in tex
    assert r"$\lambda_1$-net (\$5) over B\_2 \$ &" in tex
    assert {row["algorithm"] for row in read(texts["_performance.csv"])} == {"a", "b_2"}


@pytest.mark.server
def test_latex_compiles_and_twelve_algorithms_are_no_wider_than_a_page(tmp_path):
    hostile = compared(("a_b%&$#{}~^\\<>|\"'", "--x"))
    many = compared([f"algorithm_{at}" for at in range(12)], ("half_cheetah", "hopper"))
    texts = [table_files(hostile), table_files(many, {"hopper": r"$\lambda$-hopper"})]
    (tmp_path / "tables.tex").write_text("\n".join(one["_tables.tex"] for one in texts))
    packages = (
        r"\usepackage[textwidth=6.5in]{geometry}\usepackage[T1]{fontenc}\usepackage{booktabs,longtable}"
    )
    (tmp_path / "main.tex").write_text(
        rf"\documentclass{{article}}{packages}\begin{{document}}\input{{tables}}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout
    assert "Overfull" not in ran.stdout
