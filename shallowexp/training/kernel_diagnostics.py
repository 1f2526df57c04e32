"""diagnostics.py compiled: the same measures as loops over float64 arrays; tests hold the two against each other."""

from math import exp, log, log1p, sqrt

import numpy as np

from shallowexp.network.diagnostics import FLAT, TOLERANCE
from shallowexp.training.kernel_arithmetic import SOFTMAX, KernelSpec, Slopes, activate, compiled, softmax, summing

BINARY, MULTICLASS, REGRESSION = range(3)
TASKS = {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION}


@compiled
def in_float64(piece_slopes: Slopes) -> tuple[np.float64, np.float64]:
    return np.float64(piece_slopes[0]), np.float64(piece_slopes[1])


@compiled
def loss_and_score(spec: KernelSpec, Z2: np.ndarray, Y: np.ndarray) -> tuple[float, float]:
    """J, and accuracy or r2."""
    (n_y, m), A2 = Y.shape, np.empty(Y.shape)
    J = entropy(spec.output, Z2, Y) if spec.entropy else 0.0
    if spec.output == SOFTMAX:
        softmax(Z2, A2, np.empty((2, m)))
    else:
        activate(spec.output, in_float64(spec.output_piece_slopes), Z2, A2)
    squares = squared_difference(A2, Y)
    if not spec.entropy:
        J = squares / 2
    if spec.task == REGRESSION:
        spread = squared_difference(Y, np.full(Y.shape, Y.mean()))
        return J / m, (1 - squares / spread if spread > 0 else np.nan)
    if spec.task == BINARY:
        return J / m, agreements(A2, Y) / (n_y * m)
    return J / m, right_classes(A2, Y) / m


@compiled
def entropy(output: int, Z2: np.ndarray, Y: np.ndarray) -> float:
    """- sum [y log a + (1 - y) log(1 - a)], for softmax - sum y log a, from the logits."""
    n_y, m = Z2.shape
    total = 0.0
    for s in range(m):
        if output == SOFTMAX:
            top, powers = Z2[0, s], 0.0
            for c in range(n_y):
                top = max(top, Z2[c, s])
            for c in range(n_y):
                powers += exp(Z2[c, s] - top)
            for c in range(n_y):
                total += Y[c, s] * (top + log(powers) - Z2[c, s])
        else:
            for c in range(n_y):
                z = Z2[c, s]
                total += max(z, 0.0) - z * Y[c, s] + log1p(exp(-abs(z)))
    return total


@compiled
def squared_difference(A: np.ndarray, Y: np.ndarray) -> float:
    total = 0.0
    for c in range(len(Y)):
        for s in range(Y.shape[1]):
            total += (A[c, s] - Y[c, s]) ** 2
    return total


@compiled
def agreements(A2: np.ndarray, Y: np.ndarray) -> int:
    """How often output and target are on the same side of 1/2, which itself counts as class 0."""
    right = 0
    for c in range(len(Y)):
        for s in range(Y.shape[1]):
            right += (A2[c, s] > 0.5) == (Y[c, s] > 0.5)
    return right


@compiled
def right_classes(A2: np.ndarray, Y: np.ndarray) -> int:
    """How often output and target are largest in the same row, the first of equal ones."""
    right = 0
    for s in range(Y.shape[1]):
        guess, truth = 0, 0
        for c in range(len(Y)):
            guess = c if A2[c, s] > A2[guess, s] else guess
            truth = c if Y[c, s] > Y[truth, s] else truth
        right += guess == truth
    return right


@summing
def dot(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for s in range(len(a)):
        total += a[s] * b[s]
    return total


@compiled
def norm(W: np.ndarray) -> float:
    total = 0.0
    for j in range(len(W)):
        for k in range(W.shape[1]):
            total += np.float64(W[j, k]) ** 2
    return sqrt(total)


@compiled
def scaled(rows: np.ndarray, i: int, norm: float) -> None:
    """Row i divided by its norm."""
    for k in range(rows.shape[1]):
        rows[i, k] /= norm


@compiled
def distance(a: np.ndarray, b: np.ndarray, sign: float) -> float:
    total = 0.0
    for k in range(len(a)):
        total += (a[k] - sign * b[k]) ** 2
    return sqrt(total)


@compiled
def same(a: np.ndarray, b: np.ndarray, signs: bool, size: float) -> bool:
    """Whether two units' rows are the same, perhaps up to sign; `size` is the larger norm."""
    gap = distance(a, b, 1.0)
    if signs:
        gap = min(gap, distance(a, b, -1.0))
    return gap <= TOLERANCE * size


@compiled
def effective_units(units: np.ndarray, signs: bool, scales: bool) -> int:
    """Classes among the rows of W1: a unit joins the first class whose first member it equals."""
    rows, norms, firsts, found = units.copy(), np.empty(len(units)), np.empty(len(units), np.int64), 0
    for i in range(len(rows)):
        norms[i] = sqrt(dot(rows[i], rows[i]))
        if scales and norms[i] > 0:
            scaled(rows, i, norms[i])
            norms[i] = 1.0
        new = True
        for f in range(found):
            j = firsts[f]
            new = new and not same(rows[i], rows[j], signs, max(norms[i], norms[j]))
        if new:
            firsts[found] = i
            found += 1
    return found


@compiled
def separation(units: np.ndarray) -> float:
    """Largest distance between two rows, over the larger norm of both."""
    norms, largest = np.empty(len(units)), 0.0
    for i in range(len(units)):
        norms[i] = sqrt(dot(units[i], units[i]))
        for j in range(i):
            size = max(norms[i], norms[j])
            if size > 0:
                largest = max(largest, distance(units[i], units[j], 1.0) / size)
    return largest


@compiled
def cosine(units: np.ndarray) -> float:
    """Mean |cosine| over the pairs of non-zero rows."""
    rows, pairs, total = units.copy(), 0, 0.0
    norms = np.empty(len(rows))
    for i in range(len(rows)):
        norms[i] = sqrt(dot(rows[i], rows[i]))
        if norms[i] > 0:
            scaled(rows, i, norms[i])
            for j in range(i):
                if norms[j] > 0:
                    total += min(abs(dot(rows[i], rows[j])), 1.0)
                    pairs += 1
    return total / pairs if pairs else np.nan


@compiled
def effective_rank(A: np.ndarray) -> float:
    """(tr G)^2 / tr G^2 with G = A A^T; A is overwritten, scaled to a largest entry of 1."""
    scale = 0.0
    for j in range(len(A)):
        for s in range(A.shape[1]):
            scale = max(scale, abs(A[j, s]))
    if not scale > 0:
        return np.nan
    trace, squares = 0.0, 0.0
    for i in range(len(A)):
        scaled(A, i, scale)
        diagonal = dot(A[i], A[i])
        trace += diagonal
        squares += diagonal**2
        for j in range(i):
            squares += 2 * dot(A[i], A[j]) ** 2
    return trace**2 / squares


@compiled
def saturation(slopes: np.ndarray, max_slope: float) -> tuple[float, float, float]:
    """Fraction saturated, fraction of dead units and mean slope; with a negative `max_slope` nothing counts as saturated."""
    (n, m), flat, dead, total = slopes.shape, 0, 0, 0.0
    for j in range(n):
        zeros = 0
        for s in range(m):
            flat += slopes[j, s] < FLAT * max_slope
            zeros += slopes[j, s] == 0
            total += slopes[j, s]
        dead += zeros == m
    return flat / (n * m), dead / n, total / (n * m)
