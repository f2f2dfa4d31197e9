"""`alfred sync` with the real wandb program, against a server on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import runpy
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import venv
from pathlib import Path

import pytest

import alfred
from alfred.export import wandb
from alfred.storage import batons, leases, owners
from alfred.storage.processes import start_token
from alfred.sync_wandb import SyncReport, _upload_all
from alfred.utils.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "tests" / "projects" / "logs_to_wandb"
PAGE = ROOT / "docs" / "publish.md"
serving = runpy.run_path(str(Path(__file__).with_name("wandb_server.py")))["serving"]
blocks = runpy.run_path(str(ROOT / "tests" / "docs" / "pages.py"))["blocks"]
KEY = "0123456789" * 4
LIMIT = 100  # seconds for whatever has to happen on a busy machine
SCHEDULE = "schedules/grid_wandb"
NOT_ASKED = "--ask_for_validation=no"
# Nobody else is asked, nothing is read of the user's own wandb.
QUIET = {
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "false",
    "WANDB_BASE_URL": "http://127.0.0.1:9",
    "DO_NOT_TRACK": "true",
}
JULIA = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Julia"}


def environment(folder, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    home = {"HOME": str(folder.parent), "NETRC": str(folder.parent / "netrc")}
    own = {"PYTHONPATH": str(Path(alfred.__file__).parents[1]), "WANDB_API_KEY": KEY}
    return kept | QUIET | JULIA | home | own | more


def start(folder, *words, python=sys.executable, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **more):
    """`alfred ...` typed in a folder."""
    return subprocess.Popen(
        [python, "-m", "alfred", *words],
        cwd=folder,
        env=environment(folder, **more),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def typed(folder, *words, answers=None, **more):
    """(status, output, errors) of a command."""
    stdin = subprocess.DEVNULL if answers is None else subprocess.PIPE
    process = start(folder, *words, stdin=stdin, **more)
    output, errors = process.communicate(answers, timeout=LIMIT)
    return process.returncode, output, errors


def sync(folder, server, *words, **more):
    return typed(folder, "sync", NOT_ASKED, *words, WANDB_BASE_URL=server.url, **more)


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """The client project after a launch: two runs, each of which has left an offline W&B run."""
    folder = tmp_path_factory.mktemp("wandb") / "project"
    shutil.copytree(PROJECT, folder)
    schedule = f"--schedule_file={SCHEDULE}/grid_schedule_grid_wandb.py"
    status, output, errors = typed(folder, "prepare", schedule, "--desc=try", NOT_ASKED)
    assert status == 0, errors
    listing = f"--from_file={SCHEDULE}/list_searches_grid_wandb.txt"
    status, output, errors = typed(folder, "launch", listing, "--n_processes=2")
    assert status == 0, output + errors
    return folder


@pytest.fixture
def project(launched, tmp_path):
    shutil.copytree(launched, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


@pytest.fixture
def one_run(project):
    """The project with its first seed only."""
    shutil.rmtree(next(project.glob("storage/*/experiment1/seed2")))
    return project


@pytest.fixture
def server():
    with serving() as server:
        yield server


def recorded(seed_dir):
    tape = Recorder.init_from_pickle_file(seed_dir / "recorders" / "train_recorder.pkl").tape
    return [dict(zip(tape, row, strict=True)) for row in zip(*tape.values(), strict=True)]


def seed_dirs(folder):
    """The id of the W&B run in each seed directory -> that directory."""
    found = sorted(folder.glob("storage/*/experiment*/seed*/wandb/*run-[0-9]*/*.wandb"))
    return {path.stem.removeprefix("run-"): path.parents[2] for path in found}


def markers(folder):
    return sorted(folder.glob("storage/*/*/*/wandb/*run-[0-9]*/*.synced"))


def table_row(output):
    """synced, already there, failed, still running: what the table says of the storage directory."""
    (row,) = re.findall(r"^Ju1_walk_line_grid_try((?: +\d+){4})$", output, re.MULTILINE)
    return [int(number) for number in row.split()]


def shown_on_the_page():
    """The words of docs/publish.md's call of `alfred sync`, and the lines that it is said to print."""
    (block,) = [block for block in blocks(PAGE) if block.body.startswith("$ alfred sync")]
    command, *lines = block.body.splitlines()
    return command.split()[2:], lines


