"""Initial parameters (section 6.4).

An initializer is a frozen dataclass; calling it with the layer sizes and a seed gives W1 (n_h, n_x), b1 (n_h, 1),
W2 (n_y, n_h), b2 (n_y, 1) in float64. Random ones draw from `numpy.random.RandomState(seed)`, W1 first, then W2, each as
`randn(rows, columns) * scale`: the chapter's and the course's draws, a stream that NumPy has promised never to change.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Parameters(NamedTuple):
    W1: np.ndarray  # (n_h, n_x)
    b1: np.ndarray  # (n_h, 1)
    W2: np.ndarray  # (n_y, n_h)
    b2: np.ndarray  # (n_y, 1)


class Initializer:
    """What a user's own initialiser inherits."""

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        raise NotImplementedError


@lru_cache(maxsize=2)
def normals(seed: int, count: int) -> np.ndarray:
    """The first normal numbers of a seed's stream: of networks that differ in scale alone they are drawn once."""
    drawn: np.ndarray = np.random.RandomState(seed).randn(count)
    drawn.flags.writeable = False
    return drawn


@dataclass(frozen=True)
class Zero(Initializer):
    """All parameters 0: the chapter's warning."""

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        return Parameters(np.zeros((n_h, n_x)), np.zeros((n_h, 1)), np.zeros((n_y, n_h)), np.zeros((n_y, 1)))


@dataclass(frozen=True)
class Constant(Initializer):
    """Every weight `scale` (those of W2 `output_scale`, equal to it unless set), every hidden bias `bias`."""

    scale: float = 0.01
    output_scale: float | None = None
    bias: float = 0.0

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        output_scale = self.scale if self.output_scale is None else self.output_scale
        return Parameters(
            np.full((n_h, n_x), self.scale),
            np.full((n_h, 1), self.bias),
            np.full((n_y, n_h), output_scale),
            np.zeros((n_y, 1)),
        )


@dataclass(frozen=True)
class Random(Initializer):
    """randn * `scale` (W2: `output_scale`, equal to it unless set); hidden biases randn * `bias`, 0 unless asked.

    The course's weights, to five decimals:

        >>> Random(scale=0.01)(n_x=2, n_h=2, n_y=1, seed=2).W1.round(5)
        array([[-0.00417, -0.00056],
               [-0.02136,  0.0164 ]])
    """

    scale: float = 0.01
    output_scale: float | None = None
    bias: float = 0.0

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        output_scale = self.scale if self.output_scale is None else self.output_scale
        drawn, of_W1, weights = normals(seed, n_h * (n_x + n_y + 1)), n_h * n_x, n_h * (n_x + n_y)
        W1 = drawn[:of_W1].reshape(n_h, n_x) * self.scale
        W2 = drawn[of_W1:weights].reshape(n_y, n_h) * output_scale
        b1 = drawn[weights:].reshape(n_h, 1) * self.bias if self.bias else np.zeros((n_h, 1))
        return Parameters(W1, b1, W2, np.zeros((n_y, 1)))


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """randn * sqrt(gain / fan), fan being a layer's inputs, or the mean of inputs and outputs; biases 0.

    lecun (gain 1, fan in): LeCun et al. 1998, section 4.6. xavier (gain 1, fan average): Glorot & Bengio 2010, eq. 12,
    Var = 2 / (n_in + n_out), drawn normal. he (gain 2, fan in): He et al. 2015, eq. 10.
    """

    gain: float = 1.0
    fan: str = "in"

    def __post_init__(self) -> None:
        if self.fan not in ("in", "average"):
            raise ValueError(f"init.fan={self.fan!r} is not a choice: choose in or average")

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        scale = self._scale(n_x, n_h)
        return Random(scale, self._scale(n_h, n_y))(n_x, n_h, n_y, seed)

    def _scale(self, fan_in: int, fan_out: int) -> float:
        fan = fan_in if self.fan == "in" else (fan_in + fan_out) / 2
        return float(np.sqrt(self.gain / fan))


@dataclass(frozen=True)
class Duplicate(Initializer):
    """Random, then only `unique` different hidden units: unit i repeats unit i mod unique.

    `repeat` says what is repeated: "both" rows of W1 and columns of W2 (the units stay together forever), or
    only "W1" or only "W2" (they separate). What repeats is jittered by randn * `noise`, drawn after the weights, W1
    first: with `unique=1` all units are equal but for noise of `noise / scale` times a weight.
    After Blumenfeld et al. 2020, "Beyond signal propagation".

        >>> Duplicate(unique=2)(n_x=1, n_h=4, n_y=1, seed=0).W1.T.round(4)
        array([[0.0176, 0.004 , 0.0176, 0.004 ]])
    """

    scale: float = 0.01
    output_scale: float | None = None
    unique: int = 1
    repeat: str = "both"
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.repeat not in ("both", "W1", "W2"):
            raise ValueError(f"init.repeat={self.repeat!r} is not a choice: choose both, W1 or W2")
        if self.unique < 1:
            raise ValueError(f"init.unique={self.unique} is too small: at least 1 unit must be unique")

    def __call__(self, n_x: int, n_h: int, n_y: int, seed: int) -> Parameters:
        W1, b1, W2, b2 = Random(self.scale, self.output_scale)(n_x, n_h, n_y, seed)
        source = np.arange(n_h) % self.unique
        jitter = self._jitter(W1, W2, seed)
        if self.repeat in ("both", "W1"):
            W1 = W1[source] + jitter[0]
        if self.repeat in ("both", "W2"):
            W2 = W2[:, source] + jitter[1]
        return Parameters(W1, b1, W2, b2)

    def _jitter(self, W1: np.ndarray, W2: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """What is added to repeating units, 0 for the first `unique`, from where Random's draws end."""
        size = W1.size + W2.size
        drawn = normals(seed, 2 * size)[size:]
        noise = np.where(np.arange(len(W1)) < self.unique, 0.0, self.noise)
        return drawn[: W1.size].reshape(W1.shape) * noise[:, None], drawn[W1.size :].reshape(W2.shape) * noise
