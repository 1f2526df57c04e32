"""network.py compiled, for many networks: the same equations as loops over units and samples.

Each network is trained in one call that holds no Python lock; a pool of threads takes the networks one by one, the
most work first. No result depends on its neighbours, because no network knows that it has any. Samples are cut into
blocks, padded with zeros to one width, so that a block's rows of Z1 and A1 stay in the second-level cache. Every
hidden unit is one row of its block and runs through the same instructions as every other, so identical units stay
identical to the last bit.

Columns of a product are taken two and eight at a time: the first two of a layer on the way to its activation, and on
the way back from it, in one loop over samples that keeps everything else in registers; the others, if there are any,
in loops of eight. Matrices are padded with zeros to such numbers of columns. Slopes come from the activations, 1 -
a^2 and a (1 - a); reported ones do not.

A bias is the weight of an input that is always 1: rows of X are [1, x_1, .. x_nx], a row of W1 is [b1, w_1, .. w_nx].
V is the transpose of W2, so that one row holds one hidden unit's outgoing weights; its first row is b2, that of a
unit that is always 1.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from inspect import getsource
from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

from shallowexp import activations, arithmetic, diagnostics, outputs
from shallowexp import kernel_diagnostics as measures
from shallowexp.arithmetic import (
    CODES,
    KINKED,
    SAFE,
    SIGMOID,
    SOFTMAX,
    TANH,
    compiled,
    full_width,
    kinked,
    kinked_slope,
    normal,
    sigmoid,
    slopes,
    softmax,
    summing,
    tanh,
)
from shallowexp.initializers import Parameters
from shallowexp.jobs import Result

OUTPUTS = {  # the output activation, its slopes below and at 0 if kinked, and whether its loss makes dZ2 = A2 - Y
    outputs.Sigmoid: (SIGMOID, (0, 0), True),
    outputs.Softmax: (SOFTMAX, (0, 0), True),
    outputs.Identity: (KINKED, (1, 1), False),
    outputs.ReLU: (KINKED, (0, 0), False),
    outputs.SigmoidSquared: (SIGMOID, (0, 0), False),
}
BLOCK_BYTES = 512 * 1024  # what a block's rows may take, of the second-level cache
LANES = 16  # widths are multiples of this: whole vectors in either dtype


class Rules(NamedTuple):
    """What a job chooses, in numbers that compiled code can switch on."""

    activation: int
    bend: tuple[float, float]  # a kinked one's slope below 0 and derivative at 0, in the job's dtype
    max_slope: float  # negative where there is none
    signs: bool  # units are the same up to sign
    scales: bool  # and up to scale
    output: int
    output_bend: tuple[float, float]
    entropy: bool
    task: int
    learning_rate: float  # in the job's dtype


class Samples(NamedTuple):
    X: np.ndarray  # (blocks, columns, width): 1, the inputs, and rows of 0
    Y: np.ndarray  # (blocks, n_y, width)
    targets: np.ndarray  # (n_y, m): Y uncut, in float64


class Room(NamedTuple):
    """Where one block's passes are computed. Z1 and Z2 turn into dZ1 and dZ2."""

    Z1: np.ndarray  # (n_h, width)
    A1: np.ndarray  # (rows of V, width): 1, the units, and rows of 0
    Z2: np.ndarray  # (columns of V, width): the outputs, and rows of 0
    A2: np.ndarray  # (n_y, width)
    rest: np.ndarray  # (larger of n_h and n_y, width): a product's part from the columns beyond the first two
    zeros: np.ndarray  # (1, width): that part where there are none
    W2: np.ndarray  # (n_y, rows of V), the transpose of V


