"""The numbers of a comparison as tables for terminals, spreadsheets and papers, from the same records."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alfred.analysis.across_tasks import AcrossTasks
from alfred.analysis.aggregates import Estimate
from alfred.analysis.comparisons import PERMUTED_UP_TO, Pair, more_seeds, verdict
from alfred.analysis.intervals import LABELS
from alfred.figures.across_notes import bootstrap_note, normalization_notes, reasons_text

Record = Mapping[str, Any]

AGGREGATE_TITLES = {"mean": "mean", "median": "median", "iqm": "IQM", "optimality_gap": "optimality gap"}
_LONGEST = 45  # rows that fit on a printed page
_MANY_COLUMNS = 7  # more stand closer and smaller, or they leave a page of 6.5 inches of text
_WIDE = 10_000  # in a pipe no window ends a line
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
} | {sign: "\\" + sign for sign in "&%$#_"}


@dataclass(frozen=True)
class Table:
    """`records` hold every number as it is, under names; `rows` are what a reader sees below `headings`.

    `numbers` are the headings whose cells stand at the right; `notes` say how the numbers were made.
    """

    name: str
    title: str
    records: tuple[Record, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def comparison_rows(result: AcrossTasks) -> tuple[Table, ...]:
    """Final performances, differences of pairs and aggregates over tasks; none without a row."""
    tables = (_performance(result), _pairs(result), _aggregates(result))
    return tuple(table for table in tables if table.records)


def table_files(
    result: AcrossTasks, titles: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Suffix -> text of the files beside a figure: a CSV file for each table, all together for LaTeX.

    The latter is to be printed: it calls a task by its title and an algorithm by its label, texts as the
    figure has them.
    """
    tables = comparison_rows(result)
    texts = {f"_{table.name}.csv": as_csv(table) for table in tables}
    names = _latex_names(titles or {}, labels or {})
    return texts | {"_tables.tex": "\n".join(as_latex(table, names) for table in tables)}


def print_table(table: Table) -> None:
    """Print a table to standard output: in a pipe one line a row; where a terminal is too narrow for that,
    each row as a few lines that name its cells."""
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else _WIDE
    console = Console(file=sys.stdout, width=width, highlight=False, no_color=None if is_terminal else True)
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for heading in table.headings:
        grid.add_column(Text(heading), justify="right" if heading in table.numbers else "left")
    for row in table.rows:
        grid.add_row(*map(Text, map(_one_line, row)))
    is_narrow = console.measure(grid, options=console.options.update(width=_WIDE)).maximum > width
    lines = [Text("; ".join(_named_cells(table, row))) for row in table.rows]
    with console.capture() as captured:
        console.print(Text(table.title, style="bold"))
        console.print(*(lines if is_narrow else [grid]), sep="\n")
        for note in table.notes:
            console.print(Text(_one_line(note)))
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def as_csv(table: Table) -> str:
    """The records, unrounded, below the names of their fields; an absent number is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(table.records[0]), lineterminator="\n")
    writer.writeheader()
    for record in table.records:
        writer.writerow({name: _raw(value) for name, value in record.items()})
    return text.getvalue()


def as_latex(table: Table, names: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """A table with the rules of the package booktabs; a long one as a `longtable`, which goes over pages.

    `names`: heading -> cell -> what LaTeX sets in its place; else a cell is printed letter for letter.
    """
    is_long = len(table.rows) > _LONGEST
    sides = "".join("r" if heading in table.numbers else "l" for heading in table.headings)
    caption = rf"\caption{{{latex_text(_sentences(table))}}}"
    packages = r"\usepackage{booktabs,longtable}" if is_long else r"\usepackage{booktabs}"
    shown = [(names or {}).get(heading, {}) for heading in table.headings]
    body = [
        _latex_row([own.get(cell) or latex_text(cell) for own, cell in zip(shown, row, strict=True)])
        for row in table.rows
    ]
    is_wide = len(table.headings) > _MANY_COLUMNS
    narrow = [r"\scriptsize\setlength{\tabcolsep}{2pt}"] if is_wide else []
    head = [
        r"\toprule",
        _latex_headings(table) if is_wide else _latex_row(map(latex_text, table.headings)),
        r"\midrule",
    ]
    if is_long:
        begin = [r"{", *narrow, rf"\begin{{longtable}}{{{sides}}}", rf"{caption} \\", *head, r"\endhead"]
        lines = [*begin, *body, r"\bottomrule", r"\end{longtable}", r"}"]
    else:
        begin = [r"\begin{table}", r"\centering", caption, *narrow, rf"\begin{{tabular}}{{{sides}}}"]
        lines = [*begin, *head, *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join([f"% {packages}, text as T1: \\usepackage[T1]{{fontenc}}", *lines]) + "\n"


def latex_text(text: str) -> str:
    """The text on one line, as LaTeX prints it letter for letter; a minus before a number as a minus."""
    escaped = "".join(_LATEX.get(sign, sign) for sign in _one_line(text))
    return re.sub(r"(?<![\w.)}])-(?=\d)", "$-$", escaped)


def latex_label(text: str) -> str:
    """The same for a text as matplotlib has it: what stands between dollars is a formula in LaTeX too."""
    parts = re.split(r"(?<!\\)\$", " ".join(text.split()))
    if len(parts) % 2 == 0:
        return latex_text(text.replace(r"\$", "$"))  # a dollar alone begins no formula
    letters = [latex_text(part.replace(r"\$", "$")) for part in parts[::2]]
    return "".join(f"${part}$" if at % 2 else letters[at // 2] for at, part in enumerate(parts))


def number_text(value: float | None, digits: int = 4) -> str:
    """The number with so many digits that matter; "-" for none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def interval_text(low: float, high: float) -> str:
    """As in "1.2 to 3.4"; "-" where there is no interval."""
    return "-" if math.isnan(low) or math.isnan(high) else f"{low:.4g} to {high:.4g}"


