"""Walk the six steps from schedules to comparisons on examples/digits, showing each command: `make demo`."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from alfred.utils.misc import sorted_nicely

REPOSITORY = Path(__file__).resolve().parent.parent
GRID, RANDOM = "schedules/grid_digits", "schedules/random_digits"
STEPS = (
    (
        "1. Lay two searches, a grid and random draws: one directory for each run, none of them started yet.",
        f"alfred prepare --schedule_file {GRID}/grid_schedule_grid_digits.py --desc demo"
        " --ask_for_validation false",
        f"alfred prepare --schedule_file {RANDOM}/random_schedule_random_digits.py --desc demo"
        " --sampling_seed 1 --ask_for_validation false",
    ),
    (
        "2. Launch them on all cores. Other launchers, started meanwhile, would share the work.",
        f"alfred launch --from_file {GRID}/list_searches_grid_digits.txt --n_processes auto"
        " --log_level warning",
        f"alfred launch --from_file {RANDOM}/list_searches_random_digits.txt --n_processes auto"
        " --log_level warning",
    ),
    (
        "3. Lay the best configuration of each grid search again: ten fresh seeds, twice the training time.",
        f"alfred retrain --from_file {GRID}/list_searches_grid_digits.txt",
    ),
    (
        "4. Launch that.",
        f"alfred launch --from_file {GRID}/list_retrains_grid_digits.txt --n_processes auto"
        " --log_level warning",
    ),
    ("See what became of the runs.", "alfred status"),
    (
        "5. Compare the searches: how good are the configurations, and the best after k tries?",
        "alfred benchmark --benchmark_type compare_searches"
        f" --from_file {RANDOM}/list_searches_random_digits.txt",
    ),
    (
        "6. Compare the models: learning curves, final performance, and what of the search's score was luck.",
        f"alfred benchmark --benchmark_type compare_models --from_file {GRID}/list_retrains_grid_digits.txt",
    ),
)


def main():
    """Play a user of examples/digits from the first command to the figures; returns the exit status."""
    started = time.monotonic()
    project = fresh_copy(REPOSITORY / "examples" / "digits", REPOSITORY / "demo")
    commit(project)
    print(f"A fresh copy of examples/digits is in {project}; every command is called from there.")
    print(f"`alfred` is {sys.executable} -m alfred.")
    for headline, *commands in STEPS:
        print(f"\n# {headline}", flush=True)
        for command in commands:
            run(project, command)
    print(f"\n# Done, in {time.monotonic() - started:.0f} seconds.")
    print(where_to_look(project))
    print(f"\nThe comparison in one sentence:\n  {verdict(project)}")
    return 0


def fresh_copy(source, folder):
    """Copy the project at `source` to the next free `folder`/<n>, without what runs have left in it."""
    folder.mkdir(exist_ok=True)
    n = 1
    while True:
        try:
            (folder / str(n)).mkdir()
            break
        except FileExistsError:
            n += 1
    left_over = shutil.ignore_patterns("storage", "__pycache__", "list_searches_*.txt", "list_retrains_*.txt")
    return Path(shutil.copytree(source, folder / str(n), ignore=left_over, dirs_exist_ok=True))


def commit(project):
    """Make the copy a repository of its own, whose commit will stand in the names, where there is git."""
    identity = ["-c", "user.name=demo", "-c", "user.email=demo@example.org"]
    for words in (["init", "--quiet"], ["add", "."], [*identity, "commit", "-m", "Begin"]):
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["git", *words], cwd=project, stdout=subprocess.DEVNULL, check=False)


def run(project, command):
    """Print a command, run it in the project's folder and leave with its status if it fails."""
    print(f"$ {command}", flush=True)
    words = [sys.executable, "-m", *shlex.split(command)]
    status = subprocess.run(words, cwd=project, check=False).returncode
    if status != 0:
        sys.exit(f"demo: the command above ended with status {status}; its files are in {project}")


def verdict(project):
    """What the comparison of models shows, as its sources file says it."""
    sources = min((project / "storage").glob("*/benchmark/benchmark_across_tasks_sources.json"))
    return json.loads(sources.read_text())["verdict"]


def where_to_look(project):
    """Text that lists the figures, the verdict of the comparison and a real run as an example."""
    here = Path(os.path.relpath(project))
    one_run = min((project / "storage").glob("*/experiment1/seed1")).relative_to(project)
    return f"""
{figures(project, here)}

A run is a directory, for example {here / one_run}/
    config.json, config_unique.json   all hyper-parameters of this run; those that tell it apart
    COMPLETED                         the state; UNHATCHED while it waits, CRASH.txt if it failed
    logger.out, output.out            what it logged and what it printed
    recorders/train_recorder.pkl      its learning curve
    model.npz                         what main.py saved

The accuracy of this run on the test split:
  (cd {shlex.quote(str(here))} && {shlex.quote(sys.executable)} evaluate.py --storage_name {one_run.parts[1]})

`make demo` again makes another copy. To clear up: rm -r {shlex.quote(os.path.relpath(project.parent))}"""


def figures(project, here):
    """The figures that were made, one line each; what stands in every storage directory is named once."""
    storage = project / "storage"
    compared = {path.name: path for path in reversed(sorted_nicely(storage.glob("*/benchmark/*.png")))}
    summaries = sorted(storage.glob("*/summary/*.png"))
    arrays = sorted(storage.glob("*/*_over_*.png"))
    lines = [
        "Figures, each as .png and .pdf with its sources beside it:",
        *(f"  {here / path.relative_to(project)}" for _, path in sorted(compared.items())),
        f"  {here}/storage/*/summary/*.png   ({len(summaries)}: learning curves and scores of each search)",
        f"  {here}/storage/*/*_over_*.png   ({len(arrays)}: a small plot for every run)",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
