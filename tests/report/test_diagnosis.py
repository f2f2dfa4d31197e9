"""Findings as people read them, and what is said while they wait."""

import threading

from alfred.report.diagnosis import as_records, print_findings, total
from alfred.report.ticker import Ticker
from alfred.storage.diagnosis import Finding, Level

FINDINGS = [
    Finding("names", Level.OK, "up to 255 bytes", "every name fits"),
    Finding("conflicts", Level.PROBLEM, "7", "nobody runs them", "look at them", tuple("abcdefg")),
    Finding("clock", Level.NOTE, "90 s behind", numbers={"ahead": -90.0}),
    Finding("symlinks", Level.NOTE, "can't be \x1b[2Jmade"),
]


def test_a_line_says_level_check_measured_meaning_and_remedy_and_places_stand_below(capsys):
    print_findings("Storage tree", FINDINGS)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Storage tree"
    assert lines[2:5] == [
        "ok names up to 255 bytes: every name fits",
        "problem conflicts 7: nobody runs them; look at them",
        "a",
    ]
    assert lines[8:10] == ["e", "... and 2 more; --json lists all"]
    assert lines[10] == "note clock 90 s behind"
    assert lines[11] == r"note symlinks can't be \x1b[2Jmade"


def test_the_sum_counts_problems_and_notes():
    assert total(FINDINGS) == "1 problem, 2 notes"
    assert total(FINDINGS[:1]) == total([]) == "all well"


def test_records_hold_everything_with_the_section():
    first, second, third, _ = as_records({"A": FINDINGS[:1], "B": FINDINGS[1:]})
    assert (first["section"], first["level"], first["remedy"]) == ("A", "ok", "")
    assert (second["section"], second["places"]) == ("B", list("abcdefg"))
    assert third["numbers"] == {"ahead": -90.0}


def test_who_waits_is_told_now_and_then_what_is_being_done():
    said, enough = [], threading.Event()

    def write(line):
        said.append(line)
        if len(said) >= 2:
            enough.set()

    with Ticker(write, every=0.01) as doing:
        doing("racing")
        assert enough.wait(20)
    assert said[0].startswith("racing, 0h00m0")
    assert not [thread for thread in threading.enumerate() if thread.name == "alfred-ticker"]


def test_what_is_quick_is_not_told():
    said = []
    with Ticker(said.append, every=60.0) as doing:
        doing("racing")
    assert said == []
