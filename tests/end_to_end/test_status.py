"""`alfred status`: what a person reads, what a script reads, and that nothing is changed."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import alfred
from alfred.commands.status import parser, status
from alfred.errors import StorageError, UsageError


def end(seed_dir, flag="COMPLETED", text="", seconds=None):
    """Let a waiting run have ended."""
    (seed_dir / "UNHATCHED").unlink()
    (seed_dir / flag).write_text(text)
    if seconds is not None:
        (seed_dir / ".alfred").mkdir()
        (seed_dir / ".alfred/run.json").write_text(json.dumps({"seconds": seconds}))


def snapshot(folder):
    """Every name below a folder with the time of its last change; leases of living owners beat."""
    return {
        str(path): os.lstat(path).st_mtime_ns for path in folder.rglob("*") if path.parent.name != "owners"
    }


def cells(text, name):
    """The cells of the row that starts with `name`."""
    (row,) = [line.split() for line in text.splitlines() if line.startswith(f"{name} ")]
    return row[1:]


def on_terminal(*words, folder, columns):
    """What `alfred status` writes to a terminal of that width, and its exit status."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"PYTHONPATH": str(Path(alfred.__file__).parents[1]), "TERM": "xterm"}
    command = [sys.executable, "-m", "alfred", "status", *map(str, words)]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=theirs, stdin=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 65_536):
            written += data
    except OSError:  # how Linux tells that nobody has the other end any more
        pass
    os.close(ours)
    return written.decode(), process.wait()


def test_runs_are_counted_by_state_for_each_storage_directory_and_all_together(laid, held, killed, typed):
    first, second = laid("t", "u")
    end(first / "experiment1/seed1")
    end(first / "experiment1/seed2", "CRASH.txt", "Error: boom\n")
    held(second, "experiment1/seed1")
    killed(second, "experiment1/seed2")
    (second / "experiment2/seed2/COMPLETED").touch()
    ran = typed("status")
    assert (ran.returncode, "alfred:" in ran.stderr) == (0, False), "how far it is may be told, nothing else"
    headings = "storage directory waiting running stopped completed crashed conflict total"
    assert ran.stdout.splitlines()[0].split() == headings.split()
    assert cells(ran.stdout, first.name) == ["2", "0", "0", "1", "1", "0", "4"]
    assert cells(ran.stdout, second.name) == ["1", "1", "1", "0", "0", "1", "4"]
    assert cells(ran.stdout, "all together")[1:] == ["3", "1", "1", "1", "1", "1", "8"]
    assert "COMPLETED and UNHATCHED stand side by side" in ran.stdout


def test_who_runs_what_where_and_since_when_is_told(laid, held, typed):
    storage_dir = laid()
    here = held(storage_dir, "experiment1/seed1")
    elsewhere = held(storage_dir, "experiment2/seed2", where="elsewhere")
    run_json = json.loads((storage_dir / "experiment1/seed1/.alfred/run.json").read_text())
    ran = typed("status", "--json")
    one, other = json.loads(ran.stdout)["running"]
    assert one["seed_dir"] == str(storage_dir / "experiment1/seed1")
    assert (one["owner"], one["pid"], one["alive"]) == (here.owner, here.pid, "alive")
    assert (one["start"], one["job"], one["being_put_back"]) == (run_json["start"], None, False)
    assert 0 <= one["seconds"] < 600
    assert (other["owner"], other["host"], other["job"]) == (elsewhere.owner, "elsewhere", "4711")
    assert other["alive"] == "not proven"
    assert 0 <= other["heard"] < 60
    table = typed("status").stdout
    (row,) = [line for line in table.splitlines() if line.startswith(f"{storage_dir.name}/experiment2/seed2")]
    assert row.split()[1:4] == ["elsewhere", str(elsewhere.pid), "4711"]
    assert "not proven, heard from" in row
    since = run_json["start"][:19].replace("T", " ")
    assert any(f"{here.pid} " in line and since in line and "alive" in line for line in table.splitlines())


def test_an_owner_without_a_lease_is_not_called_dead(laid, killed, typed):
    storage_dir = laid()
    dead = killed(storage_dir, "experiment1/seed1")
    (storage_dir / ".alfred/owners" / dead.owner).unlink()
    ran = typed("status")
    assert cells(ran.stdout, storage_dir.name)[:3] == ["3", "1", "0"]
    (run,) = json.loads(typed("status", "--json").stdout)["running"]
    assert (run["alive"], run["heard"], run["pid"]) == ("not proven", None, dead.pid)
    assert "not proven, never heard from" in ran.stdout


