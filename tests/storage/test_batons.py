"""Every change of a run's state: one process gets it, and who was overtaken publishes nothing."""

import errno
import os
import runpy
import time
from pathlib import Path

import pytest

from alfred.errors import OvertakenError
from alfred.storage import adoption, batons
from alfred.storage.attempts import Attempts, read_attempts, write_attempts
from alfred.storage.flags import COMPLETED_BATON, WAITING_BATON, ConflictError, State, look

calls = runpy.run_path(str(Path(__file__).with_name("system_calls.py")))["calls"]
ME, OTHER, THIRD = "host-1-0123abcd", "host-2-0123abcd", "host-3-0123abcd"


def test_of_six_processes_exactly_one_gets_each_of_300_runs(lay, together, tmp_path):
    seed_dirs = lay(300)

    def work(number):
        owner = f"host-{number}-0123abcd"
        mine = [str(seed_dir) for seed_dir in seed_dirs if batons.claim(str(seed_dir), owner)]
        (tmp_path / f"claimed{number}").write_text("\n".join(mine))

    together([lambda number=number: work(number) for number in range(6)])
    claimed = [set((tmp_path / f"claimed{number}").read_text().split()) for number in range(6)]
    assert sum(map(len, claimed)) == 300
    assert set.union(*claimed) == {str(seed_dir) for seed_dir in seed_dirs}
    for number, paths in enumerate(claimed):
        assert all(look(path) == batons.running(f"host-{number}-0123abcd") for path in paths)


def test_of_six_processes_exactly_one_reaps_each_dead_run(lay, together, tmp_path):
    seed_dirs = lay(40)
    for seed_dir in seed_dirs:
        batons.claim(str(seed_dir), OTHER)
        (seed_dir / "model.pt").write_text("weights")

    def work(number):
        me = f"host-{100 + number}-0123abcd"
        mine = [path for path in seed_dirs if batons.reap(path, batons.running(OTHER), me)]
        (tmp_path / f"reaped{number}").write_text("x" * len(mine))

    together([lambda number=number: work(number) for number in range(6)])
    assert sum((tmp_path / f"reaped{number}").stat().st_size for number in range(6)) == 40
    assert {look(seed_dir) for seed_dir in seed_dirs} == {WAITING_BATON}
    assert {read_attempts(seed_dir) for seed_dir in seed_dirs} == {Attempts(0, 1)}


def test_what_lies_beside_a_waiting_baton_is_left_alone_by_a_claim(lay, names):
    (seed_dir,) = lay(1)
    (seed_dir / "model.pt").write_text("weights")
    assert batons.claim(str(seed_dir), ME)
    assert names(seed_dir) == [f"RUNNING.{ME}", "config.json", "config_unique.json", "model.pt"]
    assert not batons.claim(str(seed_dir), OTHER)


@pytest.mark.parametrize("beside", ["COMPLETED", "CRASH.txt", f"RUNNING.{OTHER}", f"RESETTING.{OTHER}"])
def test_a_waiting_run_with_a_second_baton_is_put_back_and_named(lay, names, beside):
    (seed_dir,) = lay(1)
    (seed_dir / beside).touch()
    before = names(seed_dir)
    with pytest.raises(ConflictError) as caught:
        batons.claim(str(seed_dir), ME)
    assert beside in str(caught.value)
    assert "UNHATCHED" in str(caught.value)
    assert str(seed_dir) in str(caught.value)
    assert names(seed_dir) == before


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.symlink("config.json", path)])
def test_an_unhatched_that_is_no_plain_file_is_put_back_and_named(lay, make):
    (seed_dir,) = lay(1)
    (seed_dir / "UNHATCHED").unlink()
    make(seed_dir / "UNHATCHED")
    with pytest.raises(ConflictError, match="UNHATCHED is no plain file in "):
        batons.claim(str(seed_dir), ME)
    assert os.path.lexists(seed_dir / "UNHATCHED")


def test_a_claim_that_cannot_look_for_a_second_baton_is_given_back(lay):
    (seed_dir,) = lay(1)

    def silent(call):
        if call.name == "listdir":
            raise OSError(errno.EIO, os.strerror(errno.EIO), call.path)
        return call.do()

    with calls(seed_dir, silent), pytest.raises(OSError, match=os.strerror(errno.EIO)):
        batons.claim(str(seed_dir), ME)
    assert look(seed_dir) == WAITING_BATON


def test_a_link_in_the_place_of_a_baton_is_not_written_through(lay):
    (seed_dir,) = lay(1)
    (seed_dir / "UNHATCHED").unlink()
    (seed_dir / f"RUNNING.{ME}").symlink_to("config.json")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        batons.finish(seed_dir, ME)
    assert (seed_dir / "config.json").read_text() == "{}\n"


