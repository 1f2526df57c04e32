"""Gradient descent of one network as loops over units and samples: network.py's equations, compiled.

Every hidden unit is one row and runs through the same instructions as every other, so identical units stay identical
to the last bit. Rows are named by index and nothing is sliced on the way: a view costs two atomic counts of references,
a fifth of what a row's arithmetic costs.

Columns of a product are taken two and eight at a time: the first two of a layer on the way to its activation, and on
the way back from it, in one loop over samples that keeps everything else in registers; the others, if there are any,
in loops of eight. Matrices are padded with zeros to such numbers of columns. Slopes come from the activations, 1 -
a^2 and a (1 - a); reported ones do not.

A bias is the weight of an input that is always 1: rows of X are [1, x_1, .. x_nx], a row of W1 is [b1, w_1, .. w_nx].
Hidden unit 0 is always 1 too, units 1 to n_h are the chapter's: they are the rows of W1, Z1, A1 and V, the transpose
of W2, whose row 0 is b2. Row 0 of W1 and Z1 is not used.
"""

from inspect import getsource
from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

from shallowexp.network import diagnostics
from shallowexp.training import kernel_arithmetic
from shallowexp.training import kernel_diagnostics as measures
from shallowexp.training.kernel_arithmetic import (
    PIECEWISE_LINEAR,
    SAFE,
    SIGMOID,
    SOFTMAX,
    TANH,
    compiled,
    full_width,
    normal,
    piecewise_linear,
    piecewise_linear_slope,
    sigmoid,
    slopes,
    softmax,
    summing,
    tanh,
)


class KernelSpec(NamedTuple):
    """What a job chooses, in numbers that compiled code can switch on."""

    activation: int
    piece_slopes: tuple[float, float]  # a piecewise_linear one's slope below 0 and derivative at 0, in the job's dtype
    max_slope: float  # negative where there is none
    signs: bool  # units are the same up to sign
    scales: bool  # and up to scale
    output: int
    output_piece_slopes: tuple[float, float]
    entropy: bool
    task: int
    learning_rate: float  # in the job's dtype


class Samples(NamedTuple):
    X: np.ndarray  # (blocks, columns, width): 1, the inputs, and rows of 0
    Y: np.ndarray  # (blocks, n_y, width)
    targets: np.ndarray  # (n_y, m): Y uncut, in float64


class Workspace(NamedTuple):
    """Where one block's passes are computed. Z1 and Z2 turn into dZ1 and dZ2."""

    Z1: np.ndarray  # (1 + n_h, width)
    A1: np.ndarray  # (rows of V, width): 1, the units, and rows of 0
    Z2: np.ndarray  # (columns of V, width): the outputs, and rows of 0
    A2: np.ndarray  # (n_y, width)
    rest: np.ndarray  # (the larger of 1 + n_h and n_y, width): a product's part from the columns taken by eight
    W2: np.ndarray  # (n_y, rows of V), the transpose of V


@compiled
def multiply(W, X, Z, start, stop, column):
    """Z = W X for the rows from start to stop and the columns of W from `column` on, eight at a time."""
    full_width()
    for k in range(column, len(X), 8):
        for j in range(start, stop):
            w0, w1, w2, w3 = W[j, k], W[j, k + 1], W[j, k + 2], W[j, k + 3]
            w4, w5, w6, w7 = W[j, k + 4], W[j, k + 5], W[j, k + 6], W[j, k + 7]
            if k == column:
                for s in range(X.shape[1]):
                    Z[j, s] = 0
            for s in range(X.shape[1]):
                low = w0 * X[k, s] + w1 * X[k + 1, s] + w2 * X[k + 2, s] + w3 * X[k + 3, s]
                high = w4 * X[k + 4, s] + w5 * X[k + 5, s] + w6 * X[k + 6, s] + w7 * X[k + 7, s]
                Z[j, s] += low + high


@summing
def add_product(D, X, dW, start, stop, column):
    """dW += D X^T for the rows from start to stop and the columns of dW from `column` on, eight at a time."""
    full_width()
    for k in range(column, len(X), 8):
        for j in range(start, stop):
            t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = D.dtype.type(0)
            for s in range(X.shape[1]):
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


def _layer(g):
    @compiled
    def layer(piece_slopes, W, X, rest, Z, A, start):
        """Z = W X and A = g(Z) from row `start` on; `rest` is the part of Z from the columns beyond the first three."""
        full_width()
        wide, zero = len(X) > 3, W.dtype.type(0)
        for j in range(start, len(W)):
            b, w1, w2 = W[j, 0], W[j, 1], W[j, 2]
            for s in range(Z.shape[1]):
                z = (rest[j, s] if wide else zero) + b + w1 * X[1, s] + w2 * X[2, s]
                Z[j, s] = z
                A[j, s] = g(z, piece_slopes)

    return layer


