"""Ctrl-C and other signals: everything is gone soon, and what was cut off waits again."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time

import pytest

PATIENT = """
__import__('subprocess').Popen(['sleep', '1000'])
print('here')
time.sleep(1000)
"""
STUBBORN = """
while True:
    try:
        time.sleep(1000)
    except KeyboardInterrupt:
        pass
"""
FLOOD = "while True: logger.info('x' * 200)"
LEAVES_A_THREAD = "import threading; threading.Thread(target=time.sleep, args=(1000,)).start()"
SLACK = 1.0  # seconds for a busy machine, on top of what is promised


def stop(one, launch, *signals):
    """Send signals to a launch; its exit status, what it printed, and the seconds until nothing is left."""
    began = time.monotonic()
    for number in signals:
        launch.send_signal(number)
        time.sleep(0.1)  # two signals of one kind at the same instant are one signal
    printed, _ = launch.communicate(timeout=60)
    while one.processes():
        assert time.monotonic() - began < 30
        time.sleep(0.005)
    return launch.returncode, printed, time.monotonic() - began


def assert_waits_again(seed_dir, why):
    """Only configuration and flag stand there; what the attempt left is put aside."""
    names = {path.name for path in seed_dir.iterdir()}
    assert names == {"config.json", "config_unique.json", "UNHATCHED", ".alfred"}
    assert why in (seed_dir / "UNHATCHED").read_text()
    assert {"logger.out", "recorders", "run.json"} <= {
        path.name for path in (seed_dir / ".alfred" / "attempts" / "1").iterdir()
    }


@pytest.mark.parametrize("method", ["forkserver", "fork", "spawn"])
def test_ctrl_c_ends_all_processes_within_two_seconds_and_the_runs_wait_again(client, look, method):
    one = client()
    storage_dir = one.lay("pass", PATIENT, STUBBORN, "pass")
    launch = one.start("--storage_name", storage_dir.name, "--n_processes", 2, "--start_method", method)
    one.started(3)
    look.wait_for(lambda: len(one.processes()) >= 4)  # launcher, two runs, a grandchild
    status, printed, seconds = stop(one, launch, signal.SIGINT)
    assert status == 130
    assert seconds < 2 + SLACK
    assert look.counts(storage_dir) == {"COMPLETED": 1, "UNHATCHED": 3}
    for name in ("experiment2", "experiment3"):
        assert_waits_again(storage_dir / name / "seed1", "stopped by SIGINT")
    assert "here" in (storage_dir / "experiment2/seed1/.alfred/attempts/1/output.out").read_text()
    assert "1 done, 0 running, 0 crashed, 3 waiting" in printed
    assert not list((storage_dir / ".alfred" / "owners").iterdir())
    assert {path.name for path in (storage_dir / "experiment4" / "seed1").iterdir()} == {
        *("config.json", "config_unique.json", "UNHATCHED")
    }


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_in_process_a_signal_stops_main_and_the_run_waits_again(client, look, number, status):
    one = client()
    storage_dir = one.lay("time.sleep(1000)", "pass")
    launch = one.start("--storage_name", storage_dir.name, "--in_process")
    one.started()
    assert stop(one, launch, number)[0] == status
    assert look.counts(storage_dir) == {"UNHATCHED": 2}
    assert_waits_again(storage_dir / "experiment1" / "seed1", "stopped by")


def test_in_process_a_main_that_swallows_the_interrupt_still_ends_the_launch(client, look):
    one = client()
    storage_dir = one.lay("try: time.sleep(1000)\nexcept KeyboardInterrupt: pass", "pass")
    launch = one.start("--storage_name", storage_dir.name, "--in_process")
    one.started()
    assert stop(one, launch, signal.SIGINT)[0] == 130
    assert look.counts(storage_dir) == {"UNHATCHED": 2}


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR2, 140)]
)
def test_the_exit_status_tells_the_signal_that_ended_a_launch(client, look, number, status):
    one = client()
    storage_dir = one.lay(PATIENT)
    launch = one.start("--storage_name", storage_dir.name)
    one.started()
    assert stop(one, launch, number)[0] == status
    assert_waits_again(storage_dir / "experiment1" / "seed1", f"stopped by {number.name}")


@pytest.mark.parametrize("words", [(), ("--in_process",)], ids=["local", "in process"])
def test_under_nohup_a_closed_terminal_ends_nothing(client, look, words):
    one = client()
    storage_dir = one.lay("time.sleep(1000)")
    launch = one.start("--storage_name", storage_dir.name, *words, preexec_fn=ignore_hangup)
    one.started()
    status, printed, _ = stop(one, launch, signal.SIGHUP, signal.SIGTERM)
    assert (status, "SIGHUP" in printed) == (143, False), printed
    assert look.counts(storage_dir) == {"UNHATCHED": 1}


def ignore_hangup():
    """What nohup does before it becomes the command."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_a_second_ctrl_c_ends_at_once_whatever_the_grace(client, look):
    one = client()
    storage_dir = one.lay(STUBBORN)
    launch = one.start("--storage_name", storage_dir.name, "--grace", "1h")
    one.started()
    status, _, seconds = stop(one, launch, signal.SIGINT, signal.SIGINT)
    assert status == 130
    assert seconds < 1 + SLACK
    assert look.counts(storage_dir) == {"UNHATCHED": 1}


