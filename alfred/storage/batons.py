"""Every change of a run's state: claim, finish, crash, release, reap.

Each is one rename inside the seed directory, and the name of a running run's baton holds its owner. So of
any number of processes exactly one succeeds, and finishing fails when the run was taken away meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from alfred import files
from alfred.errors import OvertakenError
from alfred.storage import attempts, peek, reset
from alfred.storage.flags import (
    COMPLETED_BATON,
    CRASHED_BATON,
    WAITING_BATON,
    Baton,
    ConflictError,
    State,
    listed,
)

MAX_REPORT = 1 << 20


def running(owner: str) -> Baton:
    """The baton of a run that `owner` works."""
    return Baton(State.RUNNING, owner)


def resetting(owner: str) -> Baton:
    """The baton of a run that `owner` puts back."""
    return Baton(State.RESETTING, owner)


def claim(seed_dir: str, owner: str) -> bool:
    """Take a waiting run; False when there is none to take. The caller holds its lease already.

    Raises:
        ConflictError: beside the baton taken stood another, or it is no plain file; it was put back.
        OSError: no answer; the run may be the owner's all the same (`may_be_mine`).
    """
    mine = running(owner)
    if not _move(seed_dir, WAITING_BATON, mine):
        return False
    try:
        found = [baton for baton in listed(seed_dir, lambda batons: batons == [mine]) if baton != mine]
        plain = stat.S_ISREG(os.lstat(f"{seed_dir}/{mine.name}").st_mode)
    except OSError:
        _move(seed_dir, mine, WAITING_BATON)
        raise
    if not found and plain:
        return True
    _move(seed_dir, mine, WAITING_BATON)
    names = sorted({WAITING_BATON.name, *(baton.name for baton in found)})
    if len(names) == 1:
        raise ConflictError(f"{WAITING_BATON.name} is no plain file in {seed_dir}: remove it")
    raise ConflictError(
        f"{' and '.join(names)} stand side by side in {seed_dir}: remove the one that is wrong"
    )


def note_process(seed_dir: str | Path, owner: str, session: int, token: str) -> None:
    """Write into the baton which process works the run: the process itself does it first of all.

    Raises:
        OvertakenError: the baton is not the owner's any more.
    """
    _write_into(seed_dir, running(owner), f"{owner}\n{session} {token}\n")


def is_mine(seed_dir: str | Path, owner: str) -> bool:
    """Whether the run is still the owner's."""
    try:
        return running(owner).name in os.listdir(seed_dir)
    except FileNotFoundError:
        return False


def may_be_mine(seed_dir: str | Path, owner: str) -> bool:
    """Whether it is the owner's, running or being put back, or there is no answer: then the owner keeps its
    lease, so that it is found dead at once when it has ended."""
    try:
        return is_mine(seed_dir, owner) or is_put_back(seed_dir, owner)
    except OSError:
        return True


def is_put_back(seed_dir: str | Path, owner: str) -> bool:
    """Whether the owner has begun to put the run back."""
    return resetting(owner).name in os.listdir(seed_dir)


def fence(seed_dir: Path, baton: Baton) -> Callable[[], None]:
    """What is called before a file of alfred's own is given its name: OvertakenError when `baton`, the
    writer's, has gone.

    Who takes a run over removes what stands under temporary names first of all (`reset.fence_off`). So a
    writer that stands still after this look finds nothing any more that it could put in another's place.
    """

    def look() -> None:
        if baton.name not in os.listdir(seed_dir):
            raise _overtaken(seed_dir)

    return look


def finish(seed_dir: Path, owner: str) -> None:
    """Mark a run as completed; its results are on disk already.

    Raises:
        OvertakenError: the run was taken over, so nothing is published.
    """
    _write_into(seed_dir, running(owner), f"{owner} completed this run at {attempts.time_stamp()}\n")
    _move_or_raise(seed_dir, running(owner), COMPLETED_BATON)


def crash(seed_dir: Path, owner: str, report: str) -> None:
    """Mark a run as crashed and keep the report (at most 1 MiB of it).

    Raises:
        OvertakenError: the run was taken over, so nothing is published.
    """
    _crash_from(running(owner), seed_dir, owner, report)


def release(seed_dir: Path, owner: str, note: str, *, keep_files: bool = False) -> None:
    """Put a run of one's own back to waiting, with a note why; its process has ended.

    Raises:
        OvertakenError: the run was taken over.
    """
    _move_or_raise(seed_dir, running(owner), resetting(owner))
    if not reset.put_back(seed_dir, resetting(owner), note, keep_files=keep_files):
        raise _overtaken(seed_dir)


def reap(
    seed_dir: Path,
    dead: Baton,
    me: str,
    *,
    keep_files: bool = False,
    death: bool = True,
    taken: Callable[[], object] = lambda: None,
) -> State | None:
    """Put back a run whose owner is proven dead (running or resetting); its state then, None: somebody
    else did.

    Whatever is left of its processes on this machine must have been ended before. The third death that
    left no report makes it a crash: a run that takes its machine down must not be started for ever.
    `death=False` does not count this one (the machine was started anew, the job was preempted). `taken()` is
    called when the baton is ours, before anything is moved: what a late run wrote into it stands there then.
    OSError: it stays with us, half put back, and whoever finds us dead goes on with it.
    """
    if not _move(seed_dir, dead, resetting(me)):
        return None
    taken()
    reset.fence_off(seed_dir)
    try:
        return _put_back_or_give_up(seed_dir, dead, me, keep_files=keep_files, death=death)
    except OvertakenError:
        return None


