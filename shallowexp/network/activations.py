"""Hidden activations g, each beside its derivative g' (section 6.2.2).

An activation is a frozen dataclass: its fields are its Hydra keys, calling it gives A = g(Z), and `derivative` gives g'(Z).
Derivatives of the curved activations come from e = exp(-|z|), not from 1 - a^2: in saturation that subtraction has no
correct digit left. Two more facts belong to an activation, and the diagnostics ask for them:

- `max_slope`, the largest value of g' (None where a flat part is not saturation);
- `invariance`, the changes of a unit's [w, b] that the rest of the network can undo: "equal" (none), "sign",
  "positive scale" or "any scale". Units that differ only by these count as one.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


class Activation:
    """What a user's own activation inherits; shapes of Z and of both results are equal."""

    invariance: ClassVar[str] = "equal"
    max_slope: ClassVar[float | None] = None

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def derivative(self, Z: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def sigmoid(Z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), without overflow."""
    e = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1, e) / (1 + e)


def sigmoid_derivative(Z: np.ndarray) -> np.ndarray:
    """a (1 - a) = e / (1 + e)^2 with e = exp(-|z|).

    The right side keeps its digits where a is rounded to 1:

        >>> a = sigmoid(40.0)
        >>> float(a * (1 - a)), float(sigmoid_derivative(40.0))
        (0.0, 4.248354255291589e-18)
    """
    e = np.exp(-np.abs(Z))
    return e / (1 + e) ** 2


@dataclass(frozen=True)
class Sigmoid(Activation):
    """g(z) = 1 / (1 + exp(-z)),  g'(z) = a (1 - a)."""

    invariance = "sign"  # sigmoid(-z) = 1 - sigmoid(z): W2 and b2 undo it
    max_slope = 0.25

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        return sigmoid(Z)

    def derivative(self, Z: np.ndarray) -> np.ndarray:
        return sigmoid_derivative(Z)


@dataclass(frozen=True)
class Tanh(Activation):
    """g(z) = tanh(z),  g'(z) = 1 - a^2 = 4 sigmoid'(2z)."""

    invariance = "sign"
    max_slope = 1.0

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        return np.tanh(Z)

    def derivative(self, Z: np.ndarray) -> np.ndarray:
        return 4 * sigmoid_derivative(2 * Z)


@dataclass(frozen=True)
class ReLU(Activation):
    """g(z) = max(0, z),  g'(z) = 1 for z > 0, 0 for z < 0, and `derivative_at_zero` at 0.

    Either value at 0 is a subgradient:

        >>> ReLU(derivative_at_zero=1).derivative(np.array([-2.0, 0.0, 2.0]))
        array([0., 1., 1.])
    """

    derivative_at_zero: float = 0.0

    invariance = "positive scale"
    max_slope = 1.0

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        return np.maximum(Z, 0)

    def derivative(self, Z: np.ndarray) -> np.ndarray:
        return np.heaviside(Z, np.asarray(self.derivative_at_zero, Z.dtype))


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """g(z) = z for z > 0, else slope * z,  g'(z) = 1 for z > 0, else slope (the chapter's lambda)."""

    slope: float = 0.01

    invariance = "positive scale"

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        return np.where(Z > 0, Z, self.slope * Z).astype(Z.dtype, copy=False)

    def derivative(self, Z: np.ndarray) -> np.ndarray:
        return np.where(Z > 0, 1, self.slope).astype(Z.dtype, copy=False)


@dataclass(frozen=True)
class Identity(Activation):
    """g(z) = z,  g'(z) = 1: no nonlinearity, so the whole network is linear up to its output."""

    invariance = "any scale"

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        return Z

    def derivative(self, Z: np.ndarray) -> np.ndarray:
        return np.ones_like(Z)
