"""Runs, divided into batches, trained, and turned into records for MLflow; and an estimate of how long that takes."""

import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from shallowexp import provenance
from shallowexp.config.fingerprint import beneath
from shallowexp.config.runs import Run
from shallowexp.network.choices import describe
from shallowexp.network.data import Data
from shallowexp.network.diagnostics import metric_names
from shallowexp.sweeps import pages
from shallowexp.tracking.records import DatasetInput, Record
from shallowexp.training.engines import Failure, train
from shallowexp.training.job import Result

BATCH_RUNS = 250
BATCH_COST = 5e8  # hidden units x samples x steps: about a second on two cores
TRACKING = 0.005  # seconds to compose and write a run, for the estimate of a dry run
NANOSECONDS = {
    "compiled": 1.5,
    "numpy": 20.0,
    "chapter": 15.0,
}  # of one core per hidden unit, sample and step, likewise


def batches(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Batches of about a second's work, with at least one network for each core: Ctrl-C loses an unfinished batch."""
    batch: list[Run] = []
    cost, cores = 0.0, os.cpu_count() or 1
    for run in runs:
        batch.append(run)
        cost += work(run)
        if len(batch) >= BATCH_RUNS or (cost >= BATCH_COST and len(batch) >= cores):
            yield batch
            batch, cost = [], 0.0
    if batch:
        yield batch


def work(run: Run) -> float:
    """Hidden units x samples x steps, with the inputs counted where they weigh more than the activation."""
    if run.job.data.fault():
        return 0.0
    n_x, m = run.job.data.load().X.shape
    return float(run.job.hidden_size * m * run.job.steps * max(1.0, n_x / 8))


def forecast(runs: Sequence[Run], missing: Sequence[Run], threads: int | None) -> str:
    """The message of a dry run."""
    cores = threads or os.cpu_count() or 1
    seconds = sum(_seconds(run, cores) for run in missing)
    there = len(runs) - len(missing)
    return f"{len(runs)} runs: {there} already there, {len(missing)} to train, about {seconds:.0f} s on {cores} threads"


def _seconds(run: Run, threads: int) -> float:
    """NumPy trains on one core."""
    cores = threads if run.job.engine == "compiled" else 1
    return TRACKING + work(run) * NANOSECONDS[run.job.engine] * 1e-9 / cores


def train_batch(batch: Sequence[Run], threads: int | None = None) -> tuple[list[Record], list[Result | Failure]]:
    start = _now()
    results = train([run.job for run in batch], threads)
    end = _now()
    return [record(run, result, start, end) for run, result in zip(batch, results, strict=True)], results


def record(run: Run, result: Result | Failure, start: int, end: int) -> Record:
    """The run as it is logged in MLflow; a divergence adds a last step that says when."""
    tags = provenance.tags() | beneath(run.job) | pages.run_tags(run)
    made = Record(
        fingerprint=run.fingerprint,
        name=run.name,
        params=run.params,
        tags=tags,
        steps=np.array([], int),
        metrics={},
        start=start,
        end=end,
        data=None if run.job.data.fault() else _dataset(run.params["data"], run.job.data),
    )
    if isinstance(result, Failure):
        failed = {"outcome": "failed", "shallowexp.error": result.error[:5000]}
        return replace(made, tags=tags | failed, status="FAILED")
    steps, metrics = result.steps, dict(zip(metric_names(run.job.data.task), result.metrics.T, strict=True))
    if result.diverged_at is not None:
        tags[pages.NOTE] = pages.diverged(run, result.diverged_at)
        steps = np.append(steps, result.diverged_at)
        metrics = {name: np.append(values, np.nan) for name, values in metrics.items()}
        metrics["diverged/step"] = np.append(np.full(len(steps) - 1, np.nan), result.diverged_at)
    tags["outcome"] = "finished" if result.diverged_at is None else "diverged"
    return replace(made, tags=tags, steps=steps, metrics=metrics, artifacts=_artifacts(run, result))


@lru_cache(maxsize=256)
def _dataset(name: str, data: Data) -> DatasetInput:
    """The data set as MLflow's pages show it: columns as its schema, sizes as its profile."""
    loaded = data.load()
    inputs, outputs = ((letter, len(rows)) for letter, rows in zip("xy", loaded[:2], strict=True))
    names = [f"{letter}{i + 1}" for letter, n in (inputs, outputs) for i in range(n)]
    columns = [{"type": "double", "name": name, "required": True} for name in names]
    sizes = {"num_rows": loaded.X.shape[1], "num_elements": loaded.X.size, "test_rows": loaded.X_test.shape[1]}
    return DatasetInput(
        name=name,
        digest=loaded.digest,
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
    buffer = io.BytesIO()
    np.savez(buffer, steps=result.steps, **result.weights._asdict(), choices=json.dumps(choices))
    return {"weights.npz": buffer.getvalue()}


def _now() -> int:
    return int(time.time() * 1000)
