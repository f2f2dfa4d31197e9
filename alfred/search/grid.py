"""Grid search: every combination is one experiment."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any


def grid_experiments(variations: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of `variations` (name -> values), one dict each.

    Parameters with more values vary slowest: they are ordered by number of values, then name, both
    descending, and the last varies fastest.
    """
    order = sorted(variations, key=lambda name: (len(variations[name]), name), reverse=True)
    return [
        dict(zip(order, values, strict=True))
        for values in itertools.product(*(variations[name] for name in order))
    ]
