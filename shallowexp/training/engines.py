"""train(jobs) -> results. Knows neither Hydra nor MLflow; a job is a picklable value and a result plain arrays.

Three engines compute the chapter's equations: `compiled` and `numpy` treat every hidden unit alike, `chapter` multiplies by
`@` as the chapter does, so that its results depend on the BLAS beneath NumPy.
"""

import logging
import operator
from collections.abc import Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np

from shallowexp.network.diagnostics import METRICS, Measures, measure
from shallowexp.network.initializers import Parameters
from shallowexp.network.passes import Product, backward, exact, forward, gradient_descent
from shallowexp.training.job import Failure, Job, Result, attempt

log = logging.getLogger(__name__)

PRODUCTS: dict[str, Product] = {"numpy": exact, "chapter": operator.matmul}  # the engines that train through passes.py
ENGINES = ("auto", "compiled", *PRODUCTS)


class Logged(NamedTuple):
    step: int
    measures: Measures
    parameters: Parameters


def resolve_engine(job: Job, engine: str = "auto") -> str:
    """The engine that trains the job: as asked, but NumPy (which is then said once) for the compiled kernel where that cannot."""
    if engine in PRODUCTS:
        return engine
    if not _has_numba():
        return "numpy"
    from shallowexp.training import kernel

    if kernel.supports(job):
        return "compiled"
    activation, output, optimizer = (type(choice).__name__ for choice in (job.activation, job.output, job.optimizer))
    warn_once(
        f"{activation} with {output} output is trained by the slower NumPy engine, with {optimizer}: "
        "the compiled kernel supports only built-in ones"
    )
    return "numpy"


@cache
def _has_numba() -> bool:
    try:
        from shallowexp.training import kernel  # noqa: F401  (the attempt is what counts)
    except ImportError as error:
        warn_once(f"training with the slower NumPy engine: Numba cannot be imported ({error})")
        return False
    return True


@cache
def warn_once(message: str) -> None:
    log.warning(message)


def train(jobs: Sequence[Job], threads: int | None = None) -> list[Result | Failure]:
    """Train every job, in the jobs' order; a result depends on its job alone, whatever is trained with it.

    `threads` bounds the compiled kernel's threads (None: all cores).
    """
    results = {i: attempt(train_one, job) for i, job in enumerate(jobs) if job.engine in PRODUCTS}
    compiled = [i for i in range(len(jobs)) if i not in results]
    if compiled:
        from shallowexp.training import kernel

        results |= zip(compiled, kernel.train_batch([jobs[i] for i in compiled], threads), strict=True)
    return [results[i] for i in range(len(jobs))]


def train_one(job: Job) -> Result:
    """Train one network with `network/passes.py`, the definition; a job of the compiled kernel with exact products."""
    data, initial = job.initial()
    product = PRODUCTS.get(job.engine, exact)
    of = data.X, data.Y, initial, job.activation, job.output, job.learning_rate, product
    descent = gradient_descent(*of, job.optimizer, job.batch_size, job.seed)
    kept: list[Logged] = []
    diverged_at = None
    with np.errstate(all="ignore"):
        for step, (parameters, cache, gradients) in enumerate(islice(descent, job.steps + 1)):
            row = None
            if step in job.log_steps:
                if job.batch_size is not None:  # what is measured is of all samples
                    cache = forward(data.X, parameters, job.activation, product)
                    gradients = backward(data.X, data.Y, parameters, cache, job.activation, job.output, product)
                test = forward(data.X_test, parameters, job.activation, product)
                row = measure(parameters, cache, gradients, test, data, job.activation, job.output)
            if not _finite(parameters, row):
                diverged_at = step
                break
            if row is not None:
                kept.append(Logged(step, row, parameters))
    return _result(job, initial, kept, diverged_at)


def _finite(parameters: Parameters, row: Measures | None) -> bool:
    loss = 0.0 if row is None else row.train_loss
    return bool(np.isfinite(loss) and all(np.isfinite(p).all() for p in parameters))


def _result(job: Job, initial: Parameters, kept: Sequence[Logged], diverged_at: int | None) -> Result:
    steps, path = np.array([logged.step for logged in kept], np.int64), [logged.parameters for logged in kept]
    metrics = np.array([logged.measures for logged in kept], np.float64).reshape(-1, len(METRICS))
    metrics[np.isinf(metrics)] = np.nan
    weights = Parameters(*map(np.stack, zip(*path, strict=True))) if job.weights and path else None
    return Result(steps, metrics, diverged_at, weights, path[-1] if path else initial)
