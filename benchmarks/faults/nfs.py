"""Launchers of two machines share a folder by NFS and are killed; one machine loses its power in the end."""

from __future__ import annotations

import argparse
import random
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import ledger
from guests import EXPORT, Guest, Lab, Process, lab

HOW_TO_READ = """Three machines are started on this one, each with a kernel of its own (see guests.py; needs
root): a file server and two clients. Both clients prepare half of the runs at the same instant, then both
launch all of them. A launcher is killed with `kill -9` whenever another share of the runs has ended, by
turns, and started again with --run_clean_interrupted. With NFS 4.2 the second machine loses its power in
the end, and the first has to find that out by its silence, clean up and finish alone. (With NFS 3 the
server would keep the locks of that machine, by which two of a run at once are seen, until it is back.)

A violation is: two of a run at once or otherwise done twice, one that is not completed in the end,
plots or a summary made twice or not at all, and whatever `kill_storm.py` calls one. What is there is read
from the server's own disk. The exit status is 1 then, and the folder is kept.
"""
PROJECT = Path(__file__).resolve().with_name("project")
SCHEDULE = "schedules/shared/grid_schedule_shared.py"
LIST_FILE = "schedules/shared/list_searches_shared.txt"
SLOTS = 2
LIMIT = 900.0  # seconds after which it is a stall


