"""diagnostics.py compiled: the same measures as loops over float64 arrays; tests hold the two against each other."""

from math import exp, log, log1p, sqrt

import numpy as np

from shallowexp.arithmetic import SOFTMAX, activate, compiled, summing
from shallowexp.diagnostics import FLAT, TOLERANCE

BINARY, MULTICLASS, REGRESSION = range(3)
TASKS = {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION}


@compiled
def loss_and_score(rules, Z2, Y):
    """J, and accuracy or r2."""
    J = entropy(rules.output, Z2, Y)
    A2 = np.empty_like(Z2)
    activate(rules.output, 0.0, Z2, A2)
    if not rules.entropy:
        J = np.sum((A2 - Y) ** 2) / (2 * Y.shape[1])
    return J, score(A2, Y, rules.task)


@compiled
def entropy(output, Z2, Y):
    """-1/m sum [y log a + (1 - y) log(1 - a)], for softmax -1/m sum y log a, from the logits."""
    n_y, m = Z2.shape
    total = 0.0
    for s in range(m):
        if output == SOFTMAX:
            top, powers = Z2[:, s].max(), 0.0
            for c in range(n_y):
                powers += exp(Z2[c, s] - top)
            for c in range(n_y):
                total += Y[c, s] * (top + log(powers) - Z2[c, s])
        else:
            for c in range(n_y):
                z = Z2[c, s]
                total += max(z, 0.0) - z * Y[c, s] + log1p(exp(-abs(z)))
    return total / m


@compiled
def score(A2, Y, task):
    if task == REGRESSION:
        spread = np.sum((Y - Y.mean()) ** 2)
        return 1 - np.sum((A2 - Y) ** 2) / spread if spread > 0 else np.nan
    if task == BINARY:
        return np.mean((A2 > 0.5) == (Y > 0.5))
    right = 0
    for s in range(Y.shape[1]):
        right += A2[:, s].argmax() == Y[:, s].argmax()
    return right / Y.shape[1]


@summing
def dot(a, b):
    total = 0.0
    for s in range(len(a)):
        total += a[s] * b[s]
    return total


@compiled
def norm(W):
    return sqrt(np.sum(W * W))


@compiled
def distance(a, b, sign):
    total = 0.0
    for k in range(len(a)):
        total += (a[k] - sign * b[k]) ** 2
    return sqrt(total)


@compiled
def effective_units(rows, signs, scales):
    """Classes among the rows [b, w] of W1: a unit joins the first class whose first member it equals."""
    rows = rows.copy()
    norms = np.empty(len(rows))
    for i in range(len(rows)):
        norms[i] = norm(rows[i])
        if scales and norms[i] > 0:
            rows[i] /= norms[i]
            norms[i] = 1
    firsts = np.empty(len(rows), np.int64)
    found = 0
    for i in range(len(rows)):
        new = True
        for j in firsts[:found]:
            gap = distance(rows[i], rows[j], 1)
            if signs:
                gap = min(gap, distance(rows[i], rows[j], -1))
            if gap <= TOLERANCE * max(norms[i], norms[j]):
                new = False
                break
        if new:
            firsts[found] = i
            found += 1
    return found


@compiled
def cosine(rows):
    """Mean |cosine| over the pairs of non-zero rows."""
    unit = np.empty_like(rows)
    n = 0
    for row in rows:
        length = norm(row)
        if length > 0:
            unit[n] = row / length
            n += 1
    total = 0.0
    for i in range(n):
        for j in range(i):
            total += min(abs(dot(unit[i], unit[j])), 1.0)
    return total / (n * (n - 1) / 2) if n > 1 else np.nan


@compiled
def effective_rank(A):
    """(tr G)^2 / tr G^2 with G = A A^T."""
    scale = np.abs(A).max()
    if not scale > 0:
        return np.nan
    A = A / scale
    trace, squares = 0.0, 0.0
    for i in range(len(A)):
        diagonal = dot(A[i], A[i])
        trace += diagonal
        squares += diagonal**2
        for j in range(i):
            squares += 2 * dot(A[i], A[j]) ** 2
    return trace**2 / squares


@compiled
def saturation(slopes, max_slope):
    """Share saturated, share of dead units and mean slope; a negative `max_slope` means that nothing counts as saturated."""
    flat, dead = 0, 0
    for row in slopes:
        flat += np.sum(row < FLAT * max_slope)
        dead += np.all(row == 0)
    return flat / slopes.size, dead / len(slopes), slopes.mean()
