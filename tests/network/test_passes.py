"""network/passes.py is the definition, so it is held to oracles: autograd, the chapter's loop and printed equations."""

import operator

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shallowexp.network import activations, outputs
from shallowexp.network.initializers import Constant, Parameters, Random, Zero
from shallowexp.network.passes import backward, exact, forward, forward_by_sample, gradient_descent, update


def logistic(Z):
    return 1 / (1 + anp.exp(-Z))


def squared(A2, Y):
    return anp.sum((A2 - Y) ** 2) / 2


ACTIVATIONS = {  # the chapter's formulas, as autograd reads them
    activations.Sigmoid(): logistic,
    activations.Tanh(): anp.tanh,
    activations.ReLU(): lambda Z: anp.maximum(Z, 0),
    activations.LeakyReLU(0.1): lambda Z: anp.maximum(Z, 0.1 * Z),
    activations.Identity(): lambda Z: Z,
}
LOSSES = {  # m J
    outputs.Sigmoid(): lambda Z, Y: -anp.sum(Y * anp.log(logistic(Z)) + (1 - Y) * anp.log(logistic(-Z))),
    outputs.Softmax(): lambda Z, Y: -anp.sum(Y * anp.log(anp.exp(Z) / anp.sum(anp.exp(Z), axis=0))),
    outputs.Identity(): squared,
    outputs.ReLU(): lambda Z, Y: squared(anp.maximum(Z, 0), Y),
    outputs.SigmoidSquared(): lambda Z, Y: squared(logistic(Z), Y),
}
every_activation = pytest.mark.parametrize("g", ACTIVATIONS, ids=repr)
every_output = pytest.mark.parametrize("output", LOSSES, ids=repr)
sizes = st.tuples(*(st.integers(1, top) for top in (6, 9, 4, 20)))  # n_x, n_h, n_y, m
seeds = st.integers(0, 2**32 - 1)


def problem(n, seed, output=None):
    """X, Y and parameters with every entry random, so that Z meets no kink, and of a size that saturates no output."""
    n_x, n_h, n_y, m = n
    rng = np.random.default_rng(seed)
    tasks = getattr(output, "tasks", ())
    Y = rng.random((n_y, m)) if "regression" in tasks else rng.integers(2, size=(n_y, m)).astype(float)
    if "multiclass" in tasks:
        Y = np.eye(n_y)[:, rng.integers(n_y, size=m)]
    shapes = (n_h, n_x), (n_h, 1), (n_y, n_h), (n_y, 1)
    return rng.normal(size=(n_x, m)), Y, Parameters(*(rng.normal(size=shape) / shape[1] ** 0.5 for shape in shapes))


def norm(parameters):
    return np.sqrt(sum(np.sum(p**2) for p in parameters))


@every_activation
@every_output
@settings(deadline=None)
@given(sizes, seeds)
def test_gradients_are_autograd_s(g, output, n, seed):
    X, Y, parameters = problem(n, seed, output)
    assume(Y.shape[0] > 1 or not isinstance(output, outputs.Softmax))  # one class has nothing to learn

    def J(W1, b1, W2, b2):
        return LOSSES[output](W2 @ ACTIVATIONS[g](W1 @ X + b1) + b2, Y) / X.shape[1]

    expected = grad(J, argnum=(0, 1, 2, 3))(*parameters)
    found = backward(X, Y, parameters, forward(X, parameters, g), g, output)
    error = norm(a - b for a, b in zip(found, expected, strict=True))
    assert error <= 1e-9 * norm(expected)


@every_activation
@settings(deadline=None)
@given(sizes, seeds)
def test_the_loop_over_samples_equals_the_matrices(g, n, seed):
    X, _, parameters = problem(n, seed)
    for matrix, loop in zip(forward(X, parameters, g), forward_by_sample(X, parameters, g), strict=True):
        np.testing.assert_allclose(matrix, loop, rtol=1e-12, atol=1e-12)


