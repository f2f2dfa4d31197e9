"""Launchers and cleaners that do one step each in any order, are stopped and killed, against a model.

benchmarks/faults holds the rules (`machine.py`), what they do with whom (`stage.py`, `stoppable.py`,
`steps.py`) and what has to come of it (`model.py`); `state_machine.py` there does this for as long as one
likes.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import state_machine
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import Machine
from stage import template

EXAMPLES = 30


@pytest.fixture
def laid(monkeypatch):
    """The storage directory that every example copies; in memory, where there is such a place."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="alfred-machine-", dir=memory if memory.is_dir() else None))
    Machine.laid = template(folder)
    Machine.total.clear()
    yield
    shutil.rmtree(folder)


@pytest.mark.timeout(400)
def test_whatever_launchers_and_cleaners_do_in_whatever_order_the_tree_is_as_the_model_says(laid):
    rules = settings(
        max_examples=EXAMPLES,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(Machine, settings=rules)
    seen = Machine.total
    assert seen["examples brought to their end"] == EXAMPLES
    assert [what for what in TELLING if not seen[what]] == [], seen


# Without these the examples would prove little.
TELLING = (
    "kills of idle",
    "kills of midst",
    "kills of paused",
    "stopped in the midst",
    "runs killed",
    "runs stopped at their birth",
    "running taken over",
    "resetting taken over",
    "judged by its silence",
    "cleaners beside a stopped one",
    "third deaths",
    "completed",
)


@pytest.mark.timeout(300)
def test_a_broken_alfred_is_found_out(laid, monkeypatch):
    """A lease that goes with the first of several batons: who holds the other has none."""
    monkeypatch.setattr("alfred.storage.leases.Leases.drop", state_machine.drop_too_early)
    (violation,) = state_machine.one_round(1, examples=25, steps=40)
    assert "without a lease" in violation
