"""train(jobs) -> results. Knows neither Hydra nor MLflow; a job is a picklable value and a result plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from shallowexp import diagnostics
from shallowexp.activations import Activation
from shallowexp.data import Data, Dataset
from shallowexp.initializers import Parameters
from shallowexp.network import forward, gradient_descent
from shallowexp.outputs import Output


@dataclass(frozen=True)
class Job:
    """One network to train: everything that its result depends on, and nothing else."""

    data: Data
    activation: Activation
    init: object
    output: Output
    hidden_size: int
    seed: int
    steps: int
    learning_rate: float
    log_steps: tuple[int, ...]  # rising, at most `steps`
    dtype: str = "float64"
    engine: str = "numpy"
    weights: bool = False  # keep the parameters at the logged steps

    def initial(self) -> tuple[Dataset, Parameters]:
        """The data and the initial parameters in the job's dtype."""
        data = self.data.load()
        parameters = self.init(len(data.X), self.hidden_size, len(data.Y), self.seed)
        X, Y, X_test, Y_test = (np.ascontiguousarray(a, dtype=self.dtype) for a in data[:4])
        return Dataset(X, Y, X_test, Y_test, data.task), Parameters(*(p.astype(self.dtype) for p in parameters))


@dataclass(frozen=True)
class Result:
    """A trained network's history: row i of `metrics` (columns diagnostics.METRICS) holds at `steps[i]` updates."""

    steps: np.ndarray  # (p,) int64
    metrics: np.ndarray  # (p, 13) float64, NaN where undefined
    diverged_at: int | None  # first step whose parameters or loss are not finite; nothing is kept from there on
    weights: Parameters | None  # (p, ...) each, at the same steps, if the job asked for them
    final: Parameters  # at the last of them (the initial ones if there is none)


def train(jobs: Sequence[Job]) -> list[Result]:
    """Train every job; a result depends on its job alone, whatever is trained beside it."""
    return [train_one(job) for job in jobs]


def train_one(job: Job) -> Result:
    """Train one network through `network.py`, the definition."""
    data, initial = job.initial()
    descent = gradient_descent(data.X, data.Y, initial, job.activation, job.output, job.learning_rate)
    kept, diverged_at = [], None
    with np.errstate(all="ignore"):
        for step, (parameters, cache, gradients) in enumerate(islice(descent, job.steps + 1)):
            row = None
            if step in job.log_steps:
                test = forward(data.X_test, parameters, job.activation)
                row = diagnostics.measure(parameters, cache, gradients, test, data, job.activation, job.output)
            if not _finite(parameters, row):
                diverged_at = step
                break
            if row is not None:
                kept.append((step, row, parameters))
    return _result(job, initial, kept, diverged_at)


def _finite(parameters: Parameters, row: np.ndarray | None) -> bool:
    loss = 0.0 if row is None else row[0]
    return bool(np.isfinite(loss) and all(np.isfinite(p).all() for p in parameters))


def _result(job: Job, initial: Parameters, kept: list, diverged_at: int | None) -> Result:
    steps, rows, path = zip(*kept, strict=True) if kept else ((), (), ())
    metrics = np.array(rows, dtype=np.float64).reshape(-1, len(diagnostics.METRICS))
    metrics[np.isinf(metrics)] = np.nan
    weights = Parameters(*map(np.stack, zip(*path, strict=True))) if job.weights and path else None
    return Result(np.array(steps, np.int64), metrics, diverged_at, weights, path[-1] if path else initial)