@every_activation
@every_output
@settings(deadline=None)
@given(sizes, seeds)
def test_the_chapter_s_products_give_the_same_gradients_to_rounding(g, output, n, seed):
    X, Y, parameters = problem(n, seed, output)
    ours, chapter = (
        backward(X, Y, parameters, forward(X, parameters, g, product), g, output, product)
        for product in (exact, operator.matmul)
    )
    error = norm(a - b for a, b in zip(ours, chapter, strict=True))
    assert error <= 1e-12 * (norm(ours) + norm(parameters))


def test_the_chapter_s_3_4_1_network_and_its_printed_equations():
    A0, Y, parameters = problem((3, 4, 1, 7), seed=0)
    W1, b1, W2, b2 = parameters
    Z1 = W1 @ A0 + b1  # (4, 3) x (3, 7) + (4, 1) -> (4, 7)
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2  # (1, 4) x (4, 7) + (1, 1) -> (1, 7)
    A2 = 1 / (1 + np.exp(-Z2))
    dA2 = (A2 - Y) / (A2 * (1 - A2))
    dZ2 = dA2 * A2 * (1 - A2)  # = A2 - Y
    dW2 = dZ2 @ A1.T / 7
    db2 = np.sum(dZ2, axis=1, keepdims=True) / 7
    dA1 = W2.T @ dZ2
    dZ1 = dA1 * (1 - A1**2)
    dW1 = dZ1 @ A0.T / 7
    db1 = np.sum(dZ1, axis=1, keepdims=True) / 7

    g, output = activations.Tanh(), outputs.Sigmoid()
    cache = forward(A0, parameters, g)
    gradients = backward(A0, Y, parameters, cache, g, output)
    assert [a.shape for a in (*cache, output(cache.Z2))] == [(4, 7), (4, 7), (1, 7), (1, 7)]
    assert [d.shape for d in gradients] == [(4, 3), (4, 1), (1, 4), (1, 1)] == [p.shape for p in parameters]
    printed = Z1, A1, Z2, A2, dW1, db1, dW2, db2
    for found, expected in zip((*cache, output(cache.Z2), *gradients), printed, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)


def twice(A, B):
    return 2 * exact(A, B)


def test_every_product_is_the_one_asked_for():
    """With products twice too large, and no rounding in it: dW1 has passed through two, dW2 and db1 through one."""
    X, Y, parameters = problem((3, 4, 2, 7), seed=1)
    parameters = parameters._replace(b1=np.zeros((4, 1)), b2=np.zeros((2, 1)))
    g, output = activations.Identity(), outputs.Sigmoid()
    cache = forward(X, parameters, g)
    for found, right, factor in zip(forward(X, parameters, g, twice), cache, (2, 2, 4), strict=True):
        assert np.array_equal(found, factor * right)
    both = (backward(X, Y, parameters, cache, g, output, product) for product in (twice, exact))
    for found, right, factor in zip(*both, (4, 2, 2, 1), strict=True):
        assert np.array_equal(found, factor * right)


@pytest.mark.parametrize("product", [exact, operator.matmul, twice])
def test_descent_yields_the_parameters_after_s_updates(product):
    X, Y, parameters = problem((3, 4, 1, 7), seed=1)
    g, output = activations.Tanh(), outputs.Sigmoid()
    descent = gradient_descent(X, Y, parameters, g, output, 0.5, product)
    for _ in range(3):
        reached, cache, gradients = next(descent)
        assert all(map(np.array_equal, reached, parameters))
        assert all(map(np.array_equal, cache, forward(X, parameters, g, product)))
        assert all(map(np.array_equal, gradients, backward(X, Y, parameters, cache, g, output, product)))
        parameters = Parameters(*(p - 0.5 * d for p, d in zip(parameters, gradients, strict=True)))
    assert all(map(np.array_equal, update(reached, gradients, 0.5), parameters))