def _performance(result: AcrossTasks) -> Table:
    rows = [
        (
            one.task,
            one.algorithm,
            number_text(one.mean),
            interval_text(one.low, one.high),
            str(one.n),
            reasons_text(one.left_out),
        )
        for one in result.performances
    ]
    return Table(
        name="performance",
        title="Final performance",
        records=tuple(asdict(one) | {"left_out": reasons_text(one.left_out)} for one in result.performances),
        headings=("task", "algorithm", "mean", "interval", "n", "runs left out"),
        rows=tuple(rows),
        numbers=frozenset({"mean", "n"}),
        notes=(f"interval: {LABELS[result.interval]}; goal {result.goal}", *filter(None, [result.caution])),
    )


def _pairs(result: AcrossTasks) -> Table:
    numbers = ("difference", "p", "p (Holm)", "g", "n", "seeds that would tell")
    n_tests = max((pair.n_tests for pair in result.pairs if pair.p_welch is not None), default=0)
    return Table(
        name="differences",
        title="Differences on single tasks",
        records=tuple(_pair_record(pair, result.goal) for pair in result.pairs),
        headings=(
            "task",
            "a",
            "b",
            "difference",
            "interval",
            "p",
            "p (Holm)",
            "exact p (smallest)",
            "g",
            "n",
            "seeds that would tell",
        ),
        rows=tuple(_pair_row(pair) for pair in result.pairs),
        numbers=frozenset(numbers),
        notes=(
            "difference: mean of a - mean of b; interval: 95 % (Welch), not adjusted for the number of tests",
            f"p: Welch's test, two-sided; p (Holm): the same corrected over all {n_tests} tests",
            f"exact p: permutation test, up to {PERMUTED_UP_TO} runs on a side, and the smallest it could be",
            "g: Hedges' effect size; n: runs of a, of b",
            "seeds that would tell: of each, to show the observed difference in 80 % of cases if it and the "
            "spreads were the true ones: rough, since the observed difference is itself noisy",
        ),
    )


def _pair_record(pair: Pair, goal: str) -> Record:
    order = ("task", "a", "b", *(name for name in asdict(pair) if name not in {"task", "a", "b"}))
    record = {name: getattr(pair, name) for name in order}
    return record | {"more_seeds": more_seeds(pair), "verdict": verdict(pair, goal)}