@compiled
def multiply(W, X, Z):
    """Z = W X, eight columns of W at a time."""
    full_width()
    width = X.shape[1]
    for k in range(0, len(X), 8):
        for j in range(len(W)):
            w0, w1, w2, w3 = W[j, k], W[j, k + 1], W[j, k + 2], W[j, k + 3]
            w4, w5, w6, w7 = W[j, k + 4], W[j, k + 5], W[j, k + 6], W[j, k + 7]
            if k == 0:
                for s in range(width):
                    Z[j, s] = 0
            for s in range(width):
                low = w0 * X[k, s] + w1 * X[k + 1, s] + w2 * X[k + 2, s] + w3 * X[k + 3, s]
                high = w4 * X[k + 4, s] + w5 * X[k + 5, s] + w6 * X[k + 6, s] + w7 * X[k + 7, s]
                Z[j, s] += low + high


@summing
def add_product(D, X, dW):
    """dW += D X^T, eight columns of dW at a time."""
    full_width()
    width = X.shape[1]
    for k in range(0, len(X), 8):
        for j in range(len(D)):
            t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = D.dtype.type(0)
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
            dW[j, k] += t0
            dW[j, k + 1] += t1
            dW[j, k + 2] += t2
            dW[j, k + 3] += t3
            dW[j, k + 4] += t4
            dW[j, k + 5] += t5
            dW[j, k + 6] += t6
            dW[j, k + 7] += t7


# Rows are named by index: a view of one costs two atomic counts of references, as much as a fifth of its arithmetic.


def _forward(g):
    @compiled
    def forward(bend, W, X, rest, row, Z, A, j):
        """z = w X, a = g(z) for unit j; a row of `rest` is what the columns beyond the first two contribute to z."""
        full_width()
        b, w1, w2 = W[j, 0], W[j, 1], W[j, 2]
        for s in range(Z.shape[1]):
            z = rest[row, s] + b + w1 * X[1, s] + w2 * X[2, s]
            Z[j, s] = z
            A[j, s] = g(z, bend)

    return forward


def _backward(slope):
    @summing
    def backward(bend, V, dZ2, rest, row, Z, A, X, dW, dV, j):
        """dz = (v dZ2) * g'(z) for unit j, in the place of z, and its part in the first columns of dW1 and dV."""
        full_width()
        v1, v2 = V[j + 1, 0], V[j + 1, 1]
        t0 = t1 = t2 = u1 = u2 = V.dtype.type(0)
        for s in range(Z.shape[1]):
            e1, e2, a = dZ2[0, s], dZ2[1, s], A[j + 1, s]
            d = (rest[row, s] + v1 * e1 + v2 * e2) * slope(Z[j, s], a, bend)
            t0 += d
            t1 += d * X[1, s]
            t2 += d * X[2, s]
            u1 += a * e1
            u2 += a * e2
            Z[j, s] = d
        dW[j, 0] += t0
        dW[j, 1] += t1
        dW[j, 2] += t2
        dV[j + 1, 0] += u1
        dV[j + 1, 1] += u2

    return backward


@register_jitable(**SAFE)
def _tanh_slope(z, a, bend):
    return type(a)(1) - a * a


@register_jitable(**SAFE)
def _sigmoid_slope(z, a, bend):
    """a (1 - a); 0 where products with it might not be normal numbers: those cost 100 cycles each."""
    slope = a * (type(a)(1) - a)
    return slope if slope > normal(a) else type(a)(0)


forward_sigmoid = _forward(register_jitable(**SAFE)(lambda z, bend: sigmoid(z)))
forward_tanh = _forward(register_jitable(**SAFE)(lambda z, bend: tanh(z)))
forward_kinked = _forward(kinked)
backward_sigmoid = _backward(_sigmoid_slope)
backward_tanh = _backward(_tanh_slope)
backward_kinked = _backward(register_jitable(**SAFE)(lambda z, a, bend: kinked_slope(z, bend)))


@compiled
def layer(code, bend, W, X, room, Z, A):
    """Z = W X and A = g(Z) for all units of a layer."""
    wide = len(X) > 3
    if wide:
        multiply(W[:, 3:], X[3:], room.rest)
    rest = room.rest if wide else room.zeros
    for j in range(len(W)):
        row = j if wide else 0
        if code == SIGMOID:
            forward_sigmoid(bend, W, X, rest, row, Z, A, j)
        elif code == TANH:
            forward_tanh(bend, W, X, rest, row, Z, A, j)
        else:
            forward_kinked(bend, W, X, rest, row, Z, A, j)


