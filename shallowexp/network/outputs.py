"""Output activations, each with the loss it belongs to, computed from the logits Z2 (sections 6.2.2 and 6.3).

An output is a frozen dataclass. `__call__(Z2)` is A2; `loss(Z2, Y)` is J, a mean over samples; `dZ2(Z2, Y)` is m dJ/dZ2, the
first line of the backward pass. Z2, A2, Y and dZ2 are (n_y, m). Losses from the logits stay finite where log(A2) would not.
`tasks` names the kinds of data that the output fits.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shallowexp.network.activations import sigmoid, sigmoid_derivative


class Output:
    tasks: ClassVar[tuple[str, ...]] = ()

    def __call__(self, Z2: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def loss(self, Z2: np.ndarray, Y: np.ndarray) -> float:
        raise NotImplementedError

    def dZ2(self, Z2: np.ndarray, Y: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True)
class Sigmoid(Output):
    """A2 = sigmoid(Z2) with cross-entropy: J = -1/m sum [y log a2 + (1-y) log(1-a2)], dZ2 = A2 - Y."""

    tasks = ("binary",)

    def __call__(self, Z2: np.ndarray) -> np.ndarray:
        return sigmoid(Z2)

    def loss(self, Z2: np.ndarray, Y: np.ndarray) -> float:
        return np.sum(np.maximum(Z2, 0) - Z2 * Y + np.log1p(np.exp(-np.abs(Z2)))) / Z2.shape[1]

    def dZ2(self, Z2: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return sigmoid(Z2) - Y


@dataclass(frozen=True)
class Softmax(Output):
    """A2 = softmax over rows with cross-entropy: J = -1/m sum y log a2, dZ2 = A2 - Y; Y is one-hot."""

    tasks = ("multiclass",)

    def __call__(self, Z2: np.ndarray) -> np.ndarray:
        e = np.exp(Z2 - Z2.max(axis=0, keepdims=True))
        return e / e.sum(axis=0, keepdims=True)

    def loss(self, Z2: np.ndarray, Y: np.ndarray) -> float:
        top = Z2.max(axis=0, keepdims=True)
        log_sum = top + np.log(np.exp(Z2 - top).sum(axis=0, keepdims=True))
        return np.sum(Y * (log_sum - Z2)) / Z2.shape[1]

    def dZ2(self, Z2: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return self(Z2) - Y


class SquaredError(Output):
    """J = 1/(2m) sum (a2 - y)^2, dZ2 = (A2 - Y) * g'(Z2), for any output activation g."""

    def derivative(self, Z2: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def loss(self, Z2: np.ndarray, Y: np.ndarray) -> float:
        return np.sum((self(Z2) - Y) ** 2) / (2 * Z2.shape[1])

    def dZ2(self, Z2: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return (self(Z2) - Y) * self.derivative(Z2)


@dataclass(frozen=True)
class Identity(SquaredError):
    """A2 = Z2 with squared error, for regression."""

    tasks = ("regression",)

    def __call__(self, Z2: np.ndarray) -> np.ndarray:
        return Z2

    def derivative(self, Z2: np.ndarray) -> np.ndarray:
        return np.ones_like(Z2)


@dataclass(frozen=True)
class ReLU(SquaredError):
    """A2 = max(0, Z2) with squared error, for positive targets (the chapter's house prices)."""

    tasks = ("regression",)

    def __call__(self, Z2: np.ndarray) -> np.ndarray:
        return np.maximum(Z2, 0)

    def derivative(self, Z2: np.ndarray) -> np.ndarray:
        return (Z2 > 0).astype(Z2.dtype)


@dataclass(frozen=True)
class SigmoidSquared(SquaredError):
    """A2 = sigmoid(Z2) with squared error: stalls where Z2 saturates, as cross-entropy does not."""

    tasks = ("binary",)

    def __call__(self, Z2: np.ndarray) -> np.ndarray:
        return sigmoid(Z2)

    def derivative(self, Z2: np.ndarray) -> np.ndarray:
        return sigmoid_derivative(Z2)
