"""Sweeps that are not one batch of known runs: jobs that other launchers train, and searches. Each has one parent run, too."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from shallowexp.analysis import direction
from shallowexp.config.composition import Workers
from shallowexp.config.runs import Run, as_planned, once
from shallowexp.errors import ConfigError, RunsFailed
from shallowexp.models.models import log_models
from shallowexp.pool.pool import opened
from shallowexp.sweeps import cells, view
from shallowexp.sweeps.sweep import ExperimentTracker, SweepSummary
from shallowexp.tracking.parents import Sweep
from shallowexp.tracking.records import FINGERPRINT
from shallowexp.tracking.sweeps import children

LOST = "its job ended without it"


@contextmanager
def launched(
    tracker: ExperimentTracker,
    runs: Sequence[Run],
    missing: Sequence[Run],
    artifacts: Mapping[str, bytes],
    fresh: bool,
) -> Iterator[tuple[str, SweepSummary]]:
    """The run id of a parent, under which jobs that the block launches train `missing` by `join`; empty where it is all there meanwhile.

    Raises as `ExperimentTracker.sweep` does.
    """
    summary = SweepSummary(len(runs), reused=len(runs) - len(missing))
    with tracker.parent(runs, missing, summary, artifacts, fresh) as parent:
        before = {child.info.run_id for child in children(tracker.store, parent)} if parent else set()
        try:
            yield parent.run_id if parent else "", summary
        finally:
            left = _count(missing, tracker, parent, before, summary) if parent else []
        lost = tracker.missing(left, fresh) if left else []
        summary.reused += len(left) - len(lost)
        summary.failures |= {run.fingerprint: (run.name, LOST) for run in lost}
    log_models(tracker.store, tracker.experiment_id, runs, summary.best, summary.results)


def _count(
    missing: Sequence[Run], tracker: ExperimentTracker, parent: Sweep, before: set[str], summary: SweepSummary
) -> list[Run]:
    """Of the parent's runs those that were not there `before`. Returns the runs that no job has ended."""
    left = []
    made = [run for run in children(tracker.store, parent) if run.info.run_id not in before]
    newest = {run.data.tags[FINGERPRINT]: run for run in reversed(made)}
    for run in missing:
        ended = newest.get(run.fingerprint)
        if ended and ended.info.status == "FAILED":
            summary.failures[run.fingerprint] = run.name, ended.data.tags["shallowexp.error"]
        elif ended and ended.info.status == "FINISHED":
            summary.finished += 1
            summary.diverged += ended.data.tags["outcome"] == "diverged"
        else:
            left.append(run)
    return left


def join(tracker: ExperimentTracker, runs: Sequence[Run], parent: str, fresh: bool) -> None:
    """In one of these jobs: train what is missing of its runs, as the parent's sweep planned them; who launched it says which failed.

    Raises ConfigError where the sweep planned other runs.
    """
    planned = tracker.store.sweep(parent).planned()
    for run in [as_planned(run, planned) for run in runs]:
        if planned and run.fingerprint not in planned:
            raise ConfigError(
                f"{run.name} is not the network that its sweep planned: source files or data have changed since; "
                "give the same command again"
            )
        with suppress(RunsFailed):
            tracker.one(run, tracker.missing([run], fresh), parent)


@dataclass
class Study:
    """A search: trials come batch after batch, and the parent is opened once a run is missing."""

    tracker: ExperimentTracker
    metric: str
    key: str
    parents: ExitStack
    parent: Sweep | None = None
    runs: list[Run] = field(default_factory=list)
    trials: list[tuple[float, Sequence[Run]]] = field(default_factory=list)  # what each is worth, its runs
    summary: SweepSummary = field(default_factory=lambda: SweepSummary(0))

    def train(
        self, trials: Sequence[Sequence[Run]], workers: Workers, artifacts: Mapping[str, bytes], fresh: bool
    ) -> list[float]:
        """What each trial is worth: the mean of the metric over its runs. Raises as `ExperimentTracker.sweep` does."""
        known = {run.fingerprint for run in self.runs}
        new = [run for run in once(run for trial in trials for run in trial) if run.fingerprint not in known]
        missing = self.tracker.missing(new, fresh)
        self.runs += new
        self.summary.total, self.summary.reused = len(self.runs), self.summary.reused + len(new) - len(missing)
        if missing:
            with opened(workers) as pool:
                if not self.parent:
                    opening = self.tracker.parent(self.runs, missing, self.summary, {}, fresh, self.key)
                    self.parent = self.parents.enter_context(opening)
                if self.parent:
                    self.parent.log_artifacts(artifacts)
                    self.tracker.train(missing, self.parent, self.summary, pool, fresh)
        worth = self.tracker.worth(trials, self.metric)
        self.trials += zip(worth, trials, strict=True)
        return worth

    def best(self) -> str:
        """What to say at the end."""
        worth, best = min(self.trials, key=lambda trial: direction(self.metric) * trial[0])
        found = cells.searched(self.runs, best[0]) if math.isfinite(worth) else "none has finished"
        seeds = f" over {len(best)} runs" if len(best) > 1 else ""
        return f"best of {len(self.trials)} trials: {found} · {self.metric} {worth:.4g}{seeds}"


@contextmanager
def study(tracker: ExperimentTracker, metric: str, key: str) -> Iterator[Study]:
    """A search under one parent, which is closed at the end; what was found is then printed."""
    with ExitStack() as parents:
        yield (found := Study(tracker, metric, key, parents))
    if found.summary.parent:
        tracker.store.experiment(tracker.experiment, view.tags(tracker.experiment, found.runs))
    results = found.summary.results if found.parent else None  # else of one batch, which others had trained
    log_models(tracker.store, tracker.experiment_id, found.runs, found.summary.best, results)
    print(f"{found.summary}. {tracker}\n{found.best()}")
    if found.summary.parent:
        print(cells.seen(found.summary.parent))
