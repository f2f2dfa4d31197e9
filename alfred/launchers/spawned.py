"""A run in a fresh interpreter: `python -m alfred.launchers.spawned HANDLE LAUNCHER TASK` (JSON)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from alfred.errors import AlfredError
from alfred.launchers import child, raised
from alfred.launchers.tasks import RunTask
from alfred.launchers.wire import WireEnd
from alfred.project import load_project
from alfred.storage import processes


def main(wire: int, launcher: int, task: RunTask) -> None:
    """Load the project and do the run."""
    processes.die_with_parent(launcher)
    os.set_inheritable(wire, False)
    try:
        project = load_project(Path(task.project))
    except AlfredError as error:
        WireEnd(wire).raised(raised.describe(error, Path(task.project)))
        sys.exit(1)
    child.work(task, project.main, wire, launcher, child.project_handlers())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), RunTask.from_json(json.loads(sys.argv[3])))
