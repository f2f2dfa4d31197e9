"""What a program printed is shown as a terminal would have shown it."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from alfred.launchers.readable import as_seen, one_line, shortened

SEEN = {
    b"one\ntwo\n\n\n": ["one", "two"],
    b"": [],
    b"\x1b[31mred\x1b[0m and \x1b[1;4mbold\x1b[m\n": ["red and bold"],
    b"  1%\r 50%\r100%\ndone\n": ["100%", "done"],
    b"100 of 100\r7\n": ["700 of 100"],
    b"100 of 100\r\x1b[K7\n": ["7"],
    b"100 of 100\x1b[2K\rnew": ["new"],
    b"windows\r\nlines\r\n": ["windows", "lines"],
    b"abc\b\bX": ["aXc"],
    b"\b\b\x1b[9A\x1b[Kstill here": ["still here"],
    b"\x1b]0;a title\x07text\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": ["textlink"],
    b"bell\x07 null\x00 tab\there \xc2\x9b \xe2\x80\xaelro": ["bell null tab\there  lro"],
    "größer ≥ 日本".encode(): ["größer ≥ 日本"],
    b"cut \xc3": ["cut \ufffd"],
    b"same\n" * 3 + b"other\n": ["same", "same", "same", "other"],
    b"same\n" * 100 + b"other\n": ["same", "[the same line 99 more times]", "other"],
    b"before\n" + bytes(range(128, 256)) + b"\nafter\n": ["before", "[a line that is no text]", "after"],
}


@pytest.mark.parametrize("data", SEEN)
def test_printed_text_is_shown_as_a_terminal_shows_it(data):
    assert as_seen(data) == SEEN[data]


def test_of_a_long_line_both_ends_are_kept_and_what_is_missing_is_said():
    (line,) = as_seen(b"start" + b"x" * 10_000_000 + b"end\n")
    assert line.startswith("startxxx")
    assert line.endswith("xxxend")
    assert "9998008 characters left out" in line
    assert len(line) < 2100
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefghij", 4) == "ab ... 6 characters left out ... ij"


def test_nested_bars_of_tqdm_stand_in_their_last_state():
    stream = io.StringIO()
    print("epoch 1", file=stream)
    for _ in tqdm(range(4), desc="outer", file=stream, mininterval=0, ascii=True):
        for _ in tqdm(range(50), desc="inner", file=stream, mininterval=0, ascii=True, position=1):
            pass
    print("the end", file=stream)
    lines = [line for line in as_seen(stream.getvalue().encode()) if line]
    assert lines[0] == "epoch 1"
    assert lines[-1] == "the end"
    outer = [line for line in lines if line.startswith("outer")]
    assert len(outer) == 1
    assert "4/4" in outer[0]
    assert len(lines) < 12, "200 states of the inner bar were drawn"


@given(st.binary(max_size=500))
def test_whatever_was_printed_nothing_that_moves_a_cursor_is_left(data):
    for line in as_seen(data):
        assert not {sign for sign in line if not sign.isprintable()} - {"\t"}


def test_random_bytes_are_no_long_report():
    assert sum(map(len, as_seen(os.urandom(100_000)))) < 100_000


def test_the_first_line_of_a_message_is_one_without_control_characters():
    assert one_line("\n\n  \x1b[31mboom\x1b[0m\nmore") == "  boom"
    assert one_line("") == one_line("\n") == ""
    assert len(one_line("y" * 5_000_000)) < 2100
