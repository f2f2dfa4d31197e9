"""Tables of text from disk."""

from collections import Counter

import pytest

from alfred.report.tables import Column, escaped, print_states, print_table
from alfred.storage.survey import Condition


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Ünï", "plain Ünï"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("left\u202eto right", "left\\u202eto right"),
        ("half \udc80", "half \\udc80"),
    ],
)
def test_what_would_move_the_cursor_or_hide_something_is_spelt_out(text, shown):
    assert escaped(text) == shown


def test_cells_are_shown_as_they_are_however_much_they_look_like_markup(capsys):
    print_table([Column("name"), Column("n", is_number=True)], [("[bold]x[/bold] :smile: 12", "3")])
    assert capsys.readouterr().out == "name                       n\n[bold]x[/bold] :smile: 12  3\n"


def test_one_storage_directory_needs_no_sum_and_several_get_one(capsys):
    print_states([("one", Counter({Condition.WAITING: 2}))])
    assert capsys.readouterr().out.splitlines()[1].split() == ["one", "2", "0", "0", "0", "0", "0", "2"]
    print_states([("one", Counter({Condition.WAITING: 2})), ("two", Counter({Condition.CRASHED: 1}))])
    assert capsys.readouterr().out.splitlines()[3].split()[2:] == ["2", "0", "0", "0", "1", "0", "3"]


def test_a_column_without_anything_in_it_is_left_out(capsys):
    print_table([Column("name"), Column("job"), Column("host")], [("a", "", "x"), ("b", "", "")])
    assert capsys.readouterr().out.splitlines()[0].split() == ["name", "host"]
