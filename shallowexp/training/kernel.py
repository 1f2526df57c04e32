"""network/passes.py compiled, for many networks at once.

Networks that differ in initial weights and learning rates alone are trained one after the other, in calls that hold no
Python lock (kernel_descent.py); a pool of threads takes these calls, the most work first. No result depends on its neighbours,
because no network knows that it has any. Samples are cut into blocks, padded with zeros to one width, so that a block's
rows of Z1 and A1 stay in the second-level cache.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import cache
from itertools import groupby, islice

import numpy as np

from shallowexp.network import activations, optimizers, outputs
from shallowexp.network.data import Data
from shallowexp.network.diagnostics import METRICS
from shallowexp.network.initializers import Parameters
from shallowexp.training.job import Failure, Job, Result, attempt
from shallowexp.training.kernel_arithmetic import (
    ADAM,
    CODES,
    GRADIENT_DESCENT,
    MOMENTUM,
    PIECEWISE_LINEAR,
    SIGMOID,
    SOFTMAX,
    KernelSpec,
)
from shallowexp.training.kernel_descent import Batch, Halves, History, Samples, Span, Weights, Workspace, descend
from shallowexp.training.kernel_diagnostics import TASKS

OUTPUTS: dict[
    type[outputs.Output], tuple[int, tuple[int, int], bool]
] = {  # the output activation, its slopes below and at 0 if piecewise_linear, and whether its loss makes dZ2 = A2 - Y
    outputs.Sigmoid: (SIGMOID, (0, 0), True),
    outputs.Softmax: (SOFTMAX, (0, 0), True),
    outputs.Identity: (PIECEWISE_LINEAR, (1, 1), False),
    outputs.ReLU: (PIECEWISE_LINEAR, (0, 0), False),
    outputs.SigmoidSquared: (SIGMOID, (0, 0), False),
}
OPTIMIZERS: dict[type[optimizers.Optimizer], int] = {
    optimizers.GradientDescent: GRADIENT_DESCENT,
    optimizers.Momentum: MOMENTUM,
    optimizers.Adam: ADAM,
}
ORDERS = 100_000  # samples in the orders that are drawn at once
BLOCK_BYTES = 512 * 1024  # what a block's rows may take, of the second-level cache
TOGETHER = 64  # networks that one call trains at the most
CALLS = 8  # for each thread, at least, where there are so many networks
SHARED = [field.name for field in fields(Job) if field.name not in ("init", "seed", "learning_rate")]
Halve = Callable[[Data, bool, str, int], Samples]
LANES = 32  # widths are multiples of this: pairs of whole vectors in either dtype


def supports(job: Job) -> bool:
    """Whether the job's activation, output and optimizer are built-in ones, exactly."""
    known = type(job.activation) in CODES and type(job.output) in OUTPUTS
    return known and type(job.optimizer) in OPTIMIZERS


def train_batch(jobs: Sequence[Job], threads: int | None = None) -> list[Result | Failure]:
    """The results of `engines.train_one` for jobs that the kernel supports, on `threads` threads (None: all cores)."""
    threads = threads or os.cpu_count() or 1
    samples, stop = cache(_samples), np.zeros(1, np.bool_)  # jobs share their data
    parts = _parts(jobs, threads)
    results: dict[int, Result | Failure] = {}
    with ThreadPoolExecutor(threads) as pool:
        try:
            trained = pool.map(lambda part: _train([jobs[i] for i in part], samples, stop), parts)
            for part, found in zip(parts, trained, strict=True):
                results |= zip(part, found, strict=True)
        except BaseException:  # Ctrl-C above all: the threads would go on to the last step
            stop[0] = True
            raise
    return [results[i] for i in range(len(jobs))]


def _parts(jobs: Sequence[Job], threads: int) -> list[range]:
    """Which neighbours one call trains, the most work first; no call so long that other threads would wait for it at the end."""
    alike = [[*found] for _, found in groupby(range(len(jobs)), lambda i: [vars(jobs[i])[name] for name in SHARED])]
    groups = [(range(found[0], found[-1] + 1), _work(jobs[found[0]])) for found in alike]
    share = sum(len(group) * work for group, work in groups) / (threads * CALLS)
    parts = []
    for group, work in groups:
        own_order = jobs[group[0]].batch_size is not None  # of samples, for each seed
        size = 1 if own_order else max(1, min(int(share / work), TOGETHER))
        parts += [(work, group[first : first + size]) for first in range(0, len(group), size)]
    return [part for _, part in sorted(parts, key=lambda part: -part[0] * len(part[1]))]