def test_a_run_of_a_killed_process_has_stopped(laid, killed, typed):
    storage_dir = laid()
    killed(storage_dir, "experiment1/seed1")
    ran = typed("status")
    assert "Stopped: 1" in ran.stdout
    assert "alfred clean" in ran.stdout
    assert json.loads(typed("status", "--json").stdout)["stopped"] == [str(storage_dir / "experiment1/seed1")]


def test_nothing_is_written_not_even_into_trees_of_older_tools(laid, held, tmp_path, typed):
    storage_dir = laid()
    held(storage_dir, "experiment1/seed1")
    older = tmp_path / "storage/Ju7_f7b375e_ppo_cart_pole_grid_v1"
    for seed, flag in enumerate(("UNHATCHED", "COMPLETED", "CRASH.txt", "nothing")):
        (older / f"experiment1/seed{seed}").mkdir(parents=True)
        (older / f"experiment1/seed{seed}" / flag).touch()
    (tmp_path / "storage/judge").mkdir()
    (tmp_path / "storage/.alfred/laying.gone-1-00000000").mkdir()
    before = snapshot(tmp_path)
    ran = typed("status")
    assert ran.returncode == 0
    assert cells(ran.stdout, older.name) == ["1", "0", "1", "1", "1", "0", "4"]
    assert "judge" not in ran.stdout
    assert "(the report is empty)" in ran.stdout
    assert snapshot(tmp_path) == before


def test_crash_reports_are_grouped_by_their_last_line_most_frequent_first(laid, typed):
    storage_dir = laid(experiments=6, seeds=(1,))
    reports = [
        "ValueError: boom",
        "the process left with exit status 0 before main() returned",
        "the process left with exit status 1 before main() returned",
        "RuntimeError: <object at 0x7f01> failed at step 12345",
        "RuntimeError: <object at 0x7fab> failed at step 678901",
        "\x1b[31mRuntimeError: <object at 0x99> failed at step 1000\x1b[0m\n\n  ",
    ]
    for number, text in enumerate(reports, start=1):
        end(storage_dir / f"experiment{number}/seed1", "CRASH.txt", f"Crashed at: now\n{text}\n")
    groups = json.loads(typed("status", "--json").stdout)["crashes"]
    assert [group["count"] for group in groups] == [3, 1, 1, 1]
    assert groups[0]["last_line"] == "RuntimeError: <object at 0x7f01> failed at step 12345"
    assert groups[0]["example"] == str(storage_dir / "experiment4/seed1/CRASH.txt")
    assert {group["last_line"] for group in groups[1:]} == set(reports[:3])
    table = typed("status").stdout
    (row,) = [line for line in table.splitlines() if "RuntimeError" in line]
    assert row.split()[0] == "3"
    assert row.endswith("experiment4/seed1/CRASH.txt")


def crash(seed_dir, headline, signature, where="main.py, line 3, in f", owner="host-12-0123abcd"):
    """Let a waiting run have crashed as alfred notes it."""
    told = f"Error: {headline}\nWhere: {where}\nSignature: {signature}\n\n--- traceback\n{headline}\n"
    end(seed_dir, "CRASH.txt", f"Crashed at: now by {owner}\n{told}")


