"""Relations that hold whatever the right numbers are, for every activation, output, engine and dtype; and the ends of the scales."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest

from shallowexp.network import activations, outputs
from shallowexp.network.data import Data, Dataset
from shallowexp.network.initializers import Initializer, Parameters
from shallowexp.training.engines import train
from shallowexp.training.job import Job, Result
from tests.training.test_kernel import ACTIVATIONS, DTYPES, OUTPUTS, Table

ENGINES = ("numpy", "chapter", "compiled")
OUTCOMES = ("train/loss", "test/loss", "train/accuracy", "test/accuracy")
TOLERANCE = {"float32": 2e-4, "float64": 1e-12}  # after three steps
SAMPLES, UNITS = 40, 5


@dataclass(frozen=True, eq=False)
class Given(Data):
    """A data set as it is."""

    data: Dataset

    @property
    def task(self) -> str:
        return self.data.task

    def draw(self) -> Dataset:
        return self.data


@dataclass(frozen=True, eq=False)
class Start(Initializer):
    """Initial parameters as they are."""

    parameters: Parameters

    def __call__(self, *_: int) -> Parameters:
        return self.parameters


def jobs(activation=ACTIVATIONS, output=OUTPUTS) -> list[Job]:
    """One for each of these, with every engine and dtype; each entry of the parameters is random, so that no z meets a kink."""
    made = []
    for g, out, engine, dtype in product(activation, output, ENGINES, DTYPES):
        data = Table(3, SAMPLES, out.tasks[0], seed=5, n_y=3 if out.tasks[0] == "multiclass" else 1).draw()
        rng, n_y = np.random.default_rng(8), len(data.Y)
        start = Parameters(*(rng.normal(size=shape) for shape in ((UNITS, 3), (UNITS, 1), (n_y, UNITS), (n_y, 1))))
        made.append(Job(Given(data), g, Start(start), out, UNITS, 0, 3, 0.1, (0, 1, 3), dtype, engine, True))
    return made


def changed(
    job: Job, data: Callable[[Dataset], Dataset] | None = None, start: Callable[[Parameters], Parameters] | None = None
) -> Job:
    job = replace(job, data=Given(data(job.data.data))) if data else job
    return replace(job, init=Start(start(job.init.parameters))) if start else job


def assert_close(found: np.ndarray, expected: np.ndarray, job: Job) -> None:
    tolerance = TOLERANCE[job.dtype]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=f"{job}")


def assert_same_history(found: Result, expected: Result, job: Job, metrics=OUTCOMES) -> None:
    for metric in metrics:
        assert_close(found.history(metric), expected.history(metric), job)


def compared(made: list[Job], change: Callable[[Job], Job]):
    return zip(made, train(made), train([change(job) for job in made]), strict=True)


def test_the_order_of_samples_does_not_matter():
    order = np.random.default_rng(1).permutation(SAMPLES)

    def shuffled(data: Dataset) -> Dataset:
        return data._replace(
            X=data.X[:, order], Y=data.Y[:, order], X_test=data.X_test[:, ::-1], Y_test=data.Y_test[:, ::-1]
        )

    for job, before, after in compared(jobs(), lambda job: changed(job, shuffled)):
        assert_close(after.metrics, before.metrics, job)
        for p, q in zip(after.final, before.final, strict=True):
            assert_close(p, q, job)


def test_hidden_units_have_no_order():
    order = np.array([3, 0, 4, 2, 1])

    def shuffled(p: Parameters) -> Parameters:
        return Parameters(p.W1[order], p.b1[order], p.W2[:, order], p.b2)

    for job, before, after in compared(jobs(), lambda job: changed(job, start=shuffled)):
        assert_close(after.metrics, before.metrics, job)
        for p, q in zip(after.final, shuffled(before.final), strict=True):
            assert_close(p, q, job)


def test_a_unit_of_an_odd_activation_has_no_sign():
    """tanh(-z) = -tanh(z): the whole descent is the same, but for the signs of one unit's weights."""
    sign = np.array([[1.0], [-1.0], [1.0], [1.0], [1.0]])

    def flipped(p: Parameters) -> Parameters:
        return Parameters(p.W1 * sign, p.b1 * sign, p.W2 * sign.T, p.b2)

    odd = (activations.Tanh(), activations.Identity())
    for job, before, after in compared(jobs(odd), lambda job: changed(job, start=flipped)):
        assert_same_history(after, before, job)
        for p, q in zip(after.final, flipped(before.final), strict=True):
            assert_close(p, q, job)


def test_a_sigmoid_unit_s_sign_is_undone_by_the_next_layer():
    """sigmoid(-z) = 1 - sigmoid(z): the same function, though not the same descent."""

    def flipped(p: Parameters) -> Parameters:
        return Parameters(-p.W1, -p.b1, -p.W2, p.b2 + p.W2.sum(axis=1, keepdims=True))

    for job, before, after in compared(jobs((activations.Sigmoid(),)), lambda job: changed(job, start=flipped)):
        for metric in OUTCOMES:
            assert_close(after.history(metric)[0], before.history(metric)[0], job)


