"""What is trained and what comes back, as picklable values: the same for all engines and for any worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from shallowexp.errors import told
from shallowexp.network.activations import Activation
from shallowexp.network.data import Data, Dataset
from shallowexp.network.diagnostics import METRICS
from shallowexp.network.initializers import Initializer, Parameters
from shallowexp.network.optimizers import GRADIENT_DESCENT, Optimizer
from shallowexp.network.outputs import Output

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """One network to train: everything that its result depends on, and nothing else."""

    data: Data
    activation: Activation
    init: Initializer
    output: Output
    hidden_size: int
    seed: int
    steps: int
    learning_rate: float
    log_steps: tuple[int, ...]  # rising, at most `steps`
    dtype: str = "float64"
    engine: str = "numpy"
    weights: bool = False  # keep the parameters at the logged steps
    optimizer: Optimizer = GRADIENT_DESCENT
    batch_size: int | None = None  # samples that a step sees; None: all

    def initial(self) -> tuple[Dataset, Parameters]:
        """The data and the initial parameters in the job's dtype. Raises what `parameters` does."""
        data = self.data.load()
        X, Y, X_test, Y_test = (np.ascontiguousarray(a, dtype=self.dtype) for a in data[:4])
        return Dataset(X, Y, X_test, Y_test, data.task), self.parameters()

    def parameters(self) -> Parameters:
        """The initial ones, in the job's dtype.

        Raises what drawing them or the data raises, and ValueError for initial parameters of another shape or kind.
        """
        data = self.data.load()
        n_x, n_h, n_y = len(data.X), self.hidden_size, len(data.Y)
        parameters = self.init(n_x, n_h, n_y, self.seed)
        shapes = Parameters._fields, parameters, ((n_h, n_x), (n_h, 1), (n_y, n_h), (n_y, 1))
        for name, array, shape in zip(*shapes, strict=True):
            if np.shape(array) != shape or np.asarray(array).dtype.kind not in "fiu":
                given = f"{np.asarray(array).dtype} {np.shape(array)}"
                raise ValueError(
                    f"{type(self.init).__name__} gives {name} as {given}; expected real numbers of shape {shape}"
                )
        return Parameters(*(p.astype(self.dtype) for p in parameters))


@dataclass(frozen=True)
class Result:
    """A trained network's history: row i of `metrics` (columns METRICS) holds at `steps[i]` updates."""

    steps: np.ndarray  # (p,) int64
    metrics: np.ndarray  # (p, METRICS) float64, NaN where undefined
    diverged_at: int | None  # first step whose parameters, or whose loss if it is logged, are not finite
    weights: Parameters | None  # (p, ...) each, at the same steps, if the job asked for them
    final: Parameters  # at the last of them (the initial ones if there is none)

    def history(self, metric: str) -> np.ndarray:
        """One of METRICS at every one of `steps`."""
        return self.metrics[:, METRICS.index(metric)]


@dataclass(frozen=True)
class Failure:
    """A job that raised: a user's own activation, say, or a data set that could not be drawn."""

    error: str


def attempt(function: Callable[[Job], T], job: Job) -> T | Failure:
    try:
        return function(job)
    except Exception as error:
        return Failure(told(error))
