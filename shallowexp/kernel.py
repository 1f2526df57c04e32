"""network.py compiled, for many networks: the same equations as loops over units and samples.

Each network is trained in one call that holds no Python lock; a pool of threads takes the networks one by one, the most work
first. No result depends on its neighbours, because no network knows that it has any. Samples are cut into blocks, padded with
zeros to one width, so that a block's rows of Z1 and A1 stay in the first-level cache. Every hidden unit is one row of its block and
runs through the same instructions as every other, so identical units stay identical to the last bit.

A bias is the weight of an input that is always 1: rows of X are [1, x_1, .. x_nx], a row of W1 is [b1, w_1, .. w_nx]. V is the
transpose of W2, so that one row holds one hidden unit's outgoing weights; its first row is b2, that of a unit that is always 1.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from inspect import getsource
from typing import NamedTuple

import numpy as np
from numba import njit

from shallowexp import arithmetic, diagnostics, outputs
from shallowexp import kernel_diagnostics as measures
from shallowexp.arithmetic import CODES, IDENTITY, RELU, SAFE, SIGMOID, SOFTMAX, activate, compiled, summing
from shallowexp.initializers import Parameters

OUTPUTS = {  # the output activation, and whether its loss is the entropy that makes dZ2 = A2 - Y
    outputs.Sigmoid: (SIGMOID, True),
    outputs.Softmax: (SOFTMAX, True),
    outputs.Identity: (IDENTITY, False),
    outputs.ReLU: (RELU, False),
    outputs.SigmoidSquared: (SIGMOID, False),
}
BLOCK_BYTES = 64 * 1024  # what a block's rows may take; 40 to 100 KiB were equally fast
LANES = 16  # widths are multiples of this: whole vectors in either dtype


class Rules(NamedTuple):
    """What a job chooses, in numbers that compiled code can switch on."""

    activation: int
    bend: float  # ReLU's derivative at zero, leaky ReLU's slope, in the job's dtype
    max_slope: float  # negative where there is none
    signs: bool  # units are the same up to sign
    scales: bool  # and up to scale
    output: int
    entropy: bool
    task: int
    learning_rate: float  # in the job's dtype


class Samples(NamedTuple):
    X: np.ndarray  # (blocks, columns, width): 1, the inputs, and a row of 0 where that makes columns odd
    Y: np.ndarray  # (blocks, n_y, width)
    targets: np.ndarray  # (n_y, m): Y uncut, in float64


class Room(NamedTuple):
    """Where one block's passes are computed. Z1 and Z2 turn into g'(Z1) and dZ2, dA1 into dZ1."""

    Z1: np.ndarray  # (n_h, width)
    A1: np.ndarray  # (1 + n_h, width), and a row of 0 where that makes them odd
    Z2: np.ndarray  # (n_y, width), likewise
    A2: np.ndarray  # (n_y, width)
    dA1: np.ndarray  # (n_h, width)
    W2: np.ndarray  # (n_y, rows of V), the transpose of V


@compiled
def multiply(W, X, Z):
    """Z = W X, eight columns of W at a time; an even number of them follows the first one."""
    n, columns, width = len(Z), len(X), X.shape[1]
    for j in range(n):
        w = W[j, 0]
        for s in range(width):
            Z[j, s] = w * X[0, s]
    k = 1
    while k + 8 <= columns:
        for j in range(n):
            w0, w1, w2, w3 = W[j, k], W[j, k + 1], W[j, k + 2], W[j, k + 3]
            w4, w5, w6, w7 = W[j, k + 4], W[j, k + 5], W[j, k + 6], W[j, k + 7]
            for s in range(width):
                low = w0 * X[k, s] + w1 * X[k + 1, s] + w2 * X[k + 2, s] + w3 * X[k + 3, s]
                high = w4 * X[k + 4, s] + w5 * X[k + 5, s] + w6 * X[k + 6, s] + w7 * X[k + 7, s]
                Z[j, s] += low + high
        k += 8
    while k < columns:
        for j in range(n):
            w0, w1 = W[j, k], W[j, k + 1]
            for s in range(width):
                Z[j, s] += w0 * X[k, s] + w1 * X[k + 1, s]
        k += 2


@summing
def add_product(D, X, dW):
    """dW += D X^T, eight columns of dW at a time; an even number of them follows the first one."""
    n, columns, width = len(D), len(X), X.shape[1]
    for j in range(n):
        total = dW[j, 0]
        for s in range(width):
            total += D[j, s] * X[0, s]
        dW[j, 0] = total
    k = 1
    while k + 8 <= columns:
        for j in range(n):
            t0, t1, t2, t3 = dW[j, k], dW[j, k + 1], dW[j, k + 2], dW[j, k + 3]
            t4, t5, t6, t7 = dW[j, k + 4], dW[j, k + 5], dW[j, k + 6], dW[j, k + 7]
            for s in range(width):
                d = D[j, s]
                t0 += d * X[k, s]
                t1 += d * X[k + 1, s]
                t2 += d * X[k + 2, s]
                t3 += d * X[k + 3, s]
                t4 += d * X[k + 4, s]
                t5 += d * X[k + 5, s]
                t6 += d * X[k + 6, s]
                t7 += d * X[k + 7, s]
            dW[j, k], dW[j, k + 1], dW[j, k + 2], dW[j, k + 3] = t0, t1, t2, t3
            dW[j, k + 4], dW[j, k + 5], dW[j, k + 6], dW[j, k + 7] = t4, t5, t6, t7
        k += 8
    while k < columns:
        for j in range(n):
            t0, t1 = dW[j, k], dW[j, k + 1]
            for s in range(width):
                d = D[j, s]
                t0 += d * X[k, s]
                t1 += d * X[k + 1, s]
            dW[j, k], dW[j, k + 1] = t0, t1
        k += 2


@compiled
def forward(rules, X, W1, room):
    """One block's forward pass (6.2)."""
    n_h, n_y = len(W1), len(room.A2)
    multiply(W1, X, room.Z1)  # Z1 = W1 X + b1
    activate(rules.activation, rules.bend, room.Z1, room.A1[1 : 1 + n_h])  # A1 = g(Z1)
    multiply(room.W2, room.A1, room.Z2[:n_y])  # Z2 = W2 A1 + b2


