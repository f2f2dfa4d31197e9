"""Which schedule folder a storage directory belongs to."""

from __future__ import annotations

from pathlib import Path

from alfred.storage.preparations import records


def schedule_file_of(storage_dir: Path) -> str:
    """The schedule file that a storage directory was laid from, as recorded; "" where nothing is."""
    files = (record.get("schedule_file") for record in records(storage_dir))
    return next((file for file in files if isinstance(file, str) and file), "")


def schedule_folder_of(storage_dir: Path) -> Path | None:
    """The folder of the schedule that it was laid from, in the project that is the current folder; for trees
    without a record, of the list of searches that names it. None where that can't be told.
    """
    file = schedule_file_of(storage_dir)
    if file and (Path.cwd() / file).parent.is_dir():
        return (Path.cwd() / file).parent
    lists = [path for path in Path.cwd().glob("schedules/*/list_searches_*.txt") if path.is_file()]
    folders = {path.parent for path in lists if storage_dir.name in listed_names(path)}
    return folders.pop() if len(folders) == 1 else None


def listed_names(list_file: Path) -> set[str]:
    """The storage names in a list file; none where there is no file."""
    if not list_file.exists():
        return set()
    lines = list_file.read_bytes().decode("utf-8-sig", "surrogateescape").splitlines()
    return {line.partition("#")[0].strip() for line in lines} - {""}
