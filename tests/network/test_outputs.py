"""Losses from the logits against the textbook's formulas in 100 decimal digits, and finite where those overflow."""

from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shallowexp.network import outputs
from shallowexp.network.outputs import Identity, Output, ReLU, Sigmoid, SigmoidSquared, Softmax, SquaredError

OUTPUTS = (Sigmoid(), Softmax(), Identity(), ReLU(), SigmoidSquared())
seeds = st.integers(0, 2**32 - 1)


def logistic(z):
    return 1 / (1 + (-z).exp())


def softmax(z):
    total = sum(v.exp() for v in z)
    return [v.exp() / total for v in z]


SAMPLE = {  # a column of logits -> its activation; the loss of one sample
    Sigmoid: (lambda z: [logistic(v) for v in z], lambda a, y: -a.ln() if y else -(1 - a).ln()),
    Softmax: (softmax, lambda a, y: -y * a.ln()),
    Identity: (list, lambda a, y: (a - y) ** 2 / 2),
    ReLU: (lambda z: [max(v, 0) for v in z], lambda a, y: (a - y) ** 2 / 2),
    SigmoidSquared: (lambda z: [logistic(v) for v in z], lambda a, y: (a - y) ** 2 / 2),
}


def targets(output, rng, n_y, m):
    if output.tasks == ("multiclass",):
        return np.eye(n_y)[:, rng.integers(n_y, size=m)]
    return rng.integers(2, size=(n_y, m)).astype(float) if output.tasks == ("binary",) else rng.random((n_y, m))


def test_every_output_is_tested_here():
    found = {c for c in vars(outputs).values() if isinstance(c, type) and issubclass(c, Output)}
    assert found - {Output, SquaredError} == {type(o) for o in OUTPUTS} == set(SAMPLE)


def test_outputs_are_values():
    assert all(len({output, replace(output)}) == 1 for output in OUTPUTS)


def test_at_its_kink_relu_has_slope_0():
    assert ReLU().dZ2(np.zeros((1, 1)), np.ones((1, 1))).item() == 0


@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
@settings(deadline=None)
@given(seeds, st.integers(1, 4), st.integers(1, 5), st.floats(0.1, 20))
def test_activation_and_loss_are_the_textbook_s(output, seed, n_y, m, scale):
    rng = np.random.default_rng(seed)
    Z2, Y = scale * rng.normal(size=(n_y, m)), targets(output, rng, n_y, m)
    activation, loss = SAMPLE[type(output)]
    with localcontext(prec=100):
        A2 = [activation([Decimal(v) for v in z]) for z in Z2.T.tolist()]
        losses = [loss(a, Decimal(y)) for a, y in zip(sum(A2, []), Y.T.ravel(), strict=True)]
        J = sum(losses) / m
    np.testing.assert_allclose(output(Z2).T, np.array(A2, float), rtol=1e-12, atol=1e-300)
    assert output.loss(Z2, Y) == pytest.approx(float(J), rel=1e-11, abs=1e-14 * scale)


@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 4), st.integers(1, 3), st.floats(0.1, 20))
def test_dZ2_is_the_slope_of_the_textbook_s_loss(output, seed, n_y, m, scale):
    rng = np.random.default_rng(seed)
    Z2, Y = scale * rng.normal(size=(n_y, m)), targets(output, rng, n_y, m)
    activation, loss = SAMPLE[type(output)]
    step = Decimal("1e-30")

    def slope(z, y, i):
        up, down = (activation([*z[:i], z[i] + side, *z[i + 1 :]]) for side in (step, -step))
        return (sum(map(loss, up, y)) - sum(map(loss, down, y))) / (2 * step)

    with localcontext(prec=100):
        columns = [([*map(Decimal, z)], [*map(Decimal, y)]) for z, y in zip(Z2.T.tolist(), Y.T.tolist(), strict=True)]
        expected = [[float(slope(z, y, i)) for i in range(n_y)] for z, y in columns]
    np.testing.assert_allclose(output.dZ2(Z2, Y).T, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_is_finite_at_ten_thousand(output, dtype):
    Z2 = 1e4 * np.array([[-1, 1, -1, 1, 0], [1, -1, -1, 1, 0]], dtype)
    Y = np.eye(2, dtype=dtype)[:, [0, 0, 1, 1, 0]]
    dZ2 = output.dZ2(Z2, Y)
    assert np.isfinite(output.loss(Z2, Y))
    assert np.isfinite(dZ2).all()
    assert dZ2.dtype == output(Z2).dtype == dtype


def test_cross_entropy_of_a_wrong_certainty_is_the_logit():
    assert Sigmoid().loss(np.array([[1e4, -1e4]]), np.array([[0, 1]])) == 1e4
    assert Softmax().loss(np.array([[1e4], [-1e4]]), np.array([[0], [1]])) == 2e4


@settings(deadline=None)
@given(seeds, st.integers(1, 8), st.floats(0.1, 100))
def test_softmax_of_two_classes_is_a_sigmoid_of_the_difference(seed, m, scale):
    rng = np.random.default_rng(seed)
    Z2, Y = scale * rng.normal(size=(2, m)), np.eye(2)[:, rng.integers(2, size=m)]
    z, y = Z2[1:] - Z2[:1], Y[1:]
    np.testing.assert_allclose(Softmax()(Z2)[1:], Sigmoid()(z), rtol=1e-12)
    assert Softmax().loss(Z2, Y) == pytest.approx(Sigmoid().loss(z, y), rel=1e-12, abs=1e-14 * scale)
    np.testing.assert_allclose(Softmax().dZ2(Z2, Y)[1:], Sigmoid().dZ2(z, y), rtol=1e-11, atol=1e-15)


def test_a_saturated_sigmoid_stalls_under_squared_error_alone():
    Z2, Y = np.array([[40.0]]), np.array([[0.0]])
    assert Sigmoid().dZ2(Z2, Y).item() == pytest.approx(1)
    assert 0 < SigmoidSquared().dZ2(Z2, Y).item() < 1e-16