@compiled
def output_error(rules, Z2, A2, Y, counted):
    """Z2 becomes dZ2 = m dJ/dZ2; the padding, where `counted` is 0, must not contribute."""
    activate(rules.output, rules.bend * 0, Z2, A2)  # A2 = g(Z2)
    for c in range(len(Y)):
        for s in range(len(counted)):
            error = (A2[c, s] - Y[c, s]) * counted[s]
            Z2[c, s] = error if rules.entropy else error * Z2[c, s]


@compiled
def chain(dA, slopes):
    """dA becomes dZ = dA * g'(Z). Slopes count as 0 where the product might not be a normal number: those cost 100 cycles each."""
    info, zero = np.finfo(dA.dtype), dA.dtype.type(0)
    smallest = info.tiny / info.eps
    for j in range(len(dA)):
        for s in range(dA.shape[1]):
            dA[j, s] *= slopes[j, s] if slopes[j, s] > smallest else zero


@compiled
def gradients(rules, samples, W1, V, room, dW1, dV):
    """dW1, db1 and dW2, db2 of J, by forward and backward pass over all blocks (6.3)."""
    n_y, m = samples.targets.shape
    dW1.fill(0)
    dV.fill(0)
    for block in range(len(samples.X)):
        X, Y = samples.X[block], samples.Y[block]
        forward(rules, X, W1, room)
        output_error(rules, room.Z2[:n_y], room.A2, Y, X[0])
        add_product(room.A1, room.Z2, dV)  # dW2 = dZ2 A1^T, db2 = sum dZ2
        multiply(V[1:], room.Z2, room.dA1)  # dA1 = W2^T dZ2
        chain(room.dA1, room.Z1)  # dZ1 = dA1 * g'(Z1)
        add_product(room.dA1, X, dW1)  # dW1 = dZ1 X^T, db1 = sum dZ1
    for dW in (dW1, dV):
        for j in range(len(dW)):
            for k in range(dW.shape[1]):
                dW[j, k] /= dW.dtype.type(m)


@compiled
def finite(W):
    for j in range(len(W)):
        for k in range(W.shape[1]):
            if not np.isfinite(W[j, k]):
                return False
    return True