def _work(job: Job) -> float:
    data = attempt(lambda job: job.data.load(), job)
    if isinstance(data, Failure):  # as its weights will be
        return 1.0
    n_x, m = data.X.shape
    return (1 + job.steps) * (job.batch_size or m) * job.hidden_size * (n_x + 10)


def _samples(data: Data, test: bool, dtype: str, width: int) -> Samples:
    """One half of a data set, cut into blocks."""
    loaded = data.load()
    X, Y = (np.asarray(a, dtype) for a in (loaded[2:4] if test else loaded[:2]))
    X = np.vstack([np.ones((1, X.shape[1]), dtype), X, np.zeros((_padded_size(len(X), 2) - len(X), X.shape[1]), dtype)])
    return Samples(_blocks(X, width), _blocks(Y, width), Y.astype(np.float64))


def _padded_size(n: int, loose: int) -> int:
    """`loose`, and the rest of n padded to a multiple of four."""
    return loose + 4 * max(0, -(-(n - loose) // 4))


def _padded(a: np.ndarray, *shape: int) -> np.ndarray:
    """A copy with zeros after its rows and columns."""
    padded = _zeros(shape, a.dtype)
    padded[tuple(map(slice, a.shape))] = a
    return padded


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeros that start where a line of the cache does, so that no vector crosses one."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def _blocks(a: np.ndarray, width: int) -> np.ndarray:
    """(rows, m) -> (blocks, rows, width), padded with zeros."""
    rows, m = a.shape
    blocks = -(-m // width)
    a = _padded(a, rows, blocks * width)
    return _padded(a.reshape(rows, blocks, width).transpose(1, 0, 2), blocks, rows, width)


def _width(n_x: int, n_h: int, n_y: int, m: int, itemsize: int) -> int:
    """As few blocks as the cache allows, of equal widths."""
    fitting = BLOCK_BYTES // ((3 * n_h + n_x + 3 * n_y) * itemsize)
    blocks = -(-m // max(fitting, LANES))
    return -(-m // (blocks * LANES)) * LANES


def _spec(job: Job, task: str) -> KernelSpec:
    g, by, dtype = job.activation, job.optimizer, np.dtype(job.dtype).type
    output, output_piece_slopes, entropy = OUTPUTS[type(job.output)]
    below = getattr(g, "slope", float(type(g) is activations.Identity))
    at_zero = getattr(g, "derivative_at_zero", below)
    return KernelSpec(
        hidden_size=job.hidden_size,
        activation=CODES[type(g)],
        piece_slopes=(dtype(below), dtype(at_zero)),
        max_slope=-1.0 if g.max_slope is None else g.max_slope,
        signs=g.invariance in ("sign", "any scale"),
        scales=g.invariance.endswith("scale"),
        output=output,
        output_piece_slopes=(dtype(output_piece_slopes[0]), dtype(output_piece_slopes[1])),
        entropy=entropy,
        task=TASKS[task],
        optimizer=OPTIMIZERS[type(by)],
        decays=(getattr(by, "beta1", getattr(by, "beta", 0.0)), getattr(by, "beta2", 0.0)),
        epsilon=getattr(by, "epsilon", 0.0),
        batch_size=job.batch_size or 0,
    )


def _workspace(n_y: int, V: np.ndarray, width: int) -> Workspace:
    units, outputs = V.shape[1:]
    Z1, A1, Z2, A2, rest = (_zeros((n, width), V.dtype) for n in (units, units, outputs, n_y, units))
    A1[0] = 1
    return Workspace(Z1, A1, Z2, A2, rest, W2=_zeros((outputs, units), V.dtype))


def _train(jobs: Sequence[Job], samples: Halve, stop: np.ndarray) -> list[Result | Failure]:
    """Those whose weights can be drawn, and the failures of the others."""
    drawn = [(job, attempt(Job.parameters, job)) for job in jobs]
    starts = [(job, start) for job, start in drawn if isinstance(start, Parameters)]
    trained = iter(_descended(starts, samples, stop) if starts else [])
    return [start if isinstance(start, Failure) else next(trained) for _, start in drawn]


def _descended(starts: Sequence[tuple[Job, Parameters]], samples: Halve, stop: np.ndarray) -> list[Result]:
    """One network after the other; all that the jobs' SHARED fields choose is made once."""
    job, initial = starts[0][0], [start for _, start in starts]
    loaded = job.data.load()
    n_x, n_h, n_y = len(loaded.X), job.hidden_size, len(loaded.Y)
    width = _width(n_x, n_h, n_y, loaded.X.shape[1], np.dtype(job.dtype).itemsize)
    data = Halves(*(samples(job.data, half, job.dtype, width) for half in (False, True)))
    rates = np.array([job.learning_rate for job, _ in starts], job.dtype)
    weights = _packed(initial)
    memory = Weights(*map(np.zeros_like, weights)), Weights(*map(np.zeros_like, weights))
    history, workspace = _history(job, weights), _workspace(n_y, weights.V, width)
    spec, batch = _spec(job, loaded.task), _batch(job, data.train, weights, workspace)
    for span in _spans(job, loaded.X.shape[1]):
        descend(spec, rates, data, batch, weights, memory, workspace, history, span, stop)
    history.metrics[np.isinf(history.metrics)] = np.nan
    path = _unpacked(history.path, n_x, n_h, n_y)
    return [_result(job, history, path, start, i) for i, start in enumerate(initial)]


def _result(job: Job, history: History, path: Parameters, initial: Parameters, i: int) -> Result:
    kept, diverged_at = int(history.kept[i]), int(history.diverged[i])
    return Result(
        history.steps[:kept],
        history.metrics[i, :kept],
        None if diverged_at < 0 else diverged_at,
        Parameters(*(p[i, :kept] for p in path)) if job.weights and kept else None,
        Parameters(*(p[i, kept - 1 if job.weights else 0] for p in path)) if kept else initial,
    )


def _batch(job: Job, train: Samples, weights: Weights, workspace: Workspace) -> Batch:
    """Room for a minibatch; where there are none, all samples and their own room."""
    if job.batch_size is None:
        return Batch(train, workspace)
    (columns, _), (n_y, _) = train.X[0].shape, train.targets.shape
    width = _width(columns, job.hidden_size, n_y, job.batch_size, train.X.itemsize)
    X, Y = (_zeros((-(-job.batch_size // width), rows, width), train.X.dtype) for rows in (columns, n_y))
    return Batch(Samples(X, Y, train.targets), _workspace(n_y, weights.V, width))


def _spans(job: Job, m: int) -> Iterator[Span]:
    """All steps at once; with minibatches as many epochs at once as their orders may take."""
    if job.batch_size is None:
        yield Span(0, job.steps, np.empty((0, 0), np.int64))
        return
    drawn, epoch = optimizers.epochs(m, job.seed), -(-m // job.batch_size)  # in steps
    length = epoch * max(1, ORDERS // m)
    for first in range(0, job.steps + 1, length):
        last = min(first + length - 1, job.steps)
        yield Span(first, last, np.array([*islice(drawn, 1 + (last - first) // epoch)], np.int64))


def _history(job: Job, weights: Weights) -> History:
    steps, n = np.array(job.log_steps, np.int64), len(weights.W1)
    length = len(steps) if job.weights else 1
    path = Weights(*(np.zeros((n, length, *a.shape[1:]), a.dtype) for a in weights))
    metrics = np.full((n, len(steps), len(METRICS)), np.nan)
    return History(steps, metrics, path, np.zeros(n, np.int64), np.full(n, -1))


def _packed(initial: Sequence[Parameters]) -> Weights:
    """The parameters as kernel_descent.py has them: with their biases and with zeros around."""
    W1, b1, W2, b2 = map(np.stack, zip(*initial, strict=True))
    (n, n_h, n_x), n_y = W1.shape, W2.shape[1]
    units, columns = 1 + _padded_size(n_h, 0), (1 + _padded_size(n_x, 2), _padded_size(n_y, 2))
    packed = Weights(*(_zeros((n, units, size), W1.dtype) for size in columns))
    packed.W1[:, 1 : 1 + n_h, :1], packed.W1[:, 1 : 1 + n_h, 1 : 1 + n_x] = b1, W1
    packed.V[:, :1, :n_y], packed.V[:, 1 : 1 + n_h, :n_y] = b2.transpose(0, 2, 1), W2.transpose(0, 2, 1)
    return packed


def _unpacked(path: Weights, n_x: int, n_h: int, n_y: int) -> Parameters:
    W1, V = path.W1[:, :, 1 : 1 + n_h, : 1 + n_x], path.V[:, :, : 1 + n_h, :n_y].transpose(0, 1, 3, 2)
    return Parameters(*map(np.ascontiguousarray, (W1[..., 1:], W1[..., :1], V[..., 1:], V[..., :1])))
