"""Launchers, runs, fork servers and cleaners killed at random and restarted: what is left of the runs."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence

import ledger
from client import Client, children, command_line, new_client

HOW_TO_READ = """Launchers of two slots each (every fourth starts its runs by plain forks) work through
the directories. Kills come at random points of the work: `--seed` chooses when, of which kind and whom.
What dies is started again with --run_clean_interrupted, and `alfred clean` comes by after every eighth
kill. Four runs are haunted: the launcher is killed under them whenever they begin. When every run has
ended, each crash has to be explained by a kill; then the crashed ones are put back and done, so that in
the end all are completed.

A violation is: two of a run at once, a run begun beside or after COMPLETED, one that lost its directory
or has not exactly one baton, a COMPLETED that changed, an unreadable or incomplete recorder, a crash
that no kill explains, an owner on this machine that is 'not proven' dead, a traceback of a launcher.
Then the exit status is 1 and the folder is kept.
"""
TASKS, SEEDS, HAUNTED = 10, 10, 4
KINDS = {"run": 40, "launcher": 30, "server": 15, "cleaner": 15}  # how often of a hundred


def run(words: Sequence[str] | None = None) -> ledger.Outcome:
    """Do what the words of the command line say; what came of it."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{HOW_TO_READ}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directories", type=int, default=10_000, help=f"a multiple of {TASKS * SEEDS}")
    parser.add_argument("--workers", type=int, default=8, help="runs done at the same time, a multiple of 2")
    parser.add_argument("--kills", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=0.15, help="that a run takes on average")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which it is a stall")
    parser.add_argument("--folder", help="where to work: another file system, say")
    asked = parser.parse_args(words)
    with new_client(asked.folder, FAULTS_SECONDS=asked.seconds) as client:
        storm = Storm(client, asked)
        try:
            outcome = storm.blow()
        finally:
            storm.end_all()
        if outcome.violations:
            outcome.violations.append(f"look into {shutil.copytree(client.folder, f'{client.folder}-kept')}")
    return outcome


