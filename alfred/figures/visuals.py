"""What a schedule folder says about the looks of its figures: names, colours, markers, more lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.colors import is_color_like
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.mathtext import MathTextParser

from alfred.errors import StorageError, did_you_mean, say
from alfred.figures.style import Look, look, plain
from alfred.utils.config import load_dict_from_json

_OBJECTS = ("titles_dict", "axis_titles_dict", "labels_dict", "colors_dict", "markers_dict")


@dataclass(frozen=True)
class Visuals:
    """Names and looks by task, metric or algorithm; what is missing falls back to the plain name."""

    titles: Mapping[str, str] = field(default_factory=dict)
    axis_titles: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    colors: Mapping[str, Any] = field(default_factory=dict)
    markers: Mapping[str, str] = field(default_factory=dict)
    hlines: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def title(self, task: str) -> str:
        """The title of a task, which may hold a formula."""
        return self.titles.get(task, plain(task))

    def axis_title(self, metric: str) -> str:
        """The axis title of a metric, with units where they were given."""
        return self.axis_titles.get(metric, plain(metric.replace("_", " ")))

    def label(self, algorithm: str) -> str:
        """The label of an algorithm."""
        return self.labels.get(algorithm, plain(algorithm))

    def look(self, algorithm: str, at: int) -> Look:
        """The look of an algorithm, the `at`-th of the figure."""
        default = look(at)
        color, marker = self.colors.get(algorithm), self.markers.get(algorithm)
        return Look(color or default.color, marker or default.marker, default.line)


def load_visuals(folder: str | Path | None) -> Visuals:
    """`visuals_<name>.json` and `additional_curves_<name>.json` of a schedule folder; both may be missing.

    StorageError, one line with file and key, for what can't be drawn.
    """
    if folder is None:
        return Visuals()
    folder = Path(folder).absolute()
    visuals, curves = (folder / f"{kind}_{folder.name}.json" for kind in ("visuals", "additional_curves"))
    read = load_dict_from_json(visuals) if visuals.is_file() else {}
    _tell_unknown(read, _OBJECTS, visuals)
    found = {name: _object(read, name, visuals) for name in _OBJECTS}
    for name in ("titles_dict", "axis_titles_dict", "labels_dict"):
        _check_texts(found[name], f"{visuals}, {name}")
    _check(found["colors_dict"], is_color_like, "no colour", f"{visuals}, colors_dict")
    _check(found["markers_dict"], _is_marker, "no marker", f"{visuals}, markers_dict")
    added = load_dict_from_json(curves) if curves.is_file() else {}
    _tell_unknown(added, ("hlines",), curves)
    hlines = _object(added, "hlines", curves)
    for task, lines in hlines.items():
        _check_hlines(lines, f"{curves}, hlines of {task}")
    return Visuals(
        titles=found["titles_dict"],
        axis_titles=found["axis_titles_dict"],
        labels=found["labels_dict"],
        colors=found["colors_dict"],
        markers=found["markers_dict"],
        hlines=hlines,
    )


def _tell_unknown(read: Mapping[str, Any], known: Sequence[str], path: Path) -> None:
    for name in read:
        if name not in known:
            say(f"notice: {path}: nothing is known by the name {name!r}: {did_you_mean(name, known)}")


def _object(read: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = read.get(name) or {}
    if not isinstance(value, dict):
        raise StorageError(f"{path}: {name} is a {type(value).__name__}: write an object {{...}}")
    return value


def _check_texts(texts: Mapping[str, Any], where: str) -> None:
    for key, text in texts.items():
        if not isinstance(text, str):
            raise StorageError(f"{where}: {key} is {text!r}: write a text")
        if text.count("$") - text.count(r"\$"):
            try:
                MathTextParser("path").parse(text)
            except ValueError as error:
                why = str(error).strip().splitlines()[-1]
                raise StorageError(
                    f"{where}: the formula of {key}, {text!r}, can't be read: {why}"
                ) from error


def _check(entries: Mapping[str, Any], is_good: Any, what: str, where: str) -> None:
    for key, value in entries.items():
        if not is_good(value):
            raise StorageError(
                f"{where}: {key} has {value!r}, which is {what} that matplotlib knows: give another"
            )


def _is_marker(value: Any) -> bool:
    return isinstance(value, str) and value in Line2D.markers


def _check_hlines(lines: Any, where: str) -> None:
    """Whatever matplotlib would complain about when the figure is drawn, it complains about now."""
    is_list = isinstance(lines, list) and all(isinstance(line, dict) and "y" in line for line in lines)
    if not is_list:
        raise StorageError(f'{where}: write a list of objects like {{"y": 1.0, "label": "..."}}')
    for line in lines:
        heights = line["y"] if isinstance(line["y"], list) else [line["y"]]
        if not all(isinstance(y, int | float) for y in heights):
            raise StorageError(f"{where}: y is {line['y']!r}: write a number")
        try:
            Figure().subplots().hlines(**{"xmin": 0, "xmax": 1, **line})
        except (AttributeError, TypeError, ValueError) as error:
            why = " ".join(str(error).split())
            raise StorageError(f"{where}: {line} is nothing for matplotlib's hlines: {why}") from error
