"""Gradient descent of one network as loops over units and samples: the equations of network/passes.py, compiled.

Every hidden unit is one row and runs through the same instructions as every other, so identical units stay identical
to the last bit.

The first inputs of the hidden layer are taken on the way to its activation, and the first outputs on the way back from
it, in one loop over samples that keeps everything else in registers. Other products are taken in tiles of two rows and
four columns, whose eight weights or sums stay in registers while samples pass; matrices are padded with zeros to whole
tiles. Slopes come from the activations, 1 - a^2 and a (1 - a); reported ones do not.

A bias is the weight of an input that is always 1: rows of X are [1, x_1, .. x_nx], a row of W1 is [b1, w_1, .. w_nx].
Hidden unit 0 is always 1 too, units 1 to n_h are the chapter's: they are the rows of W1, Z1, A1 and V, the transpose
of W2, whose row 0 is b2. Row 0 of W1 and Z1 is not used.
"""

from collections.abc import Callable
from inspect import getsource
from typing import NamedTuple

import numpy as np
from numba import njit

from shallowexp.network import diagnostics
from shallowexp.network.diagnostics import Measures
from shallowexp.training import kernel_arithmetic, kernel_optimizers
from shallowexp.training import kernel_diagnostics as measures
from shallowexp.training.kernel_arithmetic import (
    SAFE,
    SIGMOID,
    SOFTMAX,
    TANH,
    KernelSpec,
    PieceCurve,
    Slopes,
    activate,
    compiled,
    constants,
    full_width,
    inlined,
    part,
    piecewise_linear,
    piecewise_linear_slope,
    sigmoid,
    slopes,
    softmax,
    summing,
    tanh,
    uncounted,
)
from shallowexp.training.kernel_optimizers import follow


class Samples(NamedTuple):
    X: np.ndarray  # (blocks, columns, width): 1, the inputs, and rows of 0
    Y: np.ndarray  # (blocks, n_y, width)
    targets: np.ndarray  # (n_y, m): Y uncut, in float64


class Halves(NamedTuple):
    train: Samples
    test: Samples


class Weights(NamedTuple):
    """Parameters, or their gradients' sums over samples; of one network, or with networks and steps of a path as first axes."""

    W1: np.ndarray  # (1 + n_h and padding, rows of X): a row of 0, then [b1, W1], and rows and columns of 0
    V: np.ndarray  # (rows of W1, n_y and padding): the transpose of [b2, W2], and rows and columns of 0


class History(NamedTuple):
    """What is kept of n networks at each logged step; a path of length 1 keeps the last one's parameters."""

    steps: np.ndarray  # (p,)
    metrics: np.ndarray  # (n, p, METRICS)
    path: Weights
    kept: np.ndarray  # (n,): how many logged steps were kept
    diverged: np.ndarray  # (n,): the step that diverged, or -1


class Workspace(NamedTuple):
    """Where one block's passes are computed. Z1 and Z2 turn into dZ1 and dZ2."""

    Z1: np.ndarray  # (rows of V, width): an unused one, the units, and rows of 0
    A1: np.ndarray  # (rows of V, width): 1, the units, and rows of 0
    Z2: np.ndarray  # (columns of V, width): the outputs, and rows of 0
    A2: np.ndarray  # (n_y, width)
    rest: np.ndarray  # (rows of V, width): a product's part from the columns taken in tiles
    W2: np.ndarray  # the transpose of V


class Batch(NamedTuple):
    """Samples that a step sees; all of them where there are no minibatches."""

    samples: Samples
    workspace: Workspace  # of their width


class Span(NamedTuple):
    """What one call trains: from step `first` to `last`."""

    first: int
    last: int
    orders: np.ndarray  # (epochs, m): of the samples in each epoch from `first` on; (0, 0) without minibatches


