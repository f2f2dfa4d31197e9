"""How the storage directories of a comparison are called: by algorithm, by more where that is not enough."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alfred.analysis.gather import Search
from alfred.figures.style import FONT, Look, look, plain, wrapped
from alfred.figures.visuals import Visuals


@dataclass(frozen=True)
class Name:
    """An algorithm and, where several storage directories hold it on one task, what tells them apart."""

    algorithm: str
    addition: str = ""

    def __str__(self) -> str:
        return f"{self.algorithm} ({self.addition})" if self.addition else self.algorithm

    def label(self, visuals: Visuals) -> str:
        """For a legend."""
        label = visuals.label(self.algorithm)
        return f"{label} ({plain(self.addition).strip()})" if self.addition else label


def names_of(searches: Sequence[Search]) -> list[Name]:
    """One name for each storage directory, no two alike on one task."""
    ways: list[Callable[[Search], Name]] = [
        lambda search: Name(search.alg_name),
        lambda search: Name(search.alg_name, _own_desc(search.desc)),
        lambda search: Name(search.alg_name, search.name),
    ]
    chosen = [ways[0](search) for search in searches]
    for way in ways[1:]:
        counts = Counter((name, search.task_name) for name, search in zip(chosen, searches, strict=True))
        twice = {name for (name, _), count in counts.items() if count > 1}
        chosen = [
            way(search) if name in twice else name for name, search in zip(chosen, searches, strict=True)
        ]
    return chosen


def search_title(search: Search, visuals: Visuals, inches: float) -> str:
    """The algorithm and the task of a search, in lines of about this width."""
    return wrapped(f"{visuals.label(search.alg_name)} on {visuals.title(search.task_name)}", inches, FONT)


def in_order(names: Sequence[Name]) -> list[Name]:
    """Each name once, as they first come."""
    return list(dict.fromkeys(names))


def looks_of(names: Sequence[Name], visuals: Visuals) -> dict[Name, Look]:
    """One look for each name, the same in every panel; colours of a visuals file are for plain algorithms."""
    return {
        name: look(at) if name.addition else visuals.look(name.algorithm, at)
        for at, name in enumerate(in_order(names))
    }


def _own_desc(desc: str) -> str:
    """A description without the id of the search that was retrained, which differs from task to task."""
    return re.sub(r"^retrainBest[A-Za-z0-9]{2}[0-9]+_?", "", desc) or desc
