"""What is measured of a network at a step, on its training samples: arrays -> numbers.

`METRICS` names them, in the order in which all engines store them. NaN means undefined there (a cosine of zero rows, the
rank of a zero matrix); what is undefined is never logged.

| metric                   | formula                                                          | range    | source |
| ------------------------ | ---------------------------------------------------------------- | -------- | ----------------------------------- |
| train/loss, test/loss    | J, the output's loss                                             | >= 0     | chapter 6.2 |
| train/accuracy, test/... | fraction of right classes                                        | [0, 1]   | |
| train/r2, test/r2        | 1 - sum (a - y)^2 / sum (y - mean y)^2; regression, for accuracy | <= 1     | |
| symmetry/effective_units | hidden units counted up to what g cannot tell apart, see below   | 1 .. n_h | chapter 6.4; Blumenfeld et al. 2020 |
| symmetry/separation      | largest distance of two units' [w, b] over the larger norm       | [0, 2]   | chapter 6.4 |
| symmetry/cosine          | mean over pairs of units of the abs. cosine of their [w, b]      | [0, 1]   | Zhou et al. 2022, "condensation" |
| symmetry/effective_rank  | (tr G)^2 / tr G^2 with G = A1 A1^T, the participation ratio      | 1 .. n_h | Gao et al. 2017 |
| saturation/fraction      | fraction of units x samples with g'(z) < 0.01 max g'             | [0, 1]   | chapter 6.2.2; Glorot & Bengio 2010 |
| saturation/dead          | fraction of units with g'(z) = 0 on every sample                 | [0, 1]   | Lu et al. 2019 |
| saturation/slope         | mean of g'(z) over units x samples                               | [0, 1]   | chapter 6.2.2 |
| gradient/W1, gradient/W2 | Frobenius norms of dJ/dW1, dJ/dW2                                | >= 0     | Glorot & Bengio 2010 |
| gradient/W1_relative     | norm of dJ/dW1 over norm of W1                                   | >= 0     | |
"""

from typing import NamedTuple

import numpy as np

from shallowexp.network.activations import Activation
from shallowexp.network.data import Dataset
from shallowexp.network.initializers import Parameters
from shallowexp.network.outputs import Output
from shallowexp.network.passes import Forward


class Measures(NamedTuple):
    """One value of each of METRICS, in their order."""

    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    symmetry_effective_units: float
    symmetry_separation: float
    symmetry_cosine: float
    symmetry_effective_rank: float
    saturation_fraction: float
    saturation_dead: float
    saturation_slope: float
    gradient_W1: float
    gradient_W2: float
    gradient_W1_relative: float


METRICS = tuple(name.replace("_", "/", 1) for name in Measures._fields)  # as they are logged
TOLERANCE = 1e-6  # relative distance below which two units' [w, b] are the same
FLAT = 0.01  # fraction of its maximum below which g' counts as saturated


def metric_names(task: str) -> tuple[str, ...]:
    """METRICS, with r2 in the place of accuracy for regression."""
    return tuple(name.replace("accuracy", "r2") if task == "regression" else name for name in METRICS)


def effective_units(rows: np.ndarray, invariance: str, tolerance: float = TOLERANCE) -> int:
    """Classes among hidden units, from their incoming [w, b] (n_h, n_x + 1).

    Two units are the same where their rows are, up to what `invariance` allows (see activations.py): the distance of
    the rows (scaled to norm 1 where scale does not matter) is at most `tolerance` times the larger norm. A unit joins
    the first class whose first member it equals; zero rows are one class.

        >>> rows = np.array([[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0], [3.0, 6.0]])
        >>> [effective_units(rows, invariance) for invariance in ("equal", "sign", "positive scale", "any scale")]
        [3, 2, 2, 1]
    """
    norms = np.linalg.norm(rows, axis=1)
    if invariance.endswith("scale"):
        rows = rows / np.where(norms > 0, norms, 1)[:, None]
        norms = (norms > 0).astype(rows.dtype)
    firsts: list[int] = []
    for i, row in enumerate(rows):
        distance = np.linalg.norm(rows[firsts] - row, axis=1)
        if invariance in ("sign", "any scale"):
            distance = np.minimum(distance, np.linalg.norm(rows[firsts] + row, axis=1))
        if not np.any(distance <= tolerance * np.maximum(norms[firsts], norms[i])):
            firsts.append(i)
    return len(firsts)