Layer = Callable[[KernelSpec, np.ndarray, np.ndarray, Workspace], None]
Error = Callable[[KernelSpec, np.ndarray, np.ndarray, Workspace, Weights], None]
Memory = tuple[Weights, Weights]  # what an optimizer remembers of both parameters: first, second
Descent = Callable[[KernelSpec, np.ndarray, Halves, Batch, Weights, Memory, Workspace, History, Span, np.ndarray], None]


@uncounted
def multiply(W: np.ndarray, X: np.ndarray, Z: np.ndarray, start: int, column: int) -> None:
    """Z = W X for the rows from `start` on, without the columns of W after the first and before `column`."""
    full_width()
    for k in range(column, len(X), 4):
        first = k == column
        for j in range(start, len(W), 2):
            b, c = W[j, 0], W[j + 1, 0]
            v0, v1, v2, v3 = W[j, k], W[j, k + 1], W[j, k + 2], W[j, k + 3]
            w0, w1, w2, w3 = W[j + 1, k], W[j + 1, k + 1], W[j + 1, k + 2], W[j + 1, k + 3]
            for s in range(X.shape[1]):
                x0, x1, x2, x3 = X[k, s], X[k + 1, s], X[k + 2, s], X[k + 3, s]
                Z[j, s] = (b * X[0, s] if first else Z[j, s]) + v0 * x0 + v1 * x1 + v2 * x2 + v3 * x3
                Z[j + 1, s] = (c * X[0, s] if first else Z[j + 1, s]) + w0 * x0 + w1 * x1 + w2 * x2 + w3 * x3


@summing
def add_product(D: np.ndarray, X: np.ndarray, dW: np.ndarray, column: int) -> None:
    """dW += D X^T for the rows from 1 and the columns from `column` on."""
    full_width()
    for k in range(column, len(X), 4):
        for j in range(1, len(D), 2):
            t0 = t1 = t2 = t3 = u0 = u1 = u2 = u3 = D.dtype.type(0)
            for s in range(X.shape[1]):
                d, e = D[j, s], D[j + 1, s]
                x0, x1, x2, x3 = X[k, s], X[k + 1, s], X[k + 2, s], X[k + 3, s]
                t0 += d * x0
                t1 += d * x1
                t2 += d * x2
                t3 += d * x3
                u0 += e * x0
                u1 += e * x1
                u2 += e * x2
                u3 += e * x3
            dW[j, k] += t0
            dW[j, k + 1] += t1
            dW[j, k + 2] += t2
            dW[j, k + 3] += t3
            dW[j + 1, k] += u0
            dW[j + 1, k + 1] += u1
            dW[j + 1, k + 2] += u2
            dW[j + 1, k + 3] += u3


def _layer(g: PieceCurve) -> Layer:
    @uncounted
    def layer(spec: KernelSpec, W: np.ndarray, X: np.ndarray, workspace: Workspace) -> None:
        full_width()
        Z, A, rest = workspace.Z1, workspace.A1, workspace.rest
        wide = len(X) > 3
        for j in range(1, 1 + spec.hidden_size):
            b, w1, w2 = W[j, 0], W[j, 1], W[j, 2]
            for s in range(Z.shape[1]):
                z = (rest[j, s] if wide else b) + w1 * X[1, s] + w2 * X[2, s]
                Z[j, s] = z
                A[j, s] = g(z, spec.piece_slopes)

    return layer


def _error(slope: Callable[[np.floating, np.floating, Slopes], np.floating]) -> Error:
    @summing
    def error(spec: KernelSpec, X: np.ndarray, V: np.ndarray, workspace: Workspace, sums: Weights) -> None:
        """dZ1 = (V dZ2) * g'(Z1) in the place of Z1, and its part in the first columns of dW1 and dV."""
        full_width()
        Z, A, dZ2, rest = workspace.Z1, workspace.A1, workspace.Z2, workspace.rest
        dW, dV = sums.W1, sums.V
        wide, zero = len(dZ2) > 2, V.dtype.type(0)
        for j in range(1, 1 + spec.hidden_size):
            v1, v2 = V[j, 0], V[j, 1]
            t0 = t1 = t2 = u1 = u2 = zero
            for s in range(Z.shape[1]):
                e1, e2, a = dZ2[0, s], dZ2[1, s], A[j, s]
                d = ((rest[j, s] if wide else v1 * e1) + v2 * e2) * slope(Z[j, s], a, spec.piece_slopes)
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


