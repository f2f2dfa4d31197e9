"""A process that is stopped while it ends its run, and wakes up when others have that, publishes nothing."""

import os
import signal

import pytest

from alfred.errors import OvertakenError
from alfred.storage import batons
from alfred.storage.attempts import write_run
from alfred.storage.crashes import group_crashes, report_of
from alfred.storage.flags import COMPLETED_BATON, CRASHED_BATON, State, look

ME, OTHER, THIRD = "host-1-0123abcd", "host-2-0123abcd", "host-3-0123abcd"
ENDS = {
    "finish": lambda seed_dir: batons.finish(seed_dir, ME),
    "crash": lambda seed_dir: batons.crash(seed_dir, ME, "Error: of the overtaken attempt"),
    "release": lambda seed_dir: batons.release(seed_dir, ME, "stopped"),
}


@pytest.fixture
def run(lay):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    (seed_dir / "model.pt").write_text("weights")
    return seed_dir


def take_over(seed_dir, then=None):
    assert batons.reap(seed_dir, batons.running(ME), OTHER, death=False) is State.WAITING
    assert batons.claim(str(seed_dir), THIRD)
    write_run(seed_dir, {"owner": THIRD})
    if then == "completed":
        batons.finish(seed_dir, THIRD)
    elif then == "crashed":
        batons.crash(seed_dir, THIRD, "Error: of the attempt that counts")
    return look(seed_dir)


@pytest.mark.parametrize("then", ["running", "completed", "crashed"])
@pytest.mark.parametrize("end", sorted(ENDS))
def test_one_paused_before_any_change_of_its_end_publishes_nothing_once_it_is_overtaken(
    run, stopping_child, end, then
):
    """Between the write into the baton and its rename, too."""

    def work():
        try:
            ENDS[end](run)
        except OvertakenError:
            os._exit(7)

    step = 0
    while True:
        step += 1
        child = stopping_child(work, step)
        if child is None:
            break
        if look(run) != batons.running(
            ME
        ):  # it has changed hands by its own doing: nothing to fence any more
            child.let_go()
            break
        expected = take_over(run, then)
        assert child.let_go() == 7, step
        assert look(run) == expected, step
        assert (run / ".alfred/attempts/0/model.pt").read_text() == "weights"
        os.rename(run / expected.name, run / batons.running(ME).name)
    assert step > (1 if end == "release" else 4)


def test_what_an_overtaken_attempt_writes_late_into_anothers_flag_is_not_taken_for_its_report(
    run, stopping_child
):
    """Opened before the takeover, the file carries another flag's name by now: the copy beside it counts."""
    child = stopping_child(lambda: ENDS["crash"](run), 0, before_write_into=run / batons.running(ME).name)
    assert take_over(run, "crashed") == CRASHED_BATON
    child.let_go()
    assert "of the overtaken attempt" in (run / "CRASH.txt").read_text()
    assert report_of(str(run)) == str(run / ".alfred" / f"report.{THIRD}")
    (group,) = group_crashes([str(run)])
    assert group.last_line == "of the attempt that counts"
    (run / ".alfred" / f"report.{THIRD}").unlink()
    (group,) = group_crashes([str(run)])
    assert group.last_line == "(an overtaken attempt's report) of the overtaken attempt"


def test_a_late_word_in_a_completed_flag_leaves_the_run_completed(run, stopping_child):
    child = stopping_child(lambda: ENDS["finish"](run), 0, before_write_into=run / batons.running(ME).name)
    assert take_over(run, "completed") == COMPLETED_BATON
    child.let_go()
    assert look(run) == COMPLETED_BATON


def test_the_report_of_a_third_death_is_taken_for_what_it_is(run):
    """Who found it dead wrote it, about the attempt of another."""
    for _ in range(2):
        batons.reap(run, batons.running(ME), OTHER)
        batons.claim(str(run), ME)
    write_run(run, {"owner": ME})
    assert batons.reap(run, batons.running(ME), OTHER) is State.CRASHED
    assert report_of(str(run)) == str(run / "CRASH.txt")


def test_a_process_that_was_killed_after_it_wrote_its_report_did_not_die_without_one(run, child):
    for _ in range(4):
        assert child(lambda: ENDS["crash"](run), kill_before=8) == -9  # the report stands, the flag doesn't
        assert (run / ".alfred" / f"report.{ME}").exists()
        assert batons.reap(run, batons.running(ME), OTHER) is State.WAITING
        assert batons.claim(str(run), ME)


def test_stopping_is_seen_through(run, stopping_child):
    """The harness itself: a child that never comes to the step is told apart from one that stops."""
    assert stopping_child(lambda: None, 1) is None
    stopped = stopping_child(lambda: ENDS["finish"](run), 1)
    assert (
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG) is None
    )  # reported once already
    assert stopped.let_go(signal.SIGKILL) == -9
