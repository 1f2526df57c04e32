"""The compiled kernel against the definition, and the contracts that it keeps by construction."""

import os
from dataclasses import replace
from itertools import product

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numba import njit

from shallowexp.network import activations, outputs
from shallowexp.network.data import Data, Dataset
from shallowexp.network.initializers import Duplicate, Random
from shallowexp.network.optimizers import Adam, Momentum
from shallowexp.network.passes import backward, forward
from shallowexp.training import kernel, kernel_arithmetic
from shallowexp.training.engines import train_one
from shallowexp.training.job import Job

ACTIVATIONS = (
    activations.Sigmoid(),
    activations.Tanh(),
    activations.ReLU(),
    activations.ReLU(derivative_at_zero=0.5),
    activations.LeakyReLU(slope=0.1),
    activations.Identity(),
)
OUTPUTS = tuple(output() for output in kernel.OUTPUTS)
DTYPES = ("float32", "float64")


class Table(Data):
    """Normal inputs of any shape, and targets that fit the output's task."""

    def __init__(self, n_x=2, samples=50, task="binary", seed=0, n_y=1):
        self.key = n_x, samples, task, seed, n_y
        self.task = task

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return self.key == other.key

    def draw(self):
        n_x, samples, task, seed, n_y = self.key
        rng = np.random.RandomState(seed)
        X, X_test = rng.randn(n_x, samples), rng.randn(n_x, samples // 2 + 1)
        return Dataset(X, self.targets(X, n_y), X_test, self.targets(X_test, n_y), task)

    def targets(self, X, n_y):
        if self.task == "multiclass":
            return (np.floor(X.sum(axis=0) % n_y) == np.arange(n_y)[:, None]).astype(float)
        y = np.tile(np.sin(X.sum(axis=0)), (n_y, 1))
        return y if self.task == "regression" else (y > 0).astype(float)


def make(output=OUTPUTS[0], n_y=None, n_x=2, samples=50, seed=0, **changes) -> Job:
    task = output.tasks[0]
    data = Table(n_x, samples, task, seed, n_y or (3 if task == "multiclass" else 1))
    job = Job(data, activations.Tanh(), Random(0.5), output, 5, 1, 10, 0.1, (0, 10), weights=True)
    return replace(job, **changes)


def trained(jobs, threads=None):
    return kernel.train_batch(jobs, threads)


def gradients(result, learning_rate) -> np.ndarray:
    """The first step's, from the path of a job that logs 0 and 1."""
    return np.concatenate([((p[0].astype(float) - p[1]) / learning_rate).ravel() for p in result.weights])


def assert_same(a, b):
    for x, y in ((a.steps, b.steps), (a.metrics, b.metrics), *zip(a.final, b.final, strict=True)):
        assert x.dtype == y.dtype
        assert np.array_equal(x, y, equal_nan=True)
    assert a.diverged_at == b.diverged_at
    assert (a.weights is None) == (b.weights is None)
    for x, y in zip(a.weights or (), b.weights or (), strict=True):
        assert np.array_equal(x, y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-3, 0.5, 8.0])
def test_gradients_and_ten_steps_agree_with_the_definition(dtype, scale):
    eps = np.finfo(dtype).eps
    shapes = [(1, 1, 1), (2, 3, 50), (3, 8, 33), (30, 5, 400), (64, 17, 200), (10, 64, 257)]
    for g, output, (n_x, n_h, m) in product(ACTIVATIONS, OUTPUTS, shapes):
        job = make(output, n_x=n_x, samples=m, hidden_size=n_h, activation=g, init=Random(scale), dtype=dtype)
        assert_first_gradients_agree(job)
        ten = replace(job, learning_rate=0.01 / (1 + scale**2 * n_x * n_h))
        [found], defined = trained([ten]), train_one(ten)
        for p, q in zip(found.final, defined.final, strict=True):
            np.testing.assert_allclose(p, q, rtol=1e4 * eps, atol=1e3 * eps * scale)


def assert_first_gradients_agree(job: Job) -> None:
    data, initial = job.initial()
    cache = forward(data.X, initial, job.activation)
    expected = backward(data.X, data.Y, initial, cache, job.activation, job.output)
    expected = np.concatenate([d.astype(float).ravel() for d in expected])
    step = 1.0 / max(np.linalg.norm(expected), 1e-30)  # long enough for p0 - p1 to keep its digits
    [found] = trained([replace(job, steps=1, log_steps=(0, 1), learning_rate=step)])
    size = np.sqrt(sum(np.sum(p.astype(float) ** 2) for p in initial))
    cancelled = (1 + np.abs(cache.Z2).max()) * (1 + np.abs(cache.A1).max() + size * (1 + np.abs(data.X).max()))
    tolerance = 30 * np.finfo(job.dtype).eps * (10 * np.linalg.norm(expected) + 10 * size / step + cancelled)
    assert np.linalg.norm(gradients(found, step) - expected) <= tolerance, job


