"""A field, trained tile by tile into one MLflow run.

Each tile is saved when it ends, as an artifact, so that the same command goes on after any end. When all are there, the arrays
and the picture take their place and the run is FINISHED.
"""

import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from shallowexp import provenance
from shallowexp.claims.statement import enumerate_names
from shallowexp.config.composition import Workers
from shallowexp.config.fingerprint import beneath
from shallowexp.errors import RunDamaged, RunsFailed
from shallowexp.fields import figure
from shallowexp.fields.field import Field
from shallowexp.fields.plan import COARSEST, Plan, memory, storage
from shallowexp.network.diagnostics import METRICS
from shallowexp.pool.pool import Pool, opened
from shallowexp.pool.worker import Trained
from shallowexp.sweeps import pages
from shallowexp.sweeps.ending import concluded, outwait, say
from shallowexp.sweeps.progress import Progress
from shallowexp.sweeps.sweep import ExperimentTracker
from shallowexp.tracking.artifacts import npz
from shallowexp.tracking.fields import ARRAYS, PICTURE, TILES
from shallowexp.tracking.parents import Busy, Sweep, Whole
from shallowexp.tracking.places import FIELD
from shallowexp.training.job import Failure, Job, Result

LAST = (
    "train/loss",
    "train/accuracy",
    "symmetry/effective_units",
    "saturation/fraction",
)  # of METRICS: their last values
COLUMNS = [METRICS.index(name) for name in LAST]
HOSTS = 20  # that are named
LOOK, RARELY = 20.0, 20  # seconds between pictures while it is trained, and times as long as one takes: both at least


class Pixels(NamedTuple):
    """Those that one network gives: neighbours on the axis of a whole number may be rounded to the same."""

    job: Job
    tile: int
    places: list[int]  # row * width + column


