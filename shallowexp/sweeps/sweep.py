"""A sweep: what is already tracked is reused, the rest is trained batch by batch, and one thread writes it to MLflow."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import chain

import pandas as pd

from shallowexp import provenance
from shallowexp.analysis import direction
from shallowexp.config.composition import Workers
from shallowexp.config.runs import Run
from shallowexp.config.validate import require
from shallowexp.errors import RunsFailed, TrackingError, shown
from shallowexp.models.models import Best, log_models
from shallowexp.pool.pool import Pool, opened
from shallowexp.sweeps import pages, view
from shallowexp.sweeps.batches import batches, records, train_batch
from shallowexp.sweeps.ending import POLL, concluded, outwait, say
from shallowexp.sweeps.progress import Progress, compilation_told
from shallowexp.tracking.parents import Busy, Sweep, Whole
from shallowexp.tracking.store import RunResult, Store
from shallowexp.tracking.sweeps import OBJECTIVE
from shallowexp.training.job import Failure, Result

MOST_LETTERS = 256  # of an experiment's name, in MLflow's databases
PENDING = 4  # batches that may wait for the writer


@dataclass
class SweepSummary:
    """How the runs of a sweep ended."""

    total: int
    reused: int = 0
    finished: int = 0
    diverged: int = 0
    failures: dict[str, tuple[str, str]] = field(default_factory=dict)  # fingerprint -> name, error
    best: Best = field(default_factory=Best)
    parent: str = ""  # run id of the sweep, once something was missing
    results: Mapping[str, RunResult] | None = None  # fingerprint -> of each finished run, likewise

    def count(self, run: Run, result: Result | Failure) -> None:
        if isinstance(result, Failure):
            self.failures[run.fingerprint] = run.name, result.error
        else:
            self.finished += 1
            self.best.see(run, result)
            self.diverged += result.diverged_at is not None

    def counts(self) -> dict[str, int]:
        ended = {"finished": self.finished - self.diverged, "diverged": self.diverged, "failed": len(self.failures)}
        return {"runs": self.total, "reused": self.reused} | ended

    def tags(self) -> dict[str, str]:
        return {f"shallowexp.{name}": str(n) for name, n in self.counts().items()}

    def __str__(self) -> str:
        diverged = f" ({self.diverged} of them diverged)" if self.diverged else ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"{self.total} runs: {self.reused} already there, {self.finished} trained{diverged}{failed}"


def digest(fingerprints: Iterable[str]) -> str:
    """What tells the sweep of these runs from others."""
    return sha256("".join(sorted(fingerprints)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class ExperimentTracker:
    """One MLflow experiment, to which runs are added."""

    store: Store
    experiment: str
    experiment_id: str
    fail_fast: bool = False  # the first run that fails ends its sweep
    command: str = ""  # what asks for its sweeps

    @classmethod
    def open(
        cls, experiment: str, store: Store | None = None, fail_fast: bool = False, command: str = ""
    ) -> "ExperimentTracker":
        """Raises TrackingError where the store cannot be used, and ConfigError for no name."""
        named = len(experiment) <= MOST_LETTERS and experiment.isprintable() and experiment.strip("'\" ") != ""
        letters = f"at most {MOST_LETTERS} printable characters, not quotes and blanks alone"
        require("name", repr(experiment), named, letters)
        store = store or Store.open()
        experiment_id = store.experiment(experiment, pages.experiment_tags(experiment))
        return cls(store, experiment, experiment_id, fail_fast, command or provenance.command())

    def missing(self, runs: Sequence[Run], fresh: bool = False) -> list[Run]:
        """The runs that are not FINISHED there yet (with `fresh`, all)."""
        finished = {} if fresh else self.store.finished(self.experiment_id)
        return [run for run in runs if run.fingerprint not in finished]

    def one(self, run: Run, missing: Sequence[Run], parent: str | None = None, fresh: bool = False) -> Result | None:
        """A single run, alone or under a parent, which then sees to models; prints its result in one line.

        Returns what was trained: nothing where it is not missing. Another process may have written it meanwhile: then, but for
        `fresh`, that one stays. Raises RunsFailed and TrackingError.
        """
        best, result = Best(), None
        for batch in batches(missing):
            with compilation_told():
                written, (made,) = train_batch(batch)
            self.store.write(self.experiment_id, written, parent, fresh)
            if isinstance(made, Failure):
                raise RunsFailed([(run.name, made.error)])
            best.see(run, result := made)
        if not parent:
            log_models(self.store, self.experiment_id, [run], best)
        row = self.store.read(self.experiment, [run.fingerprint]).table.iloc[0]
        print(
            _line(row), "" if missing else "already there (fresh=true trains it again)", f"· run {row.run_id} · {self}"
        )
        return result

    def sweep(
        self,
        runs: Sequence[Run],
        missing: Sequence[Run],
        workers: Workers = Workers(),  # noqa: B008  (a value)
        artifacts: Mapping[str, bytes] | None = None,
        fresh: bool = False,
    ) -> SweepSummary:
        """Train `missing` and write it under one parent run; `runs` are all that the sweep asked for.

        The parent gets the `artifacts`, path -> content, and at the end runs.csv. Where nothing is missing, a parent that an
        interruption left open is closed. While another process of this host is at the same sweep it is waited for. What other
        sweeps are about to train comes last, and only if it is still missing then (with `fresh`, in any case).

        Raises RunsFailed with `fail_fast`; Interrupted on Ctrl-C or SIGTERM, after the writes in flight; TrackingError where the
        store gives up; PoolError where the workers do.
        """
        summary = SweepSummary(len(runs), reused=len(runs) - len(missing))
        if missing or self.left_open(run.fingerprint for run in runs):
            with opened(workers) as pool, self.parent(runs, missing, summary, artifacts or {}, fresh) as parent:
                if parent:
                    self.train(missing, parent, summary, pool, fresh)
        log_models(self.store, self.experiment_id, runs, summary.best, summary.results)
        return summary

    def left_open(self, fingerprints: Iterable[str]) -> bool:
        """Whether a sweep of these runs was interrupted, be it after its last run."""
        return self.store.left_open(self.experiment_id, digest(fingerprints))

    def finished(self, runs: Sequence[Run]) -> str | None:
        """The run id of the newest FINISHED sweep of these runs."""
        return self.store.newest_sweep(self.experiment_id, digest(run.fingerprint for run in runs))

    def worth(self, trials: Sequence[Sequence[Run]], metric: str) -> list[float]:
        """Of each trial the mean of a metric's last values over its runs; one that diverged or failed makes it the worst there is."""
        results = self.store.results(self.experiment_id, [run.fingerprint for trial in trials for run in trial])
        worst = direction(metric) * math.inf

        def of(run: Run) -> float:
            ended = results.get(run.fingerprint)
            return ended.metrics.get(metric, worst) if ended and ended.outcome == "finished" else worst

        return [sum(map(of, trial)) / len(trial) for trial in trials]

    @contextmanager
    def parent(
        self,
        runs: Sequence[Run],
        missing: Sequence[Run],
        summary: SweepSummary,
        artifacts: Mapping[str, bytes],
        fresh: bool = False,
        key: str = "",
    ) -> Iterator[Sweep | None]:
        """The parent run of a sweep, RUNNING while the block trains; None where another process has trained it all meanwhile.

        It is known by its runs, or, where they are not known beforehand as in a search, by `key`. Raises as `sweep` does.
        """
        name = "search" if key else f"sweep · {len(runs)} runs"
        parent = self._open(runs, missing, summary, fresh, name, key or digest(run.fingerprint for run in runs))
        if not parent:
            yield None
            return
        with concluded(lambda status: self._close(parent, status, runs, summary), summary):
            parent.log_artifacts(artifacts)
            yield parent

    def _open(
        self, runs: Sequence[Run], missing: Sequence[Run], summary: SweepSummary, fresh: bool, name: str, key: str
    ) -> Sweep | None:
        tags = provenance.tags() | provenance.lock() | {"shallowexp.command": self.command}
        tags |= {OBJECTIVE: runs[0].objective}
        planned = [run.fingerprint for run in runs]
        while True:
            counts = {"to train": len(missing), "already there": len(runs) - len(missing)}
            note = pages.sweep_note(runs, counts, self.experiment_id, self.command)
            self.store.experiment(self.experiment, view.tags(self.experiment, runs))
            try:
                parent = self.store.open_sweep(
                    self.experiment_id, key, name, tags, note, planned, partial(self.missing, missing, fresh)
                )
                summary.parent = parent.run_id
                return parent
            except Busy as busy:
                outwait(busy, "sweep")
                missing = self.missing(missing, fresh)
                summary.parent = busy.sweep.run_id
            except Whole:
                summary.reused, summary.results = len(runs), self.store.results(self.experiment_id, planned)
                return None

    def _close(self, parent: Sweep, status: str, runs: Sequence[Run], summary: SweepSummary) -> None:
        summary.results = self.store.results(self.experiment_id, [run.fingerprint for run in runs])
        status = "FAILED" if status == "FINISHED" and summary.failures else status
        note = pages.sweep_note(runs, summary.counts(), self.experiment_id, self.command)
        try:
            parent.log_artifacts({"runs.csv": pages.table(runs, summary.results, summary.failures).encode()})
        except TrackingError:
            status = "FAILED"
            raise
        finally:
            parent.close(status, summary.tags() | {pages.NOTE: note})

    def train(self, missing: Sequence[Run], parent: Sweep, summary: SweepSummary, pool: Pool, fresh: bool) -> None:
        """Train what is still missing and write it; writing continues while training does, and leaving waits for the writes in flight."""
        runs = self.missing(missing, fresh)  # a sweep may have ended since the caller looked
        summary.reused += len(missing) - len(runs)
        pending: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1) as writer, Progress(len(runs)) as progress:
            parts = [runs] if fresh else self._in_turn(runs, parent, summary, progress)
            try:
                for batch, made in chain.from_iterable(pool.train(batches(part, pool.slots())) for part in parts):
                    rows = records(batch, made)
                    pending.append(writer.submit(self.store.write, self.experiment_id, rows, parent.run_id))
                    for run, result in zip(batch, made.results, strict=True):
                        summary.count(run, result)
                    progress.advance(len(batch), len(summary.failures) - progress.failed)
                    while len(pending) > PENDING:
                        pending.popleft().result()
                    if self.fail_fast and summary.failures:
                        break
            finally:  # whatever ends it: what is counted is written, or the fault told
                for write in pending:
                    write.result()
        if self.fail_fast and summary.failures:
            raise RunsFailed(
                summary.failures.values(), f"{summary}: the same command goes on, with fail_fast=false past what fails"
            )

    def _in_turn(
        self, runs: Sequence[Run], parent: Sweep, summary: SweepSummary, progress: Progress
    ) -> Iterator[Sequence[Run]]:
        """The runs; those that older sweeps are about to train come last, if these end without them."""
        wanted = {run.fingerprint for run in runs}
        theirs = [(sweep, both) for sweep in parent.older if (both := sweep.planned() & wanted)]
        shared = set[str]().union(*(both for _, both in theirs))
        yield [run for run in runs if run.fingerprint not in shared]
        if not shared:
            return
        say(f"waiting for {len(shared)} runs that another sweep is training: {', '.join(s.run_id for s, _ in theirs)}")
        left = [run for run in runs if run.fingerprint in shared]
        while any(sweep.lives() for sweep, _ in theirs) and self.missing(left):
            time.sleep(POLL)
        left = self.missing(left)
        there = len(shared) - len(left)
        summary.reused += there
        progress.advance(there, 0)
        yield left

    def __str__(self) -> str:
        return shown(f"experiment {self.experiment} in {self.store.uri}")


def _line(row: pd.Series) -> str:
    """Loss and accuracy (r2 for regression) of a tracked run."""
    names = [name for name in ("train/loss", "train/accuracy", "train/r2", "test/accuracy", "test/r2") if name in row]
    ended = f"diverged at step {row['diverged/step']:.0f} · " if row.outcome == "diverged" else ""
    return ended + " · ".join(f"{name} {row[name]:.6g}" for name in names)