@compiled
def update(W, dW, rate):
    """W := W - eta dW."""
    for j in range(len(W)):
        for k in range(W.shape[1]):
            W[j, k] -= rate * dW[j, k]


@compiled
def measure(rules, train, test, W1, room, dW1, dV, row):
    """Fill a row of METRICS."""
    Z1, A1, Z2 = logits(rules, test, W1, room)
    row[2], row[3] = measures.loss_and_score(rules, Z2, test.targets)
    Z1, A1, Z2 = logits(rules, train, W1, room)
    row[0], row[1] = measures.loss_and_score(rules, Z2, train.targets)
    units = np.empty(W1.shape)
    copy(W1, units, 0, W1.shape[1])
    row[4] = measures.effective_units(units, rules.signs, rules.scales)
    row[5] = measures.cosine(units)
    row[6] = measures.effective_rank(A1)
    activate(rules.activation, np.float64(rules.bend), Z1, A1)
    row[7], row[8], row[9] = measures.saturation(Z1, rules.max_slope)
    row[10], row[11], norm_W1 = measures.norm(dW1[:, 1:]), measures.norm(dV[1:]), measures.norm(W1[:, 1:])
    row[12] = row[10] / norm_W1 if norm_W1 > 0 else np.nan


@compiled
def copy(source, target, start, stop):
    """The first rows and columns of the source become columns from start to stop of the target."""
    for j in range(len(target)):
        for s in range(start, stop):
            target[j, s] = source[j, s - start]


@compiled
def logits(rules, samples, W1, room):
    """Z1, A1 and Z2 of all samples, in float64."""
    n_h, (n_y, m), width = len(W1), samples.targets.shape, samples.X.shape[2]
    Z1, A1, Z2 = np.empty((n_h, m)), np.empty((n_h, m)), np.empty((n_y, m))
    for block in range(len(samples.X)):
        X, start, stop = samples.X[block], block * width, min((block + 1) * width, m)
        multiply(W1, X, room.Z1)
        copy(room.Z1, Z1, start, stop)
        forward(rules, X, W1, room)
        copy(room.A1[1:], A1, start, stop)
        copy(room.Z2, Z2, start, stop)
    return Z1, A1, Z2


def _descent(sources: str):
    """`descend`, whose machine code is kept on disk until this file or `sources`, the text of what else it is made of, changes."""

    @njit(cache=True, nogil=True, **SAFE)
    def descend(rules, train, test, steps, log_steps, W1, V, metrics, path_W1, path_V):
        """Gradient descent from W1 and V. Fills metrics and paths (or keeps the last logged step in a path of length 1);
        returns how many logged steps were kept, and the step that diverged or -1."""
        n_h, n_y, width, dtype = len(W1), len(train.targets), train.X.shape[2], V.dtype
        room = Room(
            np.zeros((n_h, width), dtype),
            np.zeros((len(V), width), dtype),
            np.zeros((V.shape[1], width), dtype),
            np.zeros((n_y, width), dtype),
            np.zeros((n_h, width), dtype),
            np.zeros((n_y, len(V)), dtype),
        )
        room.A1[0] = 1
        dW1, dV = np.zeros_like(W1), np.zeros_like(V)
        sources  # noqa: B018
        kept = 0
        for step in range(steps + 1):
            if not (finite(W1) and finite(V)):
                return kept, step
            for c in range(n_y):
                for j in range(len(V)):
                    room.W2[c, j] = V[j, c]
            gradients(rules, train, W1, V, room, dW1, dV)
            if kept < len(log_steps) and step == log_steps[kept]:
                measure(rules, train, test, W1, room, dW1, dV, metrics[kept])
                if not np.isfinite(metrics[kept, 0]):
                    return kept, step
                place = min(kept, len(path_W1) - 1)
                copy(W1, path_W1[place], 0, W1.shape[1])
                copy(V, path_V[place], 0, V.shape[1])
                kept += 1
            update(W1, dW1, rules.learning_rate)
            update(V, dV, rules.learning_rate)
        return kept, -1

    return descend


descend = _descent("".join(map(getsource, (arithmetic, diagnostics, measures))))


def knows(job) -> bool:
    """Whether the job's activation and output are built-in ones, exactly."""
    return type(job.activation) in CODES and type(job.output) in OUTPUTS