@compiled
def forward(rules, X, W1, room):
    """One block's forward pass (6.2): A2 = g(Z2), unless that is softmax."""
    layer(rules.activation, rules.bend, W1, X, room, room.Z1, room.A1[1:])  # Z1 = W1 X + b1, A1 = g(Z1)
    code = KINKED if rules.output == SOFTMAX else rules.output
    layer(code, rules.output_bend, room.W2, room.A1, room, room.Z2, room.A2)  # Z2 = W2 A1 + b2


@compiled
def output_error(rules, Z2, A2, Y, counted):
    """Z2 becomes dZ2 = m dJ/dZ2; 0 on the padding (`counted` is 0) and where products might not be normal numbers."""
    full_width()
    if rules.output == SOFTMAX:
        softmax(Z2, A2)
    if not rules.entropy:
        slopes(rules.output, rules.output_bend, Z2, Z2)
    zero, smallest = Y.dtype.type(0), normal(Y[0, 0])
    for c in range(len(Y)):
        for s in range(len(counted)):
            error = (A2[c, s] - Y[c, s]) * counted[s]
            error = error if rules.entropy else error * Z2[c, s]
            Z2[c, s] = zero if abs(error) < smallest else error


@compiled
def backward(rules, X, W1, V, room, dW1, dV):
    """One block's backward pass (6.3), added to m dJ/dW1 and m dJ/dV."""
    n_h, n_y, dZ2 = len(W1), len(room.A2), room.Z2
    wide = len(dZ2) > 2
    if wide:
        multiply(V[1 : 1 + n_h, 2:], dZ2[2:], room.rest)  # dA1 = W2^T dZ2
    rest, Z1, A1 = room.rest if wide else room.zeros, room.Z1, room.A1
    for j in range(n_h):
        row = j if wide else 0
        if rules.activation == SIGMOID:
            backward_sigmoid(rules.bend, V, dZ2, rest, row, Z1, A1, X, dW1, dV, j)
        elif rules.activation == TANH:
            backward_tanh(rules.bend, V, dZ2, rest, row, Z1, A1, X, dW1, dV, j)
        else:
            backward_kinked(rules.bend, V, dZ2, rest, row, Z1, A1, X, dW1, dV, j)
    add_product(room.Z1, X[3:], dW1[:, 3:])
    add_product(room.A1[1 : 1 + n_h], dZ2[2:], dV[1 : 1 + n_h, 2:])
    for c in range(n_y):
        dV[0, c] += total(dZ2[c])  # db2 = sum dZ2


@summing
def total(a):
    t = a.dtype.type(0)
    for s in range(len(a)):
        t += a[s]
    return t


@compiled
def gradients(rules, samples, W1, V, room, dW1, dV):
    """dW1, db1 and dW2, db2 of J, by forward and backward pass over all blocks (6.3)."""
    n_y, m = samples.targets.shape
    dW1[:] = 0
    dV[:] = 0
    for block in range(len(samples.X)):
        X, Y = samples.X[block], samples.Y[block]
        forward(rules, X, W1, room)
        output_error(rules, room.Z2[:n_y], room.A2, Y, X[0])
        backward(rules, X, W1, V, room, dW1, dV)
    divide(dW1.ravel(), m)
    divide(dV.ravel(), m)


@compiled
def divide(dW, m):
    for i in range(len(dW)):
        dW[i] /= dW.dtype.type(m)


@compiled
def finite(W):
    """Whether all are: w - w is 0 for these alone."""
    strange = 0
    for i in range(len(W)):
        strange |= W[i] - W[i] != 0
    return strange == 0


