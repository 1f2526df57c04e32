"""Measures by what must not change them, and by hand on arrays small enough to count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shallowexp.network import outputs
from shallowexp.network.activations import Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from shallowexp.network.data import Dataset
from shallowexp.network.diagnostics import (
    METRICS,
    cosine,
    effective_rank,
    effective_units,
    measure,
    metric_names,
    saturation,
    score,
    separation,
)
from shallowexp.network.initializers import Parameters
from shallowexp.network.passes import backward, forward

ACTIVATIONS = (Sigmoid(), Tanh(), ReLU(), LeakyReLU(0.1), Identity())
INVARIANCES = ("equal", "sign", "positive scale", "any scale")
seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(1, 8), st.integers(2, 5))  # units, n_x + 1


def change(rng, n, invariance):
    """A factor for each of n units that the invariance allows, (n, 1)."""
    sign = rng.choice([-1, 1], (n, 1)) if invariance in ("sign", "any scale") else 1
    scale = np.exp(rng.normal(size=(n, 1))) if invariance.endswith("scale") else 1
    return np.ones((n, 1)) * sign * scale


@pytest.mark.parametrize("invariance", INVARIANCES)
@settings(deadline=None)
@given(sizes, seeds)
def test_effective_units_see_through_copies_changes_and_order(invariance, size, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=size)
    assert effective_units(rows, invariance) == len(rows)
    copies = np.concatenate([rows, rows[rng.integers(len(rows), size=5)]])
    copies = rng.permutation(copies * change(rng, len(copies), invariance))
    assert effective_units(copies, invariance) == len(rows)


@pytest.mark.parametrize(
    ("factor", "kinds"),
    [(-1, (2, 1, 2, 1)), (3, (2, 2, 1, 1)), (-3, (2, 2, 2, 1)), (0, (2, 2, 2, 2)), (1, (1, 1, 1, 1))],
)
def test_effective_units_see_no_further_than_the_invariance(factor, kinds):
    row = np.array([1.0, -2.0, 0.5])
    assert tuple(effective_units(np.array([row, factor * row]), i) for i in INVARIANCES) == kinds


@pytest.mark.parametrize("invariance", INVARIANCES)
def test_zero_rows_are_one_class_and_the_tolerance_is_relative(invariance):
    assert effective_units(np.zeros((5, 3)), invariance) == 1
    rows = np.array([[1.0, 1], [0, 0], [1, 1 + 1e-8], [0, 0], [1, 1 + 1e-3]])
    for scale in (1e-9, 1, 1e9):
        assert effective_units(scale * rows, invariance) == 3
        assert effective_units(scale * rows, invariance, tolerance=1e-2) == 2


@pytest.mark.parametrize("g", ACTIVATIONS, ids=repr)
@settings(deadline=None)
@given(sizes, seeds)
def test_the_rest_of_the_network_undoes_what_the_invariance_allows(g, size, seed):
    rng, (n_h, columns) = np.random.default_rng(seed), size
    W1, b1, W2, b2 = (rng.normal(size=s) for s in ((n_h, columns - 1), (n_h, 1), (2, n_h), (2, 1)))
    c = change(rng, n_h, g.invariance)
    if isinstance(g, Sigmoid):  # sigmoid(-z) = 1 - sigmoid(z)
        changed = Parameters(c * W1, c * b1, W2 * c.T, b2 + W2 @ (c < 0))
    else:
        changed = Parameters(c * W1, c * b1, W2 / c.T, b2)
    X = rng.normal(size=(columns - 1, 10))
    Z2, Z2_changed = (forward(X, p, g).Z2 for p in (Parameters(W1, b1, W2, b2), changed))
    np.testing.assert_allclose(Z2, Z2_changed, rtol=1e-10, atol=1e-10)
    rows, rows_changed = np.hstack([W1, b1]), np.hstack([changed.W1, changed.b1])
    assert effective_units(np.vstack([rows, rows_changed]), g.invariance) == n_h


def test_separation_by_hand():
    assert separation(np.array([[3.0, 0], [3, 4], [3, 0]])) == 4 / 5  # the larger norm is 5
    assert separation(np.array([[1.0, 1], [-1, -1]])) == 2
    assert separation(np.array([[0.0, 0], [0, 1e-100]])) == 1
    assert separation(np.zeros((3, 2))) == separation(np.ones((1, 2))) == 0


@settings(deadline=None)
@given(sizes, seeds, st.sampled_from([1e-100, 1, 1e100]))
def test_separation_is_0_for_equal_rows_alone_and_ignores_scale_and_order(size, seed, scale):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=size)
    assert separation(scale * rng.permutation(rows)) == pytest.approx(separation(rows), rel=1e-12)
    assert separation(np.repeat(rows[:1], 5, axis=0)) == 0
    assert 0 < separation(np.vstack([rows, rows[0] * (1 + 1e-15)])) <= 2


def test_cosine_by_hand():
    assert cosine(np.array([[1.0, 0], [0, 0], [-3, 0]])) == pytest.approx(1)  # the zero row does not count
    assert cosine(np.array([[1.0, 0], [0, 2], [3, 3]])) == pytest.approx((0 + 2 * 0.5**0.5) / 3)
    assert np.isnan(cosine(np.array([[1.0, 0], [0, 0]])))
    assert np.isnan(cosine(np.zeros((3, 2))))


@settings(deadline=None)
@given(st.integers(2, 8), seeds)
def test_cosine_of_parallel_rows_is_1_and_of_others_ignores_sign_scale_and_order(n, seed):
    rng = np.random.default_rng(seed)
    rows, c = rng.normal(size=(n, 3)), change(rng, n, "any scale")
    assert 1 - 1e-12 <= cosine(c * rows[:1]) <= 1
    assert cosine(rng.permutation(c * rows)) == pytest.approx(cosine(rows), rel=1e-9)


@settings(deadline=None)
@given(st.integers(1, 8), seeds, st.sampled_from([1e-200, 1, 1e200]))
def test_effective_rank_is_1_for_identical_rows_and_n_for_orthogonal_ones(n, seed, scale):
    A = np.random.default_rng(seed).normal(size=(12, n))
    assert effective_rank(scale * np.tile(A[:, :1].T, (n, 1))) == pytest.approx(1, rel=1e-12)
    assert effective_rank(scale * np.linalg.qr(A)[0].T) == pytest.approx(n, rel=1e-12)
    s = np.linalg.svd(A, compute_uv=False) ** 2
    assert effective_rank(A.T) == pytest.approx(s.sum() ** 2 / np.sum(s**2), rel=1e-10)


def test_effective_rank_of_zero_is_undefined():
    assert np.isnan(effective_rank(np.zeros((3, 4))))


def test_saturation_by_hand():
    slopes = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 0.009, 0.011, 1.0]])
    assert saturation(slopes, 1.0) == (6 / 8, 1 / 2, pytest.approx(1.02 / 8))
    assert saturation(slopes, 0.25)[0] == 5 / 8
    assert saturation(slopes, None)[0] == 0
    assert saturation(np.array([[0.01, -0.5]]), 1.0)[0] == 1 / 2  # a hundredth of the largest slope is not yet flat
    assert saturation(np.array([[-0.5, -0.5]]), None)[1] == 0


@pytest.mark.parametrize(("g", "shares"), [(Sigmoid(), (0.5, 0)), (Tanh(), (0.5, 0)), (ReLU(), (0.5, 0.5)),
                                           (LeakyReLU(), (0, 0)), (Identity(), (0, 0))], ids=repr)  # fmt: skip
def test_saturation_of_each_activation_at_minus_100_and_0_1(g, shares):
    slopes = g.derivative(np.array([[-100.0, -100.0], [0.1, 0.1]]))
    assert saturation(slopes, g.max_slope)[:2] == shares


def test_score_by_hand():
    assert score(np.array([[0.5, 0.6, 0.4]]), np.array([[0, 0, 1]]), "binary") == 1 / 3
    assert score(np.array([[0.1, 0.3, 0.9]]), np.array([[0, 0, 1]]), "binary") == 1
    A2 = np.array([[0.2, 0.4, 0.1, 0.4], [0.3, 0.3, 0.2, 0.3], [0.5, 0.3, 0.7, 0.3]])
    for classes, right in (([2, 0, 2, 1], 3 / 4), ([2, 1, 2, 2], 2 / 4), ([0, 1, 1, 2], 0)):
        assert score(A2, np.eye(3)[:, classes], "multiclass") == right
    Y = np.array([[1.0, 2, 3]])
    assert [score(A, Y, "regression") for A in (Y, np.full((1, 3), 2.0), Y[:, ::-1])] == [1, 0, -3]
    assert score(Y / 100, Y[:, ::-1] / 100, "regression") == pytest.approx(-3)
    assert np.isnan(score(Y, np.ones((1, 3)), "regression"))


def test_regression_has_r2_for_accuracy():
    assert metric_names("binary") == metric_names("multiclass") == METRICS
    changed = {new: old for new, old in zip(metric_names("regression"), METRICS, strict=True) if new != old}
    assert changed == {"train/r2": "train/accuracy", "test/r2": "test/accuracy"}


def measured(parameters):
    g, output = Tanh(), outputs.Sigmoid()
    X, Y = np.array([[1.0, -1, 2], [0, 1, 1]]), np.array([[1.0, 0, 0]])
    data = Dataset(X, Y, X[:, :1], 1 - Y[:, :1], "binary")
    cache, test = forward(X, parameters, g), forward(data.X_test, parameters, g)
    gradients = backward(X, Y, parameters, cache, g, output)
    return dict(zip(METRICS, measure(parameters, cache, gradients, test, data, g, output), strict=True)), gradients


def test_measure_puts_each_number_under_its_name():
    row, gradients = measured(Parameters(np.diag([3.0, 4.0]), np.zeros((2, 1)), np.ones((1, 2)), np.zeros((1, 1))))
    logits = np.tanh([3.0, -3, 6]) + np.tanh([0, 4, 4])
    losses = np.log1p(np.exp(np.array([-1, 1, 1]) * logits))
    expected = {
        "train/loss": losses.mean(),
        "train/accuracy": 1 / 3,
        "test/loss": losses[0] + logits[0],  # the first sample with the other label
        "test/accuracy": 0,
        "symmetry/effective_units": 2,
        "symmetry/separation": 5 / 4,
        "symmetry/cosine": 0,
        "saturation/fraction": 5 / 6,  # all but z = 0: tanh'(3) = 0.00987
        "saturation/dead": 0,
        "saturation/slope": np.mean(np.cosh([3.0, -3, 6, 0, 4, 4]) ** -2),
        "gradient/W1": np.sqrt(np.sum(gradients.W1**2)),
        "gradient/W2": np.sqrt(np.sum(gradients.W2**2)),
        "gradient/W1_relative": np.sqrt(np.sum(gradients.W1**2)) / 5,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert 1 < row["symmetry/effective_rank"] < 2
    small, gradients = measured(Parameters(np.diag([0.03, 0.04]), np.zeros((2, 1)), np.ones((1, 2)), np.zeros((1, 1))))
    assert small["gradient/W1_relative"] == pytest.approx(np.sqrt(np.sum(gradients.W1**2)) / 0.05)


def test_what_is_undefined_is_nan():
    row, _ = measured(Parameters(np.zeros((2, 2)), np.zeros((2, 1)), np.zeros((1, 2)), np.zeros((1, 1))))
    undefined = {name for name, value in row.items() if np.isnan(value)}
    assert undefined == {"symmetry/cosine", "symmetry/effective_rank", "gradient/W1_relative"}