def run(words: Sequence[str] | None = None) -> ledger.Outcome:
    """Do what the words of the command line say; what came of it."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{HOW_TO_READ}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=500, help="an even number")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="that a run takes on average")
    parser.add_argument("--version", choices=("4.2", "3"), default="4.2", help="of NFS")
    parser.add_argument("--seed", type=int, default=1, help="of when a launcher is killed")
    asked = parser.parse_args(words)
    with lab() as started:
        share = Share(started, (asked.version, asked.version), asked.runs, asked.seconds)
        share.prepare()
        share.launch_with_kills(asked.kills, random.Random(asked.seed))
        if asked.version == "4.2":
            share.lose_power()
        share.finish()
        return share.outcome()


class Share:
    """A search that two machines of a lab work through, each by a version of NFS."""

    def __init__(self, machines: Lab, versions: tuple[str, str], runs: int, seconds: float) -> None:
        self.lab, self.runs, self.seconds = machines, runs, seconds
        self.clients = list(machines.clients)
        self.versions = versions
        self.folder = f"shared-{secrets.token_hex(4)}"
        self.outputs: dict[str, list[str]] = {client.name: [] for client in self.clients}
        self.counts: Counter[str] = Counter()
        self.running: dict[str, Process] = {}
        self.silence = 0.0
        self.begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            self._lay_project(Path(folder) / self.folder)

    def _lay_project(self, folder: Path) -> None:
        shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("locks", "waiting", "storage"):
            (folder / name).mkdir()
        (folder / SCHEDULE).parent.mkdir(parents=True)
        (folder / SCHEDULE).write_text(
            'ALG_NAMES, TASK_NAMES, SEEDS = ["a"], ["t0"], [0]\n'
            f"VARIATIONS = {{'load': list(range({self.runs // 2}))}}\n"
        )
        self.lab.server.run("cp", "-r", folder, EXPORT)

    def start(self, client: Guest, *words: object, **env: object) -> Process:
        """Begin a Python in the project's folder, as this machine has it, with a ledger of its own."""
        version = self.versions[self.lab.clients.index(client)]
        told = {"FAULTS_SECONDS": self.seconds, "FAULTS_LEDGER": f"ledger-{client.name}.jsonl", **env}
        return client.python(*words, cwd=f"/mnt/{version}/{self.folder}", **told)

    def prepare(self) -> None:
        """Both machines lay half of the runs at the same instant."""
        words = ("--schedule_file", SCHEDULE, "--desc", "shared", "--ask_for_validation", "false")
        started = [self.start(client, "-m", "alfred.prepare_schedule", *words) for client in self.clients]
        for process in started:
            _well_ended(process)
        self.begun = time.monotonic()

    def launch_with_kills(self, kills: int, chance: random.Random) -> None:
        """Launch on both machines, and kill launchers by turns, spread over the runs."""
        for client in self.clients:
            self._launch(client)
        for number in range(1, kills + 1):
            self._wait_until_ended(round(self.runs * number / (kills + 2)))
            time.sleep(chance.uniform(0.0, self.seconds))
            self._kill(self.clients[number % 2])

    def lose_power(self) -> None:
        """The second machine is gone; the first finds out by the silence of its lease, and does the rest."""
        first, second = self.clients
        self._wait_until_ended(round(self.runs * 0.96))
        self.lab.cut_power(second)
        self.clients.remove(second)
        del self.running[second.name]
        self.counts["power_cuts"] += 1
        self.finish()
        since = time.monotonic()
        words = ("--from_file", LIST_FILE, "--ask_for_validation", "false")
        output = _well_ended(self.start(first, "-m", "alfred.clean_interrupted", *words))
        self.silence = time.monotonic() - since
        self.counts["put_back_by_silence"] = sum(map(int, re.findall(r"(\d+) runs? put back", output)))
        self._launch(first)

    def finish(self) -> None:
        """Wait for the launchers that were not killed."""
        for name, process in self.running.items():
            self.outputs[name].append(_well_ended(process))

    def outcome(self) -> ledger.Outcome:
        """What stands on the server's own disk, and whether it agrees with what the runs told."""
        seconds = time.monotonic() - self.begun
        kept = Path(tempfile.mkdtemp(prefix="alfred-shared-"))
        self.lab.server.run("cp", "-r", f"{EXPORT}/{self.folder}", kept)
        found = kept / self.folder
        for client, outputs in self.outputs.items():
            (kept / f"{client}.txt").write_text("\n".join(outputs))
        files = sorted(found.glob("ledger-*.jsonl"))
        events = [event for file in files for event in ledger.read_events(file)[0]]
        violations = ledger.check_all(found / "storage", self.runs, [], events)
        violations += ledger.unlike_a_launcher(kept.glob("client*.txt"))
        violations += self._made_otherwise(found / LIST_FILE)
        doubles = sum(len(ledger.overlaps(of_run)) for of_run in ledger.by_run(events).values())
        completed = len(list(found.glob("storage/*/experiment*/seed*/COMPLETED")))
        outcome = ledger.Outcome({"versions": " ".join(self.versions), "runs": self.runs, **self.counts})
        outcome.counts |= {f"begun_on_{file.stem.removeprefix('ledger-')}": _begins(file) for file in files}
        outcome.counts |= {"doubles": doubles, "lost": self.runs - completed, "completed": completed}
        outcome.counts |= {"seconds": round(seconds, 1), "seconds_of_silence": round(self.silence, 1)}
        outcome.violations = violations
        if violations:
            violations.append(f"look into {kept}")
        else:
            shutil.rmtree(kept)
        return outcome

    def _made_otherwise(self, list_file: Path) -> list[str]:
        """Both searches are in the list, and each was drawn and summarized by one launcher, once."""
        names = list_file.read_text().split()
        told = "\n".join(text for outputs in self.outputs.values() for text in outputs)
        made = Counter(re.findall(r"made \S+/(\S+/(?:summary|score_over_step.png))\b", told))
        wanted = Counter(f"{name}/{what}" for name in names for what in ("summary", "score_over_step.png"))
        wrong = [] if len(set(names)) == 2 else [f"the list of two searches holds {names}"]
        return wrong if made == wanted else [*wrong, f"made in the end: {dict(made)}\n{told}"]

    def _launch(self, client: Guest) -> None:
        words = ("--from_file", LIST_FILE, "--n_processes", SLOTS, "--run_clean_interrupted", "true")
        self.running[client.name] = self.start(client, "-m", "alfred.launch_schedule", *words)

    def _kill(self, client: Guest) -> None:
        """Kill the launcher of a machine and start another."""
        client.start("kill", "-9", self.running[client.name].pid).wait()
        status, output = self.running[client.name].wait()
        self.outputs[client.name].append(output)
        self.counts["kills" if status == -9 else "ended_before_the_kill"] += 1
        self._launch(client)

    def _wait_until_ended(self, runs: int) -> None:
        """Until so many runs are completed, as the server sees its own disk."""
        count = f"ls {EXPORT}/{self.folder}/storage/*/experiment*/seed*/COMPLETED 2>/dev/null | wc -l"
        end = time.monotonic() + LIMIT
        while int(self.lab.server.run("sh", "-c", count)) < runs:
            assert time.monotonic() < end, f"{runs} runs have not ended"
            time.sleep(0.2)


def _well_ended(process: Process) -> str:
    status, output = process.wait(LIMIT)
    assert status == 0, f"status {status}: {output}"
    return output


def _begins(file: Path) -> int:
    return sum(event["what"] == "begin" for event in ledger.read_events(file)[0])


if __name__ == "__main__":
    sys.exit(run().tell("nfs"))