def test_what_arrives_is_what_was_recorded_is_told_as_the_page_shows_and_is_sent_once(project, server):
    there = seed_dirs(project)
    words, lines = shown_on_the_page()
    status, output, errors = typed(project, *words, answers="y\n", WANDB_BASE_URL=server.url)
    assert status == 0, output + errors
    told = output.replace("[y/n] ", "[y/n] y\n").splitlines()
    for line in lines:
        pattern = re.compile(re.escape(line).replace(re.escape("..."), ".*"))
        assert any(map(pattern.fullmatch, told)), f"{line} is not in\n{output}"
    assert set(server.received) == set(there)
    assert len(there) == 2
    for id, seed_dir in there.items():
        received = server.received[id]
        assert received.history == recorded(seed_dir)
        assert len(received.history) == 7
        config = json.loads((seed_dir / "config.json").read_text())
        assert {name: received.config[name] for name in config} == config
        assert (received.entity, received.project, received.complete) == ("my-team", "paper", True)
        place = f"{seed_dir.parents[1].name}_{seed_dir.parent.name}_{seed_dir.name}"
        assert received.display_name == place
    asked = len(server.requests)
    status, output, errors = sync(project, server)
    assert (status, len(server.requests)) == (0, asked), "nothing is sent twice"
    assert "Nothing to upload" in output
    assert table_row(output) == [0, 2, 0, 0]


def test_one_refused_run_is_named_an_online_one_goes_on_and_later_only_the_refused_is_sent(
    project, server, tmp_path
):
    first, second = sorted(seed_dirs(project))
    (folder,) = project.glob(f"storage/*/*/*/wandb/offline-run-*-{second}")
    folder.rename(folder.with_name(folder.name.removeprefix("offline-")))
    server.fails = lambda path, text: 401 if f'"name":"{first}"' in text else None
    status, output, errors = sync(project, server, WANDB_PROJECT="from_env", WANDB_ENTITY="me")
    assert status == 1
    assert set(server.received) == {second}
    assert server.received[second].project == "from_env"
    assert server.received[second].entity == "me"
    assert len(server.received[second].history) == 7
    assert len(markers(project)) == 1
    failed = [line for line in output.splitlines() if f"-{first}" in line]
    assert any("second try" in line for line in failed), "it was tried twice"
    assert all("refused 401" in line for line in failed)
    assert KEY in server.keys, "the server was given the key and told it on"
    assert KEY not in output + errors
    assert "***" in output
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == [], "no key is stored"
    server.fails = lambda path, text: None
    status, output, errors = sync(project, server)
    assert status == 0
    assert table_row(output) == [1, 1, 0, 0]
    assert server.received[first].history == recorded(seed_dirs(project)[first])
    assert server.received[first].project == "walks", "what the run was begun with"


def test_a_server_that_is_away_broken_or_silent_costs_a_run_its_time_and_no_more(one_run, tmp_path):
    """Three calls at once, each with a server of its own."""
    with serving() as away, serving() as broken, serving() as silent:
        away.close()
        broken.fails = lambda path, text: 500
        silent.fails = lambda path, text: "hang"
        calls = {}
        for number, server in enumerate((away, broken, silent)):
            folder = tmp_path / str(number) / "project"
            shutil.copytree(one_run, folder, symlinks=True)
            calls[folder] = start(folder, "sync", NOT_ASKED, "--timeout=3", WANDB_BASE_URL=server.url)
        for folder, process in calls.items():
            output, errors = process.communicate(timeout=LIMIT)
            assert process.returncode == 1, output + errors
            assert "not done within 3 s" in output, output
            assert table_row(output) == [0, 0, 1, 0]
            assert markers(folder) == []
            assert wandb_processes(folder) == [], "nothing of wandb goes on"


def test_what_a_server_that_died_in_the_middle_has_not_got_is_sent_by_a_later_call(one_run, server):
    server.fails = lambda path, text: "die" if "file_stream" in path else None
    for seconds in (4, 8, 16, 32):  # until a busy machine gets to the middle
        status, output, errors = sync(one_run, server, f"--timeout={seconds}")
        assert status == 1, output + errors
        assert table_row(output) == [0, 0, 1, 0]
        assert markers(one_run) == []
        if server.received:
            break
    (id,) = server.received
    assert server.received[id].history == []
    server.fails = lambda path, text: None
    status, output, errors = sync(one_run, server)
    assert status == 0, output
    assert server.received[id].history == recorded(seed_dirs(one_run)[id])


def wandb_processes(folder):
    """Processes that have a file of `folder` on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if bytes(folder) in words:
            found.append(words)
    return found


def test_a_terminal_shows_a_bar_and_ctrl_c_ends_wandb_too(one_run, server):
    server.fails = lambda path, text: "hang"
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (40, 100))
    drawn = []
    reader = threading.Thread(target=read_all, args=(screen, drawn))
    reader.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let background jobs ignore it
    process = start(one_run, "sync", NOT_ASKED, stderr=terminal, WANDB_BASE_URL=server.url)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + LIMIT
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.05)
    assert wandb_processes(one_run) != []
    assert not (one_run / "wandb").exists(), "nothing is laid where the command is called"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert wandb_processes(one_run) == []
    os.close(terminal)
    reader.join(LIMIT)
    os.close(screen)
    assert re.search(r"W&B runs: +0%.* 0/1 ", b"".join(drawn).decode())


def a_program(folder, *lines):
    """A program that does and says what these lines of a shell script do."""
    program = folder / "program"
    program.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    program.chmod(0o755)
    return str(program)


def a_run(folder):
    run = wandb.WandbRun(folder / "offline-run-1-abc", folder / "offline-run-1-abc" / "run-abc.wandb")
    run.folder.mkdir()
    return run


def test_a_refused_run_that_is_marked_all_the_same_loses_its_mark_and_no_key_is_told(tmp_path, monkeypatch):
    """As versions of wandb before 0.29 do; the key is none that the environment holds."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    run = a_run(tmp_path)
    said = f"wandb: ERROR the key {KEY} is unknown"
    reason = wandb.upload(run, a_program(tmp_path, f"touch {run.data}.synced", f"echo '{said}'"), [], LIMIT)
    assert reason == "the key *** is unknown"
    assert not run.is_synced
    assert wandb.upload(run, a_program(tmp_path, f"touch {run.data}.synced"), [], LIMIT) == ""


