"""What measurements mean, those of broken file systems among them: none of these is at hand."""

import pytest

from alfred.storage.diagnosis import Finding, Level, worst
from alfred.storage.filesystem_checks import (
    duration,
    in_bytes,
    judge,
    judge_names,
    judge_race,
    judge_room,
    judge_sights,
    judge_stamps,
    judge_syncs,
)
from alfred.storage.filesystem_probe import Measurements, Names, Race, Room, Sight, Stamps, Syncs, referee
from alfred.storage.run_size import SMALLEST, RunSize


def sights(change, patience=2.5, **seconds):
    """By each way of looking, seconds until the change was seen; None for never."""
    return [Sight(change, way, late, patience) for way, late in seconds.items()]


def told(*turns, error=""):
    """What one process was told in each round, and when its calls were under way."""
    return {"turns": [(won, begin, begin + 1) for won, begin in turns], "error": error}


def test_a_healthy_race_has_one_winner_each_round():
    race = referee("rename", [told((True, 0), (False, 9)), told((False, 0.5), (True, 10.5))], ["1.0", "2.1"])
    assert race == Race("rename", rounds=2, overlapped=1)


@pytest.mark.parametrize(
    ("kind", "first", "second", "there", "bad"),
    [
        ("rename", True, True, ["1.0", "1.1"], "double"),
        ("rename", True, True, ["1.1"], "double"),
        ("rename", True, False, ["1.0", "1.1"], "double"),
        ("rename", True, False, [], "lost"),
        ("rename", False, False, [], "lost"),
        ("rename", False, False, ["1"], "lost"),
        ("rename", False, False, ["1.0"], "unclaimed"),
        ("create", True, True, ["1"], "double"),
        ("create", False, False, [], "lost"),
        ("create", True, False, [], "lost"),
        ("mkdir", True, True, ["1"], "double"),
        ("mkdir", False, False, ["1"], "unclaimed"),
        ("folder", True, True, ["1"], "double"),
        ("folder", True, False, ["1.1"], "lost"),
    ],
)
def test_a_race_without_exactly_one_winner_is_counted(kind, first, second, there, bad):
    race = referee(kind, [told((first, 0)), told((second, 0))], there)
    assert {name: getattr(race, name) for name in ("double", "lost", "unclaimed")} == {
        name: int(name == bad) for name in ("double", "lost", "unclaimed")
    }


def test_a_loser_s_own_folder_and_a_round_that_was_refused_are_no_loss():
    assert referee("folder", [told((True, 0)), told((False, 0))], ["1", "1.1"]) == Race("folder", 1, 1)
    stayed = referee("rename", [told((False, 0), error="Permission denied"), told((False, 0))], ["1"])
    assert (stayed.lost, stayed.double, stayed.error) == (0, 0, "Permission denied")


@pytest.mark.parametrize("bad", [{"double": 1}, {"lost": 1}, {"error": "Function not implemented"}])
@pytest.mark.parametrize("kind", ["rename", "create", "mkdir", "folder"])
def test_one_double_one_loss_or_a_refused_call_is_a_problem(kind, bad):
    found = judge_race(Race(kind, rounds=500, overlapped=400, **bad))
    assert found.level is Level.PROBLEM
    assert found.remedy
    assert found.numbers["double"] == bad.get("double", 0)


def test_races_that_hardly_overlapped_and_lost_answers_are_told_as_notes():
    assert judge_race(Race("rename", 500, overlapped=400)).level is Level.OK
    few = judge_race(Race("rename", 500, overlapped=3))
    assert few.level is Level.NOTE
    assert "only 3" in few.measured
    assert judge_race(Race("rename", 500, overlapped=400, unclaimed=2)).level is Level.NOTE


def test_an_nfs_client_that_remembers_a_missing_file_is_a_note():
    """As measured on NFS with default options: at once by listing, after 25 s by exists()."""
    quick = judge_sights(sights("new", listing=0.01, stat=None, open=0.02))
    assert quick.level is Level.NOTE
    assert "not within 2.5 s" in quick.measured
    assert "--full" in quick.remedy
    patient = judge_sights(sights("new", patience=65.0, listing=0.01, stat=25.0, open=0.02))
    assert patient.level is Level.NOTE
    assert patient.remedy == ""
    assert judge_sights(sights("removed", listing=0.1, stat=0.1, open=0.1)).level is Level.OK