@st.composite
def any_job(draw) -> Job:
    """Small networks of every kind; their z are not so close to a kink that rounding could move one over it."""
    output = draw(st.sampled_from(OUTPUTS))
    slope = st.floats(0, 2).map(activations.LeakyReLU)
    least, most = {"binary": (1, 1), "multiclass": (2, 6), "regression": (1, 6)}[output.tasks[0]]
    scale, n_y = 10 ** draw(st.floats(-3, 0.3)), draw(st.integers(least, most))
    job = make(
        output, n_x=draw(st.integers(1, 70)), samples=draw(st.integers(1, 300)), seed=draw(st.integers(0, 2**32 - 1)),
        n_y=n_y, hidden_size=draw(st.integers(1, 70)), activation=draw(st.sampled_from(ACTIVATIONS) | slope),
        init=Random(scale, bias=scale), dtype=draw(st.sampled_from(DTYPES)),
    )  # fmt: skip
    data, initial = job.initial()
    Z1, _, Z2 = forward(data.X, initial, job.activation)
    close = 20 * np.finfo(job.dtype).eps * scale
    kinked = [Z1] * (job.activation.invariance == "positive scale") + [Z2] * isinstance(output, outputs.ReLU)
    assume(all(np.abs(Z).min() > close for Z in kinked))
    return job


@settings(max_examples=3000 if "TORTURE" in os.environ else 100, deadline=None, derandomize=True)
@given(any_job())
def test_any_network_s_gradients_agree_with_the_definition(job):
    assert_first_gradients_agree(job)


def test_diagnostics_are_those_of_the_definition():
    for g, output, scale in product(ACTIVATIONS, OUTPUTS, (0.0, 1e-3, 1.0, 30.0)):
        init = Duplicate(scale, unique=3, repeat="W1")
        job = make(output, n_x=3, samples=70, activation=g, hidden_size=7, init=init, log_steps=(0, 1, 3))
        [found], defined = trained([job]), train_one(job)
        assert found.diverged_at == defined.diverged_at
        np.testing.assert_array_equal(found.steps, defined.steps)
        np.testing.assert_allclose(found.metrics[:1], defined.metrics[:1], rtol=1e-10, atol=1e-14, err_msg=f"{job}")
        if scale < 30:
            np.testing.assert_allclose(found.metrics, defined.metrics, rtol=1e-8, atol=1e-12, err_msg=f"{job}")


