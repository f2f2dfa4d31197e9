"""What a launcher says of its work: on the terminal, and in the log of the storage directory."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from alfred.launchers.progress import Display

NAME = "alfred_launch_schedule_logger.out"


class LaunchLog:
    """Writes each line whole, so that any number of launchers can write to one file."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.display: Display | None = None

    def __call__(self, storage_dir: Path | None, text: str) -> None:
        """Say something; with a storage directory also in that one's log."""
        if self.display is not None:
            self.display.line(text)
        if storage_dir is not None:
            line = f"{time.strftime('%d/%m/%Y %H:%M:%S')} - INFO - {self._owner} - {text}\n"
            with contextlib.suppress(OSError):  # a log that can't be written ends no run
                handle = os.open(
                    storage_dir / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666
                )
                try:
                    os.write(handle, line.encode("utf-8", "replace"))
                finally:
                    os.close(handle)