def test_a_finished_run_says_who_ran_it(lay):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    batons.note_process(seed_dir, ME, 123, "456")
    assert (seed_dir / f"RUNNING.{ME}").read_text() == f"{ME}\n123 456\n"
    batons.finish(seed_dir, ME)
    (line,) = (seed_dir / "COMPLETED").read_text().splitlines()
    assert ME in line
    assert look(seed_dir) == COMPLETED_BATON


def test_a_crash_keeps_the_report_in_the_flag_and_beside_it(lay):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    batons.crash(seed_dir, ME, "Error: it broke\nTraceback ...")
    text = (seed_dir / "CRASH.txt").read_text()
    assert text.startswith("Crashed at: ")
    assert ME in text.splitlines()[0]
    assert "Error: it broke\n" in text
    assert (seed_dir / ".alfred" / f"report.{ME}").read_text() == text


def test_a_link_in_the_place_of_alfreds_own_folder_leads_no_report_elsewhere(lay, tmp_path):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    (tmp_path / "outside").mkdir()
    (seed_dir / ".alfred").symlink_to(tmp_path / "outside")
    batons.crash(seed_dir, ME, "Error: it broke")
    assert os.listdir(tmp_path / "outside") == []
    assert (seed_dir / ".alfred" / f"report.{ME}").exists()


def test_a_report_is_cut_at_a_mebibyte_between_two_letters(lay):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    batons.crash(seed_dir, ME, "é" * batons.MAX_REPORT)
    data = (seed_dir / "CRASH.txt").read_bytes()
    assert batons.MAX_REPORT - 1 <= len(data) <= batons.MAX_REPORT
    assert data.decode().endswith("é")


@pytest.mark.parametrize(
    "end",
    [
        lambda seed_dir: batons.finish(seed_dir, ME),
        lambda seed_dir: batons.crash(seed_dir, ME, "Error: late"),
        lambda seed_dir: batons.release(seed_dir, ME, "stopped"),
        lambda seed_dir: batons.note_process(seed_dir, ME, 1, "2"),
    ],
)
@pytest.mark.parametrize("since", ["waiting", "running", "completed", "crashed"])
def test_who_was_overtaken_publishes_nothing(lay, names, end, since):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    batons.reap(seed_dir, batons.running(ME), OTHER)
    if since != "waiting":
        batons.claim(str(seed_dir), THIRD)
    if since == "completed":
        batons.finish(seed_dir, THIRD)
    if since == "crashed":
        batons.crash(seed_dir, THIRD, "Error: it broke")
    before = names(seed_dir), look(seed_dir)
    assert not batons.is_mine(seed_dir, ME)
    with pytest.raises(OvertakenError, match=r"was taken over .*: nothing of this attempt is published"):
        end(seed_dir)
    assert (names(seed_dir), look(seed_dir)) == before


def test_one_whose_answer_got_lost_knows_its_own_flag(lay):
    """The server did the rename and the client asks again: the source is gone, the flag names us."""
    done, crashed = lay(2)
    for seed_dir in (done, crashed):
        batons.claim(str(seed_dir), ME)
    batons.finish(done, ME)
    batons.crash(crashed, ME, "Error")
    batons._move_or_raise(done, batons.running(ME), COMPLETED_BATON)
    batons._move_or_raise(crashed, batons.running(ME), batons.CRASHED_BATON)
    with pytest.raises(OvertakenError):
        batons._move_or_raise(done, batons.running(OTHER), COMPLETED_BATON)


def test_a_released_run_waits_with_a_note_why(lay, names):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    (seed_dir / "logger.out").write_text("half a run")
    batons.release(seed_dir, ME, "stopped by SIGTERM")
    assert names(seed_dir) == ["UNHATCHED", "config.json", "config_unique.json"]
    assert "stopped by SIGTERM" in (seed_dir / "UNHATCHED").read_text()
    assert read_attempts(seed_dir).deaths == 0


def test_the_third_death_without_a_report_is_a_crash_and_cleaning_forgets_the_deaths(lay):
    (seed_dir,) = lay(1)
    states = []
    for _ in range(3):
        batons.claim(str(seed_dir), ME)
        states.append(batons.reap(seed_dir, batons.running(ME), OTHER))
    assert states == [State.WAITING, State.WAITING, State.CRASHED]
    report = (seed_dir / "CRASH.txt").read_text()
    assert report.startswith("Crashed at: ")
    assert "died 3 times without leaving a report" in report
    assert ME in report
    assert batons.clean_crash(seed_dir, OTHER)
    assert not batons.clean_crash(seed_dir, THIRD)
    assert read_attempts(seed_dir).deaths == 0
    assert look(seed_dir) == WAITING_BATON


