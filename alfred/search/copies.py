"""From a search to its copy: the same experiments and seeds, with some parameters changed."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alfred.errors import StorageError, UsageError, did_you_mean
from alfred.search.changes import OPTION
from alfred.search.wording import told
from alfred.storage.copies import Copy
from alfred.storage.creation import Experiment
from alfred.storage.metadata import Metadata, read_metadata
from alfred.storage.more_seeds import runs_by_experiment
from alfred.storage.preparations import records
from alfred.utils.config import load_dict_from_json

_NEVER_VARIED = ("alg_name", "task_name")  # in one storage directory
_PICTURE = re.compile(r"variations[0-9]{1,9}\.png")

_Runs = Mapping[int, Sequence[Experiment]]  # experiment -> its runs, one seed each


@dataclass(frozen=True)
class Request:
    """What a copy is to have that its source has not."""

    changes: Mapping[str, Any]
    new_desc: str | None = None
    append_new_desc: bool = True  # to the source's, else in its place
    allow_new_params: bool = False


@dataclass(frozen=True)
class PlannedCopy:
    """A copy to be laid, and what a person should know before: each changed parameter's values before
    (`was`), and `notes`, a sentence each.

    `redraw` are the pictures of draws that don't hold any more, with the values that they are to show.
    """

    copy: Copy
    was: Mapping[str, str]
    notes: tuple[str, ...]
    redraw: Mapping[str, Mapping[str, Sequence[Any]]]


def plan_copy(source: Path, request: Request) -> PlannedCopy:
    """The copy of a storage directory. Only configurations are read, whatever state the runs are in.

    Raises:
        StorageError: it holds no runs, or a file of theirs can't be read.
        UsageError: a changed parameter is in none of the configurations, or not in all of them.
    """
    known = read_metadata(source)
    before = _runs_of(source)
    if not request.allow_new_params:
        _check_names(source, before, request.changes)
    about = _about(known, source.name, request)
    after = _changed(before, request.changes, about.desc)
    varied = [name for name in request.changes if name in _varied(before)]
    noted = _kept_records(source, after)
    pictures = {
        path.name: path.read_bytes() for path in sorted(source.iterdir()) if _PICTURE.fullmatch(path.name)
    }
    copy = Copy(
        about,
        after,
        _changed_variations(_variations(source, noted), request.changes),
        [{**one, "variations": _changed_lists(one.get("variations"), request.changes)} for one in noted],
        pictures,
    )
    redraw = _redrawn(pictures, noted, before, after, varied)
    return PlannedCopy(
        copy,
        {name: _told_before(before, name) for name in request.changes},
        tuple(_notes(before, after, varied, sorted(set(pictures) - set(redraw)))),
        redraw,
    )


def _runs_of(source: Path) -> _Runs:
    runs = runs_by_experiment(source)
    if not runs:
        raise StorageError(f"{source} holds no runs: there is nothing to copy")
    return {number: _runs_of_experiment(seed_dirs) for number, seed_dirs in runs.items()}


def _runs_of_experiment(seed_dirs: Mapping[int, Path]) -> list[Experiment]:
    """Each run's own values of the keys that all of them have: others were added by main() as it ran."""
    configs = {seed: load_dict_from_json(path / "config.json") for seed, path in seed_dirs.items()}
    uniques = {seed: _read_unique(path) for seed, path in seed_dirs.items()}
    shared = set.intersection(*map(set, configs.values())) - {"seed"}
    unique = set.intersection(*map(set, uniques.values())) & shared
    return [
        Experiment(
            {name: value for name, value in config.items() if name in shared},
            {name: config[name] for name in uniques[seed] if name in unique},
            (seed,),
        )
        for seed, config in configs.items()
    ]


def _read_unique(seed_dir: Path) -> dict[str, Any]:
    try:
        return load_dict_from_json(seed_dir / "config_unique.json")
    except StorageError as error:
        raise StorageError(f"{error}; `alfred update` writes it anew") from error


def _check_names(source: Path, runs: _Runs, names: Collection[str]) -> None:
    known = {name for own in runs.values() for run in own for name in run.config}
    for name in names:
        lacking = [number for number, own in runs.items() if any(name not in run.config for run in own)]
        if name not in known:
            raise UsageError(
                f"{OPTION} {name}: no config.json of {source} has it; "
                f"--allow_new_params true adds it as new: {did_you_mean(name, known)}"
            )
        if lacking:
            raise UsageError(
                f"{OPTION} {name}: the config.json of experiment{lacking[0]} of {source} does not have it; "
                "--allow_new_params true adds it"
            )


