"""A process that is stopped while it ends its run, and wakes up when others have that, publishes nothing."""

import contextlib
import dataclasses
import errno
import os
import runpy
import signal
from pathlib import Path

import pytest

from alfred.errors import OvertakenError
from alfred.launchers import notes
from alfred.storage import batons
from alfred.storage.attempts import Attempts, read_attempts, read_run, write_attempts, write_run
from alfred.storage.crashes import group_crashes, report_of
from alfred.storage.flags import COMPLETED_BATON, CRASHED_BATON, State, look
from alfred.storage.owners import this_process
from alfred.utils import recorder

system_calls = runpy.run_path(str(Path(__file__).with_name("system_calls.py")))
ME, OTHER, THIRD, DEAD = (f"host-{number}-0123abcd" for number in (1, 2, 3, 4))
ENDS = {
    "finish": lambda seed_dir: batons.finish(seed_dir, ME),
    "crash": lambda seed_dir: batons.crash(seed_dir, ME, "Error: of the overtaken attempt"),
    "release": lambda seed_dir: batons.release(seed_dir, ME, "stopped"),
    "note process": lambda seed_dir: batons.note_process(seed_dir, ME, 1, "2"),
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
    assert step > {"release": 1, "note process": 3}.get(end, 4)


LATE = {
    "begin": (lambda run: None, lambda run: notes.begin(run, this_process_as(ME), {"python": "3"})),
    "end": (lambda run: None, lambda run: notes.end(run, begun_by(ME), {"how": "completed"})),
    "save": (lambda run: None, lambda run: save(run, ME)),
    "release": (lambda run: None, lambda run: batons.release(run, ME, "stopped")),
    "reap": (lambda run: None, lambda run: batons.reap(run, batons.running(DEAD), ME)),
    "third death": (
        lambda run: write_attempts(run, Attempts(1, 2)),
        lambda run: batons.reap(run, batons.running(DEAD), ME),
    ),
    "clean crash": (
        lambda run: batons.crash(run, ME, "Error: x"),
        lambda run: batons.clean_crash(run, ME),
    ),
}


@pytest.mark.parametrize("what", LATE)
def test_one_paused_before_any_change_and_overtaken_changes_nothing_of_the_attempt_that_counts(
    lay, stopping_child, what
):
    """Neither its outputs nor its number nor its run.json, and what was put aside of the one before stays."""
    before, late = LATE[what]

    def work():
        with contextlib.suppress(OvertakenError):
            late(run)

    step = 0
    while True:
        step += 1
        (run,) = lay(1, f"Ab{step}_any_thing_grid_x")
        batons.claim(str(run), DEAD if what in ("reap", "third death") else ME)
        write_attempts(run, Attempts(1, 0))
        save(run, "the first")
        before(run)
        child = stopping_child(work, step)
        if child is None:
            break
        baton = look(run)
        if baton is None or not baton.owner:
            child.let_go()
            continue  # it is not held any more, or not yet
        number = take_over_again(run, baton)
        child.let_go()
        assert look(run) == COMPLETED_BATON, step
        assert saved_by(run / "recorders/tape.pkl") == "the second", step
        assert read_attempts(run).attempt == read_run(run)["attempt"] == number > 1, step
        assert read_run(run)["owner"] == THIRD, step
        aside = [saved_by(path) for path in run.glob(".alfred/attempts/*/recorders*/tape.pkl")]
        assert aside == ["the first"], (step, aside)
    assert step > 3


def take_over_again(run, baton):
    """Another host puts it back, a third does it; the number of the attempt."""
    if batons.reap(run, baton, OTHER) is State.CRASHED:
        assert batons.clean_crash(run, OTHER)
    assert batons.claim(str(run), THIRD)
    begun = notes.begin(run, this_process_as(THIRD), {"python": "3"})
    save(run, "the second")
    notes.end(run, begun, {"how": "completed"})
    batons.finish(run, THIRD)
    return begun.attempt


def this_process_as(name):
    return dataclasses.replace(this_process(), name=name)


def begun_by(name):
    return notes.Begun(1, {"owner": name, "attempt": 1}, 0.0, 0.0)


def save(run, text):
    """As a run of `text`: ME looks before it saves whether the run is its own."""
    recorder.may_publish = (lambda: batons.is_mine(str(run), ME)) if text == ME else None
    tape = recorder.Recorder(["who"])
    tape.write_to_tape({"who": text})
    tape.save(run / "recorders" / "tape.pkl")


def saved_by(path):
    return recorder.Recorder.init_from_pickle_file(path).tape["who"][-1]


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EIO, errno.ESTALE])
def test_a_file_that_was_replaced_is_written_although_the_answer_got_lost(run, code):
    def lose(call):
        done = call.do()
        if call.name == "replace":
            raise OSError(code, os.strerror(code))
        return done

    with system_calls["calls"](run, lose):
        begun = notes.begin(run, this_process_as(ME), {"python": "3"})
    assert (begun.attempt, read_attempts(run).attempt, read_run(run)["owner"]) == (1, 1, ME)


