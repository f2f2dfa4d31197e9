"""The contract of a launcher, and the records that it takes and gives.

A launcher takes waiting runs of the plan's storage directories until none is left, calls main() for each
in the way that is its own, and leaves every run it touched in the state that tells what happened. Whatever
ends it early, a run that it cut off waits again. Any number of launchers of any kind may work together.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from alfred.launchers.walltime import WallTime

# What is done once for a storage directory when its runs have ended and one at least has completed, by the
# name of the chore. It returns lines to be said, or nothing.
Hook = Callable[[Path], Sequence[str] | None]
Hooks = Mapping[str, Hook]


@dataclass(frozen=True)
class LaunchPlan:
    """What to run and how.

    `storage_dirs` are worked in this order. `order` is "experiment" or "seed" (then the first seed of every
    experiment comes before the second). `experiments` and `seeds` select by number, None is all of them.
    `environments` hold variables for each of the worker slots, whose number is theirs; `max_runs` is how
    many runs a slot takes at most. Times are in seconds; `walltime` says until when the launcher may go on.
    Where the first `max_identical_crashes` runs of a storage directory died the same death no more of it are
    claimed; 0: never mind, None: a few of them, if nothing has completed there.
    """

    project: Path
    root: Path
    storage_dirs: tuple[Path, ...]
    environments: tuple[Mapping[str, str], ...] = ({},)
    max_runs: int | None = None
    order: str = "experiment"
    experiments: frozenset[int] | None = None
    seeds: frozenset[int] | None = None
    use_pbar: bool = False
    timeout: float | None = None
    grace: float = 1.5
    log_level: int = 20
    walltime: WallTime | None = None
    max_identical_crashes: int | None = None

    def takes(self, experiment: int, seed: int) -> bool:
        """Whether a run of these numbers is among those selected."""
        return is_selected(experiment, seed, self.experiments, self.seeds)


def is_selected(
    experiment: int, seed: int, experiments: frozenset[int] | None, seeds: frozenset[int] | None
) -> bool:
    """Whether a run of these numbers is among those of `--experiments` and `--seeds`; None selects all."""
    return (experiments is None or experiment in experiments) and (seeds is None or seed in seeds)


@dataclass
class LaunchReport:
    """What a launch did.

    `passed_over` are runs named in the log because they could not be worked on. A run in `put_back` was cut
    off: it waits, or was taken up again later in the same launch. `began` counts the runs that were started;
    `out_of_time`: none was begun any more, or some were cut off, because the launcher's own time is up.
    """

    completed: int = 0
    crashed: int = 0
    put_back: int = 0
    overtaken: int = 0
    passed_over: list[str] = field(default_factory=list)
    failed_hooks: int = 0
    began: int = 0
    out_of_time: bool = False
    stopped_by: signal.Signals | None = None

    @property
    def all_well(self) -> bool:
        """Whether everything that was asked for was done."""
        return not (self.crashed or self.overtaken or self.passed_over or self.failed_hooks)


class Launcher(Protocol):
    """What every launcher offers."""

    def launch(self, plan: LaunchPlan, hooks: Hooks) -> LaunchReport:
        """Work until nothing waits or a signal ends it."""
        ...


# The signals that end a launch: Ctrl-C, a scheduler's warning, a closed terminal.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def heeded_signals() -> tuple[signal.Signals, ...]:
    """Those of `STOP_SIGNALS` that this process listens to: under nohup a closed terminal ends nothing.

    Others that are ignored are heeded all the same: shells ignore Ctrl-C for what they start in the
    background, and batch scripts a warning that would come too early.
    """
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in STOP_SIGNALS if not (deaf and number is signal.SIGHUP))