def test_each_kind_of_crash_is_told_with_what_only_its_runs_have(laid, typed):
    storage_dir = laid(experiments=4, seeds=(1, 2))
    long = "RuntimeError: " + "why " * 100 + "in the end"
    for experiment, seed in ((1, 1), (3, 1), (3, 2), (4, 2)):
        crash(
            storage_dir / f"experiment{experiment}/seed{seed}", f"{long} {seed}", "RuntimeError at main.py:f"
        )
    end(storage_dir / "experiment1/seed2")
    crash(
        storage_dir / "experiment2/seed1",
        "KeyError: 'x'",
        "KeyError at main.py:g: 'x'",
        "main.py, line 9, in g",
    )
    crash(
        storage_dir / "experiment2/seed2",
        "KeyError: 'x'",
        "KeyError at main.py:g: 'x'",
        "main.py, line 8, in g",
    )
    ran = typed("status", "--crashes")
    assert ran.returncode == 0, ran.stderr
    many, two = ran.stdout.split("\n\n")[1:]
    assert many.splitlines() == [
        "4 crashed runs: RuntimeError at main.py:f",
        f"  error           {long} 1",
        "  where           main.py, line 3, in f",
        f"  report          {storage_dir.name}/experiment1/seed1/CRASH.txt",
        f"  runs            {storage_dir.name}: experiment1 (seed1), experiment3 (seed1, seed2), "
        "experiment4 (seed2)",
    ]
    assert two.splitlines()[0] == "2 crashed runs: KeyError at main.py:g: 'x'"
    assert two.splitlines()[2] == "  where           main.py, line 9, in g"
    assert two.splitlines()[-1].split(maxsplit=3)[:4] == ["only", "they", "have", "lr=1"]
    first, second = json.loads(typed("status", "--crashes", "--json").stdout)["crashes"]
    assert (first["count"], first["only_theirs"]) == (4, {})
    assert (second["count"], second["only_theirs"]) == (2, {"lr": 1})
    assert second["runs"] == [str(storage_dir / f"experiment2/seed{seed}") for seed in (1, 2)]
    assert first["headline"] == f"{long} 1"
    assert first["last_line"] == first["headline"][:300]
    assert "only_theirs" not in json.loads(typed("status", "--json").stdout)["crashes"][0]


def test_the_short_list_of_crashes_and_the_long_one_have_the_same_groups(laid, typed):
    storage_dir = laid()
    crash(storage_dir / "experiment1/seed1", "ValueError: 1", "ValueError at main.py:f: #")
    crash(
        storage_dir / "experiment2/seed1",
        "ValueError: 2",
        "ValueError at main.py:f: #",
        "main.py, line 7, in f",
    )
    crash(
        storage_dir / "experiment2/seed2",
        "ValueError: 2",
        "ValueError at main.py:g: #",
        "main.py, line 7, in g",
    )
    short = typed("status").stdout.partition("Crashed\n")[2].splitlines()[1:]
    assert [row.split()[:3] for row in short] == [["2", "ValueError:", "1"], ["1", "ValueError:", "2"]]
    long = typed("status", "--crashes").stdout
    assert long.index("2 crashed runs: ValueError at main.py:f: #") < long.index(
        "1 crashed run: ValueError at"
    )


@pytest.mark.parametrize("completed", [False, True])
def test_nothing_is_called_only_theirs_without_completed_runs_to_compare_with(laid, typed, completed):
    storage_dir = laid()
    for seed in (1, 2):
        crash(storage_dir / f"experiment1/seed{seed}", "ValueError: 1", "s")
    if completed:
        end(storage_dir / "experiment2/seed1")
    assert ("only they have" in typed("status", "--crashes").stdout) == completed


def test_the_report_of_an_overtaken_attempt_is_shown_as_that(laid, typed):
    storage_dir = laid(experiments=1)
    for seed in (1, 2):
        crash(storage_dir / f"experiment1/seed{seed}", "ValueError: 1", "s")
    (storage_dir / "experiment1/seed2/.alfred").mkdir()
    (storage_dir / "experiment1/seed2/.alfred/run.json").write_text('{"owner": "other-1-89abcdef"}')
    groups = json.loads(typed("status", "--json").stdout)["crashes"]
    assert {group["overtaken"]: group["count"] for group in groups} == {False: 1, True: 1}
    assert "(an overtaken attempt's report) ValueError: 1" in typed("status").stdout
    shown = typed("status", "--crashes").stdout
    assert "1 crashed run, reports of attempts that the run was taken from: s\n" in shown


def test_where_nothing_has_crashed_that_is_said(laid, typed):
    laid()
    assert typed("status", "--crashes").stdout.endswith("\nNothing has crashed.\n")