def test_a_file_whose_new_content_was_taken_away_is_not_taken_for_written(run):
    def take_away(call):
        if call.name == "replace":
            os.unlink(call.args[0])
        return call.do()

    with system_calls["calls"](run, take_away), pytest.raises(FileNotFoundError):
        notes.begin(run, this_process_as(ME), {"python": "3"})
    assert read_attempts(run).attempt == 0


def test_a_new_attempt_does_not_forget_the_deaths_before(run):
    write_attempts(run, Attempts(2, 2))
    notes.begin(run, this_process_as(ME), {})
    assert read_attempts(run) == Attempts(3, 2)


def test_when_a_run_ended_is_told_by_how_long_it_took_though_the_clock_was_set_meanwhile(run):
    notes.end(run, begun_by(ME), {"how": "completed"})  # begun in 1970
    assert int(read_run(run)["end"][:4]) < 1990


def test_a_third_death_that_was_counted_by_one_who_died_then_becomes_a_crash(run, child):
    write_attempts(run, Attempts(3, 2))
    write_run(run, {"owner": ME})
    steps, seen = 0, set()
    while True:
        steps += 1
        if child(lambda: batons.reap(run, batons.running(ME), OTHER), kill_before=steps) == 0:
            break
        baton = look(run)
        counted = read_attempts(run).deaths == 3
        seen.add((baton.state, counted))
        if baton.owner:
            ended = State.CRASHED if counted or baton.state is State.RUNNING else State.WAITING
            assert batons.reap(run, baton, THIRD) is ended, steps
            if ended is State.WAITING:  # the death was not counted; it dies once more
                batons.claim(str(run), ME)
                write_run(run, {"owner": ME})
                assert batons.reap(run, batons.running(ME), THIRD) is State.CRASHED
        assert report_of(str(run)) == str(run / "CRASH.txt")
        assert f"the last time under {ME}" in (run / "CRASH.txt").read_text()
        os.rename(run / "CRASH.txt", run / batons.running(ME).name)
        for left in run.glob(".alfred/report.*"):
            left.unlink()
        write_attempts(run, Attempts(3, 2))
        write_run(run, {"owner": ME})
    assert {(State.RUNNING, False), (State.RESETTING, True)} <= seen


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


def test_an_old_listing_does_not_pass_off_anothers_flag_as_ones_own(run):
    """A client of NFS may still list the baton that has changed hands, and our word stands in the flag."""
    stale, written = os.listdir(run), []

    def overtake(call):
        if call.name == "write" and call.path == str(run / batons.running(ME).name):
            written.append(take_over(run, "completed"))
        elif call.name == "listdir" and call.path == str(run) and written:
            return stale
        return call.do()

    with system_calls["calls"](run, overtake), pytest.raises(OvertakenError):
        ENDS["finish"](run)
    assert written == [COMPLETED_BATON]
    assert ME in (run / "COMPLETED").read_text()


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
