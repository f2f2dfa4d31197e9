"""The progress bar handed to main(): used like tqdm's, heard by somebody else, plain in a log file."""

from __future__ import annotations

import pytest

from alfred.utils.progress_bar import LineReporter, PlainProgressBar


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_it_counts_and_reports_no_more_often_than_asked():
    clock, heard = Clock(), []
    bar = PlainProgressBar(10, "run", lambda *state: heard.append(state), clock=clock)
    for _ in range(6):
        bar.update()
        clock.now += 0.125
    assert bar.n == 6
    assert heard == [(1, 10, "run"), (3, 10, "run"), (5, 10, "run")]
    bar.close()
    bar.close()
    assert heard[-1] == (6, 10, "run")
    assert len(heard) == 4


def test_it_can_be_used_in_every_way_that_main_uses_tqdm():
    heard = []
    with PlainProgressBar(report=lambda *state: heard.append(state)) as bar:
        assert bar != "default_pbar"
        assert not bar == "default_pbar"  # noqa: SIM201
        assert bar
        bar.total = 30
        bar.n = 4
        bar.desc += "Ju1"
        bar.refresh()
        bar.set_postfix(loss=0.12345, epoch=3)
        bar.set_description("new")
        bar.update(2)
        bar.reset(total=5)
    assert heard[0] == (4, 30, "Ju1")
    assert heard[1] == (4, 30, "Ju1, loss=0.123, epoch=3")
    assert heard[2] == (4, 30, "new, loss=0.123, epoch=3")
    assert heard[-1] == (0, 5, "new, loss=0.123, epoch=3")


def test_it_can_be_iterated_over_and_written_through(capsys):
    bar = PlainProgressBar(total=3)
    assert list(bar) == [0, 1, 2]
    assert bar.n == 3
    bar.write("hello")
    assert capsys.readouterr().out == "hello\n"
    with pytest.raises(TypeError, match="total"):
        list(PlainProgressBar())


def test_a_log_file_gets_a_plain_line_now_and_then_and_one_at_the_end():
    clock, lines = Clock(), []
    reporter = LineReporter(lines.append, clock=clock)
    bar = PlainProgressBar(200, "two\r\nlines", reporter, clock=clock)
    for _ in range(190):
        clock.now += 0.5
        bar.update()
    assert lines == [
        "two lines: 60/200 (30%), 0h00m30s",
        "two lines: 120/200 (60%), 0h01m00s",
        "two lines: 180/200 (90%), 0h01m30s",
    ]
    bar.close()
    assert lines[3:] == ["two lines: 190/200 (95%), 0h01m35s"]


def test_the_last_line_is_written_once_and_a_bar_without_total_counts():
    clock, lines = Clock(), []
    bar = PlainProgressBar(report=LineReporter(lines.append, clock=clock), clock=clock)
    bar.update(7)
    assert lines == []
    bar.close()
    assert lines == ["7, 0h00m00s"]
    full = PlainProgressBar(2, report=LineReporter(lines.append, clock=clock), clock=clock)
    full.update(2)
    full.close()
    assert lines[1:] == ["2/2 (100%), 0h00m00s"]
