"""The course's points from the course's own calls, and what every data set promises."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

from shallowexp.network import data
from shallowexp.network.data import (
    Blobs,
    Circles,
    Data,
    Dataset,
    Diabetes,
    Digits,
    Flower,
    Iris,
    Moons,
    Quantiles,
    Wine,
)

FOUND = [c for c in vars(data).values() if isinstance(c, type) and issubclass(c, Data) and not c.__subclasses__()]
SYNTHETIC = [c for c in FOUND if issubclass(c, data.Synthetic)]
REAL = [c for c in FOUND if issubclass(c, data.Real)]
each_synthetic = pytest.mark.parametrize("Set", SYNTHETIC)
each_real = pytest.mark.parametrize("Set", REAL)
each = pytest.mark.parametrize("Set", SYNTHETIC + REAL)


def course_flower():
    rng, points = np.random.RandomState(1), []
    for j in range(2):
        t = np.linspace(j * 3.12, (j + 1) * 3.12, 200) + rng.randn(200) * 0.2
        r = 4 * np.sin(4 * t) + rng.randn(200) * 0.2
        points += zip(r * np.sin(t), r * np.cos(t), strict=True)
    return np.array(points), np.repeat([0, 1], 200)


def course_blobs():
    X, y = datasets.make_blobs(n_samples=200, random_state=5, n_features=2, centers=6)
    return X, y % 2


COURSE = {
    Flower: course_flower,
    Moons: lambda: datasets.make_moons(n_samples=200, noise=0.2, random_state=1),
    Circles: lambda: datasets.make_circles(n_samples=200, factor=0.5, noise=0.3, random_state=1),
    Blobs: course_blobs,
    Quantiles: lambda: datasets.make_gaussian_quantiles(
        mean=None, cov=0.5, n_samples=200, n_features=2, n_classes=2, shuffle=True, random_state=1
    ),
}


@pytest.mark.parametrize("Set", COURSE)
def test_the_course_s_points(Set):
    X, y = COURSE[Set]()
    drawn = Set().load()
    np.testing.assert_array_equal(drawn.X, X.T)
    np.testing.assert_array_equal(drawn.Y, y[None])


@each
def test_columns_are_samples_and_the_seed_decides(Set):
    drawn, again, other = Set(seed=3).draw(), Set(seed=3).draw(), Set(seed=4).draw()
    for X, Y in ((drawn.X, drawn.Y), (drawn.X_test, drawn.Y_test)):
        assert X.ndim == Y.ndim == 2
        assert X.shape[1] == Y.shape[1]
        assert X.dtype == Y.dtype == np.float64
        assert X.flags.c_contiguous
    assert drawn.digest == again.digest != other.digest
    assert Set(seed=3).load() is Set(seed=3).load()
    assert drawn.task == Set.task in ("binary", "multiclass", "regression")


@each_synthetic
@settings(deadline=None)
@given(samples=st.integers(2, 200), positive_rate=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_positive_rate_is_the_share_of_class_1(Set, samples, positive_rate, seed):
    drawn = Set(samples=samples, positive_rate=positive_rate, seed=seed).draw()
    assert drawn.X.shape == drawn.X_test.shape == (2, samples)
    assert set(drawn.Y.flat) == {0, 1}
    ones = min(max(round(samples * positive_rate), 1), samples - 1)
    assert drawn.Y.sum() == ones
    if Set is not Quantiles:  # its classes are cut by the training set's radius
        assert drawn.Y_test.sum() == ones


@each_synthetic
def test_test_points_are_fresh_and_of_the_same_law(Set):
    drawn = Set(samples=4000).draw()
    assert not set(map(tuple, drawn.X.T)) & set(map(tuple, drawn.X_test.T))
    for label in (0, 1):
        train, test = (X[:, Y[0] == label] for X, Y in ((drawn.X, drawn.Y), (drawn.X_test, drawn.Y_test)))
        spread = train.std(axis=1)
        assert (np.abs(train.mean(axis=1) - test.mean(axis=1)) < 0.1 * spread).all()
        assert test.std(axis=1) == pytest.approx(spread, rel=0.1)


def test_a_digest_is_of_all_four_arrays():
    drawn = Iris().draw()
    changed = [drawn._replace(**{name: getattr(drawn, name) + 1}) for name in drawn._fields[:4]]
    assert len({one.digest for one in (drawn, *changed)}) == 5


def test_xor_is_noise_around_corners():
    drawn, rng = data.Xor().draw(), np.random.RandomState(1)
    first, y = rng.choice([-1, 1], 200), np.arange(200) >= 100
    np.testing.assert_array_equal(drawn.X, np.array([first, np.where(y, -first, first)]) + (0.3 * rng.randn(200, 2)).T)
    np.testing.assert_array_equal(drawn.Y[0], y)


def test_xor_labels_the_corners_where_signs_differ_and_visits_all_four():
    drawn = data.Xor(noise=0.01).draw()
    corners = np.round(drawn.X)
    np.testing.assert_array_equal(drawn.Y[0], corners[0] * corners[1] == -1)
    assert len(np.unique(corners, axis=1).T) == 4


def test_blobs_keep_their_centres():
    drawn = Blobs(samples=600).draw()
    _, _, centers = datasets.make_blobs(n_samples=600, centers=6, random_state=5, return_centers=True)
    for X, Y in ((drawn.X, drawn.Y), (drawn.X_test, drawn.Y_test)):
        nearest = np.linalg.norm(X.T[:, None] - centers, axis=2)
        assert nearest[:, 0::2].min(axis=1)[Y[0] == 0].max() < 5
        assert nearest[:, 1::2].min(axis=1)[Y[0] == 1].max() < 5


@settings(deadline=None)
@given(st.floats(0.1, 0.9), st.integers(0, 2**32 - 1))
def test_quantiles_keep_their_radius(positive_rate, seed):
    drawn = Quantiles(positive_rate=positive_rate, seed=seed).draw()
    radius, radius_test = (np.linalg.norm(X, axis=0) for X in (drawn.X, drawn.X_test))
    inside, outside = radius[drawn.Y[0] == 0].max(), radius[drawn.Y[0] == 1].min()
    assert inside < outside
    np.testing.assert_array_equal(drawn.Y_test[0], radius_test > (inside + outside) / 2)


@each_real
def test_real_sets_are_split_once_and_scaled_by_their_training_part(Set):
    raw, _ = getattr(datasets, Set.loader)(return_X_y=True)
    drawn = Set(test_size=0.25).draw()
    m, m_test = drawn.X.shape[1], drawn.X_test.shape[1]
    assert m + m_test == len(raw)
    assert m_test == np.ceil(0.25 * len(raw))
    varies = drawn.X.std(axis=1) > 0
    np.testing.assert_allclose(drawn.X.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(drawn.X.std(axis=1)[varies], 1, rtol=1e-12)
    assert np.abs(drawn.X_test.mean(axis=1)).max() > 1e-3  # not scaled by itself
    both = np.hstack([drawn.X, drawn.X_test])[varies]
    shape = (both - both.mean(axis=1, keepdims=True)) / both.std(axis=1, keepdims=True)
    expected = ((raw - raw.mean(axis=0)) / np.where(raw.std(axis=0) > 0, raw.std(axis=0), 1)).T[varies]
    np.testing.assert_allclose(np.sort(shape), np.sort(expected), atol=1e-9)  # the same points, scaled


@each_real
def test_real_sets_stay_as_measured_where_asked(Set):
    raw, _ = getattr(datasets, Set.loader)(return_X_y=True)
    drawn, scaled = Set(standardise=False).draw(), Set().draw()
    points = np.hstack([drawn.X, drawn.X_test])
    assert (drawn.mean, drawn.scale) == (0, 1)
    np.testing.assert_array_equal(np.sort(points), np.sort(raw.T))
    np.testing.assert_allclose(scaled.X * scaled.scale + scaled.mean, drawn.X, atol=1e-9)  # the same split


@pytest.mark.parametrize(("Set", "classes"), [(Digits, 10), (Wine, 3), (Iris, 3)])
def test_many_classes_are_one_hot_and_stratified(Set, classes):
    drawn = Set().draw()
    for Y in (drawn.Y, drawn.Y_test):
        assert len(Y) == classes
        assert set(Y.flat) == {0, 1}
        assert (Y.sum(axis=0) == 1).all()
    np.testing.assert_allclose(drawn.Y.mean(axis=1), drawn.Y_test.mean(axis=1), atol=0.02)


def test_diabetes_has_a_positive_target_divided_by_its_training_spread():
    drawn, (_, y) = Diabetes().draw(), datasets.load_diabetes(return_X_y=True)
    assert drawn.Y.min() > 0
    assert drawn.Y_test.min() > 0
    assert drawn.Y.std() == pytest.approx(1, rel=1e-12)
    assert drawn.Y.mean() > 1
    targets = np.sort(np.hstack([drawn.Y, drawn.Y_test])[0])
    np.testing.assert_allclose(targets / targets[0], np.sort(y) / y.min(), rtol=1e-12)


@each_synthetic
@pytest.mark.parametrize(
    ("key", "value"), [("samples", 1), *(("positive_rate", rate) for rate in (-0.5, 0, 1.0, 1.5, float("nan")))]
)
def test_a_bad_synthetic_value_is_named(Set, key, value):
    with pytest.raises(ValueError, match=rf"data\.{key}={value}"):
        replace(Set(), **{key: value})


@each_real
@pytest.mark.parametrize("value", [-0.2, 0, 1.0, 1.5, float("nan")])
def test_a_bad_test_size_is_named(Set, value):
    with pytest.raises(ValueError, match=rf"data\.test_size={value}"):
        Set(test_size=value)


def test_a_split_without_every_class_is_named():
    with pytest.raises(ValueError, match=r"data\.test_size=0\.999"):
        Iris(test_size=0.999).draw()


@dataclass(frozen=True, eq=False)
class Changed(Data):
    """Six points of two classes, but for what is given."""

    change: dict
    task: str = "binary"

    def draw(self):
        X, Y = np.arange(12.0).reshape(2, 6), np.array([[0, 1, 0, 1, 0, 1.0]])
        return Dataset(**{"X": X, "Y": Y, "X_test": X, "Y_test": Y, "task": self.task} | self.change)


MATRIX, BINARY = "a matrix of numbers is needed, columns are samples", "two classes need one row of 0 and 1"
COLUMNS, ROWS = (
    "columns are samples, so both need equally many",
    "training and test arrays with different numbers of rows",
)
ONE_HOT, CLASSES = "classes need one-hot columns", np.eye(3)[:, [0, 1, 2, 0, 1, 2]]
UNDEFINED = np.where(np.arange(12).reshape(2, 6) > 8, np.nan, 1.0)
TWO = np.eye(2)[:, [0, 1, 0, 1, 0, 1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros(6)}, f"X as float64 (6,): {MATRIX}"),
        ({"X": np.zeros((2, 6, 1))}, f"X as float64 (2, 6, 1): {MATRIX}"),
        ({"X": np.zeros((0, 6))}, f"X as float64 (0, 6): {MATRIX}"),
        ({"X": np.zeros((2, 6), complex)}, f"X as complex128 (2, 6): {MATRIX}"),
        ({"X_test": [[0.0] * 6] * 2}, f"X_test as list: {MATRIX}"),
        ({"Y_test": np.full((1, 6), "yes")}, f"Y_test as <U3 (1, 6): {MATRIX}"),
        ({"X": UNDEFINED}, "X with nan at row 1, column 3"),
        ({"Y_test": np.array([[0, 1, 0, np.inf, 1, 1]])}, "Y_test with inf at row 0, column 3"),
        ({"X": np.zeros((2, 5))}, f"X (2, 5) and Y (1, 6): {COLUMNS}"),
        ({"X_test": np.zeros((2, 7))}, f"X_test (2, 7) and Y_test (1, 6): {COLUMNS}"),
        ({"X_test": np.zeros((1, 6))}, ROWS),
        ({"X_test": np.zeros((3, 6))}, ROWS),
        ({"Y": np.arange(6.0)[None]}, f"Y (1, 6) with values [0.0, 1.0, 2.0, 3.0, 4.0]: {BINARY}"),
        ({"Y_test": np.zeros((2, 6))}, f"Y_test (2, 6) with values [0.0]: {BINARY}"),
    ],
)
def test_arrays_that_no_network_can_be_trained_on_are_named(change, message):
    with pytest.raises(ValueError, match=f"^draw\\(\\) returns {re.escape(message)}$"):
        Changed(change).load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Y": np.ones((3, 6))}, f"Y (3, 6) with values [1.0]: {ONE_HOT}"),
        ({"Y_test": np.zeros((3, 6))}, f"Y_test (3, 6) with values [0.0]: {ONE_HOT}"),
        ({"Y": CLASSES / 2 + CLASSES[[1, 2, 0]] / 2}, f"Y (3, 6) with values [0.0, 0.5]: {ONE_HOT}"),
        ({"Y": TWO}, ROWS),
        ({"Y_test": TWO}, ROWS),
    ],
)
def test_classes_that_are_not_one_hot_are_named(change, message):
    with pytest.raises(ValueError, match=f"^draw\\(\\) returns {re.escape(message)}$"):
        Changed({"Y": CLASSES, "Y_test": CLASSES} | change, "multiclass").load()


@pytest.mark.parametrize(("said", "meant"), [("binary", "multiclass"), ("multiclass", "binary")])
def test_a_task_other_than_that_of_the_class_is_named(said, meant):
    with pytest.raises(ValueError, match=f"returns task '{said}', while that of its class is '{meant}'"):
        Changed({"task": said}, meant).load()


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_numbers_of_every_kind_can_be_trained_on(kind):
    Y = np.array([[0, 1, 0, 1, 0, 1]]).astype(kind)
    assert Changed({"X": np.zeros((1, 6), kind), "X_test": np.zeros((1, 6), kind), "Y": Y, "Y_test": Y}).load().Y is Y