def test_deaths_with_the_machine_and_cut_off_resets_do_not_count(lay):
    (seed_dir,) = lay(1)
    write_attempts(seed_dir, Attempts(5, 2))
    for _ in range(3):
        batons.claim(str(seed_dir), ME)
        assert batons.reap(seed_dir, batons.running(ME), OTHER, death=False) is State.WAITING
    os.rename(seed_dir / "UNHATCHED", seed_dir / f"RESETTING.{ME}")
    assert batons.reap(seed_dir, batons.resetting(ME), OTHER) is State.WAITING
    assert read_attempts(seed_dir) == Attempts(5, 2)


def test_a_baton_that_has_changed_hands_is_not_reaped(lay):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    assert batons.reap(seed_dir, batons.running(OTHER), THIRD) is None
    assert look(seed_dir) == batons.running(ME)


def test_whoever_takes_a_run_over_can_look_into_its_baton_before_anything_is_moved(lay):
    (seed_dir,) = lay(1)
    batons.claim(str(seed_dir), ME)
    (seed_dir / "model.pt").write_text("weights")
    seen = []

    def taken():
        seen.append((look(seed_dir), (seed_dir / "model.pt").exists()))

    batons.reap(seed_dir, batons.running(ME), OTHER, taken=taken)
    assert seen == [(batons.resetting(OTHER), True)]


def make_bare(seed_dir, age=3600, output="model.pt"):
    (seed_dir / "UNHATCHED").unlink()
    (seed_dir / output).parent.mkdir(exist_ok=True)
    (seed_dir / output).write_text("of an older tool")
    past = time.time() - 3600
    for path in (*seed_dir.rglob("*"), seed_dir):
        os.utime(path, (past, past))
    os.utime(seed_dir / output, (time.time() - age,) * 2)


def test_runs_of_older_tools_without_a_baton_are_put_back_with_their_outputs_aside(lay, names):
    bare, waiting = lay(2)
    make_bare(bare)
    slept = []
    assert adoption.adopt_all([bare, waiting], ME, sleep=slept.append) == [bare]
    assert slept == [0.0, 1.0, 1.0]
    assert names(bare) == names(waiting) == ["UNHATCHED", "config.json", "config_unique.json"]
    assert (bare / ".alfred/attempts/0/model.pt").read_text() == "of an older tool"
    assert read_attempts(bare).deaths == 0


@pytest.mark.parametrize("output", ["logger.out", "recorders/train_recorder.pkl"])
def test_a_run_without_a_baton_that_wrote_within_the_last_minute_is_left_alone(lay, output):
    (seed_dir,) = lay(1)
    make_bare(seed_dir, age=20, output=output)
    assert adoption.adopt_all([seed_dir], ME, sleep=lambda seconds: None) == []
    assert look(seed_dir) is None
    assert (seed_dir / output).exists()


def test_a_baton_that_appears_while_an_adopter_looks_ends_the_adoption(lay):
    (seed_dir,) = lay(1)
    make_bare(seed_dir)

    def sleep(seconds):
        if seconds:
            (seed_dir / "COMPLETED").touch()

    assert adoption.adopt_all([seed_dir], ME, sleep=sleep) == []
    assert look(seed_dir) == COMPLETED_BATON


def test_a_baton_that_appears_just_before_an_adopters_own_ends_the_adoption(lay):
    (seed_dir,) = lay(1)
    make_bare(seed_dir)

    def complete_first(call):
        if call.path.endswith("RUNNING.adopted") and call.name == "open":
            (seed_dir / "COMPLETED").touch()
        return call.do()

    with calls(seed_dir, complete_first):
        assert adoption.adopt_all([seed_dir], ME, sleep=lambda seconds: None) == []
    assert look(seed_dir) == COMPLETED_BATON


def test_an_adoption_that_fails_leaves_the_run_without_a_baton_to_be_adopted_at_once_the_next_time(lay):
    (seed_dir,) = lay(1)
    make_bare(seed_dir)

    def refuse(call):
        if call.name == "rename":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), call.path)
        return call.do()

    with calls(seed_dir, refuse), pytest.raises(PermissionError):
        adoption.adopt_all([seed_dir], ME, sleep=lambda seconds: None)
    assert look(seed_dir) is None


def test_one_adopter_does_not_take_what_another_took(lay, together, tmp_path):
    seed_dirs = lay(20)
    for seed_dir in seed_dirs:
        make_bare(seed_dir)

    def work(number):
        adopted = adoption.adopt_all(seed_dirs, f"host-{number}-0123abcd", sleep=lambda seconds: None)
        (tmp_path / f"adopted{number}").write_text("x" * len(adopted))

    together([lambda number=number: work(number) for number in range(2)])
    assert sum((tmp_path / f"adopted{number}").stat().st_size for number in range(2)) == 20
    assert all((seed_dir / ".alfred/attempts/0/model.pt").exists() for seed_dir in seed_dirs)
    assert {look(seed_dir) for seed_dir in seed_dirs} == {WAITING_BATON}