def test_hostile_reports_neither_reach_the_terminal_nor_hold_up_the_command(laid, typed):
    storage_dir = laid(experiments=6, seeds=(1,))
    secret = storage_dir.parent / "secret"
    secret.write_text("do not show this")
    paths = [storage_dir / f"experiment{number}/seed1/CRASH.txt" for number in range(1, 7)]
    for path in paths:
        (path.parent / "UNHATCHED").unlink()
    paths[0].write_bytes(b"x\n\x1b]0;title\x07\x1b[2J\xff\xfe\x00 \xe2\x80\xaeevil")
    paths[1].write_bytes(b"\n" + b"A" * 5_000_000)
    paths[2].symlink_to(secret)
    os.mkfifo(paths[3])
    paths[4].mkdir()
    paths[5].write_bytes(b"\0" * 10_000)
    ran = typed("status")
    assert ran.returncode == 0
    assert not {sign for sign in ran.stdout if not sign.isprintable()} - {"\n"}
    assert "\\x1b]0;title" in ran.stdout
    assert "do not show" not in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) < 1000
    told = json.loads(typed("status", "--json").stdout)
    assert sum(group["count"] for group in told["crashes"]) == 3
    odd = [f"CRASH.txt is no plain file in {path.parent}: remove it" for path in paths[2:5]]
    assert told["conflicts"] == odd
    crashes = typed("status", "--crashes")
    assert crashes.returncode == 0
    assert not {sign for sign in crashes.stdout if not sign.isprintable()} - {"\n"}


def test_how_long_completed_runs_took_is_told_from_their_records(laid, typed):
    storage_dir = laid(experiments=2, seeds=(1, 2, 3))
    for number, seconds in enumerate([30, 90, 7200], start=1):
        end(storage_dir / f"experiment1/seed{number}", seconds=seconds)
    end(storage_dir / "experiment2/seed1")
    end(storage_dir / "experiment2/seed2", "CRASH.txt", "boom", seconds=1)
    ran = typed("status")
    assert "0h01m30s (0h00m30s to 2h00m00s), from 3 of 4" in ran.stdout
    (found,) = json.loads(typed("status", "--json").stdout)["storage_dirs"]
    expected = {"median": 90, "min": 30, "max": 7200, "sampled": 3, "completed": 4}
    assert found["durations"] == expected


def test_of_many_completed_runs_only_some_hundreds_are_read_and_that_is_said(laid, typed):
    storage_dir = laid(experiments=4, seeds=tuple(range(400)))
    for seed_dir in storage_dir.glob("experiment*/seed*"):
        end(seed_dir, seconds=int(seed_dir.parent.name[-1]))
    (found,) = json.loads(typed("status", "--json").stdout)["storage_dirs"]
    assert found["counts"]["completed"] == found["durations"]["completed"] == 1600
    assert 300 <= found["durations"]["sampled"] <= 600
    assert (found["durations"]["min"], found["durations"]["max"]) == (1, 4)  # from all over the search
    assert f"from {found['durations']['sampled']} of 1600" in typed("status").stdout


def test_records_that_hold_nonsense_are_no_durations(laid, typed):
    storage_dir = laid()
    for name, text in (
        ("experiment1/seed1", '{"seconds": "long"}'),
        ("experiment1/seed2", '{"seconds": NaN}'),
        ("experiment2/seed1", "[[[["),
        ("experiment2/seed2", '{"seconds": true}'),
    ):
        end(storage_dir / name, seconds=1)
        (storage_dir / name / ".alfred/run.json").write_text(text)
    ran = typed("status", "--json")
    assert json.loads(ran.stdout)["storage_dirs"][0]["durations"] is None


def test_every_key_of_the_json_object_is_explained_in_the_help(laid, held, typed):
    storage_dir = laid()
    held(storage_dir, "experiment1/seed1")
    end(storage_dir / "experiment1/seed2", "CRASH.txt", "boom")
    end(storage_dir / "experiment2/seed1", seconds=3)
    record = json.loads(typed("status", "--json").stdout)
    keys = set(record)
    for part in ("storage_dirs", "running"):
        keys |= set(record[part][0])
    keys |= set(json.loads(typed("status", "--crashes", "--json").stdout)["crashes"][0])
    keys |= set(record["storage_dirs"][0]["counts"]) | set(record["storage_dirs"][0]["durations"])
    told = parser().format_help().partition("keys of --json")[2]
    assert {key for key in keys if key not in told} == set()


def test_only_what_is_named_is_shown(laid, tmp_path, typed):
    first, second, third = laid("t", "u", "v")
    assert second.name not in typed("status", "--storage_name", first.name).stdout
    (tmp_path / "list.txt").write_text(f"{third.name}\n{first.name}\n")
    names = [
        storage["name"] for storage in status(tmp_path / "list.txt", root_dir=first.parent)["storage_dirs"]
    ]
    assert names == [third.name, first.name]
    everything = json.loads(typed("status", "--root-dir", "storage", "--json").stdout)
    assert [storage["name"] for storage in everything["storage_dirs"]] == [
        first.name,
        second.name,
        third.name,
    ]