def _about(known: Metadata, source_name: str, request: Request) -> Metadata:
    desc = known.desc
    if request.new_desc is not None:
        desc = (
            "_".join(filter(None, (desc, request.new_desc))) if request.append_new_desc else request.new_desc
        )
    return Metadata(
        "",
        "",
        str(request.changes.get("alg_name", known.alg_name)),
        str(request.changes.get("task_name", known.task_name)),
        desc,
        known.kind,
        origin=source_name,
    )


def _changed(before: _Runs, changes: Mapping[str, Any], desc: str) -> _Runs:
    """What is changed tells the copy's runs apart from the source's, so both files of a run hold it."""

    def changed(run: Experiment) -> Experiment:
        config = {**run.config, **({"desc": desc} if "desc" in run.config else {}), **changes}
        return replace(run, config=config, unique={name: config[name] for name in {**run.unique, **changes}})

    return {number: [changed(run) for run in runs] for number, runs in before.items()}


def _varied(runs: _Runs) -> set[str]:
    """What was searched over: in the unique parameters, with several values."""
    names = {name for own in runs.values() for run in own for name in run.unique} - set(_NEVER_VARIED)
    return {name for name in names if len(_distinct(_values(runs, name))) > 1}


def _values(runs: _Runs, name: str) -> list[Any]:
    """One for each experiment that has the parameter."""
    return [own[0].config[name] for own in runs.values() if name in own[0].config]


def _distinct(values: Sequence[Any]) -> dict[str, Any]:
    return {_text(value): value for value in values}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _told_before(runs: _Runs, name: str) -> str:
    every = [run.config[name] for own in runs.values() for run in own if name in run.config]
    values = list(_distinct(every).values())
    return told(values if len(values) > 1 else [repr(value) for value in values]) if values else "absent"


def _kept_records(source: Path, runs: _Runs) -> list[dict[str, Any]]:
    """Those of preparations that have experiments here."""
    return [
        record
        for record in records(source)
        if isinstance(record.get("first"), int)
        and any(record["first"] <= number <= record["last"] for number in runs)
    ]


def _variations(source: Path, noted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    path = source / "variations.json"
    written = load_dict_from_json(path) if path.exists() else {}
    return {
        f"{one['first']}-{one['last']}": one["variations"] for one in noted if one.get("variations")
    } | written


def _changed_variations(variations: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _changed_lists(lists, changes) for key, lists in variations.items()}


def _changed_lists(lists: Any, changes: Mapping[str, Any]) -> Any:
    """A parameter that was searched over has one value now."""
    if not isinstance(lists, dict):
        return lists
    return {name: [changes[name]] if name in changes else values for name, values in lists.items()}


def _redrawn(
    pictures: Collection[str],
    noted: Sequence[Mapping[str, Any]],
    before: _Runs,
    after: _Runs,
    varied: Collection[str],
) -> dict[str, dict[str, list[Any]]]:
    """Which experiments a picture shows is recorded; without a record an only picture shows all of them."""
    if not varied:
        return {}
    shown = {str(one.get("picture")): range(one["first"], one["last"] + 1) for one in noted}
    if not noted and len(pictures) == 1:
        shown = {name: range(min(after), max(after) + 1) for name in pictures}
    redrawn = {}
    for name in set(pictures) & set(shown):
        own = {number: runs for number, runs in before.items() if number in shown[name]}
        shared = set.intersection(*(set(runs[0].unique) for runs in own.values())) - set(_NEVER_VARIED)
        drawn = [key for key in next(iter(own.values()))[0].unique if key in shared]
        if set(drawn) & set(varied):
            redrawn[name] = {
                key: [run[0].config[key] for number, run in after.items() if number in own] for key in drawn
            }
    return redrawn


def _notes(before: _Runs, after: _Runs, varied: Sequence[str], old_pictures: Sequence[str]) -> Iterator[str]:
    for name in varied:
        yield (
            f"{name} was searched over ({told(list(_distinct(_values(before, name)).values()))}): every "
            f"experiment of the copy has {after[min(after)][0].config[name]!r}"
        )
    groups: dict[str, list[int]] = {}
    for number, runs in after.items():
        groups.setdefault(_text(runs[0].config), []).append(number)
    equal = [
        " = ".join(map(str, numbers))
        for numbers in groups.values()
        if len({_text(before[number][0].config) for number in numbers}) > 1
    ]
    if equal:
        yield f"some experiments of the copy are equal: {told(equal)}"
    if varied and old_pictures:
        yield f"{', '.join(old_pictures)} will show what the source has drawn"