def _pair_row(pair: Pair) -> tuple[str, ...]:
    exact = "-"
    if pair.p_permutation is not None:
        exact = f"{p_text(pair.p_permutation)} ({p_text(pair.smallest_p)})"
    if pair.p_welch is None:
        seeds = pair.note
    else:
        seeds = "> 1 000" if pair.seeds_needed is None else str(pair.seeds_needed)
    return (
        pair.task,
        pair.a,
        pair.b,
        number_text(pair.difference),
        interval_text(pair.low, pair.high),
        p_text(pair.p_welch),
        p_text(pair.p_holm),
        exact,
        number_text(pair.hedges_g, 3),
        f"{pair.n_a}, {pair.n_b}",
        seeds,
    )


def p_text(p: float | None) -> str:
    """A p value with two digits that matter, "< 0.0001" below that, "-" for none."""
    if p is None:
        return "-"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def _aggregates(result: AcrossTasks) -> Table:
    named: list[tuple[str, str, str, Estimate]] = [
        (AGGREGATE_TITLES[name], algorithm, "", one)
        for name, of_algorithm in result.aggregates.items()
        for algorithm, one in of_algorithm.items()
    ]
    named += [("probability of improvement", one.a, one.b, one.estimate) for one in result.improvements]
    records = tuple(
        {
            "aggregate": aggregate,
            "algorithm": algorithm,
            "over": other,
            "point": one.point,
            "low": one.low,
            "high": one.high,
            "tasks": len(result.normalized_tasks),
            "least_n": min(one.n),
            "most_n": max(one.n),
            "normalization": result.normalized.how,
            "note": one.note,
        }
        for aggregate, algorithm, other, one in named
    )
    rows = tuple(
        (
            aggregate,
            f"{algorithm} over {other}" if other else algorithm,
            number_text(one.point, 3),
            interval_text(one.low, one.high),
        )
        for aggregate, algorithm, other, one in named
    )
    return Table(
        name="aggregates",
        title="Across tasks",
        records=records,
        headings=("aggregate", "algorithm", "value", "interval"),
        rows=rows,
        numbers=frozenset({"value"}),
        notes=(f"interval: {bootstrap_note(result)}", *normalization_notes(result)) if named else (),
    )


def _named_cells(table: Table, row: Sequence[str]) -> list[str]:
    cells = zip(table.headings, row, strict=True)
    return [f"{heading}: {_one_line(cell)}" for heading, cell in cells if cell]


def _raw(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _sentences(table: Table) -> str:
    return ". ".join((table.title, *map(_as_sentence, table.notes))) + "."


def _as_sentence(note: str) -> str:
    """With a capital letter, but for a symbol, which stands for another thing then."""
    is_symbol = re.match(r"\w\b", note) is not None
    return note if is_symbol else note[0].upper() + note[1:]


def _latex_names(titles: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, dict[str, str]]:
    algorithms = {name: latex_label(label) for name, label in labels.items()}
    pairs = {
        f"{a} over {b}": f"{first} over {second}"
        for a, first in algorithms.items()
        for b, second in algorithms.items()
    }
    tasks = {name: latex_label(title) for name, title in titles.items()}
    return {"task": tasks, "algorithm": algorithms | pairs, "a": algorithms, "b": algorithms}


def _latex_headings(table: Table) -> str:
    """The row of headings; one of three words or more in two lines, so that it is no wider than its cells."""
    cells = []
    for heading in table.headings:
        words = heading.split()
        middle = (len(words) + 1) // 2
        side = "r" if heading in table.numbers else "l"
        lines = r" \\ ".join(latex_text(" ".join(half)) for half in (words[:middle], words[middle:]))
        cells.append(rf"\shortstack[{side}]{{{lines}}}" if len(words) > 2 else latex_text(heading))
    return _latex_row(cells)


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _one_line(text: str) -> str:
    """Nothing from disk moves the cursor or begins another line."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )
