"""Many preparations at the same instant, and as many killed in the midst: what stands in the root then."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import ledger
from client import Client, new_client, state

HOW_TO_READ = """In each round sixteen processes, released by the same barrier, prepare four storage
directories each in one root, by two schedules with a list file each. Then sixteen more, killed with -9:
a third at a random moment of the time that the first ones took, a third soon after they began to build,
a third as soon as all was built; then one more, which is left alone.

A violation is: two equal ids, a storage directory that is not whole or is not listed exactly once, a
preparation of which only a part stands, anything left of a killed one after the next command. The exit
status is 1 then.
"""
AT_ONCE = 16
FIXED = (".alfred/storage.json", ".alfred/plots/WAITING", ".alfred/summary/WAITING", "GRID_SEARCH")
SOON = 0.2  # seconds in which a hidden folder is as a rule built and moved into place
ALGORITHMS, TASKS, EXPERIMENTS, SEEDS = 2, 2, 3, 2


def run(words: Sequence[str] | None = None) -> ledger.Outcome:
    """Do what the words of the command line say; what came of it."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n\n{HOW_TO_READ}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", help="where to work: another file system, say")
    asked = parser.parse_args(words)
    chance, started, outcome = random.Random(asked.seed), time.monotonic(), ledger.Outcome()
    counts = Counter(dict.fromkeys(("whole", "killed", "half_done", "finished", "removed"), 0))
    for _ in range(asked.rounds):
        with new_client(asked.folder) as client:
            one = Round(client, chance)
            one.hold()
            counts += one.counts
            outcome.violations += one.violations
    names = {
        "whole": "preparations_not_killed",
        "killed": "preparations_killed",
        "half_done": "killed_in_the_midst",
        "finished": "finished_by_the_next_command",
        "removed": "removed_by_the_next_command",
    }
    outcome.counts = {"seed": asked.seed, "rounds": asked.rounds}
    outcome.counts |= {name: counts[key] for key, name in names.items()}
    outcome.counts["seconds"] = round(time.monotonic() - started, 1)
    return outcome