@pytest.mark.parametrize("where", ["in main()", "at import"])
def test_a_project_that_handles_the_signal_itself_gets_it(client, look, where):
    one = client()
    handler = f"signal.signal(signal.SIGUSR1, lambda *_: open({str(one.folder / 'told')!r}, 'w').close())"
    wait = "\nwhile True: time.sleep(0.01)"
    if where == "at import":
        with (one.folder / "main.py").open("a") as main:
            main.write(f"\nimport signal\n{handler}\n")
        storage_dir = one.lay(wait)
    else:
        storage_dir = one.lay(f"import signal\n{handler}\n(Path(__file__).parent / 'ready').touch(){wait}")
    launch = one.start("--storage_name", storage_dir.name)
    one.started()
    if where != "at import":
        look.wait_for((one.folder / "ready").exists)
    assert stop(one, launch, signal.SIGUSR1)[0] == 138
    assert (one.folder / "told").exists()
    assert look.counts(storage_dir) == {"UNHATCHED": 1}


def test_a_run_that_logs_without_end_does_not_keep_the_launcher_from_listening(client, look):
    one = client()
    storage_dir = one.lay(FLOOD, FLOOD)
    launch = one.start("--storage_name", storage_dir.name, "--n_processes", 2, stdout=subprocess.DEVNULL)
    one.started(2)
    status, _, seconds = stop(one, launch, signal.SIGINT)
    assert status == 130
    assert seconds < 2 + SLACK
    assert look.counts(storage_dir) == {"UNHATCHED": 2}


def test_a_run_that_is_done_but_does_not_leave_is_completed_and_ended(client, look):
    one = client()
    storage_dir = one.lay(LEAVES_A_THREAD)
    launch = one.start("--storage_name", storage_dir.name)
    look.wait_for(lambda: any("end" in (note[0] for note in notes) for notes in one.journal().values()))
    time.sleep(0.2)  # the word that main() has returned is on its way
    status, _, seconds = stop(one, launch, signal.SIGINT)
    assert status == 130
    assert seconds < 2 + SLACK
    assert look.counts(storage_dir) == {"COMPLETED": 1}


@pytest.mark.parametrize("method", ["forkserver", "fork", "spawn"])
def test_ctrl_c_while_the_project_is_being_imported_leaves_nothing_behind(client, look, method):
    one = client()
    with (one.folder / "main.py").open("a") as main:
        main.write("\nPath(__file__).with_name('importing').touch()\ntime.sleep(1000)\n")
    storage_dir = one.lay("pass")
    launch = one.start("--storage_name", storage_dir.name, "--start_method", method)
    look.wait_for((one.folder / "importing").exists)
    status, printed, seconds = stop(one, launch, signal.SIGINT)
    assert status == 130
    assert "Traceback" not in printed
    assert seconds < 2 + SLACK
    assert look.counts(storage_dir) == {"UNHATCHED": 1}


def test_a_run_that_takes_too_long_is_told_and_then_killed(client, look):
    one = client()
    polite = "try: time.sleep(1000)\nfinally: print('tidied up')"
    gives_up = "try: time.sleep(1000)\nexcept KeyboardInterrupt: pass"  # returns, but has not done its work
    leaves_late = LEAVES_A_THREAD.replace("1000", "1")  # it is done before its time is up
    storage_dir = one.lay(polite, STUBBORN, gives_up, leaves_late)
    launched = one.run("--storage_name", storage_dir.name, "--timeout", "0.3", "--grace", "0.3")
    assert launched.returncode == 1
    assert look.counts(storage_dir) == {"CRASH.txt": 3, "COMPLETED": 1}
    assert "tidied up" in (storage_dir / "experiment1/seed1/output.out").read_text()
    for name in ("experiment1", "experiment2", "experiment3"):
        report = (storage_dir / name / "seed1" / "CRASH.txt").read_text().rstrip()
        assert report.endswith("ran out of its time: --timeout 0.3 seconds")


