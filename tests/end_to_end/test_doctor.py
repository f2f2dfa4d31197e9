"""`alfred doctor`: what it says of real file systems and trees, that it leaves nothing, and what it mends."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import alfred
from alfred.storage import chores
from alfred.storage.run_size import SMALLEST

PACKAGE = Path(alfred.__file__).parents[1]
CARELESS = PACKAGE / "tests/storage/careless_filesystem.py"
TINY = PACKAGE / "tests/projects/tiny"
SCHEDULE = "schedules/grid_tiny/grid_schedule_grid_tiny.py"
LIST = "schedules/grid_tiny/list_searches_grid_tiny.txt"
NO_QUESTION = "--ask_for_validation=false"


def found(ran):
    """The findings of `--json` by check, and the whole record."""
    record = json.loads(ran.stdout)
    return {one["check"]: one for one in record["findings"]}, record


def levels(ran, level):
    findings, _ = found(ran)
    return {check for check, one in findings.items() if one["level"] == level}


def everything(folder):
    """Every name below with its content, but what time passes over."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def in_mounts(script, folder, *words, after="true"):
    """`alfred doctor ...` between two scripts, in a mount namespace of its own."""
    command = f"{sys.executable} -m alfred doctor {' '.join(words)} || status=$?"
    return subprocess.run(
        ["unshare", "-m", "sh", "-ec", f"{script}; status=0; {command}; {after}; exit $status"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def project(tmp_path, typed):
    """A project with two searches that have run."""
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    laid = typed("prepare", "--schedule_file", SCHEDULE, "--desc", "x", NO_QUESTION)
    assert laid.returncode == 0, laid.stderr
    ran = typed("launch", "--from_file", LIST, "--experiments", "1")
    assert ran.returncode == 0, ran.stderr
    return tmp_path


def test_a_sound_project_on_a_sound_disk_is_well_and_nothing_in_it_changes(project, typed):
    before = everything(project)
    ran = typed("doctor", "--json")
    findings, record = found(ran)
    assert (ran.returncode, record["problems"]) == (0, 0), ran.stdout
    assert everything(project) == before
    assert (record["directory"], record["other"]) == (str(project / "storage"), None)
    assert findings["writing"]["level"] == findings["names"]["level"] == "ok"
    for race in RACES:
        assert findings[race]["numbers"]["rounds"] > 0
        assert findings[race]["numbers"]["double"] == findings[race]["numbers"]["lost"] == 0
    assert findings["conflicts"]["measured"] == "none (of 24 runs)"
    assert findings["damaged recorders"]["measured"] == "none (of 4 read, 4 completed)"
    room = findings["free space"]["numbers"]
    assert "the 4 measured here" in findings["free space"]["meaning"]
    assert room["inodes_per_run"] == SMALLEST.inodes, "what a run without a tree to measure is taken for"
    assert SMALLEST.bytes / 2 < room["bytes_per_run"] < SMALLEST.bytes * 2


def test_people_read_a_line_for_each_check_and_the_sum_last(project, typed):
    ran = typed("doctor", "storage")
    assert (ran.returncode, "alfred:" in ran.stderr) == (0, False), "how far it is may be told, nothing else"
    lines = ran.stdout.splitlines()
    for title in ("This machine", "File system", "Storage tree"):
        assert title in lines
    for check in ("python", "claim (rename)", "free space", "conflicts", "temporary files of the dead"):
        assert f"  {check}  " in ran.stdout
    assert "problem" not in lines[-1]
    assert lines[-1] == "all well" or lines[-1].endswith(("note", "notes"))


def test_a_place_without_any_tree_is_checked_before_the_first_search(tmp_path, typed):
    ran = typed("doctor", "--json")
    findings, record = found(ran)
    assert ran.returncode == 0
    assert record["directory"] == str(tmp_path), "the root is not there yet, its folder is"
    assert {one["section"] for one in record["findings"]} == {"This machine", "File system"}
    assert findings["project"]["level"] == "note"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no/such/folder"], "there is no folder"),
        ([".", "no/such/folder"], "there is no folder"),
        (["--repair", "--json"], "--ask_for_validation false"),
        (["--ful"], "did you mean --full"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(words, message, tmp_path, typed):
    ran = typed("doctor", *words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_ctrl_c_in_the_middle_of_a_race_leaves_nothing(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    command = [sys.executable, "-m", "alfred", "doctor", str(tmp_path), "--full"]
    ours, theirs = pty.openpty()  # Ctrl-C of a terminal reaches every process of the command
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".alfred-doctor.*/rename/100.*")) and time.monotonic() < end:
        time.sleep(0.002)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    os.close(theirs)
    assert process.wait(60) == 130
    assert b"interrupted" in os.read(ours, 65_536)
    os.close(ours)
    assert os.listdir(tmp_path) == []


def damage(storage_dir, killed):
    """One of each that --repair mends, and one that it leaves."""
    dead = killed(storage_dir)
    os.rename(storage_dir / ".alfred/plots/WAITING", storage_dir / f".alfred/plots/RUNNING.{dead.owner}")
    (storage_dir / "PLOT_ARRAYS_ONGOING").touch()
    idle = killed(storage_dir)
    (storage_dir / ".alfred/summary.ready").mkdir()
    (storage_dir / ".alfred/summary.ready/scores.json").write_text("{}")
    temporary = storage_dir / f"experiment1/seed1/.model.pt.{dead.pid}-00000000.tmp"
    temporary.write_text("half")
    os.utime(temporary, (time.time() - 86_400,) * 2)
    return [
        storage_dir / f".alfred/plots/RUNNING.{dead.owner}",
        storage_dir / "PLOT_ARRAYS_ONGOING",
        storage_dir / ".alfred/owners" / idle.owner,
        storage_dir / ".alfred/summary.ready",
        temporary,
    ]


# What a busy machine may turn into a note: races that hardly overlapped, a slow disk.
RACES = {"claim (rename)", "create (O_EXCL)", "reserve (mkdir)", "folder over folder"}
UNSURE = {"project", "file system", "writing to disk"} | RACES
NOTED = {
    "plots and summaries of the dead",
    "markers of work in progress",
    "leases of the dead",
    "summaries cut short",
    "temporary files of the dead",
}


def test_damage_is_told_then_mended_then_gone_and_a_launch_works(project, killed, typed):
    storage_dir = sorted((project / "storage").iterdir())[1]
    shutil.rmtree(storage_dir / "summary", ignore_errors=True)
    damaged = damage(storage_dir, killed)
    before = everything(project)
    looked = typed("doctor", "--json")
    assert looked.returncode == 0
    assert levels(looked, "note") >= NOTED
    assert everything(project) == before
    refused = typed("doctor", "--repair", input="n\n")
    assert "Nothing was changed." in refused.stdout
    assert everything(project) == before
    unanswered = typed("doctor", "--repair")
    assert unanswered.returncode == 2
    assert everything(project) == before
    mended = typed("doctor", "--repair", input="y\n")
    assert mended.returncode == 0, mended.stdout
    assert [path for path in damaged if path.exists()] == []
    assert all(f"mended: {path}" in mended.stdout for path in damaged)
    assert (storage_dir / "summary/scores.json").exists()
    assert (storage_dir / ".alfred/plots" / chores.WAITING).exists()
    again = typed("doctor", "--json")
    assert levels(again, "note") & NOTED == levels(again, "problem") == set()
    ran = typed("launch", "--from_file", LIST, "--experiments", "2")
    assert "8 done, 0 running, 0 crashed, 16 waiting" in ran.stdout


def test_what_is_for_people_is_a_problem_with_its_place_and_stays(project, killed, typed):
    (storage_dir, _) = sorted(path for path in (project / "storage").iterdir() if path.name[0] != ".")
    both, stopped = storage_dir / "experiment2/seed1", storage_dir / "experiment2/seed2"
    killed(storage_dir, "experiment2/seed2")
    (both / "COMPLETED").touch()
    before = everything(storage_dir)
    ran = typed("doctor", "storage", "--repair", NO_QUESTION)
    assert ran.returncode == 1
    assert "Nothing that --repair mends." in ran.stdout
    assert f"COMPLETED and UNHATCHED stand side by side in {both}" in ran.stdout
    assert f"{stopped}: " in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("2 problems")
    assert everything(storage_dir) == before
    findings, record = found(typed("doctor", storage_dir, "--json"))
    assert record["problems"] == 2
    assert len(findings["runs whose process is gone"]["places"]) == 1


def test_what_could_not_be_mended_is_said_with_status_1(project, typed):
    folder = project / "storage/.alfred/laying.gone-1-00000000"
    owner = folder.parent / "owners/gone-1-00000000"
    from alfred.storage.owners import this_process

    me = json.loads(this_process().to_json())
    owner.parent.mkdir(exist_ok=True)
    owner.write_text(json.dumps({**me, "name": "gone-1-00000000", "pid": 2**22 + 1}))
    folder.mkdir()
    (folder / "journal.json").write_text('{"moves": 3, "list_file": null}')
    ran = typed("doctor", "--repair", "--json", NO_QUESTION)
    _, record = found(ran)
    assert ran.returncode == 1
    (one,) = record["mended"]
    assert "damaged" in one["error"]
    assert one["check"] == "searches cut short while laid"


def test_missing_directories_of_list_files_are_told_for_the_project_s_own_root_alone(project, typed):
    with open(project / LIST, "a") as file:
        file.write("Zz7_gone\n")
    findings, _ = found(typed("doctor", "--json"))
    assert findings["listed and missing"]["places"] == [f"{project / LIST}: Zz7_gone"]
    elsewhere, _ = found(typed("doctor", project / "storage", "--json", folder=project / "schedules"))
    assert elsewhere["listed and missing"]["level"] == "ok"


def test_dir2_that_is_another_folder_is_found_out(tmp_path, typed):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ran = typed("doctor", "a", "b", "--json")
    findings, record = found(ran)
    assert (ran.returncode, record["other"]) == (1, str(tmp_path / "b"))
    assert findings["second folder"]["level"] == "problem"


@pytest.mark.server
@pytest.mark.parametrize(
    ("kind", "problems", "notes"),
    [
        ("sound", set(), set()),
        ("copying", {"claim (rename)", "folder over folder"}, set()),
        ("forgetful", {"create (O_EXCL)", "reserve (mkdir)"}, set()),
        ("late", set(), {"new file seen", "removed file seen", "time stamp seen"}),
        ("fixed", {"time stamps"}, set()),
    ],
)
def test_a_file_system_that_breaks_a_promise_is_found_out(kind, problems, notes, tmp_path):
    """Between two mounts of a real one, made for this: what it breaks is told, and nothing is left on it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    doctor = [sys.executable, "-m", "alfred", "doctor", "a", "b", "--json"]
    ran = subprocess.run(
        ["unshare", "-m", sys.executable, CARELESS, kind, "a", "b", *doctor],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert levels(ran, "problem") == problems
    assert levels(ran, "note") - UNSURE == notes
    assert "left behind" not in ran.stderr
    assert ran.returncode == (1 if problems else 0)


@pytest.mark.server
def test_one_folder_through_two_mounts_is_seen_as_two_clients(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ran = in_mounts("mount -t tmpfs none a; mount --bind a b", tmp_path, "a", "b", "--json")
    findings, record = found(ran)
    assert (ran.returncode, record["problems"]) == (0, 0), ran.stderr
    assert findings["claim (rename)"]["numbers"]["rounds"] > 0
    assert findings["new file seen"]["level"] == "ok"
    assert [one["measured"] for one in record["findings"] if one["check"] == "file system"] == [
        f"tmpfs at {tmp_path / 'a'}",
        f"tmpfs at {tmp_path / 'b'}",
    ]


@pytest.mark.server
def test_a_mount_that_is_read_only_is_said_and_its_tree_still_checked(project, killed):
    storage = project / "storage"
    (storage_dir, _) = sorted(path for path in storage.iterdir() if path.name[0] != ".")
    killed(storage_dir, "experiment2/seed2")
    script = "mount --bind storage storage; mount -o remount,ro,bind storage"
    ran = in_mounts(script, project, "storage", "--json")
    findings, _ = found(ran)
    assert ran.returncode == 1
    assert findings["writing"]["measured"] == "Read-only file system"
    assert findings["free space"]["level"] == "ok"
    assert findings["conflicts"]["measured"] == "none (of 24 runs)"
    assert findings["runs whose process is gone"]["level"] == "problem"
    assert levels(ran, "problem") == {"writing", "runs whose process is gone"}


@pytest.mark.server
def test_a_disk_that_is_full_is_a_problem_and_is_left_empty_of_probes(tmp_path):
    (tmp_path / "full").mkdir()
    fill = "mount -t tmpfs -o size=64k none full; head -c 100000 /dev/zero > full/fill 2> error || true"
    ran = in_mounts(fill, tmp_path, "full", "--json", after="ls -A full > left")
    findings, _ = found(ran)
    assert ran.returncode == 1
    assert findings["free space"]["level"] == "problem"
    assert findings["free space"]["numbers"]["runs"] == 0
    assert findings["writing to disk"]["measured"] == "No space left on device"
    assert levels(ran, "problem") == {"free space", "writing to disk"}
    assert findings["claim (rename)"]["numbers"]["rounds"] > 0
    assert (tmp_path / "left").read_text() == "fill\n"


@pytest.mark.server
def test_a_second_view_that_can_only_be_read_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    script = "mount --bind a b; mount -o remount,ro,bind b"
    ran = in_mounts(script, tmp_path, "a", "b", "--json")
    findings, _ = found(ran)
    assert ran.returncode == 1
    assert "Read-only file system" in findings["claim (rename)"]["measured"]
    assert findings["time stamp seen"]["level"] == "ok"
    assert os.listdir(tmp_path / "a") == []
