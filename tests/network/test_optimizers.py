"""Ways to descend against the papers' formulas, written again number by number; and which samples a step sees."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shallowexp.network import activations, outputs
from shallowexp.network.initializers import Parameters
from shallowexp.network.optimizers import SMALLEST, Adam, GradientDescent, Momentum, batches, epochs
from shallowexp.network.passes import backward, forward, gradient_descent

RATE = 0.1
rates = st.floats(0, 0.999)


def heavy_ball(start, gradients, beta):
    """Polyak 1964: x(k+1) = x(k) - alpha grad f(x(k)) + beta (x(k) - x(k-1)), from x(-1) = x(0)."""
    before = now = start
    for gradient in gradients:
        before, now = now, now - RATE * gradient + beta * (now - before)
    return now


def adam(start, gradients, beta1, beta2, epsilon):
    """Kingma & Ba 2015, algorithm 1."""
    theta, m, v = start, 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        theta = theta - RATE * m_hat / (v_hat**0.5 + epsilon)
    return theta


def reached(optimizer, start, gradients):
    """W after an update for each row of the gradients (t, n)."""
    W, memory = np.array(start), (np.zeros(len(start)),) * optimizer.memories
    for t, dW in enumerate(gradients, start=1):
        direction, memory = optimizer(dW, memory, t)
        W = W - RATE * direction
    return W


def problem():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(3, 10)), rng.integers(2, size=(1, 10)) * 1.0
    return X, Y, Parameters(*(rng.normal(size=shape) for shape in ((4, 3), (4, 1), (1, 4), (1, 1))))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), rates, rates)
def test_updates_are_the_papers(seed, steps, beta1, beta2):
    rng = np.random.default_rng(seed)
    start, gradients = rng.normal(size=5), rng.normal(size=(steps, 5)) * 10.0 ** rng.integers(-6, 3, size=5)
    oracles = {
        GradientDescent(): lambda x, g: x - RATE * sum(g),
        Momentum(beta1): lambda x, g: heavy_ball(x, g, beta1),
        Adam(beta1, beta2, 1e-8): lambda x, g: adam(x, g, beta1, beta2, 1e-8),
    }
    for optimizer, oracle in oracles.items():
        found = reached(optimizer, start, gradients)
        expected = [oracle(float(x), [float(d) for d in g]) for x, g in zip(start, gradients.T, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("optimizer", "oracle"),
    [
        (Momentum(0.5), lambda start, gradients: heavy_ball(start, gradients, 0.5)),
        (Adam(), lambda start, gradients: adam(start, gradients, 0.9, 0.999, 1e-8)),
    ],
    ids=["momentum", "adam"],
)
def test_descent_moves_every_parameter_as_the_papers_say(optimizer, oracle):
    X, Y, parameters = problem()
    descent = gradient_descent(X, Y, parameters, activations.Tanh(), outputs.Sigmoid(), RATE, optimizer=optimizer)
    *before, (last, _, _) = islice(descent, 6)
    for i, found in enumerate(last):
        expected = oracle(parameters[i], [gradients[i] for _, _, gradients in before])
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_optimizers_are_values_that_say_how_many_arrays_they_remember():
    optimizers = GradientDescent(), Momentum(), Adam()
    assert [optimizer.memories for optimizer in optimizers] == [0, 1, 2]
    assert all(len({optimizer, replace(optimizer)}) == 1 for optimizer in optimizers)
    assert (Momentum(), Adam()) == (Momentum(0.9), Adam(0.9, 0.999, 1e-8))
    assert np.float32(Adam(epsilon=SMALLEST).epsilon) > 0


def test_a_constant_gradient():
    """The heavy ball comes to a step 1 / (1 - beta) times as long; Adam's every step is eta long, whatever the gradient."""
    gradients = np.full((2000, 2), [1e-3, 50.0])
    for optimizer, last in ((Momentum(0.9), RATE * 10 * gradients[0]), (Adam(), np.full(2, RATE))):
        before, after = (reached(optimizer, [0.0, 0.0], gradients[:n]) for n in (1999, 2000))
        np.testing.assert_allclose(before - after, last, rtol=1e-4)


def test_without_decay_the_heavy_ball_is_gradient_descent_to_the_bit():
    gradients = np.random.default_rng(0).normal(size=(9, 4))
    assert np.array_equal(
        *(reached(optimizer, [1.0] * 4, gradients) for optimizer in (Momentum(0.0), GradientDescent()))
    )


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_an_epoch_sees_each_sample_once_in_a_new_order(m, size, seed):
    X = np.arange(m)[None]
    steps = -(-m // size)
    seen = [x for x, y in islice(batches(X, -X, size, seed), 2 * steps) if np.array_equal(x, -y)]
    assert [x.shape[1] for x in seen] == 2 * ([size] * (m // size) + [m % size] * (m % size > 0) if size < m else [m])
    first, second = (np.concatenate(part, axis=1)[0] for part in (seen[:steps], seen[steps:]))
    assert sorted(first) == sorted(second) == [*range(m)]
    if m > 20:
        assert not np.array_equal(first, second)
        assert not np.array_equal(first, next(epochs(m, seed + 1 if seed < 2**32 - 1 else 0)))


def test_the_order_is_drawn_from_a_stream_of_its_own():
    """Of the seed, but not the weights' RandomState(seed); and always this one."""
    assert not np.array_equal(next(epochs(50, 3)), np.random.RandomState(3).permutation(50))
    assert [order.tolist() for order in islice(epochs(6, 0), 2)] == [[0, 5, 1, 3, 2, 4], [2, 4, 5, 1, 0, 3]]


def test_all_samples_are_the_arrays_themselves():
    X, Y = np.ones((2, 3)), np.ones((1, 3))
    assert all(x is X and y is Y for x, y in islice(batches(X, Y, None, seed=0), 3))


@pytest.mark.parametrize("seed", [{}, {"seed": 2}], ids=str)  # 0 unless asked
def test_descent_yields_the_gradients_of_the_samples_that_the_step_sees(seed):
    (X, Y, parameters), g, output = problem(), activations.Tanh(), outputs.Sigmoid()
    descent = gradient_descent(X, Y, parameters, g, output, 0.5, batch_size=4, **seed)
    for (reached, cache, gradients), (x, y) in zip(
        islice(descent, 6), batches(X, Y, 4, seed.get("seed", 0)), strict=False
    ):
        assert cache.Z1.shape == (4, x.shape[1])
        expected = backward(x, y, reached, forward(x, reached, g), g, output)
        assert all(map(np.array_equal, gradients, expected))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beta": 1.0}, "beta=1.0"),
        ({"beta": -0.1}, "beta=-0.1"),
        ({"beta1": 1.5}, "beta1=1.5"),
        ({"beta2": float("nan")}, "beta2=nan"),
        ({"epsilon": 0.0}, "epsilon=0.0"),
    ],
)
def test_what_no_optimizer_can_be_made_of(wrong, message):
    with pytest.raises(ValueError, match=f"optimizer.{message} is not possible"):
        (Momentum if "beta" in wrong else Adam)(**wrong)
