"""Each activation against 100 decimal digits: its value and its derivative at any z, and what it states of itself."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shallowexp.network import activations
from shallowexp.network.activations import Activation, Identity, LeakyReLU, ReLU, Sigmoid, Tanh

EXACT = {  # g and g' of a Decimal away from a kink
    Sigmoid(): (lambda z: 1 / (1 + (-z).exp()), lambda z: (-z).exp() / (1 + (-z).exp()) ** 2),
    Tanh(): (lambda z: 1 - 2 / (1 + (2 * z).exp()), lambda z: 4 / (z.exp() + (-z).exp()) ** 2),
    ReLU(): (lambda z: max(z, 0), lambda z: int(z > 0)),
    LeakyReLU(): (lambda z: max(z, Decimal("0.01") * z), lambda z: 1 if z > 0 else 0.01),
    LeakyReLU(0.3): (lambda z: max(z, Decimal("0.3") * z), lambda z: 1 if z > 0 else 0.3),
    Identity(): (lambda z: z, lambda z: 1),
}
every_activation = pytest.mark.parametrize("g", EXACT, ids=repr)


def test_every_activation_has_an_oracle_here():
    found = {c for c in vars(activations).values() if isinstance(c, type) and issubclass(c, Activation)}
    assert found - {Activation} == {type(g) for g in EXACT}


@every_activation
@settings(deadline=None)
@given(z=st.floats(1e-6, 350) | st.floats(-350, -1e-6))
def test_value_and_derivative_keep_their_digits(g, z):
    with localcontext(prec=100):
        value, slope = (float(exact(Decimal(z))) for exact in EXACT[g])
    Z = np.array([[z]])
    assert g(Z).item() == pytest.approx(value, rel=1e-12, abs=0)
    assert g.derivative(Z).item() == pytest.approx(slope, rel=1e-12, abs=0)


@every_activation
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape_and_dtype_are_kept_and_nothing_overflows(g, dtype):
    Z = np.array([[-1e4, -1, -0.0], [0, 1, 1e4]], dtype)
    for result in (g(Z), g.derivative(Z)):
        assert result.shape == Z.shape
        assert result.dtype == dtype
        assert np.isfinite(result).all()


@every_activation
def test_max_slope_is_the_largest_derivative(g):
    largest = g.derivative(np.linspace(-5, 5, 1001)).max()
    assert g.max_slope in (None, pytest.approx(largest, rel=1e-12))


def test_invariances_are_the_widest_that_hold():
    """That each holds is tested with the diagnostics that use it."""
    stated = {type(g).__name__: g.invariance for g in EXACT}
    assert stated == {
        "Sigmoid": "sign",
        "Tanh": "sign",
        "ReLU": "positive scale",
        "LeakyReLU": "positive scale",
        "Identity": "any scale",
    }


def test_slopes_at_zero():
    zero = np.zeros((1, 1))
    slopes = {g: g.derivative(zero).item() for g in (*EXACT, ReLU(1.0), ReLU(0.5))}
    assert [slopes[g] for g in (ReLU(), ReLU(0.5), ReLU(1.0), LeakyReLU(0.3))] == [0, 0.5, 1, 0.3]
    assert slopes[Sigmoid()] == 0.25
    assert slopes[Tanh()] == slopes[Identity()] == 1


def test_beyond_1_66_tanh_is_flatter_than_sigmoid():
    Z = np.array([1.65, 1.67])
    assert (Tanh().derivative(Z) < Sigmoid().derivative(Z)).tolist() == [False, True]