def _error(slope):
    @summing
    def error(piece_slopes, V, dZ2, rest, Z, A, X, dW, dV):
        """dZ1 = (V dZ2) * g'(Z1) in the place of Z1, and its part in the first columns of dW1 and dV."""
        full_width()
        wide, zero = len(dZ2) > 2, V.dtype.type(0)
        for j in range(1, len(Z)):
            v1, v2 = V[j, 0], V[j, 1]
            t0 = t1 = t2 = u1 = u2 = zero
            for s in range(Z.shape[1]):
                e1, e2, a = dZ2[0, s], dZ2[1, s], A[j, s]
                d = ((rest[j, s] if wide else zero) + v1 * e1 + v2 * e2) * slope(Z[j, s], a, piece_slopes)
                t0 += d
                t1 += d * X[1, s]
                t2 += d * X[2, s]
                u1 += a * e1
                u2 += a * e2
                Z[j, s] = d
            dW[j, 0] += t0
            dW[j, 1] += t1
            dW[j, 2] += t2
            dV[j, 0] += u1
            dV[j, 1] += u2

    return error


@register_jitable(**SAFE)
def _tanh_slope(z, a, piece_slopes):
    return type(a)(1) - a * a


@register_jitable(**SAFE)
def _sigmoid_slope(z, a, piece_slopes):
    """a (1 - a); 0 where products with it might not be normal numbers: those cost 100 cycles each."""
    slope = a * (type(a)(1) - a)
    return slope if slope > normal(a) else type(a)(0)


layer_sigmoid = _layer(register_jitable(**SAFE)(lambda z, piece_slopes: sigmoid(z)))
layer_tanh = _layer(register_jitable(**SAFE)(lambda z, piece_slopes: tanh(z)))
layer_piecewise_linear = _layer(piecewise_linear)
error_sigmoid = _error(_sigmoid_slope)
error_tanh = _error(_tanh_slope)
error_piecewise_linear = _error(
    register_jitable(**SAFE)(lambda z, a, piece_slopes: piecewise_linear_slope(z, piece_slopes))
)


@compiled
def layer(code, piece_slopes, W, X, rest, Z, A, start):
    """Z = W X and A = g(Z) from row `start` on."""
    if len(X) > 3:
        multiply(W, X, rest, start, len(W), 3)
    if code == SIGMOID:
        layer_sigmoid(piece_slopes, W, X, rest, Z, A, start)
    elif code == TANH:
        layer_tanh(piece_slopes, W, X, rest, Z, A, start)
    else:
        layer_piecewise_linear(piece_slopes, W, X, rest, Z, A, start)


@compiled
def forward(spec, X, W1, workspace):
    """One block's forward pass (6.2): A2 = g(Z2), unless that is softmax."""
    layer(
        spec.activation, spec.piece_slopes, W1, X, workspace.rest, workspace.Z1, workspace.A1, 1
    )  # Z1 = W1 X + b1, A1 = g(Z1)
    code = PIECEWISE_LINEAR if spec.output == SOFTMAX else spec.output
    layer(
        code, spec.output_piece_slopes, workspace.W2, workspace.A1, workspace.rest, workspace.Z2, workspace.A2, 0
    )  # Z2 = W2 A1 + b2


@compiled
def output_error(spec, Z2, A2, Y, X):
    """Z2 becomes dZ2 = m dJ/dZ2; 0 on the padding (X's row of 1 is 0) and where products might not be normal numbers."""
    full_width()
    if spec.output == SOFTMAX:
        softmax(Z2[: len(Y)], A2)
    if not spec.entropy:
        slopes(spec.output, spec.output_piece_slopes, Z2[: len(Y)], Z2)
    zero, smallest = Y.dtype.type(0), normal(Y[0, 0])
    for c in range(len(Y)):
        for s in range(Y.shape[1]):
            error = (A2[c, s] - Y[c, s]) * X[0, s]
            error = error if spec.entropy else error * Z2[c, s]
            Z2[c, s] = zero if abs(error) < smallest else error


@compiled
def backward(spec, X, V, workspace, dW1, dV):
    """One block's backward pass (6.3), added to m dJ/dW1 and m dJ/dV."""
    Z1, A1, dZ2, rest = workspace.Z1, workspace.A1, workspace.Z2, workspace.rest
    if len(dZ2) > 2:
        multiply(V, dZ2, rest, 1, len(Z1), 2)  # dA1 = W2^T dZ2
    if spec.activation == SIGMOID:
        error_sigmoid(spec.piece_slopes, V, dZ2, rest, Z1, A1, X, dW1, dV)
    elif spec.activation == TANH:
        error_tanh(spec.piece_slopes, V, dZ2, rest, Z1, A1, X, dW1, dV)
    else:
        error_piecewise_linear(spec.piece_slopes, V, dZ2, rest, Z1, A1, X, dW1, dV)
    if len(X) > 3:
        add_product(Z1, X, dW1, 1, len(Z1), 3)
    if len(dZ2) > 2:
        add_product(A1, dZ2, dV, 1, len(Z1), 2)
    for c in range(len(workspace.A2)):
        dV[0, c] += total(dZ2, c)  # db2 = sum dZ2