def _put_back_or_give_up(seed_dir: Path, dead: Baton, me: str, *, keep_files: bool, death: bool) -> State:
    count = attempts.read_attempts(seed_dir)
    counts = dead.state is State.RUNNING and death and not _left_report(seed_dir, dead.owner)
    if counts:
        count = attempts.Attempts(count.attempt, count.deaths + 1)
        with contextlib.suppress(OSError):  # a full disk must not keep it from waiting again
            attempts.write_attempts(seed_dir, count, fence(seed_dir, resetting(me)))
    # Who counted the third death may have died before it was made a crash.
    if count.deaths >= attempts.MAX_DEATHS and (counts or dead.state is State.RESETTING):
        worked_by = dead.owner if counts else str(attempts.read_run(seed_dir).get("owner", dead.owner))
        _crash_from(resetting(me), seed_dir, me, _deaths_report(worked_by, me, count), worked_by)
        return State.CRASHED
    note = f"its owner {dead.owner} died"
    if not reset.put_back(seed_dir, resetting(me), note, keep_files=keep_files):
        raise _overtaken(seed_dir)
    return State.WAITING


def clean_crash(seed_dir: Path, me: str) -> bool:
    """Put a crashed run back to waiting, its deaths forgotten; False: somebody else did."""
    if not _move(seed_dir, CRASHED_BATON, resetting(me)):
        return False
    count = attempts.read_attempts(seed_dir)
    try:
        if count.deaths:
            forgotten = attempts.Attempts(count.attempt, 0)
            attempts.write_attempts(seed_dir, forgotten, fence(seed_dir, resetting(me)))
        return reset.put_back(seed_dir, resetting(me), "its crash was cleaned")
    except OvertakenError:
        return False


def _left_report(seed_dir: Path, dead: str) -> bool:
    """Whether a dead owner's run had crashed already and only its flag was still missing."""
    return os.path.lexists(attempts.own_dir(seed_dir) / f"report.{dead}")


def _crash_from(source: Baton, seed_dir: Path, owner: str, report: str, worked_by: str = "") -> None:
    """The first line names who wrote the report and, if that is another, whose attempt it is about: by this
    `crashes.report_of` tells it from what an overtaken attempt wrote late."""
    about = f" about {worked_by}" if worked_by else ""
    text = f"Crashed at: {attempts.time_stamp()} by {owner}{about}\n{report.rstrip()}\n"
    data = text.encode("utf-8", "replace")[:MAX_REPORT].decode("utf-8", "ignore")
    with contextlib.suppress(OSError):
        attempts.make_folder(attempts.own_dir(seed_dir))
        files.write_text(attempts.own_dir(seed_dir) / f"report.{owner}", data)
    _write_into(seed_dir, source, data)
    _move_or_raise(seed_dir, source, CRASHED_BATON)


def _deaths_report(dead: str, me: str, count: attempts.Attempts) -> str:
    return (
        f"Error: died {count.deaths} times without leaving a report, the last time under {dead}\n"
        f"Found dead by {me}; attempts so far: {count.attempt}. A run that is killed from outside again and "
        "again (memory, a failing machine) looks like this."
    )


def _move(seed_dir: str | Path, source: Baton, target: Baton) -> bool:
    """Rename one baton to another; False when the source is not there.

    Where a shared file system lost the answer to a rename that it had done, a name with an owner in it
    tells, since nobody else can have made that.
    """
    try:
        files.retry(lambda: os.rename(f"{seed_dir}/{source.name}", f"{seed_dir}/{target.name}"))
    except FileNotFoundError:
        return bool(target.owner) and _was_mine(seed_dir, target)
    except OSError:
        if target.owner and _was_mine(seed_dir, target):
            return True
        raise
    return True


def _was_mine(seed_dir: str | Path, target: Baton) -> bool:
    try:
        return target.name in os.listdir(seed_dir)
    except OSError:
        return False


def _move_or_raise(seed_dir: Path, source: Baton, target: Baton) -> None:
    try:
        if _move(seed_dir, source, target) or _was_done(seed_dir, target, source.owner):
            return
    except OSError:
        if not _was_done(seed_dir, target, source.owner):
            raise
        return
    raise _overtaken(seed_dir)


def _was_done(seed_dir: Path, target: Baton, owner: str) -> bool:
    """Whether the first line of a flag names this owner and the run is its own: then the rename was done and
    its answer lost. The flag alone proves nothing: it may be another's, into which we just wrote."""
    try:
        first_line = peek.start_of(seed_dir / target.name, 1000).data.partition(b"\n")[0]
    except OSError:
        return False
    return owner.encode() in first_line.split() and attempts.read_run(seed_dir).get("owner", owner) == owner


def _write_into(seed_dir: str | Path, baton: Baton, text: str) -> None:
    """Replace the content of a baton, never making a new one: after a reap that would be a second.

    On a full disk the content is lost, not the change of state: the baton's name is what counts. Who stood
    still after opening it may have written into a later flag, the same file: so its name is looked at last.
    """
    path = f"{seed_dir}/{baton.name}"
    try:
        handle = files.retry(lambda: os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW))
    except FileNotFoundError:
        raise _overtaken(seed_dir) from None
    try:
        with contextlib.suppress(OSError):
            os.write(handle, text.encode("utf-8", "replace"))
            os.fsync(handle)
    finally:
        with contextlib.suppress(OSError):  # where NFS says what the writes before it could not
            os.close(handle)
    if baton.name not in os.listdir(seed_dir):
        raise _overtaken(seed_dir)


def _overtaken(seed_dir: str | Path) -> OvertakenError:
    return OvertakenError(
        f"{seed_dir} was taken over by another process: nothing of this attempt is published"
    )
