"""Which crash reports tell of the same death."""

from __future__ import annotations

import json
import os

import pytest

from alfred.storage.crashes import group_crashes, normalised, read_report

OWNER, ANOTHER = "host-12-0123abcd", "some.host-7-89abcdef"

ALIKE = {
    "<Net object at 0x7f01> is bad": ["<Net object at 0x7FAB> is bad"],
    "loss is nan at step 12": ["loss is nan at step 7000", "loss is nan at step 1_000"],
    "lr=0.1 is too high": ["lr=10 is too high", "lr=1e-3 is too high", "lr=-2.5E+10 is too high"],
    "index 3 is out of bounds for axis 0 with size 3": ["index 4 is out of bounds for axis 1 with size 4"],
    "[Errno 2] No such file: '/data/a b/seed1/x.npz'": ["[Errno 2] No such file: '/tmp/tmpab12cd34/x.npz'"],
    "can't open /data/x.npz: gone": ["can't open ./y/z.npz: gone", "can't open ~/z: gone"],
    "KeyError: 'experiment3_seed12'": ["KeyError: 'experiment10_seed7'"],
    "run 123e4567-e89b-12d3-a456-426614174000 failed": ["run 00000000-e89b-12d3-a456-42661417400f failed"],
    "commit f7b375e1a is missing": ["commit 58332a7b4c is missing"],
    "in tmpab12cd_4 nothing": ["in tmpzz9900aa nothing"],
    f"the last time under {OWNER}": [f"the last time under {ANOTHER}"],
}
APART = [
    ("expected float32", "expected float64"),
    ("conv2d failed", "conv1d failed"),
    ("left with exit status 0 before", "left with exit status 1 before"),
    ("[Errno 2] x", "[Errno 13] x"),
    ("SystemExit: 3", "SystemExit: 4"),
    ("HTTP error code 404", "HTTP error code 500"),
    ("no key a", "no key b"),
    ("the loss is nan", "the loss is inf"),
]


@pytest.mark.parametrize("message", ALIKE)
def test_messages_that_differ_in_particulars_are_alike(message):
    assert {normalised(other) for other in ALIKE[message]} == {normalised(message)}


@pytest.mark.parametrize(("one", "other"), APART)
def test_messages_that_say_another_mistake_are_not(one, other):
    assert normalised(one) != normalised(other)


def test_what_is_replaced_leaves_a_readable_line():
    told = "RuntimeError: lr=0.1, <Net at 0x7f> read '/data/x.pt' of seed12 at step 300"
    assert normalised(told) == "RuntimeError: lr=#, <Net at #> read <path> of <run> at step #"
    assert len(normalised("x" * 10_000)) == 200


@pytest.fixture
def report(tmp_path):
    """`report("text", owner=...)`: a seed directory with that crash report and run.json."""

    def write(text, owner=None):
        seed_dir = tmp_path / f"seed{len(os.listdir(tmp_path))}"
        (seed_dir / ".alfred").mkdir(parents=True)
        (seed_dir / "CRASH.txt").write_text(text)
        if owner is not None:
            (seed_dir / ".alfred/run.json").write_text(json.dumps({"owner": owner}))
        return str(seed_dir)

    return write


def told(where, signature, error="ValueError: 1", owner=OWNER):
    return (
        f"Crashed at: now by {owner}\nError: {error}\nWhere: {where}\nSignature: {signature}\n"
        f"Attempt: 1\n\n--- traceback\nSignature: no\n{error}\n"
    )


def test_a_report_says_its_signature_at_its_head(report):
    found = read_report(report(told("main.py, line 3, in f", "ValueError at main.py:f: #")))
    assert (found.headline, found.signature) == ("ValueError: 1", "ValueError at main.py:f: #")
    assert found.where == "main.py, line 3, in f"


def test_the_colours_of_an_error_are_for_its_own_terminal_alone(report):
    text = told("main.py", "E: x", error="\x1b[31mE: x\x1b[0m")
    assert read_report(report(text)).headline == "E: x"


