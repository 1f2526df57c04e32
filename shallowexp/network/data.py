"""Data sets: the course's synthetic ones, raw, and real ones from scikit-learn, standardised unless asked otherwise.

A data set is a frozen dataclass whose fields are its Hydra keys; `load` draws it. Columns are samples: X is (n_x, m), Y is
(n_y, m), 0/1 for two classes, one-hot for many, the target itself for regression. A synthetic set trains on all its `samples`
and is tested on as many fresh points of the same distribution; a real one is split once, by `seed`, and scaled by its training part.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.random import RandomState

from shallowexp.errors import told

TASKS = ("binary", "multiclass", "regression")
Sample = tuple[np.ndarray, np.ndarray]  # points (m, 2), labels (m,)
Sampler = Callable[[], Sample]


class Dataset(NamedTuple):
    X: np.ndarray  # (n_x, m)
    Y: np.ndarray  # (n_y, m)
    X_test: np.ndarray
    Y_test: np.ndarray
    task: str  # binary, multiclass or regression
    mean: np.ndarray | float = 0.0  # (n_x, 1): X is (what was measured - mean) / scale
    scale: np.ndarray | float = 1.0

    @property
    def digest(self) -> str:
        return sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in self[:4])).hexdigest()[:16]


class Data:
    """What a user's own data set inherits: `draw` returns a Dataset, `task` says what its Y means."""

    task: str

    def draw(self) -> Dataset:
        raise NotImplementedError

    def load(self) -> Dataset:
        """The data set, drawn once in this process for each choice of its fields.

        Raises what `draw` raises, and ValueError for arrays that a network cannot be trained on.
        """
        return _load(self)

    def fault(self) -> str:
        """What `load` raises, as text; empty where the data can be drawn."""
        return _fault(self)


@lru_cache(maxsize=256)
def _load(data: Data) -> Dataset:
    drawn = data.draw()
    _check(drawn, data.task)
    return drawn


@lru_cache(maxsize=65536)
def _fault(data: Data) -> str:
    try:
        data.load()
    except Exception as error:
        return told(error)
    return ""


def forget() -> None:
    """So that every data set is drawn anew."""
    _load.cache_clear()
    _fault.cache_clear()


def _check(drawn: Dataset, task: str) -> None:
    """Raises ValueError for arrays that a network cannot be trained on."""
    if not isinstance(drawn, Dataset):
        raise ValueError(f"draw() returns {type(drawn).__name__}: a Dataset(X, Y, X_test, Y_test, task) is needed")
    if drawn.task != task:
        raise ValueError(f"draw() returns task {drawn.task!r}, while that of its class is {task!r}")
    for name, a in zip(drawn._fields, drawn[:4], strict=False):
        if not isinstance(a, np.ndarray) or a.ndim != 2 or not a.size or a.dtype.kind not in "fiub":
            given = f"{a.dtype} {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
            raise ValueError(f"draw() returns {name} as {given}: a matrix of numbers is needed, columns are samples")
        if not np.isfinite(a).all():
            row, column = np.argwhere(~np.isfinite(a))[0]
            raise ValueError(f"draw() returns {name} with {a[row, column]} at row {row}, column {column}")
    for (x, X), (y, Y) in ((("X", drawn.X), ("Y", drawn.Y)), (("X_test", drawn.X_test), ("Y_test", drawn.Y_test))):
        if X.shape[1] != Y.shape[1]:
            raise ValueError(
                f"draw() returns {x} {X.shape} and {y} {Y.shape}: columns are samples, so both need equally many"
            )
        _check_targets(y, Y, drawn.task)
    if len(drawn.X) != len(drawn.X_test) or len(drawn.Y) != len(drawn.Y_test):
        raise ValueError("draw() returns training and test arrays with different numbers of rows")


def _check_targets(name: str, Y: np.ndarray, task: str) -> None:
    labels = np.unique(Y)[:5].tolist()
    if task == "binary" and (len(Y) != 1 or not np.isin(Y, (0, 1)).all()):
        raise ValueError(f"draw() returns {name} {Y.shape} with values {labels}: two classes need one row of 0 and 1")
    if task == "multiclass" and not (np.isin(Y, (0, 1)).all() and (Y.sum(axis=0) == 1).all()):
        raise ValueError(f"draw() returns {name} {Y.shape} with values {labels}: classes need one-hot columns")


