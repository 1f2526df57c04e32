"""Runs, divided into batches, and turned into records for MLflow; and an estimate of how long their training takes."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from shallowexp import provenance
from shallowexp.config.fingerprint import beneath, drawn
from shallowexp.config.runs import Run
from shallowexp.network.choices import describe
from shallowexp.network.data import Data
from shallowexp.network.diagnostics import metric_names
from shallowexp.network.optimizers import Adam
from shallowexp.pool.worker import Trained, trained
from shallowexp.sweeps import pages
from shallowexp.tracking.artifacts import npz
from shallowexp.tracking.records import DatasetInput, Record
from shallowexp.training.job import Failure, Result

BATCH_RUNS = 250
BATCH_COST = 5e8  # hidden units x samples x steps: about a second on two cores
POOL_RUNS = 2500  # of a worker's batch, whose results then take some 10 MB
POOL_SECONDS = 10.0  # on one core; a scheduler has about 1 ms of its own for each batch
POOL_TURNS = 4  # batches that each worker gets where there is less work than that


class Cost(NamedTuple):
    """Seconds of one core for a step, for the estimate of a dry run."""

    step: float  # whatever its size
    parameter: float  # for each
    unit: float  # for each hidden unit and sample
    adam: float  # how many times as much Adam's own part takes


COSTS = {
    "compiled": Cost(1.2e-6, 1e-8, 1.5e-9, 1.1),
    "numpy": Cost(4e-5, 1e-7, 2e-8, 2.0),
    "chapter": Cost(4e-5, 1e-8, 1.5e-8, 2.0),
}
MEASURED = 10  # steps of all samples that a measurement takes
COMPOSED, ROW = 0.003, 1e-5  # seconds to compose a run and begin its row, and for each value that is logged
RUN_BYTES, ROW_BYTES = 8500, 280  # of the database, likewise
# Of files, by blocks of 4 kB: Hydra's of a job, weights.npz, a model
JOB_BYTES, KEPT_BYTES, MODEL_BYTES = 16_000, 18_000, 100_000


def batches(runs: Sequence[Run], slots: int | None = None) -> Iterator[list[Run]]:
    """Batches of about a second's work, with at least one network for each core: Ctrl-C loses an unfinished batch.

    For workers that train so many batches at once: ten seconds' work of one core, or less where all would not get some.
    """
    if slots is None:
        return _cut(runs, work, BATCH_COST, os.cpu_count() or 1, BATCH_RUNS)
    fair = sum(map(core_seconds, runs)) / (POOL_TURNS * max(slots, 1))
    return _cut(runs, core_seconds, min(POOL_SECONDS, fair), 1, POOL_RUNS)


def _cut(
    runs: Sequence[Run], cost: Callable[[Run], float], enough: float, least: int, most: int
) -> Iterator[list[Run]]:
    """Batches that cost enough, of between `least` and `most` runs."""
    batch: list[Run] = []
    spent = 0.0
    for run in runs:
        batch.append(run)
        spent += cost(run)
        if len(batch) >= most or (spent >= enough and len(batch) >= least):
            yield batch
            batch, spent = [], 0.0
    if batch:
        yield batch


def work(run: Run) -> float:
    """Hidden units x samples of a step x steps, with the inputs counted where they weigh more than the activation."""
    job = run.job
    if job.data.fault():
        return 0.0
    n_x, m = job.data.load().X.shape
    return float(job.hidden_size * (job.batch_size or m) * job.steps * max(1.0, n_x / 8))


def forecast(runs: Sequence[Run], missing: Sequence[Run], threads: int | None) -> str:
    """The message of a dry run."""
    cores = threads or os.cpu_count() or 1
    there = len(runs) - len(missing)
    counted = f"{len(runs)} runs: {there} already there, {len(missing)} to train"
    if not missing:
        return counted
    seconds = sum(_seconds(run, cores) for run in missing)
    rows, files = _size(sum(map(_row_bytes, missing))), _size(_file_bytes(runs, missing))
    return f"{counted}, about {seconds:,.0f} s on {cores} threads, {rows} in the database and {files} in files"


def _seconds(run: Run, threads: int) -> float:
    """NumPy trains on one core."""
    return COMPOSED + ROW * _logged(run) + core_seconds(run) / (threads if run.job.engine == "compiled" else 1)


def core_seconds(run: Run) -> float:
    """What it takes one core to train."""
    job = run.job
    if job.data.fault():
        return 0.0
    data, cost = job.data.load(), COSTS[job.engine]
    n_x, m = data.X.shape
    all_samples = cost.unit * job.hidden_size * m * max(1.0, n_x / 8)
    own = cost.step + cost.parameter * _parameters(job.hidden_size, n_x, len(data.Y))
    dearer = cost.adam if isinstance(job.optimizer, Adam) else 1.0
    step = own * dearer + all_samples * (job.batch_size or m) / m
    total: float = job.steps * step + MEASURED * len(job.log_steps) * all_samples
    return total


def _parameters(n_h: int, n_x: int, n_y: int) -> int:
    return n_h * (n_x + 1) + n_y * (n_h + 1)


def _logged(run: Run) -> int:
    """Values in its history."""
    return len(metric_names(run.job.data.task)) * len(run.job.log_steps)


def _row_bytes(run: Run) -> int:
    return RUN_BYTES + ROW_BYTES * _logged(run)


def _file_bytes(runs: Sequence[Run], missing: Sequence[Run]) -> int:
    """Of Hydra's files for each job, of kept weights and of models."""
    kept = sum(KEPT_BYTES + _weights_bytes(run) for run in missing if run.job.weights)
    models = {"all": len(missing), "best": 1, "none": 0}[runs[0].model]
    return JOB_BYTES * len(runs) + kept + MODEL_BYTES * models


