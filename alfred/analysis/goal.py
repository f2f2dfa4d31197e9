"""Which end of a score is the better one."""

from __future__ import annotations

from alfred.errors import UsageError, did_you_mean

GOALS = ("max", "min")


def sign(goal: str) -> int:
    """1 for "max", -1 for "min": a score times it is better when higher. UsageError for another goal."""
    if goal not in GOALS:
        raise UsageError(f"no goal is called {goal!r}: {did_you_mean(str(goal), GOALS)}")
    return 1 if goal == "max" else -1
