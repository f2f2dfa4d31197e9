"""Launchers that stood still for longer than their lease holds."""

from __future__ import annotations

import pauses
import pytest


@pytest.mark.timeout(300)
def test_twenty_runs_that_were_taken_over_while_they_stood_still_are_finished_by_the_other_alone(tmp_path):
    """Whatever the clocks say: observers that are hours and years off see the same, living and paused."""
    outcome = pauses.run(["--runs", "20", "--folder", str(tmp_path)])
    assert outcome.violations == []
    assert outcome.counts["observers_of_living"] == outcome.counts["observers_of_paused"] == 5
    assert outcome.counts["finished_by_another"] == outcome.counts["late_finishes_refused"] == 20
