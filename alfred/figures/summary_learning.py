"""The learning curves of every experiment of a search, the ten best with names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alfred.analysis.curves import Band
from alfred.analysis.gather import Search
from alfred.analysis.intervals import DRAWS, caption
from alfred.analysis.scores import SearchScores
from alfred.analysis.settings import Settings
from alfred.figures.curve_panel import Curve, Far, draw_curves, gather_band, has_drops, muted, n_text
from alfred.figures.names import search_title
from alfred.figures.page import Entry, new_page, say_instead
from alfred.figures.saving import save_figure
from alfred.figures.sight import far_text, is_far
from alfred.figures.sources import count_text, source
from alfred.figures.style import MUTED, Look, look, plain, printed
from alfred.figures.summary_performance import ranked
from alfred.figures.visuals import Visuals

N_NAMED = 10


@dataclass(frozen=True)
class SummaryCurves:
    """The bands of the experiments with a name, best first, and of the others; run name -> why left out."""

    named: tuple[tuple[int, Band], ...]
    others: tuple[tuple[int, Band], ...]
    left_out: dict[str, str]


def summary_curves(search: Search, scores: SearchScores, wanted: Settings) -> SummaryCurves:
    """The curve of each experiment that has one; those that are not named get no interval."""
    unranked = [number for number in search.experiments if number not in scores.ranking]
    named: list[tuple[int, Band]] = []
    others: list[tuple[int, Band]] = []
    left_out: dict[str, str] = {}
    for number in (*scores.ranking, *unranked):
        method = wanted.interval if len(named) < N_NAMED else "None"
        found = gather_band(search.of_experiment(number), wanted.x_metric, wanted.y_metric, method)
        left_out |= found.left_out
        if found.band is not None:
            (named if len(named) < N_NAMED else others).append((number, found.band))
    return SummaryCurves(tuple(named), tuple(others), left_out)


def draw_summary_learning(
    search: Search, scores: SearchScores, wanted: Settings, path: Path, visuals: Visuals | None = None
) -> list[Path]:
    """Write the figure of a search's learning curves as `<path>.pdf`, `.png` and `_sources.json`."""
    visuals = visuals or Visuals()
    curves = summary_curves(search, scores, wanted)
    with printed():
        page = new_page(
            1,
            _entries(curves),
            _caption(search, scores, wanted, curves),
            panel_height=2.6,
            is_wide=len(search.experiments) > N_NAMED,
        )
        ax = page.axes[0]
        if not curves.named:
            say_instead(
                ax, f"no completed run has a curve of {plain(wanted.y_metric)} over {plain(wanted.x_metric)}"
            )
        else:
            drawn = [Curve(band, look(at)) for at, (_, band) in enumerate(curves.named)]
            background = [muted(Curve(band, look(0)), MUTED) for _, band in curves.others]
            draw_curves(
                ax,
                [*drawn, *background],
                title=search_title(search, visuals, page.figure.get_figwidth() - 0.9),
                xlabel=visuals.axis_title(wanted.x_metric),
                ylabel=visuals.axis_title(wanted.y_metric),
                hlines=visuals.hlines.get(search.task_name, ()),
                far=_far(curves, scores),
            )
        sources = {
            "figure": "summary_learning",
            "settings": wanted.as_record(),
            "bootstrap": {"replicates": DRAWS, "seed": 0} if wanted.interval == "bootstrapped_CI" else None,
            "named": [number for number, _ in curves.named],
            "n": {number: int(band.n.max()) for number, band in (*curves.named, *curves.others)},
            "sources": [source(search, curves.left_out)],
        }
        return save_figure(page.figure, path, sources)


def _far(curves: SummaryCurves, scores: SearchScores) -> Far | None:
    """Which of the curves drawn are of experiments with a score far on the bad side; None where none is."""
    means = np.array([one.mean for one in ranked(scores)])
    far = is_far(means, scores.goal)
    if not far.any():
        return None
    of_far = {number for number, is_so in zip(scores.ranking, far, strict=True) if is_so}
    drawn = [number in of_far for number, _ in (*curves.named, *curves.others)]
    return Far(drawn, far_text(means, far, scores.goal), scores.goal)


def _entries(curves: SummaryCurves) -> list[Entry]:
    entries = [
        Entry(f"{at + 1}. experiment {number} ({n_text([band])})", look(at))
        for at, (number, band) in enumerate(curves.named)
    ]
    if curves.others:
        entries.append(Entry(f"the other {len(curves.others)}", Look(MUTED, "", "-")))
    return entries


def _caption(search: Search, scores: SearchScores, wanted: Settings, curves: SummaryCurves) -> str:
    bands = [band for _, band in curves.named]
    n = np.concatenate([band.n for band in bands]) if bands else np.zeros(0, dtype=int)
    rank = f"ranked by {wanted.metric}, {wanted.aggregation}, {wanted.goal} first"
    lines = [plain(search.name), f"{plain(rank)}; band: {caption(wanted.interval, n)}"]
    if len(scores.candidates) < len(scores.ranking):
        lines.append("ranked behind the others: experiments that have runs without a score")
    notes = sorted({note for band in bands for note in band.note.split("; ") if note not in lines[1]})
    lines += ["; ".join(notes)] if notes else []
    lines += ["| marks where a run ends before the others"] if has_drops(bands) else []
    lines.append(plain(count_text([search], [curves.left_out])))
    return "\n".join(lines)
