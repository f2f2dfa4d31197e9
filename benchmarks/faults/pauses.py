"""Launchers and runs that stand still beyond their lease, are taken over by another host, and go on."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import ledger
from client import Client, children, new_client, wait_for, wait_until_stopped

from alfred.files import made_by
from alfred.storage.attempts import read_run

HOW_TO_READ = """Of every ten runs four stand still in main() before the recorder is saved (SIGSTOP of
launcher, fork server and run), four when main() has returned and the launcher was stopped before it
heard of it, one when the launcher has opened the baton to write how it ended, one directly before the
rename to COMPLETED. Their leases beat every 0.7 seconds. Observers of another host look before and
during the pause; their wall clocks and the time stamps that they give are right, an hour off and ten
years off, both ways. Then one of them puts the runs back, a launcher of that host does them all, and the
old ones go on.

A violation is: a living owner found dead or a paused one not found dead, clocks that make a difference,
a late finish that was not refused, a file of a run that changed when its old launcher went on. Only the
text in the flags of those that had opened their baton already may: it is counted, and run.json has to
name the other host. The exit status is 1 then.
"""
HOUR, YEAR = 3600.0, 365.25 * 86_400
CLOCKS = (0.0, HOUR, -HOUR, 10 * YEAR, -10 * YEAR)
BEAT = ("--beat", 0.7)


def run(words: Sequence[str] | None = None) -> ledger.Outcome:
    """Do what the words of the command line say; what came of it."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{HOW_TO_READ}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20, help="a multiple of 10")
    parser.add_argument("--folder", help="where to work: another file system, say")
    asked = parser.parse_args(words)
    with new_client(asked.folder) as client:
        pauses = Pauses(client, asked.runs)
        try:
            return pauses.take_place()
        finally:
            pauses.end_all()