@inlined
def _tanh_slope(z: np.floating, a: np.floating, piece_slopes: Slopes) -> np.floating:
    return type(a)(1) - a * a


@inlined
def _sigmoid_slope(z: np.floating, a: np.floating, piece_slopes: Slopes) -> np.floating:
    """a (1 - a); 0 where products with it might not be normal numbers: those cost 100 cycles each."""
    slope = a * (type(a)(1) - a)
    return slope if slope > constants(a).normal else type(a)(0)


@inlined
def _piecewise_linear_slope(z: np.floating, a: np.floating, piece_slopes: Slopes) -> np.floating:
    return piecewise_linear_slope(z, piece_slopes)


layer_sigmoid = _layer(inlined(lambda z, piece_slopes: sigmoid(z)))
layer_tanh = _layer(inlined(lambda z, piece_slopes: tanh(z)))
layer_piecewise_linear = _layer(piecewise_linear)
error_sigmoid, error_tanh = _error(_sigmoid_slope), _error(_tanh_slope)
error_piecewise_linear = _error(_piecewise_linear_slope)


@uncounted
def forward(spec: KernelSpec, X: np.ndarray, W1: np.ndarray, workspace: Workspace) -> None:
    """One block's forward pass (6.2), up to Z2."""
    if len(X) > 3:
        multiply(W1, X, workspace.rest, 1, 3)
    if spec.activation == SIGMOID:
        layer_sigmoid(spec, W1, X, workspace)
    elif spec.activation == TANH:
        layer_tanh(spec, W1, X, workspace)
    else:
        layer_piecewise_linear(spec, W1, X, workspace)
    multiply(workspace.W2, workspace.A1, workspace.Z2, 0, 1)


@part
def output_error(spec: KernelSpec, X: np.ndarray, Y: np.ndarray, workspace: Workspace) -> None:
    """Z2 becomes dZ2 = m dJ/dZ2; 0 on the padding (X's row of 1 is 0) and where products might not be normal numbers."""
    full_width()
    Z2, A2 = workspace.Z2, workspace.A2
    if spec.output == SOFTMAX:
        softmax(Z2, A2, workspace.rest)
    else:
        activate(spec.output, spec.output_piece_slopes, Z2, A2)
    if not spec.entropy:
        slopes(spec.output, spec.output_piece_slopes, Z2, Z2[: len(Y)])
    zero, smallest = Y.dtype.type(0), constants(Y[0, 0]).normal
    for c in range(len(Y)):
        for s in range(Y.shape[1]):
            error = (A2[c, s] - Y[c, s]) * X[0, s]
            error = error if spec.entropy else error * Z2[c, s]
            Z2[c, s] = zero if abs(error) < smallest else error


@part
def backward(spec: KernelSpec, X: np.ndarray, V: np.ndarray, workspace: Workspace, sums: Weights) -> None:
    """One block's backward pass (6.3), added to m dJ/dW1 and m dJ/dV."""
    Z1, A1, dZ2 = workspace.Z1, workspace.A1, workspace.Z2
    if len(dZ2) > 2:
        multiply(V, dZ2, workspace.rest, 1, 2)  # dA1 = W2^T dZ2
    if spec.activation == SIGMOID:
        error_sigmoid(spec, X, V, workspace, sums)
    elif spec.activation == TANH:
        error_tanh(spec, X, V, workspace, sums)
    else:
        error_piecewise_linear(spec, X, V, workspace, sums)
    if len(X) > 3:
        add_product(Z1, X, sums.W1, 3)
    if len(dZ2) > 2:
        add_product(A1, dZ2, sums.V, 2)
    for c in range(len(workspace.A2)):
        sums.V[0, c] += total(dZ2, c)  # db2 = sum dZ2