@pytest.mark.parametrize(
    ("patience", "by_stat", "by_open", "level"),
    [
        (2.5, 0.01, 0.01, Level.OK),
        (2.5, None, 0.01, Level.OK),  # NFS: open asks the server
        (2.5, None, None, Level.NOTE),  # not known: patience was too short
        (65.0, 20.0, 0.01, Level.OK),
        (65.0, 40.0, 40.0, Level.NOTE),
        (65.0, None, 59.0, Level.NOTE),
        (65.0, None, None, Level.PROBLEM),
        (65.0, 61.0, None, Level.PROBLEM),
    ],
)
def test_beats_that_others_see_too_late_are_a_problem(patience, by_stat, by_open, level):
    assert judge_sights(sights("stamp", patience, stat=by_stat, open=by_open)).level is level


@pytest.mark.parametrize(
    ("granularity", "ahead", "levels"),
    [
        (0.004, 0.0, [Level.OK, Level.OK]),
        (2.0, -1.0, [Level.OK, Level.OK]),
        (None, 0.0, [Level.PROBLEM, Level.OK]),
        (60.0, 0.0, [Level.PROBLEM, Level.OK]),
        (0.004, 3600.0, [Level.OK, Level.NOTE]),
        (0.004, -90.0, [Level.OK, Level.NOTE]),
    ],
)
def test_stamps_must_move_with_each_beat_and_clocks_may_differ(granularity, ahead, levels):
    assert [found.level for found in judge_stamps(Stamps(granularity, ahead))] == levels


def test_the_side_on_which_a_clock_is_wrong_is_told():
    _, ahead = judge_stamps(Stamps(0.004, 90.0))
    _, behind = judge_stamps(Stamps(0.004, -90.0))
    assert "90 s ahead of" in ahead.measured
    assert "90 s behind" in behind.measured


@pytest.mark.parametrize(
    ("syncs", "level"),
    [(Syncs(0.01, 0.01), Level.OK), (Syncs(0.8, 0.01), Level.NOTE), (Syncs(0.01, None), Level.NOTE)],
)
def test_slow_disks_and_folders_that_cannot_be_synced_are_notes(syncs, level):
    assert judge_syncs(syncs).level is level


@pytest.mark.parametrize(
    ("room", "runs", "level"),
    [
        (Room(10**12, None), 10**8, Level.OK),
        (Room(10**12, 220_000), 20_000, Level.OK),
        (Room(10**12, 1_100), 100, Level.NOTE),
        (Room(10**12, 1_099), 99, Level.PROBLEM),
        (Room(990_000, 10**9), 99, Level.PROBLEM),
        (Room(0, 0), 0, Level.PROBLEM),
    ],
)
def test_room_is_told_in_runs_by_what_runs_out_first(room, runs, level):
    found = judge_room(room, RunSize(inodes=11, bytes=10_000, sampled=3))
    assert (found.numbers["runs"], found.level) == (runs, level)
    assert f"{runs:,} runs like the 3 measured here" in found.meaning


def test_short_names_long_roots_names_without_case_and_missing_symlinks_are_told():
    good = Names(longest=255, path=4096, case=True, symlinks=True)
    assert worst(judge_names(good, 40)) is Level.OK
    levels = [found.level for found in judge_names(Names(143, 4096, case=False, symlinks=False), 40)]
    assert levels == [Level.NOTE] * 3
    assert worst(judge_names(good, 3900)) is Level.PROBLEM


def test_what_could_not_be_measured_is_never_well():
    failures = {"rename": "no answer within 10 s", "removal": "Device or resource busy", "other": "not there"}
    found = {one.check: one for one in judge(Measurements(failures=failures), SMALLEST, 10)}
    assert found["claim (rename)"].level is Level.PROBLEM
    assert found["claim (rename)"].measured == "no answer within 10 s"
    assert found["second folder"].level is Level.PROBLEM
    assert found["removing"].level is Level.NOTE
    refused = judge(Measurements(refused="Read-only file system"), SMALLEST, 10)
    assert [one.level for one in refused] == [Level.PROBLEM]


def test_numbers_are_told_in_units_that_read_well():
    assert [duration(s) for s in (0.00031, 0.024, 0.5, 2.0, 24.6, 3600)] == [
        "0.31 ms", "24 ms", "500 ms", "2 s", "25 s", "3,600 s",
    ]  # fmt: skip
    assert [in_bytes(b) for b in (0, 999, 40_960, 83_765_481_472, 5e15)] == [
        "0 B", "999 B", "41 kB", "83.8 GB", "5,000 TB",
    ]  # fmt: skip


def test_the_worst_of_nothing_is_ok():
    assert worst([]) is Level.OK
    assert worst([Finding("a", Level.NOTE, ""), Finding("b", Level.OK, "")]) is Level.NOTE
