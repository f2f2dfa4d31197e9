"""Figures as files: PDF, PNG and the list of sources and settings; same figure, same bytes."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from alfred import __version__, files
from alfred.figures.style import printed
from alfred.storage.attempts import read_record

SUFFIXES = (".pdf", ".png", "_sources.json")
# A newer alfred, by itself, makes no other figure.
_NOT_COMPARED = "alfred_version"


@dataclass(frozen=True)
class Rendered:
    """A figure as the bytes of its files."""

    pdf: bytes
    png: bytes


def render(figure: Figure, dpi: float = 300) -> Rendered:
    """The bytes of a figure: same figure, same bytes; `dpi` dots per inch of the PNG."""
    with printed():
        pdf, png = io.BytesIO(), io.BytesIO()
        FigureCanvasAgg(figure)
        figure.savefig(png, format="png", dpi=dpi, metadata={"Software": None})
        figure.set_layout_engine("none")  # what was laid out for one holds for the other
        figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
    return Rendered(pdf.getvalue(), png.getvalue())


def save_figure(figure: Figure, path: str | Path, sources: Mapping[str, Any], dpi: float = 300) -> list[Path]:
    """Write `<path>.pdf`, `.png` and `_sources.json` in the place of what is there; their paths."""
    return _write(render(figure, dpi), Path(path), sources)


def save_comparison(
    figure: Figure,
    folders: Iterable[Path],
    name: str,
    sources: Mapping[str, Any],
    tables: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write a figure that compares into each of several folders, under a name that is free there.

    `tables`: suffix -> text of files that tell the same numbers, under the same name. See `free_name`; the
    paths of all files written.
    """
    rendered = render(figure)
    paths = []
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        stem = free_name(folder / name, sources)
        paths += _write(rendered, stem, sources)
        for suffix, text in (tables or {}).items():
            paths.append(_file(stem, suffix))
            files.write_text(paths[-1], text)
    return paths


def free_name(path: str | Path, sources: Mapping[str, Any]) -> Path:
    """`path`, or the first of `<path>_0`, `<path>_1`, ... that is free or holds the figure of these sources.

    The name is taken at once, by writing its sources file, so that no two processes get the same.
    """
    stem = Path(path)
    candidate, number = stem, 0
    while not _take(candidate, sources):
        candidate, number = stem.with_name(f"{stem.name}_{number}"), number + 1
    return candidate


def comparable(sources: Mapping[str, Any]) -> dict[str, Any]:
    """What decides whether two figures are of the same sources and settings, as JSON has it."""
    read: dict[str, Any] = json.loads(_text(sources))
    return {name: value for name, value in read.items() if name != _NOT_COMPARED}


def _take(candidate: Path, sources: Mapping[str, Any]) -> bool:
    files_of = [_file(candidate, suffix) for suffix in SUFFIXES]
    if not any(file.exists() or file.is_symlink() for file in files_of):
        try:
            files.create(files_of[-1], _text(sources).encode())
            return True
        except FileExistsError:
            pass  # another process was faster
    made = read_record(files_of[-1])
    return bool(made) and comparable(made) == comparable(sources)


def _write(rendered: Rendered, path: Path, sources: Mapping[str, Any]) -> list[Path]:
    """The sources first: whoever is killed in between finds the name his own the next time."""
    contents = {"_sources.json": _text(sources).encode(), ".pdf": rendered.pdf, ".png": rendered.png}
    for suffix, data in contents.items():
        files.write_bytes(_file(path, suffix), data)
    return [_file(path, suffix) for suffix in SUFFIXES]


def _file(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _text(sources: Mapping[str, Any]) -> str:
    record = {**sources, _NOT_COMPARED: __version__}
    return json.dumps(_plain(record), indent=1) + "\n"


def _plain(value: Any) -> Any:
    """JSON has no NaN; numpy's numbers and paths are told as what they are."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)