def separation(rows: np.ndarray) -> float:
    """Largest distance between two of the rows (n, d), over the larger norm of both: 0 as long as all are equal.

    Unlike `effective_units` it allows for nothing that g cannot tell apart: opposite rows are 2 apart.

    >>> separation(np.array([[1.0, 0.0], [1.0, 1e-9], [1.0, 0.0]]))
    1e-09
    """
    norms = np.maximum(np.linalg.norm(rows, axis=1), np.finfo(float).tiny)  # zero rows are not apart
    distances = (np.linalg.norm(rows - row, axis=1) for row in rows)
    return float(max(np.max(d / np.maximum(norms, norm)) for d, norm in zip(distances, norms, strict=True)))


def cosine(rows: np.ndarray) -> float:
    """Mean |cosine| over the pairs of non-zero rows (n, d); NaN with fewer than two of them."""
    norms = np.linalg.norm(rows, axis=1)
    unit = rows[norms > 0] / norms[norms > 0, None]
    n = len(unit)
    if n < 2:
        return np.nan
    pairs = np.abs(_gram(unit))[np.triu_indices(n, 1)]
    return float(np.minimum(pairs, 1).mean())


def effective_rank(A: np.ndarray) -> float:
    """Participation ratio of the singular values of A (n, m): 1 for identical rows, n for orthogonal rows of one size."""
    scale = np.abs(A).max()
    if not scale > 0:
        return np.nan
    G = _gram(A / scale)
    return float(np.trace(G) ** 2 / np.sum(G * G))


def _gram(A: np.ndarray) -> np.ndarray:
    return np.einsum("im,jm->ij", A, A)  # not BLAS, whose sums depend on its threads


def saturation(slopes: np.ndarray, max_slope: float | None) -> tuple[float, float, float]:
    """Fraction saturated, fraction of dead units and mean slope, of g'(Z1) (n_h, m)."""
    share = 0.0 if max_slope is None else float(np.mean(slopes < FLAT * max_slope))
    return share, float(np.mean(np.all(slopes == 0, axis=1))), float(slopes.mean())


def score(A2: np.ndarray, Y: np.ndarray, task: str) -> float:
    """Accuracy, or r2 for regression; a tie or an output of 1/2 counts as class 0, as in the course (A2 > 0.5)."""
    if task == "regression":
        spread = np.sum((Y - Y.mean()) ** 2)
        return float(1 - np.sum((A2 - Y) ** 2) / spread) if spread > 0 else np.nan
    if task == "multiclass":
        return float(np.mean(A2.argmax(axis=0) == Y.argmax(axis=0)))
    return float(np.mean((A2 > 0.5) == (Y > 0.5)))


def measure(
    parameters: Parameters,
    cache: Forward,
    gradients: Parameters,
    test: Forward,
    data: Dataset,
    g: Activation,
    output: Output,
) -> Measures:
    """All that is measured, in float64, of one network at one step; `cache` and `test` are its forward passes."""
    W1, b1 = (p.astype(np.float64) for p in (parameters.W1, parameters.b1))
    dW1, dW2 = (float(np.linalg.norm(d.astype(np.float64))) for d in (gradients.W1, gradients.W2))
    norm = float(np.linalg.norm(W1))
    rows = np.hstack([W1, b1])
    Z1, A1, Z2, Z2_test = (Z.astype(np.float64) for Z in (cache.Z1, cache.A1, cache.Z2, test.Z2))
    fraction, dead, slope = saturation(g.derivative(Z1), g.max_slope)
    return Measures(
        train_loss=output.loss(Z2, data.Y),
        train_accuracy=score(output(Z2), data.Y, data.task),
        test_loss=output.loss(Z2_test, data.Y_test),
        test_accuracy=score(output(Z2_test), data.Y_test, data.task),
        symmetry_effective_units=effective_units(rows, g.invariance),
        symmetry_separation=separation(rows),
        symmetry_cosine=cosine(rows),
        symmetry_effective_rank=effective_rank(A1),
        saturation_fraction=fraction,
        saturation_dead=dead,
        saturation_slope=slope,
        gradient_W1=dW1,
        gradient_W2=dW2,
        gradient_W1_relative=dW1 / norm if norm > 0 else np.nan,
    )