class Synthetic(Data):
    """Two classes; `positive_rate` is the fraction of class 1. The test set is drawn after the training set, from the same stream."""

    task = "binary"
    samples: int
    positive_rate: float
    seed: int

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise ValueError(f"data.samples={self.samples} is too few: two classes need at least 2")
        if not 0 < self.positive_rate < 1:
            raise ValueError(
                f"data.positive_rate={self.positive_rate} is not a fraction: choose a number between 0 and 1"
            )

    def sizes(self) -> tuple[int, int]:
        """How many samples of class 0 and of class 1, at least one of each."""
        ones = min(max(round(self.samples * self.positive_rate), 1), self.samples - 1)
        return self.samples - ones, ones

    def sampler(self, rng: RandomState) -> Sampler:
        """What draws points and labels; what train and test share is fixed here."""
        raise NotImplementedError

    def draw(self) -> Dataset:
        draw = self.sampler(RandomState(self.seed))
        (X, y), (X_test, y_test) = draw(), draw()
        return Dataset(X.T.copy(), y[None].astype(float), X_test.T.copy(), y_test[None].astype(float), self.task)


@dataclass(frozen=True)
class Flower(Synthetic):
    """The course's "planar data": two interleaved sets of petals, r = 4 sin(4 t) + noise."""

    samples: int = 400
    positive_rate: float = 0.5
    seed: int = 1

    def sampler(self, rng: RandomState) -> Sampler:
        def draw() -> Sample:
            points = []
            for j, size in enumerate(self.sizes()):
                t = np.linspace(3.12 * j, 3.12 * (j + 1), size) + 0.2 * rng.randn(size)
                r = 4 * np.sin(4 * t) + 0.2 * rng.randn(size)
                points.append(np.c_[r * np.sin(t), r * np.cos(t)])
            return np.concatenate(points), np.repeat([0, 1], self.sizes())

        return draw


@dataclass(frozen=True)
class Moons(Synthetic):
    """scikit-learn's two half moons with the course's noise."""

    samples: int = 200
    positive_rate: float = 0.5
    noise: float = 0.2
    seed: int = 1

    def sampler(self, rng: RandomState) -> Sampler:
        from sklearn.datasets import make_moons

        return lambda: make_moons(n_samples=self.sizes(), noise=self.noise, random_state=rng)


@dataclass(frozen=True)
class Circles(Synthetic):
    """scikit-learn's circle in a circle with the course's noise and factor."""

    samples: int = 200
    positive_rate: float = 0.5
    noise: float = 0.3
    factor: float = 0.5
    seed: int = 1

    def sampler(self, rng: RandomState) -> Sampler:
        from sklearn.datasets import make_circles

        return lambda: make_circles(n_samples=self.sizes(), noise=self.noise, factor=self.factor, random_state=rng)


@dataclass(frozen=True)
class Blobs(Synthetic):
    """Gaussian blobs around six centres, classes alternating (the course's y % 2); test points keep the centres."""

    samples: int = 200
    positive_rate: float = 0.5
    seed: int = 5

    def sampler(self, rng: RandomState) -> Sampler:
        from sklearn.datasets import make_blobs

        counts = np.zeros(6, int)
        counts[0::2], counts[1::2] = (_shares(size, 3) for size in self.sizes())
        centers = None

        def draw() -> Sample:
            nonlocal centers
            X, blob, centers = make_blobs(counts, centers=centers, random_state=rng, return_centers=True)
            return X, blob % 2

        return draw


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (i < total % parts) for i in range(parts)]


