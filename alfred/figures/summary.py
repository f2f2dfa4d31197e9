"""The summary of one search: scores, learning curves, performance chart and the best configuration.

Everything stands in `summary/`, which is replaced only when the new one is complete.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alfred import files
from alfred.analysis.gather import Search, gather
from alfred.analysis.scores import SearchScores, score_search
from alfred.analysis.settings import EVALUATION_RUNS, Settings, differences, settings
from alfred.analysis.summary_record import SCORES, conditions_now, counted, recorded
from alfred.errors import NothingToDoError, UsageError
from alfred.figures.sources import short_reason
from alfred.figures.summary_learning import draw_summary_learning
from alfred.figures.summary_performance import draw_summary_performance
from alfred.figures.visuals import load_visuals
from alfred.search.schedule_folder import schedule_folder_of
from alfred.storage import markers
from alfred.storage.survey import Condition
from alfred.storage.swap import finish_swap, replace_folder

_NAMED = 5  # runs named for each reason why they have no score
Evaluations = Mapping[Path, Sequence[float] | str]
Evaluate = Callable[[Sequence[Path]], Evaluations]


@dataclass(frozen=True)
class SummaryResult:
    """The summary of a search: its folder, the best experiment (None: none) and what to know of that.

    `made_of` are the runs and scores it was made of; None where it was there already.
    """

    folder: Path
    best: int | None
    note: str
    made_of: tuple[Search, SearchScores] | None = None

    @property
    def made_now(self) -> bool:
        """Whether it was not there already."""
        return self.made_of is not None


def summarize_search(
    storage_dir: Path,
    wanted: Settings | None = None,
    *,
    re_run_if_exists: bool = False,
    evaluate: Evaluate | None = None,
) -> SummaryResult:
    """The summary of a storage directory, made now if there is none yet, if runs have ended since it was
    made, or if `re_run_if_exists`.

    `evaluate` gives the scores of evaluate() for seed directories; needed for the metric evaluation_runs.

    Raises:
        UsageError: there is a summary made with another metric, aggregation or goal.
        NothingToDoError: no run has completed.
    """
    wanted = wanted or settings()
    folder = storage_dir / "summary"
    finish_swap(folder)
    made = recorded(storage_dir)
    if made and not re_run_if_exists:
        if different := differences(made.get("settings", {}), wanted):
            raise UsageError(
                f"{folder} was made with {different}: alfred benchmark --re_run_if_exists true makes it anew"
            )
        if made.get("conditions") == conditions_now(storage_dir):
            return SummaryResult(folder, made.get("best"), str(made.get("note", "")))
    search = gather(storage_dir, {wanted.x_metric, wanted.y_metric, wanted.metric})
    if not search.conditions()[Condition.COMPLETED]:
        raise NothingToDoError(f"{storage_dir} has no completed run: launch it first")
    with _flagged(storage_dir):
        scores = scores_of(search, wanted, evaluate)
        replace_folder(folder, lambda made: _build(made, search, scores, wanted))
    return SummaryResult(folder, scores.best, scores.note, (search, scores))


def scores_of(search: Search, wanted: Settings, evaluate: Evaluate | None) -> SearchScores:
    """The scores of a search, of what its runs recorded or of what evaluate() returns for them."""
    evaluations: Evaluations | None = None
    if wanted.metric == EVALUATION_RUNS:
        if evaluate is None:
            raise UsageError("the metric evaluation_runs needs the project's evaluate.py")
        evaluations = evaluate([run.seed_dir for run in search.runs if run.condition is Condition.COMPLETED])
    return score_search(
        search, wanted.metric, wanted.aggregation, wanted.goal, wanted.interval, evaluations=evaluations
    )


def without_score(scores: SearchScores) -> list[str]:
    """The runs without a score, a line for each reason: "crashed: experiment1/seed2, experiment3/seed1"."""
    reasons: dict[str, list[str]] = {}
    for run in scores.runs:
        if run.why:
            reasons.setdefault(short_reason(run.why), []).append(f"experiment{run.experiment}/seed{run.seed}")
    return [
        f"{why}: {', '.join(names[:_NAMED])}" + (f" and {len(names) - _NAMED} more" if names[_NAMED:] else "")
        for why, names in reasons.items()
    ]


def best_config(search: Search, best: int) -> dict[str, Any]:
    """The configuration of an experiment, without its seed."""
    runs = [run for run in search.of_experiment(best) if run.config]
    return {name: value for name, value in runs[0].config.items() if name != "seed"} if runs else {}


def _build(folder: Path, search: Search, scores: SearchScores, wanted: Settings) -> None:
    visuals = load_visuals(schedule_folder_of(search.storage_dir))
    draw_summary_learning(search, scores, wanted, folder / "summary_learning", visuals)
    draw_summary_performance(search, scores, wanted, folder / "summary_performance", visuals)
    if scores.best is not None:
        text = json.dumps(best_config(search, scores.best), indent=4) + "\n"
        files.write_text(folder / f"bestConfig_exp{scores.best}.json", text)
    files.write_text(folder / f"{SCORES}.csv", _as_csv(scores))
    files.write_text(
        folder / f"{SCORES}.json", json.dumps(_as_record(search, scores, wanted), indent=1) + "\n"
    )


def _as_record(search: Search, scores: SearchScores, wanted: Settings) -> dict[str, Any]:
    return {
        "settings": wanted.as_record(),
        "conditions": counted(search.conditions()),
        "best": scores.best,
        "note": scores.note,
        "ranking": list(scores.ranking),
        "experiments": [
            {
                "experiment": one.experiment,
                "mean": _number(one.mean),
                "low": _number(one.mean - one.err_down),
                "high": _number(one.mean + one.err_up),
                "scored": len(one.scores),
                "runs": one.n_runs,
            }
            for one in scores.experiments
        ],
        "runs": [
            {"experiment": run.experiment, "seed": run.seed, "score": _number(run.score), "why": run.why}
            for run in scores.runs
        ],
    }


def _as_csv(scores: SearchScores) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "experiment", "seed", "score", "why_none"])
    ranks = {experiment: rank for rank, experiment in enumerate(scores.ranking, start=1)}
    for run in sorted(scores.runs, key=lambda run: (ranks.get(run.experiment, math.inf), run.seed)):
        score = "" if math.isnan(run.score) else repr(run.score)
        writer.writerow([ranks.get(run.experiment, ""), run.experiment, run.seed, score, run.why])
    return text.getvalue()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


@contextlib.contextmanager
def _flagged(storage_dir: Path) -> Iterator[None]:
    """The flags that tell people how the summary stands; nothing is decided by them."""
    ongoing, failed, completed = (
        storage_dir / f"SUMMARY_{end}" for end in ("ONGOING", "FAILED", "COMPLETED")
    )
    files.remove_tree(failed)
    with markers.ongoing(ongoing):
        try:
            yield
        except BaseException as error:
            files.write_text(failed, f"{type(error).__name__}: {error}\n")
            raise
        files.write_text(completed, "")
