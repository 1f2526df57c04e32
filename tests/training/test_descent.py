"""Every way to descend in every engine: an oracle, the definition against the kernel, and the contracts that hold for all."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from shallowexp.network import activations, outputs
from shallowexp.network.diagnostics import METRICS
from shallowexp.network.initializers import Constant, Duplicate, Random, Zero
from shallowexp.network.optimizers import Adam, GradientDescent, Momentum
from shallowexp.network.passes import backward, forward
from shallowexp.training import kernel
from shallowexp.training.engines import train, train_one
from shallowexp.training.job import Job
from tests.training.test_engines import Gaussian, bits
from tests.training.test_kernel import make, trained

OPTIMIZERS = {"gd": GradientDescent(), "momentum": Momentum(), "adam": Adam()}
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def oracle(X, Y, parameters, steps, optimizer, size, seed):
    """A tanh network with a sigmoid output, its descent written once more: parameters after `steps` updates."""
    draw, order = np.random.RandomState([seed, 1]), np.array([], int)
    now = [p.copy() for p in parameters]
    before, m, v = [p.copy() for p in now], [0.0] * 4, [0.0] * 4
    for t in range(1, steps + 1):
        order = order if len(order) else draw.permutation(X.shape[1])
        x, y, order = X[:, order[:size]], Y[:, order[:size]], order[size:]
        W1, b1, W2, b2 = now
        a1 = np.tanh(W1 @ x + b1)
        e2 = (1 / (1 + np.exp(-(W2 @ a1 + b2))) - y) / x.shape[1]
        e1 = (W2.T @ e2) * (1 - a1 * a1)
        for i, g in enumerate((e1 @ x.T, e1.sum(axis=1, keepdims=True), e2 @ a1.T, e2.sum(axis=1, keepdims=True))):
            if optimizer == "adam":
                m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g * g
                now[i] = now[i] - 0.02 * (m[i] / (1 - 0.9**t)) / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
            else:
                beta = 0.9 if optimizer == "momentum" else 0.0
                before[i], now[i] = now[i], now[i] - 0.02 * g + beta * (now[i] - before[i])
    return now


@pytest.mark.parametrize("engine", ["numpy", "compiled", "chapter"])
@pytest.mark.parametrize("size", [None, 5, 37])
@every_optimizer
def test_whole_descents_are_the_oracle_s(engine, size, name):
    job = Job(Gaussian(3), activations.Tanh(), Random(0.5), outputs.Sigmoid(), 4, 7, 40, 0.02, (0, 40), engine=engine,
              optimizer=OPTIMIZERS[name], batch_size=size)  # fmt: skip
    (data, initial), (result,) = job.initial(), train([job])
    expected = oracle(data.X, data.Y, initial, 40, name, size or 37, job.seed)
    for found, right in zip(result.final, expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-11)


@every_optimizer
@pytest.mark.parametrize("size", [None, 8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_identical_units_stay_bit_identical(name, size, dtype):
    """Contract 2 under every way to descend, at every hidden size, in the definition and in the kernel."""
    starts = {Zero(): 1, Constant(0.1): 1, Duplicate(0.5, unique=2): 2}
    jobs = {
        Job(Gaussian((2, 3, 30, 64)[n_h % 4]), activation, init, outputs.Sigmoid(), n_h, 0, 6, 0.1, (6,), dtype, engine,
            optimizer=OPTIMIZERS[name], batch_size=size): unique
        for n_h in range(1, 65)
        for init, unique in starts.items()
        for activation in (activations.Sigmoid(), activations.Tanh(), activations.ReLU())
        for engine in ("numpy", "compiled")[n_h % 8 > 0 :]
    }  # fmt: skip
    for (job, unique), result in zip(jobs.items(), train([*jobs]), strict=True):
        W1, b1, W2, _ = result.final
        source = np.arange(job.hidden_size) % unique
        assert W1.dtype == dtype
        assert all(np.array_equal(units, units[source]) for units in (W1, b1, W2.T)), job


@every_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ten_steps_agree_with_the_definition(name, dtype):
    """Contract 3: of one sample and of many, of one block and of several, wide and narrow."""
    eps, rate = np.finfo(dtype).eps, 0.001 if name == "adam" else 0.01
    shapes = {(1, 1, 2): (1, 2), (2, 3, 50): (1, 7, 50), (30, 5, 400): (399,), (10, 64, 700): (32, 650)}
    choices = {
        activations.Sigmoid(): outputs.Sigmoid(),
        activations.Tanh(): outputs.Softmax(),
        activations.ReLU(): outputs.Identity(),
    }
    for (g, output), (n_x, n_h, m) in product(choices.items(), shapes):
        for size in (None, *shapes[n_x, n_h, m]):
            job = make(output, n_x=n_x, samples=m, hidden_size=n_h, activation=g, dtype=dtype, learning_rate=rate,
                       log_steps=(0, 4, 10), optimizer=OPTIMIZERS[name], batch_size=size)  # fmt: skip
            [fast], defined = trained([job]), train_one(job)
            for p, q in zip(fast.final, defined.final, strict=True):
                np.testing.assert_allclose(p, q, rtol=1e4 * eps, atol=1e3 * eps, err_msg=f"{job}")
            np.testing.assert_allclose(fast.metrics[0], defined.metrics[0], rtol=1e5 * eps, atol=1e3 * eps)


@pytest.mark.parametrize("engine", ["numpy", "compiled", "chapter"])
def test_what_is_measured_is_of_all_samples(engine):
    job = Job(Gaussian(3), activations.Tanh(), Random(0.5), outputs.Sigmoid(), 4, 7, 9, 0.1, (0, 4, 9), engine=engine,
              weights=True, batch_size=2)  # fmt: skip
    (result,), (data, _) = train([job]), job.initial()
    for row, parameters in zip(result.metrics, zip(*result.weights, strict=True), strict=True):
        parameters = type(result.weights)(*parameters)
        cache = forward(data.X, parameters, job.activation)
        gradients = backward(data.X, data.Y, parameters, cache, job.activation, job.output)
        assert row[METRICS.index("train/loss")] == pytest.approx(job.output.loss(cache.Z2, data.Y), rel=1e-12)
        assert row[METRICS.index("gradient/W1")] == pytest.approx(np.linalg.norm(gradients.W1), rel=1e-10)


@every_optimizer
def test_what_is_logged_changes_nothing(name):
    job = replace(make(), steps=50, optimizer=OPTIMIZERS[name], batch_size=16, weights=False)
    for engine in ("numpy", "compiled"):
        often, once = train([replace(job, engine=engine, log_steps=steps) for steps in (tuple(range(51)), (50,))])
        assert all(map(np.array_equal, often.final, once.final))


@every_optimizer
@pytest.mark.parametrize("at_once", [1, 120, 10_000])
def test_how_many_orders_are_drawn_at_once_changes_nothing(name, at_once, monkeypatch):
    job = replace(make(), steps=100, log_steps=(0, 7, 50, 100), optimizer=OPTIMIZERS[name], batch_size=16)
    [before] = trained([job])
    monkeypatch.setattr(kernel, "ORDERS", at_once)
    [after] = trained([job])
    assert bits(before) == bits(after)


@every_optimizer
@pytest.mark.parametrize("size", [None, 16])
def test_divergence_ends_where_the_definition_says(name, size):
    job = make(outputs.Identity(), activation=activations.ReLU(), learning_rate=1e150, steps=200,
               log_steps=(0, 1), optimizer=OPTIMIZERS[name], batch_size=size)  # fmt: skip
    [found], defined = trained([job]), train_one(job)
    assert found.diverged_at == defined.diverged_at is not None


def test_the_seed_draws_the_minibatches_too():
    job = replace(make(init=Constant(0.1)), batch_size=16, engine="numpy")
    first, second, whole = train([job, replace(job, seed=job.seed + 1), replace(job, batch_size=None)])
    assert len({bits(result)[1][-1] for result in (first, second, whole)}) == 3