def test_reports_are_grouped_by_signature_whatever_line_they_name(report):
    seed_dirs = [
        report(told("main.py, line 3, in f", "ValueError at main.py:f: #", "ValueError: 1")),
        report(told("main.py, line 3, in g", "ValueError at main.py:g: #", "ValueError: 2")),
        report(told("main.py, line 4, in f", "ValueError at main.py:f: #", "ValueError: 3")),
    ]
    first, second = group_crashes(seed_dirs)
    assert [one.seed_dir for one in first.reports] == [seed_dirs[0], seed_dirs[2]]
    assert first.example.headline == "ValueError: 1"
    assert [one.seed_dir for one in second.reports] == [seed_dirs[1]]


@pytest.mark.parametrize(
    "text",
    [
        "Crashed at: some time\nTraceback ...\nValueError: step {n}\n\n \n",
        "no head\nSignature: of something else\nValueError: step {n}",
        "\n\nValueError: step {n}",
        "Crashed at: now by x\nError: ValueError: step {n}\nAttempt: 1\n\nanything",
    ],
)
def test_reports_of_older_tools_are_known_by_their_last_line(report, text):
    (group,) = group_crashes([report(text.format(n=1)), report(text.format(n=22))])
    assert group.example.headline == "ValueError: step 1"
    assert group.example.signature == "ValueError: step #"
    assert group.example.where == ""


def test_a_report_that_names_another_owner_than_run_json_is_an_overtaken_attempts(report):
    text = told("main.py, line 3, in f", "s")
    own, overtaken = report(text, OWNER), report(text, ANOTHER)
    assert not read_report(own).overtaken
    assert read_report(overtaken).overtaken
    groups = group_crashes([own, overtaken])
    assert {group.example.overtaken: group.last_line for group in groups} == {
        False: "ValueError: 1",
        True: "(an overtaken attempt's report) ValueError: 1",
    }


def test_who_found_a_run_dead_is_no_other_attempts_owner(report):
    """The report of a run that died three times is written by whoever put it back, and names whose it was."""
    text = f"Crashed at: now by {ANOTHER} about {OWNER}\nError: died 3 times, the last time under {OWNER}\n"
    assert not read_report(report(text, OWNER)).overtaken
    assert not read_report(report("Crashed at: now\nby hand\n", OWNER)).overtaken
    assert not read_report(report(text, "nonsense")).overtaken


def test_a_report_of_a_mebibyte_is_read_at_its_ends(report):
    middle = "x\n" * 500_000
    assert read_report(report(f"Crashed at: now\n{middle}ValueError: 1\n")).headline == "ValueError: 1"
    long = told("main.py, line 3, in f", "s", "ValueError: " + "y" * 900) + middle
    assert len(read_report(report(long)).headline) == 912


def test_a_report_cut_at_any_byte_or_with_a_nul_in_any_place_says_only_what_stood_in_it(tmp_path):
    whole = b"Crashed at: 2026-01-02T03:04:05+0100 by host-12-0123abcd\nError: ValueError: loss is nan\n"
    whole += b"Signature: ValueError at main.py:main: loss is nan\nWhere: main.py:7 in main\n\nTraceback\n"
    (tmp_path / ".alfred").mkdir()
    (tmp_path / ".alfred" / "run.json").write_text(json.dumps({"owner": OWNER}))
    (tmp_path / "CRASH.txt").write_bytes(whole)
    assert read_report(str(tmp_path)).headline == "ValueError: loss is nan"
    damaged = [whole[:end] for end in range(len(whole))]
    damaged += [whole[:place] + b"\0" + whole[place + 1 :] for place in range(len(whole))]
    for data in damaged:
        (tmp_path / "CRASH.txt").write_bytes(data)
        (group,) = group_crashes([str(tmp_path)])
        ends = [
            part.strip() for line in data.decode().splitlines() for part in (line, line.partition(": ")[2])
        ]
        told = group.last_line.removeprefix("(an overtaken attempt's report) ")
        assert told == "(the report is empty)" or told in ends, data
