"""What holds for every test: a test that skips itself has not passed."""

from __future__ import annotations

import signal
from collections.abc import Generator

import pytest

# Under nohup and in the background of a script these are ignored, and what the tests start would inherit it.
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure, unless the test is marked `may_skip(reason)`.

    What was printed goes from process to process as UTF-8, which holds no half of a surrogate pair.
    """
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    allowed = hasattr(report, "wasxfail") or item.get_closest_marker("may_skip") is not None
    if report.skipped and not allowed:
        report.outcome = "failed"
        report.longrepr = f"skipped without the mark may_skip: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a module that skips itself as a whole into an error."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"a whole module was skipped: {report.longrepr}"
    return report