def test_a_run_that_took_too_long_is_a_crash_though_ctrl_c_comes_before_it_has_ended(client, look):
    one = client()
    notes_it = STUBBORN.replace("pass", "(Path(__file__).parent / 'told').touch()")
    storage_dir = one.lay(notes_it)
    launch = one.start("--storage_name", storage_dir.name, "--timeout", "0.3", "--grace", "1h")
    look.wait_for((one.folder / "told").exists)
    assert stop(one, launch, signal.SIGINT, signal.SIGINT)[0] == 130
    assert look.counts(storage_dir) == {"CRASH.txt": 1}


# --- at a terminal


class Terminal:
    """A launch at a terminal of its own, as in a shell."""

    def __init__(self, one, *words):
        self.pid, self.handle = pty.fork()
        if self.pid == 0:
            os.chdir(one.folder)
            command = one.command(*words)
            os.execve(command[0], command, one.environment(TERM="xterm", COLUMNS="100", LINES="30"))
        self.shown = b""

    def read(self):
        """What is shown by now."""
        while select.select([self.handle], [], [], 0)[0]:
            try:
                self.shown += os.read(self.handle, 65_536)
            except OSError:  # the other end is closed
                break
        return self.shown

    def status(self):
        """The exit status; the terminal must be read or the launch would stand still."""
        end = time.monotonic() + 60
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < end
            select.select([self.handle], [], [], 0.05)
            self.read()


TOLD = """
try:
    time.sleep(1000)
except KeyboardInterrupt as error:
    print('told', error)
    time.sleep(0.3)
    print('tidied up')
    raise
"""
BAR = "pbar.total = 8\nfor _ in range(4): pbar.update()\npbar.refresh(); time.sleep(1000)"


def test_at_a_terminal_the_display_lives_and_ctrl_c_reaches_only_the_launcher(client, look):
    one = client()
    storage_dir = one.lay(BAR, TOLD)
    terminal = Terminal(one, "--storage_name", storage_dir.name, "--n_processes", 2, "--use_pbar")
    one.started(2)
    look.wait_for(lambda: b"4/8 (50%)" in terminal.read() and b"2 running" in terminal.shown)
    began = time.monotonic()
    os.write(terminal.handle, b"\x03")
    assert terminal.status() == 130
    look.wait_for(lambda: not one.processes())
    assert time.monotonic() - began < 2 + SLACK
    assert look.counts(storage_dir) == {"UNHATCHED": 2}
    output = (storage_dir / "experiment2/seed1/.alfred/attempts/1/output.out").read_text()
    assert output.splitlines() == ["told stopped by SIGINT", "tidied up"], "told once, and given time"
    assert b"0 done, 0 running, 0 crashed, 2 waiting" in terminal.read()
    os.close(terminal.handle)


@pytest.mark.parametrize("bar", [True, False])
def test_a_closed_terminal_ends_the_launch_and_every_run_waits_again(client, look, bar):
    one = client()
    storage_dir = one.lay(PATIENT, PATIENT, PATIENT)
    terminal = Terminal(one, "--storage_name", storage_dir.name, "--n_processes", 3, f"--use_pbar={bar}")
    one.started(3)
    os.close(terminal.handle)
    look.wait_for(lambda: not one.processes())
    assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 129
    assert look.counts(storage_dir) == {"UNHATCHED": 3}
    assert not list((storage_dir / ".alfred" / "owners").iterdir())


def test_a_reader_who_leaves_does_not_end_the_runs(client, look):
    one = client()
    storage_dir = one.lay(*["logger.info('y' * 70_000)"] * 3)
    launch = one.start("--storage_name", storage_dir.name)
    launch.stdout.close()
    launch.wait(60)
    assert look.counts(storage_dir) == {"COMPLETED": 3}


def test_in_a_log_file_there_are_plain_lines_without_carriage_returns(client, look):
    one = client()
    storage_dir = one.lay("import numpy\npbar.total = numpy.int64(4)\nfor _ in pbar: pass\npbar.refresh()")
    for words in ([], ["--in_process"]):
        launched = one.run("--storage_name", storage_dir.name, "--use_pbar", *words, text=False)
        assert launched.returncode == 0, launched.stdout
        assert b"\r" not in launched.stdout
        assert b"\x1b" not in launched.stdout
        assert b"experiment1/seed1: " in launched.stdout
        (storage_dir / "experiment1/seed1/COMPLETED").rename(storage_dir / "experiment1/seed1/UNHATCHED")