def test_a_run_that_arrives_at_the_second_try_is_synced(tmp_path):
    marker, sign = a_run(tmp_path).data.with_name("run-abc.wandb.synced"), tmp_path / "tried"
    (run,) = runs = [wandb.WandbRun(marker.parent, marker.with_suffix(""))]
    program = a_program(tmp_path, f"[ -e {sign} ] && touch {marker}", f"touch {sign}", "echo later")
    report = SyncReport(tmp_path)
    _upload_all(runs, lambda run, waiting: wandb.upload(run, program, [], LIMIT, waiting), report)
    assert (report.synced, report.failed) == ([run], {})


def test_what_is_typed_counts_before_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "of_the_environment")
    monkeypatch.setenv("WANDB_ENTITY", "me")
    assert wandb.options_of("typed", None) == ["--project=typed", "--entity=me"]


def test_wandb_ends_with_an_alfred_that_is_killed_by_force(tmp_path):
    noted, run = tmp_path / "noted", tmp_path / "offline-run-20260101_000000-abc"
    run.mkdir()
    program = tmp_path / "wandb"
    program.write_text(f"#!/bin/sh\necho $$ > {noted}\nexec sleep 600\n")
    program.chmod(0o755)
    code = "import sys; from pathlib import Path; from alfred.export import wandb\n"
    code += (
        "run = wandb.WandbRun(Path(sys.argv[1]), Path(sys.argv[1])); wandb.upload(run, sys.argv[2], [], 600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(run), str(program)])
    until(lambda: noted.exists() and noted.read_text().endswith("\n"))
    pid = int(noted.read_text())
    assert start_token(pid) is not None
    process.kill()
    process.wait()
    until(lambda: start_token(pid) is None)


def until(holds):
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read_all(screen, drawn):
    """What a terminal shows, until nobody writes to it any more."""
    with contextlib.suppress(OSError):  # so the end of a terminal is told
        while part := os.read(screen, 4096):
            drawn.append(part)


def test_links_what_was_put_aside_and_what_a_living_run_writes_are_left_alone(one_run, server, tmp_path):
    (seed_dir,) = seed_dirs(one_run).values()
    aside = seed_dir / ".alfred" / "attempts" / "1"
    aside.mkdir(parents=True)
    shutil.copytree(seed_dir / "wandb", aside / "wandb", symlinks=True)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(seed_dir / "wandb", elsewhere, symlinks=True)
    (seed_dir / "link").symlink_to(elsewhere)
    (folder,) = elsewhere.glob("offline-run-*")
    (seed_dir / "wandb" / "offline-run-linked").symlink_to(folder)
    (seed_dir / "COMPLETED").rename(seed_dir / "UNHATCHED")
    me = owners.this_process()
    held = leases.Leases(me)
    held.hold(seed_dir.parents[1])
    assert batons.claim(str(seed_dir), me.name)
    status, output, _ = sync(one_run, server)
    held.close()
    assert status == 0
    assert "Nothing to upload" in output
    assert table_row(output) == [0, 0, 0, 1], "one W&B run is still written, no other is there"
    assert server.requests == []


def test_a_tag_that_no_name_has_is_told(project, server):
    status, _, errors = sync(project, server, "--tag=retrainBest")
    assert (status, "'retrainBest'" in errors) == (3, True)


def test_no_uploads_nothing(project, server):
    status, output, _ = typed(project, "sync", answers="n\n", WANDB_BASE_URL=server.url)
    assert (status, "Nothing was changed" in output) == (0, True)
    assert (server.requests, markers(project)) == ([], [])


def test_without_wandb_one_line_names_the_extra(project, tmp_path):
    """In an environment that has alfred's dependencies and no program called wandb."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(tmp_path / "venv")
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    borrowed = Path(sys.prefix).glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text("\n".join(map(str, borrowed)) + "\n")
    python = str(tmp_path / "venv" / "bin" / "python")
    status, _, errors = typed(project, "sync", NOT_ASKED, python=python, PATH="/usr/bin:/bin")
    assert status == 2
    assert errors.strip().count("\n") == 0
    assert "alfred[wandb]" in errors