@summing
def total(A, c):
    t = A.dtype.type(0)
    for s in range(A.shape[1]):
        t += A[c, s]
    return t


@compiled
def gradients(spec, samples, W1, V, workspace, dW1, dV):
    """m dJ/dW1 and m dJ/dV, added to dW1 and dV: forward and backward pass over all blocks (6.3)."""
    for c in range(len(workspace.W2)):
        for j in range(len(V)):
            workspace.W2[c, j] = V[j, c]
    for block in range(len(samples.X)):
        X, Y = samples.X[block], samples.Y[block]
        forward(spec, X, W1, workspace)
        output_error(spec, workspace.Z2, workspace.A2, Y, X)
        backward(spec, X, V, workspace, dW1, dV)


@compiled
def divide(dW, m):
    for i in range(len(dW)):
        dW[i] /= dW.dtype.type(m)


@compiled
def update(W, dW, rate):
    """W := W - eta dW, and dW := 0 for the next step's sums."""
    for i in range(len(W)):
        W[i] -= rate * dW[i]
        dW[i] = 0


@compiled
def finite(W):
    """Whether all are: w - w is 0 for these alone."""
    strange = 0
    for i in range(len(W)):
        strange |= W[i] - W[i] != 0
    return strange == 0


@compiled
def measure(spec, train, test, W1, workspace, dW1, dV, row):
    """Fill a row of METRICS."""
    Z1, A1, Z2 = logits(spec, test, W1, workspace)
    row[2], row[3] = measures.loss_and_score(spec, Z2, test.targets)
    Z1, A1, Z2 = logits(spec, train, W1, workspace)
    row[0], row[1] = measures.loss_and_score(spec, Z2, train.targets)
    units = W1[1:].astype(np.float64)
    row[4] = measures.effective_units(units, spec.signs, spec.scales)
    row[5] = measures.cosine(units)
    row[6] = measures.effective_rank(A1)
    slopes(spec.activation, measures.in_float64(spec.piece_slopes), Z1, Z1)
    row[7], row[8], row[9] = measures.saturation(Z1, spec.max_slope)
    row[10], row[11], norm_W1 = measures.norm(dW1[1:, 1:]), measures.norm(dV[1:]), measures.norm(W1[1:, 1:])
    row[12] = row[10] / norm_W1 if norm_W1 > 0 else np.nan


@compiled
def logits(spec, samples, W1, workspace):
    """Z1, A1 and Z2 of all samples, in float64."""
    n_h, (n_y, m), width = len(W1) - 1, samples.targets.shape, samples.X.shape[2]
    Z1, A1, Z2 = np.empty((n_h, m)), np.empty((n_h, m)), np.empty((n_y, m))
    for block in range(len(samples.X)):
        forward(spec, samples.X[block], W1, workspace)
        start, stop = block * width, min((block + 1) * width, m)
        copy(workspace.Z1, Z1, 1, start, stop)
        copy(workspace.A1, A1, 1, start, stop)
        copy(workspace.Z2, Z2, 0, start, stop)
    return Z1, A1, Z2


@compiled
def copy(source, target, row, start, stop):
    """The source's rows from `row` on become the target's, in columns from start to stop."""
    for j in range(len(target)):
        for s in range(start, stop):
            target[j, s] = source[row + j, s - start]


def _descent(sources: str):
    """`descend`, whose machine code is kept on disk until this file or `sources`, the text of the rest, changes."""

    @njit(cache=True, nogil=True, **SAFE)
    def descend(spec, train, test, steps, log_steps, W1, V, workspace, metrics, path_W1, path_V, stop):
        """Gradient descent from W1 and V. Fills metrics and paths (a path of length 1 keeps the last logged step);
        returns how many logged steps were kept, and the step that diverged or -1. It ends, with nothing that counts,
        once another thread sets stop[0]."""
        sources  # noqa: B018
        dW1, dV, m, kept = np.zeros_like(W1), np.zeros_like(V), train.targets.shape[1], 0
        w, v, dw, dv = W1.ravel(), V.ravel(), dW1.ravel(), dV.ravel()
        for step in range(steps + 1):
            if stop[0] or not (finite(w) and finite(v)):
                return kept, step
            gradients(spec, train, W1, V, workspace, dW1, dV)
            divide(dw, m)
            divide(dv, m)
            if kept < len(log_steps) and step == log_steps[kept]:
                measure(spec, train, test, W1, workspace, dW1, dV, metrics[kept])
                if not np.isfinite(metrics[kept, 0]):
                    return kept, step
                place = min(kept, len(path_W1) - 1)
                path_W1[place], path_V[place] = W1, V
                kept += 1
            update(w, dw, spec.learning_rate)
            update(v, dv, spec.learning_rate)
        return kept, -1

    return descend


descend = _descent("".join(map(getsource, (kernel_arithmetic, diagnostics, measures))))