def test_what_is_missing_is_said_and_counted(laid, tmp_path, typed):
    storage_dir = laid()
    (tmp_path / "list.txt").write_text(f"{storage_dir.name}\nZz1_gone_grid_x\n")
    ran = typed("status", "--from_file", "list.txt", "--json")
    assert ran.returncode == 1
    assert "Zz1_gone_grid_x does not exist" in ran.stderr
    (text,) = json.loads(ran.stdout)["passed_over"]
    assert "Zz1_gone_grid_x" in text
    (tmp_path / "list.txt").write_text("Zz1_gone_grid_x\n")
    assert typed("status", "--from_file", "list.txt").returncode == 3
    assert typed("status", "--storage_name", "Zz1_gone_grid_x").returncode == 2
    ran = typed("status", "--root_dir", "nowhere")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    with pytest.raises(StorageError, match="nowhere"):
        status(root_dir=tmp_path / "nowhere")
    with pytest.raises(UsageError):
        status("list.txt", "Zz1_gone_grid_x")


def test_a_root_without_storage_directories_is_no_mistake(tmp_path, typed):
    (tmp_path / "storage").mkdir()
    ran = typed("status")
    assert (ran.returncode, "No storage directories" in ran.stdout) == (0, True)


def test_no_name_is_cut_off_in_a_pipe(laid, typed):
    storage_dir = laid("a_task_of_a_long_name" * 9)[0]
    end(storage_dir / "experiment1/seed1", "CRASH.txt", "Error: " + "why " * 60)
    ran = typed("status")
    assert storage_dir.name in ran.stdout
    assert f"{storage_dir.name}/experiment1/seed1/CRASH.txt" in ran.stdout
    assert ("why " * 60).strip() in ran.stdout
    assert "\x1b" not in ran.stdout
    assert all(line == line.rstrip() for line in ran.stdout.splitlines())


@pytest.mark.parametrize("columns", [50, 300])
def test_a_terminal_shows_every_letter_within_its_width(laid, tmp_path, columns):
    storage_dir = laid("some_task")[0]
    end(storage_dir / "experiment1/seed1", "CRASH.txt", "Error: boom")
    text, code = on_terminal("--storage_name", storage_dir.name, folder=tmp_path, columns=columns)
    plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\r", "")
    states, _, crashes = plain.partition("Crashed")
    assert code == 0
    assert "…" not in plain
    assert max(len(line) for line in plain.splitlines()) <= columns
    assert {"waiting", "crashed", "total"} <= set(states.split())  # headings are not broken
    assert ("running" in states.split()) == (columns == 300)  # no run is in that state
    first_cells = "".join(line.split()[0] for line in states.splitlines() if line and line[0] != " ")
    assert storage_dir.name in first_cells
    last_cells = "".join(line.split()[-1] for line in crashes.splitlines() if line)
    assert f"{storage_dir.name}/experiment1/seed1/CRASH.txt" in last_cells


def test_storage_directories_that_cannot_be_read_are_named_and_the_others_shown(laid, open_folder):
    """As another user, since root may read everything."""
    readable, closed = laid("t", "u", root=open_folder / "storage")
    end(readable / "experiment1/seed1")
    os.chmod(closed / "experiment1", 0)
    os.chmod(readable / "experiment1/seed2", 0)
    code = (
        "import contextlib, io, os, sys\n"
        "from alfred.umbrella import main\n"
        f"arguments = ['status', '--json', '--root_dir', {str(readable.parent)!r}]\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(arguments)  # imports what the other user may have no right to read\n"
        "if os.geteuid() == 0: os.setgid(65534), os.setuid(65534)\n"
        "sys.exit(main(arguments))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=False)
    os.chmod(closed / "experiment1", 0o755)
    os.chmod(readable / "experiment1/seed2", 0o755)
    assert ran.returncode == 1, ran.stderr
    record = json.loads(ran.stdout)
    assert record["storage_dirs"][0]["counts"]["completed"] == 1
    assert record["storage_dirs"][0]["counts"]["conflict"] == 1
    assert f"{closed} can't be read whole: Permission denied" in record["passed_over"][0]