def train_batch(jobs: Sequence, threads: int | None = None) -> list:
    """The results of `training.train_one` for jobs that the kernel knows, on `threads` threads (all cores unless given)."""
    samples = cache(_samples)  # jobs share their data
    order = sorted(range(len(jobs)), key=lambda i: -_work(jobs[i]))
    results = [None] * len(jobs)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for i, result in zip(order, pool.map(lambda i: _train(jobs[i], samples), order), strict=True):
            results[i] = result
    return results


def _work(job) -> float:
    n_x, m = job.data.load().X.shape
    return job.steps * m * job.hidden_size * (n_x + 10)


def _samples(data, test: bool, dtype: str, width: int) -> Samples:
    """One half of a data set, cut into blocks."""
    loaded = data.load()
    X, Y = (np.asarray(a, dtype) for a in (loaded[2:4] if test else loaded[:2]))
    X = _odd_rows(np.vstack([np.ones((1, X.shape[1]), dtype), X]))
    return Samples(_blocks(X, width), _blocks(Y, width), Y.astype(np.float64))


def _odd_rows(a: np.ndarray) -> np.ndarray:
    return np.pad(a, ((0, 1 - len(a) % 2), (0, 0)))


def _blocks(a: np.ndarray, width: int) -> np.ndarray:
    """(rows, m) -> (blocks, rows, width), padded with zeros."""
    rows, m = a.shape
    a = np.pad(a, ((0, 0), (0, -m % width)))
    return np.ascontiguousarray(a.reshape(rows, -1, width).transpose(1, 0, 2))


def _width(n_x: int, n_h: int, n_y: int, m: int, itemsize: int) -> int:
    """As few blocks as the cache allows, of equal widths."""
    fitting = BLOCK_BYTES // ((3 * n_h + n_x + 3 * n_y) * itemsize)
    blocks = -(-m // max(fitting, LANES))
    return -(-m // (blocks * LANES)) * LANES


def _rules(job, task: str) -> Rules:
    g, dtype = job.activation, np.dtype(job.dtype).type
    output, entropy = OUTPUTS[type(job.output)]
    return Rules(
        CODES[type(g)],
        dtype(getattr(g, "derivative_at_zero", getattr(g, "slope", 0))),
        -1.0 if g.max_slope is None else g.max_slope,
        g.invariance in ("sign", "any scale"),
        g.invariance.endswith("scale"),
        output,
        entropy,
        measures.TASKS[task],
        dtype(job.learning_rate),
    )


def _train(job, samples):
    from shallowexp.training import Result

    loaded = job.data.load()
    n_x, n_h, n_y = len(loaded.X), job.hidden_size, len(loaded.Y)
    width = _width(n_x, n_h, n_y, loaded.X.shape[1], np.dtype(job.dtype).itemsize)
    train, test = (samples(job.data, half, job.dtype, width) for half in (False, True))
    initial = Parameters(*(p.astype(job.dtype) for p in job.init(n_x, n_h, n_y, job.seed)))
    W1 = np.ascontiguousarray(_odd_rows(np.hstack([initial.b1, initial.W1]).T).T)
    V = _odd_rows(np.ascontiguousarray(_odd_rows(np.hstack([initial.b2, initial.W2])).T))
    log_steps = np.array(job.log_steps, np.int64)
    length = len(log_steps) if job.weights else 1
    path_W1, path_V = (np.zeros((length, *a.shape), a.dtype) for a in (W1, V))
    metrics = np.full((len(log_steps), len(diagnostics.METRICS)), np.nan)
    kept, diverged_at = descend(
        _rules(job, loaded.task), train, test, job.steps, log_steps, W1, V, metrics, path_W1, path_V
    )
    metrics[np.isinf(metrics)] = np.nan
    path = Parameters(
        path_W1[:, :, 1 : 1 + n_x],
        path_W1[:, :, :1],
        path_V[:, 1 : 1 + n_h, :n_y].transpose(0, 2, 1),
        path_V[:, :1, :n_y].transpose(0, 2, 1),
    )
    path = Parameters(*(np.ascontiguousarray(p[:kept]) for p in path))
    return Result(
        log_steps[:kept],
        metrics[:kept],
        None if diverged_at < 0 else diverged_at,
        path if job.weights and kept else None,
        Parameters(*(p[-1] for p in path)) if kept else initial,
    )