class Canvas:
    """A field while it is trained."""

    def __init__(self, plan: Plan):
        self.plan, shape = plan, (plan.y.count, plan.x.count)
        self.trained = np.zeros(shape, bool)
        self.arrays = {name: np.full(shape, np.nan) for name in plan.measures}
        self.made: dict[str, set[str]] = {}  # on what: a tag's values

    def tile(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        return {name: array.flat[pixels] for name, array in self.arrays.items()}

    def put(self, pixels: np.ndarray, tile: Mapping[str, np.ndarray]) -> None:
        for name, array in self.arrays.items():
            array.flat[pixels] = tile[name]
        self.trained.flat[pixels] = True

    def field(self) -> Field:
        plan = self.plan
        shown = (plan.loss, plan.zero_loss, plan.show, plan.choice, plan.window)
        return Field(plan.x, plan.y, self.arrays, plan.run.params, *shown)

    def preview(self) -> Field:
        """Each pixel that is not trained as the nearest one, below and to the left, of a coarser grid that is."""
        rows, columns = np.indices(self.trained.shape)
        for stride in 2 ** np.arange(1, COARSEST.bit_length()):
            there = self.trained[rows, columns]
            rows, columns = (np.where(there, at, at // stride * stride) for at in (rows, columns))
        return replace(self.field(), arrays={name: array[rows, columns] for name, array in self.arrays.items()})

    def tags(self) -> dict[str, str]:
        diverged = int(np.isfinite(self.arrays["diverged/step"]).sum())
        counts = {"pixels": self.plan.size, "trained": int(self.trained.sum()), "diverged": diverged}
        made = {tag: enumerate_names(sorted(values), HOSTS) for tag, values in self.made.items()}
        return made | {f"shallowexp.{name}": str(n) for name, n in counts.items()}

    def __str__(self) -> str:
        return f"{self.trained.sum():,} of {self.plan.size:,} pixels trained"


def forecast(plan: Plan, tracker: ExperimentTracker, threads: int | None) -> str:
    """The message of a dry run."""
    cores = threads or os.cpu_count() or 1
    there, begun = (_newest(plan, tracker, finished) for finished in (True, False))
    saved = len(plan.tiles) if there else len(tracker.store.sweep(begun).paths(TILES)) if begun else 0
    trained = min(plan.size, sum(map(len, plan.tiles[:saved])))
    seconds = plan.seconds(cores) * (1 - trained / plan.size)
    needed = f"{memory(plan.size) / 1e6:,.0f} MB of memory, at most {storage(plan.size) / 1e6:,.0f} MB on disk"
    zoomed = f", and {plan.zoom} zooms of as many" if plan.zoom else ""
    pixels = f"{plan.x.count} x {plan.y.count} = {plan.size:,} pixels{zoomed}: {trained:,} already there"
    return f"{pixels}, about {seconds * (1 + plan.zoom):,.0f} s on {cores} threads, {needed}"


def finished(
    plan: Plan, tracker: ExperimentTracker, files: Mapping[str, bytes], fresh: bool, workers: Workers
) -> tuple[str, Field, bool]:
    """The run id, the field, and whether it was there; it is trained where it was not, and with `fresh` in any case.

    Raises Interrupted on Ctrl-C or SIGTERM, RunsFailed where a pixel raises, TrackingError where the store gives up, PoolError
    where the workers do; the tiles that were saved stay.
    """
    run_id = None if fresh else _newest(plan, tracker)
    there = run_id is not None
    while run_id is None:
        try:
            run_id = _train(plan, tracker, files, fresh, workers)
        except Busy as busy:
            outwait(busy, "field")
        except Whole:  # another process has trained it meanwhile
            run_id = _newest(plan, tracker)
    return run_id, Field.from_npz(tracker.store.sweep(run_id).arrays(ARRAYS)), there


def _newest(plan: Plan, tracker: ExperimentTracker, finished: bool = True) -> str | None:
    return tracker.store.newest_sweep(tracker.experiment_id, plan.fingerprint, finished)


def _train(plan: Plan, tracker: ExperimentTracker, files: Mapping[str, bytes], fresh: bool, workers: Workers) -> str:
    tags = provenance.tags() | provenance.lock() | beneath(plan.run.job) | pages.run_tags(plan.run)
    tags |= {"shallowexp.command": provenance.command(), FIELD: plan.name}
    name, missing = f"field · {plan.name}", lambda: fresh or not _newest(plan, tracker)
    run = tracker.store.open_sweep(tracker.experiment_id, plan.fingerprint, name, tags, missing=missing)
    canvas = Canvas(plan)
    with concluded(lambda status: run.close(status, canvas.tags()), canvas):
        run.set_tags({pages.NOTE: _note(plan, run.run_id)})
        run.log_artifacts(files)
        with opened(workers) as pool:
            _fill(canvas, run, pool)
        run.log_artifacts({ARRAYS: canvas.field().to_npz(), PICTURE: figure.png(canvas.field())})
        run.delete(TILES)
    return run.run_id


def _fill(canvas: Canvas, run: Sweep, pool: Pool) -> None:
    """Every tile onto the canvas, those that are saved first."""
    plan, saved, due = canvas.plan, run.paths(TILES), 0.0
    with suppress(RunDamaged):  # it was stopped after it had put them together; until these are whole, the tiles stay
        canvas.put(np.arange(plan.size), Field.from_npz(run.arrays(ARRAYS)).arrays)
    for number, pixels in enumerate(plan.tiles):
        if _path(number) in saved:
            _restore(canvas, pixels, run, _path(number))
    left = [number for number, pixels in enumerate(plan.tiles) if not canvas.trained.flat[pixels].all()]
    with Progress(plan.size - int(canvas.trained.sum()), unit="pixels") as progress:
        for batch, made in pool.train(networks(plan, plan.tiles[number], number) for number in left):
            places, values = trained(plan, batch, made)
            canvas.put(places, values)
            for tag, value in made.tags.items():
                canvas.made.setdefault(tag, set()).add(value)
            pixels = plan.tiles[batch[0].tile]
            if canvas.trained.flat[pixels].all():  # workers may give it in parts
                run.log_artifacts({_path(batch[0].tile): npz(**canvas.tile(pixels))})
            progress.advance(len(places), 0)
            began = time.monotonic()
            if began > due and progress.done < progress.total:
                run.log_artifacts({PICTURE: figure.png(canvas.preview())})
                ended = time.monotonic()
                due = ended + max(LOOK, RARELY * (ended - began))


def _restore(canvas: Canvas, pixels: np.ndarray, run: Sweep, path: str) -> None:
    """A saved tile onto the canvas, if it can be read."""
    try:
        canvas.put(pixels, run.arrays(path))
    except RunDamaged as error:
        say(f"{str(error).splitlines()[0]}\nIts {len(pixels)} pixels are trained again; what is whole stays.")


def _path(number: int) -> str:
    return f"{TILES}/{number:06}.npz"


def networks(plan: Plan, places: np.ndarray, tile: int = 0) -> list[Pixels]:
    """Those that give these pixels."""
    found: dict[Job, Pixels] = {}
    for place in places.tolist():
        job = plan.job(place % plan.x.count, place // plan.x.count)
        found.setdefault(job, Pixels(job, tile, [])).places.append(place)
    return [*found.values()]


def trained(plan: Plan, batch: Sequence[Pixels], made: Trained) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Places, and measure -> its value at each of them. Raises RunsFailed where training raised."""
    failures = [(plan.name, result.error) for result in made.results if isinstance(result, Failure)]
    if failures:
        raise RunsFailed(failures)
    rows = [measured(result, plan.loss) for result in made.results if isinstance(result, Result)]
    of = [number for number, pixels in enumerate(batch) for _ in pixels.places]
    places = [place for pixels in batch for place in pixels.places]
    return np.array(places), dict(zip(plan.measures, np.array(rows)[of].T, strict=True))


def measured(result: Result, loss: float) -> list[float]:
    """A pixel, in the order of UNITS."""
    diverged = math.nan if result.diverged_at is None else float(result.diverged_at)
    if result.weights is None:  # before it was first measured
        return [math.nan] * (len(LAST) + 1) + [diverged, math.nan]
    first, last = (result.weights.W1[i].astype(np.float64).ravel() for i in (0, -1))
    moved, at_start = last - first, math.sqrt(first @ first)
    reached = result.steps[result.history("train/loss") <= loss]
    return [
        *result.metrics[-1, COLUMNS].tolist(),
        float(reached[0]) if len(reached) else math.nan,
        diverged,
        math.sqrt(moved @ moved) / at_start if at_start > 0 else math.nan,
    ]


def _note(plan: Plan, run_id: str) -> str:
    """The description of a field's run."""
    image = f"![{PICTURE}](get-artifact?path={PICTURE}&run_uuid={run_id})"
    return f"{image}\n\n{plan.name}\n\nCommand:\n\n    {provenance.command()}"