@summing
def total(A: np.ndarray, c: int) -> np.floating:
    t = A.dtype.type(0)
    for s in range(A.shape[1]):
        t += A[c, s]
    return t


@uncounted
def gradients(spec: KernelSpec, samples: Samples, weights: Weights, workspace: Workspace, sums: Weights) -> None:
    """m dJ/dW1 and m dJ/dV, added to `sums`: forward and backward pass over all blocks (6.3)."""
    for c in range(len(workspace.W2)):
        for j in range(len(weights.V)):
            workspace.W2[c, j] = weights.V[j, c]
    for block in range(len(samples.X)):
        X, Y = samples.X[block], samples.Y[block]
        forward(spec, X, weights.W1, workspace)
        output_error(spec, X, Y, workspace)
        backward(spec, X, weights.V, workspace, sums)


@part
def divide(dW: np.ndarray, m: int) -> None:
    for i in range(len(dW)):
        dW[i] /= dW.dtype.type(m)


@uncounted
def choose(data: Samples, orders: np.ndarray, epoch: int, start: int, stop: int, batch: Samples) -> None:
    """The samples from start to stop of an epoch's order become the batch, with 0 after them."""
    X, Y, width, room = batch.X, batch.Y, data.X.shape[2], batch.X.shape[2]
    for s in range(len(X) * room):
        there = s < stop - start
        i = orders[epoch, start + s] if there else 0
        to, at, block, place = s // room, s % room, i // width, i % width
        for k in range(X.shape[1]):
            X[to, k, at] = data.X[block, k, place] if there else 0
        for c in range(Y.shape[1]):
            Y[to, c, at] = data.Y[block, c, place] if there else 0


@part
def finite(W: np.ndarray) -> bool:
    """Whether all are: w - w is 0 for these alone."""
    strange = 0
    for i in range(len(W)):
        strange |= W[i] - W[i] != 0
    return strange == 0


@compiled
def measure(spec: KernelSpec, data: Halves, weights: Weights, workspace: Workspace, gradients: Weights) -> Measures:
    Z1, A1, Z2 = logits(spec, data.test, weights.W1, workspace)
    test_loss, test_accuracy = measures.loss_and_score(spec, Z2, data.test.targets)
    Z1, A1, Z2 = logits(spec, data.train, weights.W1, workspace)
    train_loss, train_accuracy = measures.loss_and_score(spec, Z2, data.train.targets)
    slopes(spec.activation, measures.in_float64(spec.piece_slopes), Z1, Z1)
    fraction, dead, slope = measures.saturation(Z1, spec.max_slope)
    units = weights.W1[1 : 1 + spec.hidden_size].astype(np.float64)
    norm_dW1, norm_W1 = measures.norm(gradients.W1[1:, 1:]), measures.norm(weights.W1[1:, 1:])
    return Measures(
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        test_loss=test_loss,
        test_accuracy=test_accuracy,
        symmetry_effective_units=float(measures.effective_units(units, spec.signs, spec.scales)),
        symmetry_separation=measures.separation(units),
        symmetry_cosine=measures.cosine(units),
        symmetry_effective_rank=measures.effective_rank(A1),
        saturation_fraction=fraction,
        saturation_dead=dead,
        saturation_slope=slope,
        gradient_W1=norm_dW1,
        gradient_W2=measures.norm(gradients.V[1:]),
        gradient_W1_relative=norm_dW1 / norm_W1 if norm_W1 > 0 else np.nan,
    )


