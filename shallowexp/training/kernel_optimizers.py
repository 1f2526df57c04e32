"""network/optimizers.py compiled: the same updates as loops over the entries of W, which is flat.

Momentum and Adam without any of the compiler's liberties. One of them is which product of a sum to fuse: it chose another one
for the entries that are left after the last whole vector, and units that were equal came apart.
"""

from math import sqrt

import numpy as np

from shallowexp.training.kernel_arithmetic import GRADIENT_DESCENT, MOMENTUM, KernelSpec, inner, uncounted

literal = inner(fastmath=set(), _nrt=False)  # said, because else it is the caller's


@uncounted
def follow(
    spec: KernelSpec, rate: np.floating, W: np.ndarray, dW: np.ndarray, first: np.ndarray, second: np.ndarray, t: int
) -> None:
    """Update t, which counts from 1, of W and of what is remembered; and dW := 0 for the next step's sums."""
    if spec.optimizer == GRADIENT_DESCENT:
        update(rate, W, dW)
    elif spec.optimizer == MOMENTUM:
        momentum(spec, rate, W, dW, first)
    else:
        adam(spec, rate, W, dW, first, second, t)


@uncounted
def update(rate: np.floating, W: np.ndarray, dW: np.ndarray) -> None:
    """W := W - eta dW."""
    for i in range(len(W)):
        W[i] -= rate * dW[i]
        dW[i] = 0


@literal
def momentum(spec: KernelSpec, rate: np.floating, W: np.ndarray, dW: np.ndarray, v: np.ndarray) -> None:
    """v := beta v + dW, W := W - eta v."""
    beta = W.dtype.type(spec.decays[0])
    for i in range(len(W)):
        v[i] = beta * v[i] + dW[i]
        W[i] -= rate * v[i]
        dW[i] = 0


@literal
def adam(
    spec: KernelSpec, rate: np.floating, W: np.ndarray, dW: np.ndarray, m: np.ndarray, v: np.ndarray, t: int
) -> None:
    """W := W - eta (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon), with means m of dW and v of dW^2."""
    real, (decay1, decay2) = W.dtype.type, spec.decays
    beta1, beta2, epsilon = real(decay1), real(decay2), real(spec.epsilon)
    new1, new2, whole1, whole2 = real(1 - decay1), real(1 - decay2), real(1 - decay1**t), real(1 - decay2**t)
    for i in range(len(W)):
        m[i] = beta1 * m[i] + new1 * dW[i]
        v[i] = beta2 * v[i] + new2 * (dW[i] * dW[i])
        W[i] -= rate * ((m[i] / whole1) / (sqrt(v[i] / whole2) + epsilon))
        dW[i] = 0