def _weights_bytes(run: Run) -> int:
    job = run.job
    if job.data.fault():
        return 0
    numbers = len(job.log_steps) * _parameters(job.hidden_size, len(job.data.load().X), len(job.data.load().Y))
    return numbers * np.dtype(job.dtype).itemsize


def _size(n: float) -> str:
    scale, unit = next(((s, u) for s, u in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if n >= s), (1e3, "kB"))
    return f"{n / scale:.1f} {unit}"


def train_batch(batch: Sequence[Run]) -> tuple[list[Record], list[Result | Failure]]:
    """In this process, on all cores."""
    made = trained([run.job for run in batch])
    return records(batch, made), made.results


def records(batch: Sequence[Run], made: Trained) -> list[Record]:
    """The runs of a batch as they are logged."""
    return [record(run, result, made) for run, result in zip(batch, made.results, strict=True)]


def record(run: Run, result: Result | Failure, batch: Trained) -> Record:
    """The run as it is logged in MLflow; a divergence adds a last step that says when."""
    tags = provenance.tags() | batch.tags | beneath(run.job) | pages.run_tags(run)
    logged = Record(
        fingerprint=run.fingerprint,
        name=run.name,
        params=run.params,
        tags=tags,
        steps=np.array([], int),
        metrics={},
        start=batch.start,
        end=batch.end,
        data=None if run.job.data.fault() else _dataset(run.params["data"], run.job.data, drawn(run.job.data)),
    )
    if isinstance(result, Failure):
        failed = {"outcome": "failed", "shallowexp.error": result.error[:5000]}
        return replace(logged, tags=tags | failed, status="FAILED")
    steps, metrics = result.steps, dict(zip(metric_names(run.job.data.task), result.metrics.T, strict=True))
    if result.diverged_at is not None:
        tags[pages.NOTE] = pages.diverged(run, result.diverged_at)
        steps = np.append(steps, result.diverged_at)
        metrics = {name: np.append(values, np.nan) for name, values in metrics.items()}
        metrics["diverged/step"] = np.append(np.full(len(steps) - 1, np.nan), result.diverged_at)
    tags["outcome"] = "finished" if result.diverged_at is None else "diverged"
    return replace(logged, tags=tags, steps=steps, metrics=metrics, artifacts=_artifacts(run, result))


@lru_cache(maxsize=256)
def _dataset(name: str, data: Data, digest: str) -> DatasetInput:
    """The data set as MLflow's pages show it: columns as its schema, sizes as its profile."""
    loaded = data.load()
    inputs, outputs = ((letter, len(rows)) for letter, rows in zip("xy", loaded[:2], strict=True))
    names = [f"{letter}{i + 1}" for letter, n in (inputs, outputs) for i in range(n)]
    columns = [{"type": "double", "name": name, "required": True} for name in names]
    sizes = {"num_rows": loaded.X.shape[1], "num_elements": loaded.X.size, "test_rows": loaded.X_test.shape[1]}
    return DatasetInput(
        name=name,
        digest=digest,
        source=json.dumps({"tags": {"shallowexp.data": repr(data)}}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps(sizes | {"task": loaded.task}),
    )


def _artifacts(run: Run, result: Result) -> dict[str, bytes]:
    """The weights, and the data, the activation and the output they belong to, in one file that holds all that a replay needs."""
    if result.weights is None:
        return {}
    choices: dict[str, object] = {"data": describe(run.job.data), "activation": describe(run.job.activation)}
    choices |= {"output": describe(run.job.output), "digest": run.job.data.load().digest}
    return {"weights.npz": npz(steps=result.steps, **result.weights._asdict(), choices=json.dumps(choices))}