@dataclass(frozen=True)
class Quantiles(Synthetic):
    """One Gaussian (variance 0.5), class 1 outside a radius; test points keep the training set's radius."""

    samples: int = 200
    positive_rate: float = 0.5
    seed: int = 1

    def sampler(self, rng: RandomState) -> Sampler:
        from sklearn.datasets import make_gaussian_quantiles

        threshold = None

        def draw() -> Sample:
            nonlocal threshold
            X, _ = make_gaussian_quantiles(cov=0.5, n_samples=self.samples, n_classes=2, random_state=rng)
            radius = np.linalg.norm(X, axis=1)
            if threshold is None:
                inside = self.sizes()[0]
                threshold = np.sort(radius)[inside - 1 : inside + 1].mean()
            return X, (radius > threshold).astype(int)

        return draw


@dataclass(frozen=True)
class Xor(Synthetic):
    """Four Gaussian clouds at (+-1, +-1); class 1 where the signs differ."""

    samples: int = 200
    positive_rate: float = 0.5
    noise: float = 0.3
    seed: int = 1

    def sampler(self, rng: RandomState) -> Sampler:
        def draw() -> Sample:
            y = np.repeat([0, 1], self.sizes())
            first = rng.choice([-1, 1], self.samples)
            corners = np.c_[first, np.where(y == 1, -first, first)]
            return corners + self.noise * rng.randn(self.samples, 2), y

        return draw


class Real(Data):
    """A table, by default scikit-learn's, named by `loader`: split by `seed`; `standardise`d by the training part, or as measured."""

    loader: ClassVar[str]
    test_size: float
    seed: int
    standardise: bool

    def __post_init__(self) -> None:
        if not 0 < self.test_size < 1:
            raise ValueError(f"data.test_size={self.test_size} is not a fraction: choose a number between 0 and 1")

    def draw(self) -> Dataset:
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import StandardScaler

        X, y = self.read()
        stratify = None if self.task == "regression" else y
        try:
            X, X_test, y, y_test = train_test_split(
                X, y, test_size=self.test_size, random_state=self.seed, stratify=stratify
            )
        except ValueError as error:
            raise ValueError(f"data.test_size={self.test_size} leaves no usable split: {error}") from None
        measured: tuple[np.ndarray, ...] = ()
        if self.standardise:
            scaler = StandardScaler().fit(X)
            X, X_test = scaler.transform(X), scaler.transform(X_test)
            measured = scaler.mean_[:, None], scaler.scale_[:, None]
        X, X_test = np.ascontiguousarray(X.T), np.ascontiguousarray(X_test.T)
        return Dataset(X, self.targets(y, y), X_test, self.targets(y_test, y), self.task, *measured)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """All samples (m, n_x), a row each, and their labels or values (m,)."""
        from sklearn import datasets

        X, y = getattr(datasets, self.loader)(return_X_y=True)
        return X, y

    def targets(self, y: np.ndarray, train: np.ndarray) -> np.ndarray:
        """Y (n_y, m) of labels or values y (m,); `train` are the training ones. Values are not centred, so they keep their sign."""
        if self.task == "multiclass":
            return (np.unique(train)[:, None] == y).astype(float)
        return y[None] / train.std() if self.task == "regression" else y[None].astype(float)


@dataclass(frozen=True)
class BreastCancer(Real):
    """569 tumours, 30 features, two classes (1 = benign)."""

    test_size: float = 0.2
    seed: int = 1
    standardise: bool = True

    task = "binary"
    loader = "load_breast_cancer"


@dataclass(frozen=True)
class Digits(Real):
    """1797 images of 8 x 8 pixels, ten classes."""

    test_size: float = 0.2
    seed: int = 1
    standardise: bool = True

    task = "multiclass"
    loader = "load_digits"


@dataclass(frozen=True)
class Wine(Real):
    """178 wines, 13 features, three classes."""

    test_size: float = 0.2
    seed: int = 1
    standardise: bool = True

    task = "multiclass"
    loader = "load_wine"


@dataclass(frozen=True)
class Iris(Real):
    """150 flowers, 4 features, three classes."""

    test_size: float = 0.2
    seed: int = 1
    standardise: bool = True

    task = "multiclass"
    loader = "load_iris"


@dataclass(frozen=True)
class Diabetes(Real):
    """442 patients, 10 features; the target is divided by its standard deviation, not centred, so it stays positive."""

    test_size: float = 0.2
    seed: int = 1
    standardise: bool = True

    task = "regression"
    loader = "load_diabetes"