class Storm:
    """One storm over the directories of one client."""

    def __init__(self, client: Client, asked: argparse.Namespace) -> None:
        self.client, self.asked = client, asked
        self.chance = random.Random(asked.seed)
        self.started = time.monotonic()
        self.experiments = asked.directories // (TASKS * SEEDS)
        self.list_file = client.lay(TASKS, self.experiments, SEEDS, kept_waiting=1)
        self.due = sorted(self.chance.randrange(asked.directories) for _ in range(asked.kills))
        self.haunted = set(self._some_runs(HAUNTED))
        self.kills: list[dict[str, object]] = []
        self.events: list[ledger.Event] = []
        self.read = 0  # bytes of the ledger
        self.crashed: Counter[str] = Counter()
        self.completed: dict[str, str] = {}
        self.violations: list[str] = []
        self.places = [self._launch(number) for number in range(asked.workers // 2)]
        self.cleaner: subprocess.Popen[bytes] | None = None
        self.restarts = 0

    def blow(self) -> ledger.Outcome:
        """Waves until nothing is left to kill and every run is completed."""
        waves = 0
        while not self.violations:
            self._wave()
            waves += 1
            if not (crashes := ledger.crashes(self.client.root)):
                break
            self._explain(crashes)
            self.haunted.clear()
            self._clean("--clean_crashes", "true").wait()
            self.places = [self._launch(number) for number in range(len(self.places))]
        return self._outcome(waves)

    def end_all(self) -> None:
        """Leave no process behind, whatever ended the storm."""
        for process in [*self.places, *([self.cleaner] if self.cleaner else [])]:
            if process.poll() is None:
                process.terminate()
            process.wait()

    # --- one wave

    def _wave(self) -> None:
        """Launch and kill until every run has ended."""
        while not self._tend():
            self._read_ledger()
            while self.due and len(self.events) // 2 >= self.due[0]:
                self._kill(self.chance.choices([*KINDS], [*KINDS.values()])[0])
            if time.monotonic() - self.started > self.asked.limit:
                self.violations.append(f"stalled: not all runs had ended after {self.asked.limit:g} seconds")
                return
            time.sleep(0.005)
        self.end_all()
        self._read_ledger()
        self._watch_completed()

    def _tend(self) -> bool:
        """Start again what has ended; True when a launcher found that all runs have ended."""
        for number, launcher in enumerate(self.places):
            status = launcher.poll()
            if status is None:
                continue
            if status not in (0, 1, 2, -signal.SIGKILL):  # 2: its fork server was killed too often
                self.violations.append(f"launcher{number} ended with status {status}")
            if status >= 0 and ledger.all_ended(self.client.root, [self.experiments + 1]):
                return True
            self.places[number] = self._launch(number)
            self.restarts += 1
        return False

    def _launch(self, number: int) -> subprocess.Popen[bytes]:
        method = "fork" if number % 4 == 3 else "forkserver"
        words = ["--from_file", self.list_file, "--n_processes", 2, "--experiments", f"1-{self.experiments}"]
        words += ["--run_clean_interrupted", "--start_method", method]
        output = self.client.folder / "outputs" / f"launcher{number}.txt"
        return self.client.start("launch_schedule", *words, output=output)

    def _clean(self, *words: str) -> subprocess.Popen[bytes]:
        words = ("--from_file", str(self.list_file), "--ask_for_validation", "false", "--no_wait", *words)
        output = self.client.folder / "outputs" / "cleaners.txt"
        return self.client.start("clean_interrupted", *words, output=output)

    def _read_ledger(self) -> None:
        """Take in what the runs told since; haunted ones lose their launcher."""
        new, self.read = ledger.read_events(self.client.ledger, self.read)
        self.events += new
        for event in new:
            if self.due and event["what"] == "begin" and event["run"] in self.haunted:
                owner = event["batons"][0].rsplit("-", 2)
                self._kill("launcher", int(owner[1]))

    # --- kills

    def _kill(self, kind: str, wanted: int | None = None) -> None:
        """Kill a process of this kind, or of another when there is none."""
        self.due.pop(0)
        if kind == "cleaner":
            self._start_cleaner()
            time.sleep(0.5 * self.chance.random())  # it has to come to its work
        found = self._victims()
        kind = kind if found[kind] else next(other for other in (*KINDS, "none") if found.get(other))
        pid = wanted if wanted in found[kind] else self.chance.choice(found[kind])
        time.sleep(self.chance.random() * 0.005)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.kills.append({"kind": kind, "pid": pid, "at": time.monotonic_ns()})
        if len(self.kills) % 8 == 0:
            self._start_cleaner()
            self._watch_completed()

    def _start_cleaner(self) -> None:
        if self.cleaner is None or self.cleaner.poll() is not None:
            self.cleaner = self._clean()

    def _victims(self) -> dict[str, list[int]]:
        """The processes that can be killed now, by kind."""
        found: dict[str, list[int]] = {kind: [] for kind in KINDS}
        for launcher in self.places:
            if launcher.poll() is None:
                found["launcher"].append(launcher.pid)
                for child in children(launcher.pid):
                    is_server = b"alfred.launchers.fork_server" in command_line(child)
                    found["server" if is_server else "run"].append(child)
                    found["run"] += children(child) if is_server else []
        if self.cleaner and self.cleaner.poll() is None:
            found["cleaner"].append(self.cleaner.pid)
        return found

    # --- what came of it

    def _watch_completed(self) -> None:
        """A COMPLETED that was seen once stays as it is for ever."""
        for path in self.client.root.glob("*/experiment*/seed*/COMPLETED"):
            text = path.read_text()
            if self.completed.setdefault(str(path), text) != text:
                self.violations.append(f"{path} said {self.completed[str(path)]!r} and now {text!r}")
        gone = [path for path in self.completed if not os.path.exists(path)]
        self.violations += [f"{path} was there and is gone" for path in gone]

    def _explain(self, crashes: dict[str, str]) -> None:
        """Every crash comes from the kill of its run, or from three kills of a launcher under it."""
        killed = {kind: {kill["pid"] for kill in self.kills if kill["kind"] == kind} for kind in KINDS}
        for seed_dir, report in crashes.items():
            process = re.search(r"^Process: (\d+)$", report, re.MULTILINE)
            third = re.search(r"^Error: died 3 times .* under \S+-(\d+)-[0-9a-f]{8}$", report, re.MULTILINE)
            if process and int(process[1]) in killed["run"] and "killed by SIGKILL" in report:
                self.crashed["crashed_by_kill_of_run"] += 1
            elif third and int(third[1]) in killed["launcher"]:
                self.crashed["crashed_by_third_death"] += 1
            else:
                self.violations.append(f"{seed_dir} crashed though nobody killed it: {report}")

    def _outcome(self, waves: int) -> ledger.Outcome:
        root, kept_waiting = self.client.root, [self.experiments + 1]
        claims = ledger.claims(root)
        outcome = ledger.Outcome({"seed": self.asked.seed, "directories": self.asked.directories})
        kinds = Counter(kill["kind"] for kill in self.kills)
        outcome.counts |= {"workers": self.asked.workers, "kills": len(self.kills)}
        outcome.counts |= {f"kills_of_{kind}s": kinds[kind] for kind in KINDS}
        outcome.counts |= {"restarts": self.restarts, "waves": waves, "claims": claims}
        outcome.counts |= {"begins": sum(event["what"] == "begin" for event in self.events)}
        outcome.counts |= {"finishes": len(self.completed), "crashes": self.crashed.total()}
        outcome.counts |= {"crashed_by_kill_of_run": 0, "crashed_by_third_death": 0, **self.crashed}
        outcome.counts |= {"resets": claims - len(self.completed) - self.crashed.total()}
        outcome.counts |= {"seconds": round(time.monotonic() - self.started, 1)}
        if not self.violations:
            self.violations += ledger.check_all(root, self.asked.directories, kept_waiting, self.events)
        self.violations += ledger.unlike_a_launcher((self.client.folder / "outputs").iterdir())
        (self.client.folder / "kills.json").write_text(json.dumps(self.kills))
        outcome.violations = self.violations
        return outcome

    def _some_runs(self, how_many: int) -> list[str]:
        """Names of runs, of different storage directories."""
        names = self.chance.sample(self.list_file.read_text().split(), how_many)
        return [
            f"{name}/experiment{self.chance.randint(1, self.experiments)}/seed{self.chance.randrange(SEEDS)}"
            for name in names
        ]


if __name__ == "__main__":
    sys.exit(run().tell("kill_storm"))
