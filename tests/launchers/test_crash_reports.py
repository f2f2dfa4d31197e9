"""CRASH.txt of real processes that end in every way: what it says, and that it stays readable."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from alfred.launchers.raised import describe

METHODS = {
    "in_process": ["--in_process"],
    "forkserver": ["--start_method", "forkserver", "--n_processes", "2"],
    "fork": ["--start_method", "fork", "--n_processes", "2"],
    "spawn": ["--start_method", "spawn", "--n_processes", "2"],
}
CHAINED = """
try:
    {}['key']
except KeyError as error:
    raise RuntimeError('no such key') from error
"""
GROUP = "raise ExceptionGroup('many', [ValueError('a'), ExceptionGroup('in', [KeyError('k')])])"
NO_TEXT = """
class Silent(Exception):
    def __str__(self): raise KeyError('no text')
    __notes__ = property(lambda self: 1 / 0)
raise Silent()
"""
DEEP = """
sys.setrecursionlimit(50_000)
def even(n): return odd(n)
def odd(n): return even(n)
even(0)
"""
WARNING = "import warnings; warnings.simplefilter('error'); warnings.warn('old ' + 'thing')"
COLOURED = "raise ValueError('\\x1b[31mred\\x1b[0m\\nsecond line')"
# What each does, its headline, and what else its report says.
RAISES = {
    CHAINED: ("RuntimeError: no such key", ["KeyError: 'key'", "direct cause"]),
    GROUP: (
        "ExceptionGroup: many (2 sub-exceptions): ValueError: a; ExceptionGroup: in (1 sub-exception): "
        "KeyError: 'k'",
        ["  | ExceptionGroup: many", "| KeyError: 'k'"],
    ),
    NO_TEXT: ("Silent: (its __str__ raised KeyError)", ["in main", "no more can be told of it"]),
    "sys.exit('bad config')": ("SystemExit: bad config", ["Traceback"]),
    "sys.exit(3)": ("SystemExit: 3", ["Signature: SystemExit at main.py:main: 3"]),
    "raise KeyboardInterrupt": ("KeyboardInterrupt", ["Signature: KeyboardInterrupt at main.py:main\n"]),
    WARNING: ("UserWarning: old thing", ["Traceback"]),
    COLOURED: ("ValueError: red", ["ValueError: red\nsecond line\n"]),
    DEEP: (
        "RecursionError: maximum recursion depth exceeded",
        ["calls deep: the first 100 and the last 200"],
    ),
    "raise ValueError('m' * 10_000_000)": ("ValueError: mmm", [" characters left out "]),
    "import json; json.loads('{')": (
        "JSONDecodeError: Expecting",
        ["Where: main.py, line 21, in main\n", "Signature: JSONDecodeError at main.py:main: Expecting"],
    ),
}


def reports(storage_dir):
    """The crash reports by the number of the experiment."""
    found = storage_dir.glob("experiment*/seed1/CRASH.txt")
    return {int(path.parts[-3].removeprefix("experiment")): path.read_text() for path in found}


@pytest.fixture(scope="module")
def launched(look, tmp_path_factory):
    """The same awkward errors in one launch by each method: method -> reports."""
    found = {}
    for method, words in METHODS.items():
        one = look.Client(tmp_path_factory.mktemp(method) / "project", "scripted")
        storage_dir = one.lay(*RAISES)
        ran = one.run("--storage_name", storage_dir.name, "--max_identical_crashes", "none", *words)
        assert ran.returncode == 1, ran.stdout + ran.stderr
        assert "\x1b" not in ran.stdout
        assert max(map(len, ran.stdout.splitlines())) < 600, "a headline in the log is short"
        found[method] = reports(storage_dir)
    return found


@pytest.mark.parametrize("number", range(1, len(RAISES) + 1), ids=[text[:25] for text, _ in RAISES.values()])
def test_whatever_main_raises_is_told_in_a_line_and_in_full(launched, number):
    headline, says = list(RAISES.values())[number - 1]
    text = launched["forkserver"][number]
    first, error, *head = text.partition("\n\n")[0].split("\n")
    assert re.fullmatch(r"Crashed at: \d{4}-\d\d-\d\dT[\d:]{8}[+-]\d{4} by \S+-\d+-[0-9a-f]{8}", first)
    assert error.startswith(f"Error: {headline}")
    assert text.rstrip().rpartition("\n")[2] == error.removeprefix("Error: ")
    facts = {line.partition(": ")[0] for line in head}
    assert facts >= {"Where", "Signature", "Attempt", "Host", "Process", "Wall time", "Processor time"}
    assert facts >= {"Peak memory", "Memory of the machine"}
    for words in says:
        assert words in text
    assert len(text) < 200_000
    assert not {sign for sign in text if not sign.isprintable()} - {"\n", "\t"}
    assert "alfred/" not in text.partition("--- traceback")[2], "it begins in the user's code"


@pytest.mark.parametrize("method", ["in_process", "fork", "spawn"])
def test_the_report_is_the_same_however_the_run_was_done(launched, method):
    assert {number: particulars_left_out(text) for number, text in launched[method].items()} == {
        number: particulars_left_out(text) for number, text in launched["forkserver"].items()
    }


def particulars_left_out(text):
    """A report without times, processes, memory and the folder of the project."""
    text = re.sub(r"File \"\S*/main.py\"", 'File "main.py"', text)
    text = re.sub(r"^(Crashed at|Host|Process|[\w ]*time|Peak memory|\w+ deep): .*$", r"\1", text, flags=re.M)
    text = re.sub(
        r"line \d, in (even|odd)", "line #, in one", text
    )  # which of them was one too deep is chance
    return re.sub(r"\d+ (calls deep|characters)", r"# \1", text)


MEMORY = {
    "one too large": "x = bytearray(1 << 32)",
    "many small ones": "def fill():\n    x = []\n    while True: x.append(bytearray(1000))\nfill()",
    "as a cause": "try:\n    bytearray(1 << 32)\nexcept MemoryError as error:\n    raise OSError from error",
}
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"


def test_out_of_memory_is_said_where_a_memory_error_was_raised_and_of_no_kill_that_nobody_explained(client):
    one = client()
    storage_dir = one.lay(*[LIMITED + do for do in MEMORY.values()], "os.kill(os.getpid(), 9)")
    assert one.run("--storage_name", storage_dir.name).returncode == 1
    found = reports(storage_dir)
    for number, last in ((1, "MemoryError"), (2, "MemoryError"), (3, "OSError")):
        assert "Out of memory: MemoryError was raised\n" in found[number]
        assert found[number].rstrip().endswith(last)
        assert "Traceback" in found[number]
    assert "in fill" in found[2]
    killed = found[4]
    assert "Out of memory" not in killed
    assert "out of memory" not in killed
    assert "Signal: SIGKILL\n" in killed
    assert re.search(r"^Peak memory: \d+ MiB\n", killed, re.MULTILINE)
    assert re.search(r"^Memory of the machine: \d+ MiB\n", killed, re.MULTILINE)
    assert killed.rstrip().endswith("\nkilled by SIGKILL; nobody said why")


DRIVER = """
import sys
from pathlib import Path
from alfred.launchers import starters
from alfred.launchers.base import LaunchPlan
from alfred.launchers.launch_log import LaunchLog
from alfred.launchers.local import show
from alfred.launchers.memory import Memory
from alfred.launchers.progress import Tally
from alfred.launchers.worker import Worker
from alfred.storage.leases import Leases
from alfred.storage.owners import this_process