@compiled
def logits(
    spec: KernelSpec, samples: Samples, W1: np.ndarray, workspace: Workspace
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Z1, A1 and Z2 of all samples, in float64."""
    n_h, (n_y, m), width = spec.hidden_size, samples.targets.shape, samples.X.shape[2]
    Z1, A1, Z2 = np.empty((n_h, m)), np.empty((n_h, m)), np.empty((n_y, m))
    for block in range(len(samples.X)):
        forward(spec, samples.X[block], W1, workspace)
        start, stop = block * width, min((block + 1) * width, m)
        copy(workspace.Z1, Z1, 1, start, stop)
        copy(workspace.A1, A1, 1, start, stop)
        copy(workspace.Z2, Z2, 0, start, stop)
    return Z1, A1, Z2


@uncounted
def copy(source: np.ndarray, target: np.ndarray, row: int, start: int, stop: int) -> None:
    """The source's rows from `row` on become the target's, in columns from start to stop."""
    for j in range(len(target)):
        for s in range(start, stop):
            target[j, s] = source[row + j, s - start]


def _descent(sources: str) -> Descent:
    """`descend`, whose machine code is kept on disk until this file or `sources`, the text of the rest, changes."""

    @njit(cache=True, nogil=True, error_model="numpy", fastmath=SAFE)
    def descend(
        spec: KernelSpec,
        rates: np.ndarray,
        data: Halves,
        batch: Batch,
        weights: Weights,
        memory: Memory,
        workspace: Workspace,
        history: History,
        span: Span,
        stop: np.ndarray,
    ) -> None:
        """Descent of one network after the other from `weights`, in their place, each with its learning rate.

        Fills the history. It ends, with nothing that counts, once another thread sets stop[0].
        """
        sources  # noqa: B018
        sums = Weights(np.zeros_like(weights.W1[0]), np.zeros_like(weights.V[0]))
        for network in range(len(rates)):
            if history.diverged[network] < 0:
                train(spec, rates[network], data, batch, weights, memory, workspace, sums, history, span, stop, network)

    return descend


@compiled
def train(
    spec: KernelSpec,
    rate: np.floating,
    data: Halves,
    batch: Batch,
    networks: Weights,
    memory: Memory,
    workspace: Workspace,
    sums: Weights,
    history: History,
    span: Span,
    stop: np.ndarray,
    network: int,
) -> None:
    """One of the networks, until it diverges."""
    weights, path = of(networks, network), of(history.path, network)
    w, v, dw, dv = weights.W1.ravel(), weights.V.ravel(), sums.W1.ravel(), sums.V.ravel()
    first_w, first_v = memory[0].W1[network].ravel(), memory[0].V[network].ravel()
    second_w, second_v = memory[1].W1[network].ravel(), memory[1].V[network].ravel()
    dw[:], dv[:] = 0, 0
    m, size, kept = data.train.targets.shape[1], spec.batch_size, history.kept[network]
    in_epoch = (m + size - 1) // size if size else 1  # steps
    for step in range(span.first, span.last + 1):
        if stop[0] or not (finite(w) and finite(v)):
            history.diverged[network] = step
            return
        logged = kept < len(history.steps) and step == history.steps[kept]
        if logged or not size:
            gradients(spec, data.train, weights, workspace, sums)
            divide(dw, m)
            divide(dv, m)
        if logged:
            measured = measure(spec, data, weights, workspace, sums)
            history.metrics[network, kept] = measured
            if not np.isfinite(measured.train_loss):
                history.diverged[network] = step
                return
            place = min(kept, len(path.W1) - 1)
            path.W1[place], path.V[place] = weights.W1, weights.V
            kept += 1
            history.kept[network] = kept
        if size:
            epoch, start = (step - span.first) // in_epoch, (step - span.first) % in_epoch * size
            end = min(start + size, m)
            choose(data.train, span.orders, epoch, start, end, batch.samples)
            dw[:], dv[:] = 0, 0
            gradients(spec, batch.samples, weights, batch.workspace, sums)
            divide(dw, end - start)
            divide(dv, end - start)
        follow(spec, rate, w, dw, first_w, second_w, step + 1)
        follow(spec, rate, v, dv, first_v, second_v, step + 1)


@compiled
def of(networks: Weights, network: int) -> Weights:
    return Weights(networks.W1[network], networks.V[network])


descend = _descent("".join(map(getsource, (kernel_arithmetic, kernel_optimizers, diagnostics, measures))))
