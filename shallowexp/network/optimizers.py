"""How parameters follow the gradients: the chapter's descent and two others, and which samples a step sees.

An optimizer is a frozen dataclass whose fields are its Hydra keys. `__call__(dW, memory, t)` gives the direction of update t,
which counts from 1, and what is remembered for the next: arrays of W's shape, `memories` of them, all 0 at first. The step
itself, W := W - eta direction, is in passes.py. Entries do not mix, so that units with equal gradients stay equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar

import numpy as np

Memory = tuple[np.ndarray, ...]
SMALLEST = 1e-30  # an epsilon that is above 0 in float32, too


class Optimizer:
    """What a user's own optimizer inherits; it is trained with by the NumPy engine."""

    memories: ClassVar[int] = 0

    def __call__(self, dW: np.ndarray, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        raise NotImplementedError


def _require_decays(**rates: float) -> None:
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise ValueError(f"optimizer.{name}={rate} is not possible; allowed: from 0 to below 1")


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """W := W - eta dW (6.3)."""

    def __call__(self, dW: np.ndarray, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        return dW, memory


GRADIENT_DESCENT = GradientDescent()


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Polyak 1964, the heavy ball: W(t+1) = W(t) - eta dW + beta (W(t) - W(t-1)), that is v := beta v + dW, W := W - eta v.

    Gradients that agree add up to a step 1 / (1 - beta) times as long.
    """

    beta: float = 0.9
    memories = 1

    def __post_init__(self) -> None:
        _require_decays(beta=self.beta)

    def __call__(self, dW: np.ndarray, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        v = self.beta * memory[0] + dW
        return v, (v,)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Kingma & Ba 2015, algorithm 1: running means of dW and of its square, each divided by 1 - beta^t, since they begin at 0.

    The first step moves every entry by eta, whatever the size of its gradient:

        >>> Adam()(np.array([1e-3, -10.0]), (np.zeros(2), np.zeros(2)), t=1)[0].round(4)
        array([ 1., -1.])
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    memories = 2

    def __post_init__(self) -> None:
        _require_decays(beta1=self.beta1, beta2=self.beta2)
        if self.epsilon < SMALLEST:
            raise ValueError(f"optimizer.epsilon={self.epsilon} is not possible; allowed: from {SMALLEST}")

    def __call__(self, dW: np.ndarray, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        m = self.beta1 * memory[0] + (1 - self.beta1) * dW
        v = self.beta2 * memory[1] + (1 - self.beta2) * dW**2
        unbiased_m, unbiased_v = m / (1 - self.beta1**t), v / (1 - self.beta2**t)
        return unbiased_m / (np.sqrt(unbiased_v) + self.epsilon), (m, v)


def epochs(m: int, seed: int) -> Iterator[np.ndarray]:
    """The order of m samples in each epoch, from a stream of its own: the weights' is RandomState(seed)."""
    draw = np.random.RandomState([seed, 1])
    while True:
        yield draw.permutation(m)


def batches(X: np.ndarray, Y: np.ndarray, size: int | None, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The samples of each step, without end: all of them, or `size` at a time and what is left at an epoch's end."""
    if size is None:
        yield from repeat((X, Y))
        return
    for order in epochs(X.shape[1], seed):
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            yield X.take(chosen, axis=1), Y.take(chosen, axis=1)
