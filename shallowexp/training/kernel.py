"""network.py compiled, for many networks at once.

Each network is trained in one call that holds no Python lock (kernel_descent.py); a pool of threads takes the networks
one by one, the most work first. No result depends on its neighbours, because no network supports that it has any. Samples
are cut into blocks, padded with zeros to one width, so that a block's rows of Z1 and A1 stay in the second-level cache.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from shallowexp.network import activations, diagnostics, outputs
from shallowexp.network.initializers import Parameters
from shallowexp.training.job import Result
from shallowexp.training.kernel_arithmetic import CODES, PIECEWISE_LINEAR, SIGMOID, SOFTMAX
from shallowexp.training.kernel_descent import KernelSpec, Samples, Workspace, descend
from shallowexp.training.kernel_diagnostics import TASKS

OUTPUTS = {  # the output activation, its slopes below and at 0 if piecewise_linear, and whether its loss makes dZ2 = A2 - Y
    outputs.Sigmoid: (SIGMOID, (0, 0), True),
    outputs.Softmax: (SOFTMAX, (0, 0), True),
    outputs.Identity: (PIECEWISE_LINEAR, (1, 1), False),
    outputs.ReLU: (PIECEWISE_LINEAR, (0, 0), False),
    outputs.SigmoidSquared: (SIGMOID, (0, 0), False),
}
BLOCK_BYTES = 512 * 1024  # what a block's rows may take, of the second-level cache
LANES = 32  # widths are multiples of this: pairs of whole vectors in either dtype


def supports(job) -> bool:
    """Whether the job's activation and output are built-in ones, exactly."""
    return type(job.activation) in CODES and type(job.output) in OUTPUTS


def train_batch(jobs: Sequence, threads: int | None = None) -> list:
    """The results of `training.train_one` for jobs that the kernel supports, on `threads` threads (None: all cores)."""
    samples, stop = cache(_samples), np.zeros(1, np.bool_)  # jobs share their data
    order = sorted(range(len(jobs)), key=lambda i: -_work(jobs[i]))
    results = [None] * len(jobs)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        try:
            for i, result in zip(order, pool.map(lambda i: _train(jobs[i], samples, stop), order), strict=True):
                results[i] = result
        except BaseException:  # Ctrl-C above all: the threads would go on to the last step
            stop[0] = True
            raise
    return results


def _work(job) -> float:
    n_x, m = job.data.load().X.shape
    return job.steps * m * job.hidden_size * (n_x + 10)


def _samples(data, test: bool, dtype: str, width: int) -> Samples:
    """One half of a data set, cut into blocks."""
    loaded = data.load()
    X, Y = (np.asarray(a, dtype) for a in (loaded[2:4] if test else loaded[:2]))
    X = np.vstack([np.ones((1, X.shape[1]), dtype), X, np.zeros((_columns(len(X)) - 1 - len(X), X.shape[1]), dtype)])
    return Samples(_blocks(X, width), _blocks(Y, width), Y.astype(np.float64))


def _columns(n: int) -> int:
    """1, and n padded to two and a multiple of eight."""
    return 3 + 8 * max(0, -(-(n - 2) // 8))


def _padded(a: np.ndarray, *shape: int) -> np.ndarray:
    """A copy with zeros after its rows and columns."""
    padded = _zeros(shape, a.dtype)
    padded[tuple(map(slice, a.shape))] = a
    return padded


def _zeros(shape: tuple[int, ...], dtype) -> np.ndarray:
    """Zeros that start where a line of the cache does, so that no vector crosses one."""
    dtype = np.dtype(dtype)
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


def _spec(job, task: str) -> KernelSpec:
    g, dtype = job.activation, np.dtype(job.dtype).type
    output, output_piece_slopes, entropy = OUTPUTS[type(job.output)]
    below = getattr(g, "slope", float(type(g) is activations.Identity))
    piece_slopes = below, getattr(g, "derivative_at_zero", below)
    return KernelSpec(
        CODES[type(g)],
        tuple(map(dtype, piece_slopes)),
        -1.0 if g.max_slope is None else g.max_slope,
        g.invariance in ("sign", "any scale"),
        g.invariance.endswith("scale"),
        output,
        tuple(map(dtype, output_piece_slopes)),
        entropy,
        TASKS[task],
        dtype(job.learning_rate),
    )


def _workspace(n_h: int, n_y: int, V: np.ndarray, width: int) -> Workspace:
    rows = 1 + n_h, len(V), V.shape[1], n_y, max(1 + n_h, n_y)
    workspace = Workspace(*(_zeros((n, width), V.dtype) for n in rows), _zeros((n_y, len(V)), V.dtype))
    workspace.A1[0] = 1
    return workspace


def _train(job, samples, stop: np.ndarray) -> Result:
    loaded = job.data.load()
    n_x, n_h, n_y = len(loaded.X), job.hidden_size, len(loaded.Y)
    width = _width(n_x, n_h, n_y, loaded.X.shape[1], np.dtype(job.dtype).itemsize)
    train, test = (samples(job.data, half, job.dtype, width) for half in (False, True))
    initial = Parameters(*(p.astype(job.dtype) for p in job.init(n_x, n_h, n_y, job.seed)))
    W1, V = _packed(initial)
    log_steps = np.array(job.log_steps, np.int64)
    length = len(log_steps) if job.weights else 1
    path_W1, path_V = (np.zeros((length, *a.shape), a.dtype) for a in (W1, V))
    metrics = np.full((len(log_steps), len(diagnostics.METRICS)), np.nan)
    spec, workspace = _spec(job, loaded.task), _workspace(n_h, n_y, V, width)
    kept, diverged_at = descend(
        spec, train, test, job.steps, log_steps, W1, V, workspace, metrics, path_W1, path_V, stop
    )
    metrics[np.isinf(metrics)] = np.nan
    path = _unpacked(path_W1[:kept], path_V[:kept], n_x, n_h, n_y)
    return Result(
        log_steps[:kept],
        metrics[:kept],
        None if diverged_at < 0 else diverged_at,
        path if job.weights and kept else None,
        Parameters(*(p[-1] for p in path)) if kept else initial,
    )


def _packed(initial: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """W1 and V as kernel_descent.py has them: with their biases and with zeros around."""
    (n_h, n_x), n_y = initial.W1.shape, len(initial.W2)
    W1 = np.vstack([np.zeros((1, 1 + n_x), initial.W1.dtype), np.hstack([initial.b1, initial.W1])])
    V = np.hstack([initial.b2, initial.W2]).T
    return _padded(W1, 1 + n_h, _columns(n_x)), _padded(V, _columns(n_h), _columns(n_y) - 1)


def _unpacked(W1: np.ndarray, V: np.ndarray, n_x: int, n_h: int, n_y: int) -> Parameters:
    """The parameters at every step of a path."""
    W1, V = W1[:, 1:, : 1 + n_x], V[:, : 1 + n_h, :n_y].transpose(0, 2, 1)
    return Parameters(*map(np.ascontiguousarray, (W1[:, :, 1:], W1[:, :, :1], V[:, :, 1:], V[:, :, :1])))