class Round:
    """One root, in which preparations race and die."""

    def __init__(self, client: Client, chance: random.Random) -> None:
        self.client, self.chance = client, chance
        sizes = (ALGORITHMS, TASKS, EXPERIMENTS, SEEDS)
        self.schedules = [client.write_schedule(name, *sizes) for name in ("one", "two")]
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []

    def hold(self) -> None:
        took = self._prepare_at_once("whole")
        self.counts["whole"] += AT_ONCE
        self._check(whole=AT_ONCE)
        self._prepare_at_once("killed", kill_within=took)
        laying = list((self.client.root / ".alfred").glob("laying.*"))
        ready = sum((folder / "journal.json").exists() for folder in laying)
        self.client.run("prepare_schedule", *self._words(0, "last"))
        self.counts += Counter(finished=ready, removed=len(laying) - ready, half_done=len(laying))
        self._check(whole=AT_ONCE)

    def _words(self, number: int, desc: str) -> Sequence[object]:
        schedule = self.schedules[number % 2]
        return ("--schedule_file", schedule, "--desc", desc, "--ask_for_validation", "false")

    def _prepare_at_once(self, desc: str, *, kill_within: float | None = None) -> float:
        """Release all at once and wait for them; how many seconds they took."""
        from alfred import prepare_schedule  # loaded once, so that all begin in the same instant

        ready, go = os.pipe(), os.pipe()
        command = prepare_schedule.main
        pids = [self._child(command, self._words(n, f"{desc}{n}"), ready, go) for n in range(AT_ONCE)]
        for _ in pids:
            os.read(ready[0], 1)
        released = time.monotonic()
        for handle in (go[1], go[0], *ready):
            os.close(handle)
        if kill_within is not None:
            self._kill(pids, kill_within)
        for pid in pids:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            self.counts += Counter(killed=code == -signal.SIGKILL)
            if code != 0 and (kill_within is None or code != -signal.SIGKILL):
                output = (self.client.folder / "outputs" / f"{pid}.txt").read_text()
                self.violations.append(f"a preparation ended with {code}: {output}")
        return time.monotonic() - released

    def _kill(self, pids: Sequence[int], within: float) -> None:
        """A third of them at a random moment from now, a third soon after their hidden folder appeared, a
        third as soon as their journal stands."""
        due = {pid: time.monotonic() + self.chance.random() * within for pid in pids[::3]}
        building, deciding = set(pids[1::3]), set(pids[2::3])
        while due or building or deciding:
            for folder in (self.client.root / ".alfred").glob("laying.*"):
                pid = int(folder.name.split("-")[-2])
                if pid in deciding and (folder / "journal.json").exists():
                    due[pid] = 0.0
                elif pid in building:
                    due[pid] = time.monotonic() + self.chance.random() * SOON
                building.discard(pid)
            deciding -= {*due}
            for pid in [pid for pid, at in due.items() if time.monotonic() >= at]:
                os.kill(pid, signal.SIGKILL)
                del due[pid]
            ended = {pid for pid in building | deciding if state(pid) == "Z"}  # done before it was seen
            building, deciding = building - ended, deciding - ended
            time.sleep(0.001)

    def _child(
        self, command: object, words: Sequence[object], ready: tuple[int, int], go: tuple[int, int]
    ) -> int:
        """A process that prepares as soon as the writing end of `go` is closed everywhere."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            os.close(go[1])
            os.chdir(self.client.folder)
            output = os.open(f"outputs/{os.getpid()}.txt", os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1)
            os.write(ready[1], b".")
            os.read(go[0], 1)
            code = command([str(word) for word in words])  # type: ignore[operator]
        finally:
            os._exit(code)

    # --- what stands there

    def _check(self, whole: int) -> None:
        root = self.client.root
        names = sorted(path.name for path in root.iterdir() if path.name != ".alfred")
        ids = Counter(name.partition("_")[0].lower() for name in names)
        self.violations += [
            f"{times} storage directories are called {id}" for id, times in ids.items() if times > 1
        ]
        listed = Counter(
            line
            for path in self.client.folder.glob("schedules/*/list_*.txt")
            for line in path.read_text().splitlines()
        )
        for name in sorted({*names, *listed}):
            if listed[name] != 1 or name not in names:
                there = "stands" if name in names else "does not stand"
                self.violations.append(f"{name} {there} in {root} and is listed {listed[name]} times")
        for name in names:
            self.violations += [f"{root / name} {text}" for text in _lacks(root / name)]
        descs = Counter(name.rpartition("_")[2] for name in names)
        for desc, laid in descs.items():
            if laid != ALGORITHMS * TASKS:
                self.violations.append(f"of the preparation {desc} {laid} storage directories stand")
        if sum(desc.startswith("whole") for desc in descs) != whole:
            self.violations.append(f"{whole} preparations were not killed, there are {sorted(descs)}")
        left = list((root / ".alfred").glob("laying.*"))
        left += [path for path in (root / ".alfred" / "owners").iterdir() if path.suffix != ".tmp"]
        self.violations += [f"{path} was left behind" for path in left]


def _lacks(storage_dir: Path) -> list[str]:
    """What a storage directory of these schedules has too little or too much of."""
    wrong = [
        f"lacks {name}"
        for name in (
            ".alfred/storage.json",
            ".alfred/plots/WAITING",
            ".alfred/summary/WAITING",
            "GRID_SEARCH",
        )
        if not (storage_dir / name).exists()
    ]
    found = {str(path.relative_to(storage_dir)) for path in storage_dir.glob("experiment*/*/*")}
    wanted = {
        f"experiment{experiment}/seed{seed}/{name}"
        for experiment in range(1, EXPERIMENTS + 1)
        for seed in range(SEEDS)
        for name in ("config.json", "config_unique.json", "UNHATCHED")
    }
    wrong += [f"has {sorted(found ^ wanted)} too little or too much"] if found != wanted else []
    for path in storage_dir.rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError as error:
            wrong.append(f"has a damaged {path.relative_to(storage_dir)}: {error}")
    if [*json.loads((storage_dir / "variations.json").read_text())] != [f"1-{EXPERIMENTS}"]:
        wrong.append("has variations.json of other experiments")
    return wrong


if __name__ == "__main__":
    sys.exit(run().tell("preparations"))