if __name__ == "__main__":
    root = Path("storage").absolute()
    plan = LaunchPlan(Path.cwd(), root, tuple(root.iterdir()))
    leases, tally = Leases(this_process()), Tally(plan.storage_dirs)
    starter = starters.load("fork", Path.cwd(), {})
    memory = Memory("groups", "groups/mine", "/nowhere")
    Worker(plan, starter, leases, show(tally), tally, LaunchLog("x"), {}, memory=memory).work()
    leases.close()
"""
# As the kernel does: count, then kill.
AS_THE_KERNEL = "Path('groups/job/memory.events').write_text('oom_kill 1\\n'); os.kill(os.getpid(), 9)"


def test_a_kill_that_the_kernel_counted_in_the_control_group_is_out_of_memory_and_the_next_is_not(client):
    one = client()
    storage_dir = one.lay(AS_THE_KERNEL, "os.kill(os.getpid(), 9)")
    group = one.folder / "groups/job"
    group.mkdir(parents=True)
    (group.parent / "mine").write_text("0::/job\n")
    (group / "memory.events").write_text("low 0\noom 0\noom_kill 0\n")
    (group / "memory.max").write_text(f"{512 << 20}\n")
    (one.folder / "driver.py").write_text(DRIVER)
    ran = one.run(module="driver")
    assert ran.returncode == 0, ran.stderr
    counted, by_hand = (reports(storage_dir)[number] for number in (1, 2))
    assert counted.rstrip().endswith("\nout of memory: killed by SIGKILL")
    assert "Out of memory: the kernel killed for want of memory in its control group\n" in counted
    assert "Memory limit: 512 MiB\n" in counted
    assert "Killed meanwhile in its control group for want of memory: 1\n" in counted
    assert by_hand.rstrip().endswith("\nkilled by SIGKILL; nobody said why")


NOISY = """
for step in range(2000): os.write(2, b'\\r%3d%%|####| %d/2000' % (step // 20, step))
os.write(1, b'\\n' + b'z' * 10_000_000 + b'\\n' + bytes(range(128, 256)) * 50 + b'\\n\\x1b[31mred\\x1b[0m\\n')
print('the last words')
logger.info('\\x1b[1mlogged\\x1b[0m')
1 / 0
"""


def test_what_was_printed_is_readable_whatever_it_was(client):
    one = client()
    storage_dir = one.lay(NOISY, "os.write(1, b'\\r%d' % 7 * 3); print('in words'); 1 / 0")
    one.run("--storage_name", storage_dir.name)
    text = reports(storage_dir)[1]
    printed = text.partition("--- the last lines of output.out")[2].partition("\n\n--- ")[0].splitlines()
    assert re.fullmatch(r" \(1\d{7} bytes in all\)", printed[0])
    assert printed[1:] == ["[a line that is no text]", "red", "the last words"]
    assert re.search(r"--- the last lines of logger.out\n.* - logged\n", text)
    assert "--- the last lines of output.out\n7in words\n" in reports(storage_dir)[2]


FULL = """
sys.setrecursionlimit(50_000)
for number in range(1000): print('ü' * 1900 + str(number))
for number in range(1000): logger.info('ü' * 1900 + str(number))
(dir_tree.seed_dir / '.alfred' / 'faults.out').write_text('trace ü\\n' * 500_000)
raise ValueError('ü' * 1_000_000 + '\\n' + 'line ü\\n' * 500_000)
"""


def test_a_report_never_outgrows_a_mebibyte_and_says_what_was_cut(client):
    one = client()
    storage_dir = one.lay(FULL)
    one.run("--storage_name", storage_dir.name)
    seed_dir = storage_dir / "experiment1/seed1"
    text = reports(storage_dir)[1]
    assert 100_000 < (seed_dir / "CRASH.txt").stat().st_size <= 1 << 20
    assert text.rstrip().rpartition("\n")[2].startswith("ValueError: üüü")
    assert re.findall(r"^--- the last lines of (\w+).out \(\d+ bytes in all\)$", text, re.MULTILINE) == [
        *("output", "logger")
    ]
    assert re.search(r"^\[\d+ bytes more were written\]$", text, re.MULTILINE), "of faulthandler's trace"
    assert "characters left out" in text


def test_a_message_without_end_is_cut_in_the_traceback_too():
    told = describe(ValueError("x" * 1_000_000), Path("/"))
    assert len(told.traceback) < 130_000
    assert "characters left out" in told.traceback


def test_a_death_by_signal_says_where_python_was(client):
    one = client("misbehaving")
    storage_dir = one.lay("x")
    for path in storage_dir.glob("experiment1/seed1/config*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "behaviour": "segfault", "max_steps": 1}))
    one.run("--storage_name", storage_dir.name)
    text = reports(storage_dir)[1]
    assert "\nSignature: killed by SIGSEGV at ctypes/__init__.py:string_at\n" in text
    assert re.search(r"^Where: main.py, line \d+, in segfault$", text, re.MULTILINE)
    assert "Signal: SIGSEGV\n" in text
    trace = text.partition("--- where Python was")[2]
    assert "in string_at" in trace
    assert "alfred/launchers" not in trace


def test_the_cluster_job_is_named_with_its_place_in_an_array(client):
    one = client()
    storage_dir = one.lay("1 / 0")
    job = {"SLURM_JOB_ID": "4713", "SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "2"}
    one.run("--storage_name", storage_dir.name, env=job)
    assert "\nCluster job: 4713 (task 2 of array job 4711)\n" in reports(storage_dir)[1]


def test_a_log_that_is_no_plain_file_holds_up_no_report(client):
    one = client()
    swap = "path = dir_tree.seed_dir / 'output.out'; path.unlink(); os.mkfifo(path); 1 / 0"
    storage_dir = one.lay(swap)
    launched = one.run("--storage_name", storage_dir.name)
    assert launched.returncode == 1
    assert "ZeroDivisionError" in reports(storage_dir)[1]
