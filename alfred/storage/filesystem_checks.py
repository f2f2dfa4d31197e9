"""What the measurements of a file system mean for alfred: pure functions from a record to findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from alfred.storage.diagnosis import Finding, Level
from alfred.storage.filesystem_probe import Measurements, Names, Race, Room, Sight, Stamps, Syncs
from alfred.storage.leases import LOOKS
from alfred.storage.owners import BEAT_INTERVAL
from alfred.storage.probe_calls import NEW, OPENED, REMOVED, STAMP
from alfred.storage.run_size import RunSize

_SILENCE = LOOKS * BEAT_INTERVAL  # seconds after which a silent owner counts as dead
_FEWEST_OVERLAPS = 10
_SHORT_NAME = 255
_LONG_PATH = 600  # bytes that alfred and a run add to the root's own path
_FEW_RUNS, _MANY_RUNS = 100, 10_000
_LITTLE_SPACE = 64 << 20

_RACES = {
    "rename": ("claim (rename)", "a run goes to one launcher"),
    "create": ("create (O_EXCL)", "what is made to be exclusive is"),
    "mkdir": ("reserve (mkdir)", "an id goes to one search"),
    "folder": ("folder over folder", "numbers of experiments go to one preparation"),
}
_CHANGES = {NEW: "new file seen", REMOVED: "removed file seen", STAMP: "time stamp seen"}
_OTHER_FAILURES = {
    "room": "free space",
    "other": "second folder",
    "stamps": "time stamps",
    "syncs": "writing to disk",
    "names": "names",
    "sights": "what others see",
    "removal": "removing",
} | {kind: name for kind, (name, _) in _RACES.items()}
_ELSEWHERE = "keep --root_dir on a local disk or on NFS; here, launch from one machine only"


def judge(found: Measurements, size: RunSize, root_length: int) -> list[Finding]:
    """Every finding about a file system, for runs of this size in a root whose path has so many bytes."""
    findings = [_writable(found.refused)]
    findings += [judge_race(race) for race in found.races]
    for change in _CHANGES:
        if sights := [sight for sight in found.sights if sight.change == change]:
            findings.append(judge_sights(sights))
    if found.stamps is not None:
        findings += judge_stamps(found.stamps)
    if found.syncs is not None:
        findings.append(judge_syncs(found.syncs))
    if found.room is not None:
        findings.append(judge_room(found.room, size))
    if found.names is not None:
        findings += judge_names(found.names, root_length)
    return findings + [_not_measured(name, why) for name, why in found.failures.items()]


def _writable(refused: str) -> Finding:
    if not refused:
        return Finding("writing", Level.OK, "yes", "searches can be laid and launched here")
    return Finding(
        "writing",
        Level.PROBLEM,
        refused,
        "results can be read, nothing can be laid, launched or cleaned here",
        "make it writable for you, or give another --root_dir",
    )


def _not_measured(name: str, why: str) -> Finding:
    check = _OTHER_FAILURES[name]
    if name == "other":
        remedy = "give one folder as it is seen through two mounts, or one folder alone"
        return Finding(check, Level.PROBLEM, why, "the two are not the same folder", remedy)
    if name == "removal":
        return Finding(
            check, Level.NOTE, why, "a hidden folder .alfred-doctor.* is left", "remove it by hand"
        )
    return Finding(check, Level.PROBLEM, why, "it could not be measured", "look at the other lines for why")


def judge_race(race: Race) -> Finding:
    """Whether of two at the same instant exactly one won."""
    check, promise = _RACES[race.kind]
    numbers = asdict(race)
    bad = {"won by both": race.double, "lost to both": race.lost}
    if any(bad.values()):
        told = " and ".join(f"{n} {what}" for what, n in bad.items() if n)
        broken = f"not so here: {promise}; runs can be done twice or be lost"
        return Finding(
            check, Level.PROBLEM, f"of {race.rounds} races {told}", broken, _ELSEWHERE, numbers=numbers
        )
    if race.error:
        said = f"refused after {race.rounds} races: {race.error}"
        return Finding(
            check, Level.PROBLEM, said, "alfred can't work without this call", _ELSEWHERE, numbers=numbers
        )
    said = f"{race.rounds} races, one winner each"
    if race.unclaimed:
        said += f" ({race.unclaimed} without its answer)"
        meaning = f"{promise}; lost answers are expected and looked up"
        return Finding(check, Level.NOTE, said, meaning, numbers=numbers)
    if race.overlapped < _FEWEST_OVERLAPS:
        said += f", only {race.overlapped} of them at the same instant"
        remedy = "run it again when the machine is less busy, or with --full"
        return Finding(check, Level.NOTE, said, "too few to tell", remedy, numbers=numbers)
    said += f", {race.overlapped} at the same instant"
    return Finding(check, Level.OK, said, promise, numbers=numbers)


def judge_sights(sights: list[Sight]) -> Finding:
    """How late one kind of change is seen by others, by each way of looking."""
    change = sights[0].change
    told = ", ".join(f"by {sight.way} {_after(sight)}" for sight in sights)
    numbers = {sight.way: sight.seconds for sight in sights}
    check = _CHANGES[change]
    slowest = max(_late(sight) for sight in sights)
    if change == STAMP:
        return _judge_beats(check, told, sights, numbers)
    if slowest <= 2.0:
        return Finding(check, Level.OK, told, "others see at once what was done", numbers=numbers)
    waited = sights[0].patience
    remedy = "--full waits longer" if slowest > waited and waited < _SILENCE / 2 else ""
    meaning = "launchers may look at a run that is taken, no more: they decide by listing and rename alone"
    return Finding(check, Level.NOTE, told, meaning, remedy, numbers=numbers)


def _judge_beats(check: str, told: str, sights: list[Sight], numbers: dict[str, float | None]) -> Finding:
    """Leases are looked at in every way, so the quickest of them counts."""
    quickest, waited = min(_late(sight) for sight in sights), sights[0].patience
    by_open = min((_late(sight) for sight in sights if sight.way == OPENED), default=quickest)
    if quickest <= BEAT_INTERVAL and quickest <= waited:
        slow = "" if max(_late(sight) for sight in sights) <= 2.0 or by_open <= 2.0 else ", if late"
        return Finding(check, Level.OK, told, f"a living launcher's beats are seen{slow}", numbers=numbers)
    if waited < BEAT_INTERVAL:
        meaning = f"beats come every {BEAT_INTERVAL:g} s: not known whether they are seen in time"
        return Finding(check, Level.NOTE, told, meaning, "--full waits longer", numbers=numbers)
    if quickest <= _SILENCE - BEAT_INTERVAL and quickest <= waited:
        meaning = f"beats are late, within the {_SILENCE:g} s after which a launcher counts as dead"
        return Finding(check, Level.NOTE, told, meaning, numbers=numbers)
    meaning = "a living launcher may be taken for dead by another machine, and its runs be done again"
    remedy = "mount it with actimeo=30 or less and without nocto, or launch and clean from one machine only"
    return Finding(check, Level.PROBLEM, told, meaning, remedy, numbers=numbers)


def _late(sight: Sight) -> float:
    return float("inf") if sight.seconds is None else sight.seconds


def _after(sight: Sight) -> str:
    return (
        f"not within {sight.patience:.3g} s" if sight.seconds is None else f"after {duration(sight.seconds)}"
    )


def judge_stamps(stamps: Stamps) -> Iterator[Finding]:
    """How finely time stamps are told apart, and how far the two clocks are apart."""
    fine = stamps.granularity
    numbers = asdict(stamps)
    if fine is None or fine > BEAT_INTERVAL:
        told = "utime changes nothing" if fine is None else f"told apart from {duration(fine)} on"
        meaning = "beats of living launchers can't be seen: others may take them for dead"
        yield Finding("time stamps", Level.PROBLEM, told, meaning, _ELSEWHERE, numbers=numbers)
    else:
        told = f"told apart from {duration(fine)} on"
        meaning = f"beats are {BEAT_INTERVAL:g} s apart"
        yield Finding("time stamps", Level.OK, told, meaning, numbers=numbers)
    ahead = stamps.ahead
    side = "ahead of" if ahead > 0 else "behind"
    told = "as this machine's" if abs(ahead) < 0.05 else f"{duration(abs(ahead))} {side} this machine's"
    meaning = "alfred compares no two clocks; make, git and you may be misled"
    level = Level.OK if abs(ahead) < 2.0 else Level.NOTE
    remedy = "" if level is Level.OK else "let both follow a time server"
    yield Finding("clock of the file server", level, told, meaning if remedy else "", remedy)


def judge_syncs(syncs: Syncs) -> Finding:
    """How long it takes until something is on disk."""
    folder = "can't be asked for" if syncs.folder is None else duration(syncs.folder)
    told = f"file {duration(syncs.file)}, folder {folder}"
    numbers = asdict(syncs)
    if syncs.file > 0.5:
        meaning = f"each run begins and ends with about ten of these: {duration(10 * syncs.file)}"
        remedy = "let runs take minutes rather than seconds, or use a faster disk"
        return Finding("writing to disk", Level.NOTE, told, meaning, remedy, numbers=numbers)
    if syncs.folder is None:
        meaning = "after a power cut the last change of a run's state may be missing"
        return Finding("writing to disk", Level.NOTE, told, meaning, numbers=numbers)
    return Finding("writing to disk", Level.OK, told, "what is COMPLETED is on disk", numbers=numbers)


def judge_room(room: Room, size: RunSize) -> Finding:
    """For how many runs there is room."""
    by_bytes = room.bytes // max(1, size.bytes)
    by_inodes = by_bytes if room.inodes is None else room.inodes // max(1, size.inodes)
    runs = min(by_bytes, by_inodes)
    inodes = "as many inodes as needed" if room.inodes is None else f"{room.inodes:,} inodes"
    told = f"{in_bytes(room.bytes)} and {inodes}"
    source = f"the {size.sampled} measured here" if size.sampled else "one that saves nothing but a recorder"
    meaning = f"room for {runs:,} runs like {source} ({size.inodes} inodes and {in_bytes(size.bytes)} each)"
    numbers = {**asdict(room), "runs": runs, "bytes_per_run": size.bytes, "inodes_per_run": size.inodes}
    remedy = "make room: a run that can't write crashes" if runs < _MANY_RUNS else ""
    if runs < _FEW_RUNS:
        return Finding("free space", Level.PROBLEM, told, meaning, remedy, numbers=numbers)
    if runs < _MANY_RUNS or room.bytes < _LITTLE_SPACE:
        return Finding("free space", Level.NOTE, told, meaning, remedy, numbers=numbers)
    return Finding("free space", Level.OK, told, meaning, numbers=numbers)


def judge_names(names: Names, root_length: int) -> Iterator[Finding]:
    """What names may look like."""
    told = f"up to {names.longest} bytes, paths up to {names.path}"
    if names.path - root_length < _LONG_PATH:
        meaning = f"the path of the root alone takes {root_length} bytes"
        yield Finding("names", Level.PROBLEM, told, meaning, "give a --root_dir with a shorter path")
    elif names.longest < _SHORT_NAME:
        meaning = "long names of storage directories are refused by the file system"
        yield Finding("names", Level.NOTE, told, meaning, "keep desc, task_name and alg_name short")
    else:
        yield Finding("names", Level.OK, told, "every name that alfred takes fits")
    if names.case:
        yield Finding("upper and lower case", Level.OK, "differ", "ids are compared ignoring case anyway")
    else:
        meaning = (
            "alfred's own names differ by more; files of yours that differ by case alone overwrite each other"
        )
        yield Finding("upper and lower case", Level.NOTE, "are the same", meaning)
    if names.symlinks:
        yield Finding("symlinks", Level.OK, "yes", "alfred makes none and follows none")
    else:
        meaning = "alfred makes none; libraries that do (a link to the latest checkpoint) fail"
        yield Finding("symlinks", Level.NOTE, "can't be made", meaning)


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best: "0.3 ms", "24 s"."""
    if seconds < 0.95:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.0095 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2g} s" if seconds < 9.5 else f"{seconds:,.0f} s"


def in_bytes(amount: float) -> str:
    """Bytes in the unit that reads best: "1.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:,.0f} TB"