@compiled
def update(W, dW, rate):
    """W := W - eta dW."""
    for i in range(len(W)):
        W[i] -= rate * dW[i]


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
    slopes(rules.activation, measures.in_float64(rules.bend), Z1, Z1)
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
        forward(rules, X, W1, room)
        copy(room.Z1, Z1, start, stop)
        copy(room.A1[1:], A1, start, stop)
        copy(room.Z2, Z2, start, stop)
    return Z1, A1, Z2


def _descent(sources: str):
    """`descend`, whose machine code is kept on disk until this file or `sources`, the text of the rest, changes."""

    @njit(cache=True, nogil=True, **SAFE)
    def descend(rules, train, test, steps, log_steps, W1, V, room, dW1, dV, metrics, path_W1, path_V):
        """Gradient descent from W1 and V. Fills metrics and paths (a path of length 1 keeps the last logged step);
        returns how many logged steps were kept, and the step that diverged or -1."""
        sources  # noqa: B018
        kept = 0
        for step in range(steps + 1):
            if not (finite(W1.ravel()) and finite(V.ravel())):
                return kept, step
            for c in range(len(room.W2)):
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
            update(W1.ravel(), dW1.ravel(), rules.learning_rate)
            update(V.ravel(), dV.ravel(), rules.learning_rate)
        return kept, -1

    return descend


descend = _descent("".join(map(getsource, (arithmetic, diagnostics, measures))))


def knows(job) -> bool:
    """Whether the job's activation and output are built-in ones, exactly."""
    return type(job.activation) in CODES and type(job.output) in OUTPUTS


def train_batch(jobs: Sequence, threads: int | None = None) -> list:
    """The results of `training.train_one` for jobs that the kernel knows, on `threads` threads (None: all cores)."""
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


def _rules(job, task: str) -> Rules:
    g, dtype = job.activation, np.dtype(job.dtype).type
    output, output_bend, entropy = OUTPUTS[type(job.output)]
    below = getattr(g, "slope", float(type(g) is activations.Identity))
    bend = below, getattr(g, "derivative_at_zero", below)
    return Rules(
        CODES[type(g)],
        tuple(map(dtype, bend)),
        -1.0 if g.max_slope is None else g.max_slope,
        g.invariance in ("sign", "any scale"),
        g.invariance.endswith("scale"),
        output,
        tuple(map(dtype, output_bend)),
        entropy,
        measures.TASKS[task],
        dtype(job.learning_rate),
    )


def _room(n_h: int, n_y: int, V: np.ndarray, width: int) -> Room:
    rows = n_h, len(V), V.shape[1], n_y, max(n_h, n_y)
    room = Room(
        *(_zeros((n, width), V.dtype) for n in rows), _zeros((1, width), V.dtype), _zeros((n_y, len(V)), V.dtype)
    )
    room.A1[0] = 1
    return room


def _train(job, samples):
    loaded = job.data.load()
    n_x, n_h, n_y = len(loaded.X), job.hidden_size, len(loaded.Y)
    width = _width(n_x, n_h, n_y, loaded.X.shape[1], np.dtype(job.dtype).itemsize)
    train, test = (samples(job.data, half, job.dtype, width) for half in (False, True))
    initial = Parameters(*(p.astype(job.dtype) for p in job.init(n_x, n_h, n_y, job.seed)))
    W1 = _padded(np.hstack([initial.b1, initial.W1]), n_h, _columns(n_x))
    V = _padded(np.hstack([initial.b2, initial.W2]).T, _columns(n_h), _columns(n_y) - 1)
    log_steps = np.array(job.log_steps, np.int64)
    length = len(log_steps) if job.weights else 1
    path_W1, path_V = (np.zeros((length, *a.shape), a.dtype) for a in (W1, V))
    metrics = np.full((len(log_steps), len(diagnostics.METRICS)), np.nan)
    kept, diverged_at = descend(
        _rules(job, loaded.task), train, test, job.steps, log_steps, W1, V, _room(n_h, n_y, V, width),
        np.zeros_like(W1), np.zeros_like(V), metrics, path_W1, path_V,
    )  # fmt: skip
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