def mixed_jobs() -> list[Job]:
    rng = np.random.RandomState(7)
    jobs = []
    for i, (g, output) in enumerate(product(ACTIVATIONS, OUTPUTS)):
        n_x, n_h, m = (int(rng.randint(1, top)) for top in (70, 40, 300))
        steps = int(rng.randint(1, 30))
        logs = tuple(sorted({0, steps // 2, steps}))
        jobs.append(
            make(
                output, n_x=n_x, samples=m, hidden_size=n_h, activation=g, seed=i, steps=steps, log_steps=logs,
                learning_rate=float(rng.rand()), dtype=DTYPES[i % 2], weights=i % 3 == 0,
            )
        )  # fmt: skip
    return jobs


def test_a_result_depends_on_its_job_alone():
    jobs = mixed_jobs()
    alone = [trained([job], threads=1)[0] for job in jobs]
    order = np.random.RandomState(0).permutation(len(jobs))
    shuffled = trained([jobs[i] for i in order], threads=3)
    for together in (trained(jobs), [shuffled[i] for i in np.argsort(order)]):
        for a, b in zip(alone, together, strict=True):
            assert_same(a, b)


@pytest.mark.parametrize("changes", [{}, {"optimizer": Momentum(0.9)}, {"optimizer": Adam()}, {"batch_size": 7}])
def test_what_one_call_trains_is_as_if_each_network_were_alone(changes):
    """Some diverge at once, some on the way."""
    rates, scales = np.geomspace(1e-2, 1e38, 80).tolist(), [0.01, 1.0, 1e30]
    base = [make(OUTPUTS[2], dtype="float32", weights=weights, **changes) for weights in (True, False)]
    jobs = [
        replace(job, init=Random(scales[i % 3]), learning_rate=rate, seed=i)
        for job in base
        for i, rate in enumerate(rates)
    ]
    assert max(map(len, kernel._parts(jobs, 1))) == (1 if changes.get("batch_size") else len(jobs) // kernel.CALLS)
    together = trained(jobs, threads=2)
    assert len({result.diverged_at for result in together}) > 2
    for job, result in zip(jobs, together, strict=True):
        assert_same(trained([job])[0], result)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_x", [2, 3, 30, 64])
def test_identical_units_stay_identical(dtype, n_x):
    changes = {"n_x": n_x, "samples": 90, "dtype": dtype, "steps": 5, "log_steps": (5,), "learning_rate": 0.5}
    jobs = [
        make(output, hidden_size=n_h, activation=g, init=Duplicate(0.5, unique=2), **changes)
        for n_h in range(1, 65)
        for g, output in zip(ACTIVATIONS[:2], OUTPUTS[:2], strict=True)
    ]
    for job, result in zip(jobs, trained(jobs), strict=True):
        W1, b1, W2, _ = result.final
        source = np.arange(job.hidden_size) % 2
        for units in (W1, b1, W2.T):
            assert np.array_equal(units, units[source]), job.hidden_size


@njit
def called(function, *arguments):
    """What the kernel calls has no way in from Python."""
    function(*arguments)


def ulps(found: np.ndarray, z: np.ndarray, truth, smallest: float) -> float:
    """The largest error in units in the last place, among true values from `smallest`."""
    worst = 0.0
    with mpmath.workdps(60):
        for value, x in zip(found, z, strict=True):
            true = truth(mpmath.mpf(float(x)))
            nearest = np.asarray(float(true), found.dtype)
            if abs(nearest) >= smallest:
                worst = max(worst, float(abs(mpmath.mpf(float(value)) - true) / float(np.spacing(abs(nearest)))))
    return worst


CURVES = {
    kernel_arithmetic.tanh: (mpmath.tanh, lambda z: 1 / mpmath.cosh(z) ** 2),
    kernel_arithmetic.sigmoid: (
        lambda z: 1 / (1 + mpmath.exp(-z)),
        lambda z: mpmath.exp(-abs(z)) / (1 + mpmath.exp(-abs(z))) ** 2,
    ),
}
CODES = {kernel_arithmetic.tanh: kernel_arithmetic.TANH, kernel_arithmetic.sigmoid: kernel_arithmetic.SIGMOID}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", CURVES, ids=lambda f: f.__name__)
def test_curves_are_within_8_ulp(function, dtype):
    info = np.finfo(dtype)
    grid = np.concatenate(
        [np.geomspace(info.tiny * 4, 800, 1200), np.linspace(0, 2, 300), np.linspace(0, -np.log(info.tiny), 900)]
    )
    Z = np.concatenate([grid, -grid])[None].astype(dtype)
    slopes, A, piece_slopes = np.empty_like(Z), np.empty_like(Z), (Z.dtype.type(0), Z.dtype.type(0))
    called(kernel_arithmetic.activate, CODES[function], piece_slopes, Z, A)
    called(kernel_arithmetic.slopes, CODES[function], piece_slopes, Z, slopes)
    value, slope = CURVES[function]
    assert ulps(A[0], Z[0], value, info.tiny) <= 8
    assert ulps(slopes[0], Z[0], slope, 4 * info.tiny) <= 8  # tanh' = 4 exp(-2|z|), and the exponential must be normal


def test_softmax_is_within_8_ulp_and_keeps_far_classes():
    Z = np.array([[0.0, -1e-9, 800.0], [-700.0, 3.0, -5.0], [1.0, 2.0, 0.0]])
    A = np.empty_like(Z)
    called(kernel_arithmetic.softmax, Z, A, np.empty((2, 3)))
    np.testing.assert_allclose(A, outputs.Softmax()(Z), rtol=8 * np.finfo(float).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_that_diverges_ends_where_the_definition_says(dtype):
    job = make(
        outputs.Identity(), activation=activations.ReLU(), dtype=dtype, learning_rate=1e6, steps=60,
        log_steps=tuple(range(61)),
    )  # fmt: skip
    [found], defined = trained([job]), train_one(job)
    assert found.diverged_at == defined.diverged_at
    assert np.array_equal(found.steps, defined.steps)
    assert len(found.steps) == found.diverged_at
    assert np.isfinite(found.history("train/loss")).all()
    assert not np.isinf(found.metrics).any()
    assert all(np.isfinite(p).all() for p in found.final)
    [silent], defined = trained([replace(job, log_steps=(60,))]), train_one(replace(job, log_steps=(60,)))
    assert silent.diverged_at == defined.diverged_at
    assert len(silent.steps) == 0
    assert silent.weights is None
    assert all(np.array_equal(p, q) for p, q in zip(silent.final, job.initial()[1], strict=True))


def test_the_weights_path_ends_at_the_final_parameters():
    job = make(outputs.Softmax(), log_steps=(0, 4, 10), hidden_size=6)
    [kept], [bare] = trained([job]), trained([replace(job, weights=False)])
    assert bare.weights is None
    for path, first, final, last in zip(kept.weights, job.initial()[1], kept.final, bare.final, strict=True):
        assert path.shape == (3, *first.shape)
        assert path.dtype == first.dtype
        assert np.array_equal(path[0], first)
        assert np.array_equal(path[-1], final)
        assert np.array_equal(final, last)


def test_what_the_kernel_does_not_know():
    class Mine(activations.Tanh):
        pass

    assert kernel.supports(make())
    assert not kernel.supports(make(activation=Mine()))
    assert not kernel.supports(make(output=type("Mine", (outputs.Sigmoid,), {})()))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 5000), st.integers(1, 100), st.integers(1, 100), st.integers(1, 12), st.sampled_from([4, 8]))
def test_blocks_hold_every_sample_once(m, n_x, n_h, n_y, itemsize):
    width = kernel._width(n_x, n_h, n_y, m, itemsize)
    a = np.arange(1, m + 1.0)[None]
    blocks = kernel._blocks(a, width)
    assert width % kernel.LANES == 0
    assert blocks.shape[1:] == (1, width)
    assert np.array_equal(blocks[blocks > 0], a[0])
    assert np.count_nonzero(blocks[-1]) > 0