class Pauses:
    """One round of pauses; `old` are the launchers that stand still."""

    def __init__(self, client: Client, runs: int) -> None:
        self.client, self.runs = client, runs
        self.list_file = client.lay(tasks=1, experiments=runs, seeds=1, kept_waiting=1)
        self.old: list[subprocess.Popen[str]] = []
        self.stopped: list[int] = []
        self.violations: list[str] = []
        self.started = time.monotonic()

    def take_place(self) -> ledger.Outcome:
        in_main, returned = 4 * self.runs // 10, 4 * self.runs // 10
        self.launch(in_main, FAULTS_PAUSE_BEFORE="save", FAULTS_GO="go_on")
        self.launch(returned, FAULTS_PAUSE_BEFORE="return", FAULTS_GO="return")
        self.wait_for_files("go_on", in_main)
        self.wait_for_files("return", returned)
        living = self.observe(doubtful=in_main + returned, dead=0)
        for step in ("write", "rename"):
            for _ in range(self.runs // 10):
                self.launch(1, "--stop_before", step)
        self.stop_all()
        paused = self.observe(doubtful=0, dead=self.runs)
        taken = self.act("put_back", "--host", "elsewhere", "--clock", 10 * YEAR)
        taker = self.act("launch", 4, "--host", "elsewhere", "--experiments", self.runs)
        self.expect("put back", taken["put_back"], self.runs)
        self.expect("completed by the other host", taker["completed"], self.runs)
        before = self.files()
        self.go_on()
        late = [self.report(process) for process in self.old]
        texts = self.compare(before, self.files(), str(taker["owner"]))
        refused = sum(report["overtaken"] for report in late)
        self.expect("late finishes refused", refused, self.runs)
        self.expect("late finishes that went through", sum(r["completed"] + r["crashed"] for r in late), 0)
        counts = {"runs": self.runs, "observers_of_living": living, "observers_of_paused": paused}
        counts |= {"put_back": taken["put_back"], "finished_by_another": taker["completed"]}
        counts |= {"late_finishes_refused": refused, "texts_of_flags_changed_late": texts}
        counts |= {"seconds": round(time.monotonic() - self.started, 1)}
        return ledger.Outcome(counts, self.violations)

    def end_all(self) -> None:
        """Leave no process behind, whatever ended the round."""
        self.wake_all()
        for process in self.old:
            if process.poll() is None:
                process.terminate()
            process.wait()

    # --- the old launchers

    def launch(self, slots: int, *words: object, **environment: str) -> None:
        words = ("launch", self.list_file, slots, "--max_runs", 1, "--experiments", self.runs, *BEAT, *words)
        self.old.append(self.client.actor(*words, **environment))

    def stop_all(self) -> None:
        """Stop the first launcher with its server and runs, the second alone; the others stop themselves."""
        in_main, returned, *others = self.old
        servers = children(in_main.pid)
        self.stopped = [in_main.pid, *servers, *(run for server in servers for run in children(server))]
        self.stopped += [process.pid for process in (returned, *others)]
        for pid in self.stopped[: -len(others)]:
            os.kill(pid, signal.SIGSTOP)
        for process in others:
            wait_until_stopped(process.pid)
        (self.client.folder / "return").touch()
        ends = 6 * self.runs // 10  # all but those that stand in main()
        wait_for(
            lambda: sum(event["what"] == "end" for event in ledger.read_events(self.client.ledger)[0]) == ends
        )

    def go_on(self) -> None:
        (self.client.folder / "go_on").touch()
        self.wake_all()

    def wake_all(self) -> None:
        """A launcher that wakes to find that its runs were taken over may end them before they wake."""
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def report(self, process: subprocess.Popen[str]) -> Mapping[str, int]:
        """What a launcher said in the end; nothing done when it said nothing."""
        said = process.communicate(timeout=60)[0].splitlines()
        if not said or not said[-1].startswith("{"):
            self.violations.append(f"the launcher {process.args} ended with {said}")
            return {"overtaken": 0, "completed": 0, "crashed": 0}
        found: Mapping[str, int] = json.loads(said[-1])
        return found

    # --- the other host

    def observe(self, *, doubtful: int, dead: int) -> int:
        """Observers of another host whose clocks are off look all at once; how many they were."""
        words = ["observe", self.list_file, "--host", "elsewhere", *BEAT, "--clock"]
        observers = {clock: self.client.actor(*words, clock) for clock in CLOCKS}
        for clock, process in observers.items():
            found = json.loads(process.communicate()[0])
            seen = {name: found[name] for name in ("year", "dead_at_once", "doubtful", "dead")}
            year = time.localtime(time.time() + clock).tm_year
            wanted = {"year": year, "dead_at_once": 0, "doubtful": doubtful, "dead": dead}
            self.expect(f"seen by a clock that is off by {clock:+,.0f} seconds", seen, wanted)
        return len(observers)

    def act(self, *words: object) -> dict[str, int]:
        what, *more = words
        process = self.client.actor(what, self.list_file, *more, *BEAT)
        found: dict[str, int] = json.loads(process.communicate()[0].splitlines()[-1])
        return found

    # --- what came of it

    def wait_for_files(self, name: str, how_many: int) -> None:
        folder = self.client.folder / "waiting"
        wait_for(lambda: len(list(folder.glob(f"{name}.*"))) == how_many)

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.violations.append(f"{what}: {found} instead of {wanted}")

    def files(self) -> dict[str, bytes]:
        """Every file of every run, but what was put aside, and what has no name of its own yet: a late writer
        that is killed leaves that."""
        paths = self.client.root.glob("*/experiment*/seed*/**/*")
        return {
            str(path): path.read_bytes()
            for path in paths
            if path.is_file() and "attempts" not in path.parts and made_by(path.name) is None
        }

    def compare(self, before: Mapping[str, bytes], after: Mapping[str, bytes], taker: str) -> int:
        """Nothing changes late but the text in the flags of those that had opened their baton already: all
        batons of a directory are one file. Their number; run.json says whose the run is."""
        changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        texts = [path for path in changed if path.endswith("/COMPLETED") and path in before and path in after]
        for path in changed:
            if path not in texts[: self.runs // 10]:
                self.violations.append(f"{path} changed late: {before.get(path)!r} -> {after.get(path)!r}")
            elif (owner := read_run(Path(path).parent).get("owner")) != taker:
                self.violations.append(f"{path} changed late, and run.json names {owner} instead of {taker}")
        return len(texts)


if __name__ == "__main__":
    sys.exit(run().tell("pauses"))
