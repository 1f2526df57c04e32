"""Each initializer's draws, by the numbers: the stream, the scales, the variances, the repeated units."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shallowexp.network.initializers import Constant, Duplicate, Random, VarianceScaling, Zero, normals

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))  # n_x, n_h, n_y
seeds = st.integers(0, 2**32 - 1)


def test_initializers_are_values_and_begin_with_the_course_s():
    assert (Constant(), Random(), Duplicate()) == (Constant(0.01), Random(0.01), Duplicate(0.01, unique=1))
    assert VarianceScaling() == VarianceScaling(1.0, "in")
    for init in (Zero(), Constant(), Random(), VarianceScaling(), Duplicate()):
        assert len({init, replace(init)}) == 1


def test_what_is_drawn_once_for_many_networks_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        normals(0, 3)[0] = 1.0


@pytest.mark.parametrize("init", [Zero(), Constant(), Random(), VarianceScaling(), Duplicate()], ids=repr)
@settings(deadline=None)
@given(sizes, seeds)
def test_shapes_and_seeds(init, n, seed):
    n_x, n_h, n_y = n
    first, again = init(*n, seed), init(*n, seed)
    assert [p.shape for p in first] == [(n_h, n_x), (n_h, 1), (n_y, n_h), (n_y, 1)]
    assert all(p.dtype == np.float64 and np.array_equal(p, q) for p, q in zip(first, again, strict=True))
    assert not first.b1.any()
    assert not first.b2.any()


@settings(deadline=None)
@given(sizes, seeds, st.sampled_from([0.01, 1.0, 10.0]), st.sampled_from([None, 0.0, 0.5]))
def test_random_is_the_course_s_stream_W1_then_W2(n, seed, scale, output_scale):
    n_x, n_h, n_y = n
    rng = np.random.RandomState(seed)
    W1, W2, b1 = rng.randn(n_h, n_x), rng.randn(n_y, n_h), rng.randn(n_h, 1)
    drawn = Random(scale, output_scale, bias=3.0)(*n, seed)
    np.testing.assert_array_equal(drawn.W1, W1 * scale)
    np.testing.assert_array_equal(drawn.W2, W2 * (scale if output_scale is None else output_scale))
    np.testing.assert_array_equal(drawn.b1, b1 * 3.0)


def test_random_leaves_the_global_stream_alone():
    before = np.random.get_state()[1:3]
    Random()(2, 4, 1, seed=2)
    after = np.random.get_state()[1:3]
    assert np.array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_zero_and_constant():
    assert not any(p.any() for p in Zero()(2, 4, 1, seed=2))
    W1, b1, W2, b2 = Constant(0.2, output_scale=-0.3, bias=0.1)(2, 4, 1, seed=2)
    assert (W1 == 0.2).all()
    assert (W2 == -0.3).all()
    assert (b1 == 0.1).all()
    assert (b2 == 0).all()
    assert (Constant(0.2)(2, 4, 1, seed=2).W2 == 0.2).all()


@pytest.mark.parametrize(
    ("init", "variance"),
    [
        (VarianceScaling(1, "in"), (1 / 50, 1 / 400)),  # lecun
        (VarianceScaling(1, "average"), (2 / (50 + 400), 2 / (400 + 10))),  # xavier
        (VarianceScaling(2, "in"), (2 / 50, 2 / 400)),  # he
    ],
    ids=["lecun", "xavier", "he"],
)
def test_variances(init, variance):
    scaled, unit = init(50, 400, 10, seed=0), Random(1.0)(50, 400, 10, seed=0)
    np.testing.assert_allclose(scaled.W1, unit.W1 * variance[0] ** 0.5, rtol=1e-12)
    np.testing.assert_allclose(scaled.W2, unit.W2 * variance[1] ** 0.5, rtol=1e-12)
    assert [scaled.W1.var(), scaled.W2.var()] == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize(("repeat", "kinds"), [("both", (3, 3, 3)), ("W1", (3, 10, 10)), ("W2", (10, 3, 10))])
def test_duplicates(repeat, kinds):
    W1, _, W2, _ = Duplicate(1.0, unique=3, repeat=repeat)(2, 10, 2, seed=0)
    assert tuple(len(np.unique(rows, axis=0)) for rows in (W1, W2.T, np.hstack([W1, W2.T]))) == kinds
    drawn = Random(1.0)(2, 10, 2, seed=0)
    assert np.array_equal(W1[:3], drawn.W1[:3])
    assert np.array_equal(W2[:, :3], drawn.W2[:, :3])
    if repeat == "both":
        assert np.array_equal(W1[3:], W1[:-3])
        assert np.array_equal(W2[:, 3:], W2[:, :-3])


@pytest.mark.parametrize("repeat", ["both", "W1", "W2"])
def test_noise_jitters_what_repeats_and_nothing_else(repeat):
    exact, jittered = (Duplicate(1.0, unique=3, repeat=repeat, noise=noise)(50, 10, 20, seed=0) for noise in (0.0, 0.1))
    for name, units in (("W1", lambda p: p.W1), ("W2", lambda p: p.W2.T)):
        noise = units(jittered) - units(exact)
        assert not noise[:3].any()
        assert noise[3:].std() == pytest.approx(0.1 * (repeat in ("both", name)), rel=0.2)
    stream = np.random.RandomState(0).randn(2 * (50 * 10 + 20 * 10))[700:]
    of_W1, of_W2 = stream[:500].reshape(10, 50), stream[500:].reshape(20, 10)
    if repeat != "W2":
        np.testing.assert_allclose((jittered.W1 - exact.W1)[3:], 0.1 * of_W1[3:], atol=1e-12)
    if repeat != "W1":
        np.testing.assert_allclose((jittered.W2 - exact.W2)[:, 3:], 0.1 * of_W2[:, 3:], atol=1e-12)


@pytest.mark.parametrize(
    ("initializer", "fields", "message"),
    [
        (VarianceScaling, {"fan": "out"}, r"init\.fan='out'.*in or average"),
        (Duplicate, {"repeat": "all"}, r"init\.repeat='all'.*both, W1 or W2"),
        (Duplicate, {"unique": 0}, r"init\.unique=0"),
    ],
)
def test_bad_values_are_named(initializer, fields, message):
    with pytest.raises(ValueError, match=message):
        initializer(**fields)


@pytest.mark.parametrize("epsilon", [1e-2, 1e-6, 1e-10, 1e-14])
def test_noise_far_below_a_weight_keeps_its_size_in_float64_alone(epsilon):
    """Equal units plus relative noise, as the clock of the symmetry needs them."""
    W1, _, W2, _ = Duplicate(0.01, unique=1, noise=0.01 * epsilon)(20, 50, 20, seed=3)
    for units in (W1, W2.T):
        assert (units[1:] - units[0]).std() == pytest.approx(0.01 * epsilon, rel=0.1)
        lost = np.mean(np.ptp(units.astype(np.float32), axis=0) == 0)
        assert lost > 0.9 if epsilon < 1e-8 else lost == 0