@settings(deadline=None)
@given(sizes, seeds)
def test_without_a_nonlinearity_the_logit_is_linear_in_X(n, seed):
    X, _, parameters = problem(n, seed)
    W1, b1, W2, b2 = parameters
    Z2 = forward(X, parameters, activations.Identity()).Z2
    np.testing.assert_allclose(Z2, (W2 @ W1) @ X + W2 @ b1 + b2, rtol=1e-10, atol=1e-10)


@settings(deadline=None)
@given(sizes, seeds)
def test_a_tanh_network_is_a_sigmoid_network(n, seed):
    """tanh(z) = 2 sigmoid(2z) - 1, so (2 W1, 2 b1, 2 W2, b2 - sum W2) has the same output."""
    X, _, (W1, b1, W2, b2) = problem(n, seed)
    mapped = Parameters(2 * W1, 2 * b1, 2 * W2, b2 - W2.sum(axis=1, keepdims=True))
    tanh = forward(X, Parameters(W1, b1, W2, b2), activations.Tanh())
    np.testing.assert_allclose(tanh.Z2, forward(X, mapped, activations.Sigmoid()).Z2, rtol=1e-12, atol=1e-12)


@every_activation
@pytest.mark.parametrize("init", [Zero(), Constant(0.1)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_identical_units_stay_bit_identical(g, init, dtype):
    """Contract 2, at every hidden size, on unbalanced classes."""
    rng = np.random.default_rng(0)
    for n_x in (2, 3, 30, 64):
        X = rng.normal(size=(n_x, 37)).astype(dtype)
        Y = (rng.random((1, 37)) < 0.3).astype(dtype)
        for n_h in range(1, 65):
            parameters = Parameters(*(p.astype(dtype) for p in init(n_x, n_h, 1, seed=0)))
            descent = gradient_descent(X, Y, parameters, g, outputs.Sigmoid(), learning_rate=0.5)
            for _ in range(4):
                (W1, b1, W2, _), _, _ = next(descent)
            assert W1.dtype == dtype
            assert all(unit.tobytes() == W1[0].tobytes() for unit in W1), (n_x, n_h)
            assert np.ptp(b1) == np.ptp(W2) == 0, (n_x, n_h)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_duplicated_unit_among_others_stays_locked(dtype):
    X, Y, parameters = problem((3, 9, 1, 50), seed=2)
    W1, b1, W2, b2 = (p.astype(dtype) for p in parameters)
    W1[7], b1[7], W2[:, 7] = W1[2], b1[2], W2[:, 2]
    X, Y, parameters = X.astype(dtype), Y.astype(dtype), Parameters(W1, b1, W2, b2)
    descent = gradient_descent(X, Y, parameters, activations.Tanh(), outputs.Sigmoid(), learning_rate=0.5)
    for _, (reached, _, _) in zip(range(50), descent, strict=False):
        assert np.array_equal(reached.W1[7], reached.W1[2])
        assert reached.W2[0, 7] == reached.W2[0, 2]
    assert len(np.unique(reached.W1, axis=0)) == 8


def test_a_zero_network_on_balanced_classes_never_moves():
    X = np.random.default_rng(3).normal(size=(2, 10))
    Y = np.arange(10)[None] % 2.0
    for g in ACTIVATIONS:
        parameters = Zero()(2, 4, 1, seed=0)
        gradients = backward(X, Y, parameters, forward(X, parameters, g), g, outputs.Sigmoid())
        assert not any(d.any() for d in gradients)


def test_zero_W1_with_random_W2_separates_tanh_but_not_relu():
    X, Y, _ = problem((2, 4, 1, 30), seed=4)
    W2 = Random(0.0, 0.5)(2, 4, 1, seed=0)
    for g, kinds in ((activations.Tanh(), 4), (activations.ReLU(), 1)):
        descent = gradient_descent(X, Y, W2, g, outputs.Sigmoid(), learning_rate=0.5)
        reached = [next(descent) for _ in range(5)][-1][0]
        assert len(np.unique(reached.W1, axis=0)) == kinds
