"""Many launchers started at once on few runs: each run is done exactly once, and nobody waits for ever."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import ledger
from client import Client, new_client

HOW_TO_READ = """Each round lays the runs anew and starts all launchers at the same moment, without any
cleaning. The short runs of the one with 30 experiments are drawn in the end: by one of the launchers,
once.

A violation is: a launcher that doesn't end in time or ends with another status than 0, a run that did
not begin and end exactly once or was told to be completed by none or two launchers, plots or a summary
made twice or not at all, and whatever `kill_storm.py` calls one. The exit status is 1 then.
"""
WAYS = ((30, 3, 2, True), (100, 5, 4, False))  # experiments, launchers, slots of each, drawn in the end


def run(words: Sequence[str] | None = None) -> ledger.Outcome:
    """Do what the words of the command line say; what came of it."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{HOW_TO_READ}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="of each of the two sizes")
    parser.add_argument("--seconds", type=float, default=0.05, help="that a run takes on average")
    parser.add_argument("--limit", type=float, default=100, help="seconds after which a round is a stall")
    parser.add_argument("--folder", help="where to work: another file system, say")
    asked = parser.parse_args(words)
    outcome, started = ledger.Outcome({"rounds": asked.rounds}), time.monotonic()
    for experiments, launchers, slots, drawn in WAYS:
        finished = 0
        for _ in range(asked.rounds):
            with new_client(asked.folder, FAULTS_SECONDS=asked.seconds) as client:
                contest = Contest(client, experiments, drawn)
                finished += contest.hold(launchers, slots, asked.limit)
                outcome.violations += contest.violations
        outcome.counts[f"{experiments}_experiments_on_{launchers * slots}_workers_finished"] = finished
    outcome.counts["seconds"] = round(time.monotonic() - started, 1)
    return outcome


class Contest:
    """One round."""

    def __init__(self, client: Client, experiments: int, drawn: bool) -> None:
        self.client, self.experiments, self.drawn = client, experiments, drawn
        self.kept_waiting = 0 if drawn else 1
        self.list_file = client.lay(1, experiments, seeds=1, kept_waiting=self.kept_waiting)
        self.violations: list[str] = []

    def hold(self, launchers: int, slots: int, limit: float) -> int:
        """Start the launchers and wait for them; the number of runs that were finished."""
        words = ["--from_file", self.list_file, "--n_processes", slots]
        words += ["--experiments", f"1-{self.experiments}"]
        outputs = [self.client.folder / "outputs" / f"launcher{number}.txt" for number in range(launchers)]
        started = [self.client.start("launch_schedule", *words, output=output) for output in outputs]
        end = time.monotonic() + limit
        for process, output in zip(started, outputs, strict=True):
            try:
                status = process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
                self.violations.append(f"{output.name}: it had not ended after {limit:g} seconds")
            if status != 0:
                self.violations.append(f"{output.name}: status {status}: {output.read_text()}")
        self._check(outputs)
        return len(list(self.client.root.glob("*/experiment*/seed*/COMPLETED")))

    def _check(self, outputs: list[Path]) -> None:
        root, kept_waiting = self.client.root, [self.experiments + 1] if self.kept_waiting else []
        events = ledger.read_events(self.client.ledger)[0]
        self.violations += ledger.check_all(root, self.experiments, kept_waiting, events)
        self.violations += ledger.unlike_a_launcher(outputs)
        told = "\n".join(output.read_text() for output in outputs)
        runs = Counter(re.findall(r"^(\S+/experiment\d+/seed\d+) completed$", told, re.MULTILINE))
        if len(runs) != self.experiments or runs.most_common(1)[0][1] != 1:
            self.violations.append(f"told to be completed: {runs}")
        begins = Counter(event["run"] for event in events if event["what"] == "begin")
        self.violations += [f"{run} began {times} times" for run, times in begins.items() if times != 1]
        made = Counter(re.findall(r"made \S+/(summary|score_over_step.png)\b", told))
        if made != ({"summary": 1, "score_over_step.png": 1} if self.drawn else {}):
            self.violations.append(f"made in the end: {made}\n{told}")


if __name__ == "__main__":
    sys.exit(run().tell("contention"))
