"""Lay and launch both searches of examples/digits in a fresh folder, showing each command: `make demo`."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SEARCHES = {
    "a grid": ("schedules/grid_digits", "grid_schedule_grid_digits.py", "list_searches_grid_digits.txt"),
    "random draws": (
        "schedules/random_digits",
        "random_schedule_random_digits.py",
        "list_searches_random_digits.txt",
    ),
}


def main():
    """Play a user of examples/digits from the first command to the results; returns the exit status."""
    started = time.monotonic()
    project = fresh_copy(REPOSITORY / "examples" / "digits", REPOSITORY / "demo")
    print(f"A fresh copy of examples/digits is in {project}; every command is called from there.")
    print(f"The python of these commands is {sys.executable}.")
    for kind, (folder, schedule, names) in SEARCHES.items():
        say(f"Lay the search by {kind}: one directory for each run, none of them started yet.")
        command = ["alfred.prepare_schedule", "--schedule_file", f"{folder}/{schedule}", "--desc", "demo"]
        run(project, [*command, "--ask_for_validation", "false"])
        say("Launch it on all cores. Other launchers, started meanwhile, would share the work.")
        run(project, ["alfred.launch_schedule", "--from_file", f"{folder}/{names}", "--n_processes", "auto"])
    say("See what became of the runs.")
    run(project, ["alfred", "status", "--root_dir", "storage"])
    say(f"Done, in {time.monotonic() - started:.0f} seconds.")
    print(where_to_look(project))
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


def say(text):
    """Print a headline."""
    print(f"\n# {text}", flush=True)


def run(project, command):
    """Print `python -m <command>`, run it in the project's folder and leave with its status if it fails."""
    print(f"$ python -m {shlex.join(command)}", flush=True)
    status = subprocess.run([sys.executable, "-m", *command], cwd=project, check=False).returncode
    if status != 0:
        sys.exit(f"demo: the command above ended with status {status}; its files are in {project}")


def where_to_look(project):
    """Text that names what the demo has left, with a real run as an example."""
    here = Path(os.path.relpath(project))
    all_copies = shlex.quote(os.path.relpath(project.parent))
    one_run = min((project / "storage").glob("*/experiment1/seed1")).relative_to(project)
    return f"""
Each row above is a storage directory: one algorithm on one task for one search. Where to look next:
  {here / one_run}/
      config.json, config_unique.json   all hyper-parameters of this run; those that tell it apart
      COMPLETED                         the state; UNHATCHED while it waits, CRASH.txt if it failed
      logger.out, output.out            what it logged and what it printed
      recorders/train_recorder.pkl      its learning curve
      model.npz                         what main.py saved
  {here / "schedules"}
      the two searches, with the lists of what they made
  {here / "main.py"}
      the training script: a project of your own needs no more than this

The accuracy of this run on the test split:
  (cd {shlex.quote(str(here))} && {shlex.quote(sys.executable)} evaluate.py --storage_name {one_run.parts[1]})

`make demo` again makes another copy. To clear up: rm -r {all_copies}"""


if __name__ == "__main__":
    sys.exit(main())