def test_a_unit_that_is_linear_on_either_side_has_no_scale():
    """g(c z) = c g(z): the same function; one step moves W1 by 1/c and W2 by c of what it moved them."""
    c = np.array([[1.0], [4.0], [1.0], [0.5], [1.0]])

    def rescaled(p: Parameters) -> Parameters:
        return Parameters(c * p.W1, c * p.b1, p.W2 / c.T, p.b2)

    linear = [g for g in ACTIVATIONS if g.invariance.endswith("scale")]
    for job, before, after in compared(jobs(linear), lambda job: changed(job, start=rescaled)):
        for metric in OUTCOMES:
            assert_close(after.history(metric)[0], before.history(metric)[0], job)
        moved, moves = (Parameters(*(w[1] - w[0] for w in result.weights)) for result in (after, before))
        for p, q in zip(moved, (moves.W1 / c, moves.b1 / c, moves.W2 * c.T, moves.b2), strict=True):
            assert_close(p, q, job)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_the_names_of_classes_do_not_matter(kind):
    """0 and 1 change places: the next layer's signs change; three classes do: its rows."""
    order = np.array([2, 0, 1])

    def other(Y: np.ndarray) -> np.ndarray:
        return 1 - Y if kind == "binary" else Y[order]

    def relabelled(data: Dataset) -> Dataset:
        return data._replace(Y=other(data.Y), Y_test=other(data.Y_test))

    def mapped(p: Parameters) -> Parameters:
        return p._replace(W2=-p.W2, b2=-p.b2) if kind == "binary" else p._replace(W2=p.W2[order], b2=p.b2[order])

    made = jobs(output=[output for output in OUTPUTS if kind in output.tasks])
    for job, before, after in compared(made, lambda job: changed(job, relabelled, mapped)):
        assert_same_history(after, before, job)
        for p, q in zip(after.final, mapped(before.final), strict=True):
            assert_close(p, q, job)


LARGEST = {"float32": 1e30, "float64": 1e300}


def extremes(dtype: str) -> list[tuple[str, np.ndarray, float, int]]:
    """Name, X, the initial weights' scale and the number of units."""
    X = np.random.default_rng(2).normal(size=(2, 12))
    scales = [scale for scale in (1e-300, 1e-150, 1e-30, 1e-8, 1e8, 1e30, 1e150, 1e300) if scale <= LARGEST[dtype]]
    return [
        *((f"weights of {scale:g}", X, scale, 4) for scale in scales),
        *((f"inputs of {scale:g}", X * scale, 0.5, 4) for scale in scales),
        *((f"both of {scale:g}", X * scale, scale, 4) for scale in scales),
        ("one sample", X[:, :1], 0.5, 4),
        ("one unit", X, 0.5, 1),
        ("constant features", np.ones_like(X), 0.5, 4),
        ("no features but zeros", np.zeros_like(X), 0.5, 4),
        ("100,000 samples", np.tile(X, 8334), 0.5, 2),
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: type(output).__name__)
def test_at_the_ends_of_the_scales_every_engine_comes_to_the_same_end(output, dtype):
    """A history of numbers that are finite, or a divergence: where the definition has one, unless a sum overflows on the way, which
    one engine may round to an infinity and another to none. There is a single class.
    """
    n_y = 2 if isinstance(output, outputs.Softmax) else 1
    made, names = [], []
    for (name, X, scale, units), g in product(extremes(dtype), ACTIVATIONS):
        Y = np.zeros((n_y, X.shape[1]))
        Y[0] = 1
        rng = np.random.default_rng(4)
        shapes = (units, len(X)), (units, 1), (n_y, units), (n_y, 1)
        start = Start(Parameters(*(rng.normal(size=shape) * scale for shape in shapes)))
        data = Given(Dataset(X, Y, X[:, :3], Y[:, :3], output.tasks[0]))
        made += [Job(data, g, start, output, units, 0, 3, 0.1, (0, 3), dtype, engine, True) for engine in ENGINES]
        names += [(f"{name}, {g}", max(np.abs(X).max(), scale) < LARGEST[dtype] ** 0.2)]
    results = train(made)
    for i, (name, small) in enumerate(names):
        defined, *others = results[3 * i : 3 * i + 3]
        for result in (defined, *others):
            assert isinstance(result, Result), (name, result)
            assert not np.isinf(result.metrics).any(), name
            assert np.isfinite(result.history("train/loss")).all(), name
        for result in others if small else ():
            assert result.diverged_at == defined.diverged_at, name
            np.testing.assert_allclose(
                result.history("train/loss")[:1], defined.history("train/loss")[:1], rtol=1e-4, err_msg=name
            )
