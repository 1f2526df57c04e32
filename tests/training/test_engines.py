"""A job's history: which steps, whose parameters, where it ends, and that nothing beside it matters."""

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shallowexp.network import outputs
from shallowexp.network.activations import Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from shallowexp.network.data import Data, Dataset, Diabetes, Flower, Iris, Moons
from shallowexp.network.diagnostics import METRICS
from shallowexp.network.initializers import Constant, Parameters, Random, VarianceScaling, Zero
from shallowexp.network.optimizers import Adam, Momentum
from shallowexp.network.passes import gradient_descent
from shallowexp.training.engines import train
from shallowexp.training.job import Job

JOB = Job(
    data=Moons(samples=30, positive_rate=0.3),
    activation=Tanh(),
    init=Random(0.5),
    output=outputs.Sigmoid(),
    hidden_size=4,
    seed=2,
    steps=20,
    learning_rate=0.5,
    log_steps=(0, 1, 7, 20),
    weights=True,
)
JOBS = (  # a mix whose members share nothing but the call
    JOB,
    replace(JOB, activation=ReLU(), hidden_size=7, dtype="float32"),
    replace(JOB, data=Iris(), output=outputs.Softmax(), activation=Sigmoid(), init=VarianceScaling()),
    replace(JOB, data=Diabetes(), output=outputs.Identity(), activation=LeakyReLU(), learning_rate=0.01),
    replace(JOB, data=Diabetes(), output=outputs.Identity(), activation=Identity(), learning_rate=100.0),  # diverges
    replace(JOB, optimizer=Adam(), batch_size=7),
    replace(JOB, optimizer=Momentum(), batch_size=30, engine="compiled"),
)


@dataclass(frozen=True)
class Gaussian(Data):
    """Unbalanced classes of as many features as a test asks for."""

    features: int
    task = "binary"

    def draw(self):
        rng = np.random.default_rng(self.features)
        X, Y = rng.normal(size=(self.features, 37)), (np.arange(37)[None] % 3 == 0).astype(float)
        return Dataset(X, Y, X[:, :9], Y[:, :9], self.task)


def bits(result):
    """Every bit of a result."""
    arrays = (result.steps, result.metrics, *(result.weights or ()), *result.final)
    return result.diverged_at, [(a.dtype.str, a.shape, a.tobytes()) for a in arrays]


def column(result, metric):
    return result.metrics[:, METRICS.index(metric)]


@pytest.mark.parametrize("job", JOBS[:4], ids=lambda job: type(job.activation).__name__)
def test_the_row_of_step_s_belongs_to_the_parameters_after_s_updates(job):
    (result,) = train([job])
    assert result.steps.tolist() == list(job.log_steps)
    assert result.diverged_at is None
    data, initial = job.initial()
    descent = gradient_descent(data.X, data.Y, initial, job.activation, job.output, job.learning_rate)
    path = [parameters for _, (parameters, _, _) in zip(range(21), descent, strict=False)]
    for i, s in enumerate(job.log_steps):
        assert all(np.array_equal(w[i], p) for w, p in zip(result.weights, path[s], strict=True))
        (alone,) = train([replace(job, steps=s, log_steps=(s,))])
        assert alone.metrics[-1].tobytes() == result.metrics[i].tobytes()
        assert all(map(np.array_equal, alone.final, path[s]))
    assert all(p.dtype == job.dtype for p in result.final)
    assert result.metrics.dtype == np.float64


def test_weights_are_kept_only_if_asked_for():
    (kept,), (left,) = train([JOB]), train([replace(JOB, weights=False)])
    assert kept.weights.W1.shape == (4, 4, 2)
    assert kept.weights.b2.shape == (4, 1, 1)
    assert left.weights is None
    assert kept.metrics.tobytes() == left.metrics.tobytes()
    assert all(map(np.array_equal, kept.final, left.final))


def test_a_run_that_logs_nothing_has_an_empty_history():
    (result,) = train([replace(JOB, log_steps=())])
    assert result.metrics.shape == (0, len(METRICS))
    assert result.weights is None
    assert all(map(np.array_equal, result.final, JOB.initial()[1]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_divergence_ends_the_history_and_leaves_no_trace_in_it(dtype):
    job = replace(JOBS[4], dtype=dtype, steps=400, log_steps=tuple(range(401)))
    (result,) = train([job])
    assert 0 < result.diverged_at < 400
    assert result.steps.tolist() == list(range(result.diverged_at))
    assert len(result.weights.W1) == result.diverged_at
    assert np.isfinite(column(result, "train/loss")).all()
    assert not np.isinf(result.metrics).any()
    assert all(np.isfinite(p).all() for p in (*result.weights, *result.final))
    # Away from logged steps only the parameters are looked at, so divergence may be seen later.
    (sparse,) = train([replace(job, log_steps=(0, 2))])
    assert sparse.steps.tolist() == [0, 2]
    assert sparse.diverged_at >= result.diverged_at
    assert sparse.metrics.tobytes() == result.metrics[[0, 2]].tobytes()


def test_an_infinite_metric_is_undefined_and_ends_nothing():
    @dataclass(frozen=True)
    class FarTest(Gaussian):
        def draw(self):
            return super().draw()._replace(X_test=np.full((self.features, 9), 1e200))

    (result,) = train([replace(JOB, data=FarTest(2), activation=Identity(), output=outputs.Identity())])
    assert result.steps.tolist() == list(JOB.log_steps)
    assert np.isnan(column(result, "test/loss")).all()
    assert np.isfinite(column(result, "train/loss")).all()


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(len(JOBS))), st.integers(0, len(JOBS)))
def test_a_result_does_not_depend_on_its_neighbours(order, cut):
    alone = [bits(train([job])[0]) for job in JOBS]
    left, right = ([JOBS[i] for i in part] for part in (order[:cut], order[cut:]))
    together = [bits(result) for result in train(left + right)]
    assert together == [bits(result) for result in train(left) + train(right)] == [alone[i] for i in order]


def test_a_job_travels():
    job = pickle.loads(pickle.dumps(JOB))
    assert job == JOB
    assert hash(job) == hash(JOB)
    assert bits(train([job])[0]) == bits(train([JOB])[0])


def test_tanh_from_mapped_parameters_starts_where_sigmoid_does_and_learns_otherwise():
    """Claim 7: the same functions, another descent."""

    @dataclass(frozen=True)
    class Mapped:
        inner: Random

        def __call__(self, *sizes_and_seed):
            W1, b1, W2, b2 = self.inner(*sizes_and_seed)
            return Parameters(2 * W1, 2 * b1, 2 * W2, b2 - W2.sum(axis=1, keepdims=True))

    tanh, sigmoid = train([JOB, replace(JOB, activation=Sigmoid(), init=Mapped(JOB.init))])
    for metric in ("train/loss", "test/loss", "train/accuracy", "test/accuracy"):
        assert column(tanh, metric)[0] == pytest.approx(column(sigmoid, metric)[0], rel=1e-12)
    assert abs(column(tanh, "train/loss")[-1] - column(sigmoid, "train/loss")[-1]) > 1e-3


@pytest.mark.parametrize("activation", [Sigmoid(), Tanh(), ReLU(), LeakyReLU(), Identity()], ids=repr)
@pytest.mark.parametrize("init", [Zero(), Constant(0.1)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_units_are_one_effective_unit_at_every_logged_step(activation, init, dtype):
    """Contract 2 in the history; every hidden size, a quarter of them at each number of inputs."""
    jobs = [
        Job(Gaussian((2, 3, 30, 64)[n_h % 4]), activation, init, outputs.Sigmoid(), n_h, 0, 3, 0.5, (0, 1, 2, 3), dtype)
        for n_h in range(1, 65)
    ]
    for job, result in zip(jobs, train(jobs), strict=True):
        assert column(result, "symmetry/effective_units").tolist() == [1, 1, 1, 1], job.hidden_size
        assert all(np.array_equal(unit, result.final.W1[0]) for unit in result.final.W1), job.hidden_size


def test_zero_init_on_unbalanced_classes_moves_sigmoid_and_only_b2_of_the_others():
    """Claim 1: the cost of the others goes to the entropy of the class share."""
    share = Flower(positive_rate=0.3).load().Y.mean()
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    job = replace(JOB, data=Flower(positive_rate=0.3), init=Zero(), steps=200, log_steps=(200,))
    for activation in (Tanh(), ReLU(), LeakyReLU(), Identity()):
        (result,) = train([replace(job, activation=activation)])
        assert not any(p.any() for p in result.final[:3])
        assert column(result, "train/loss").item() == pytest.approx(entropy, rel=1e-9)
    (result,) = train([replace(job, activation=Sigmoid())])
    assert result.final.W1.any()
    assert column(result, "train/loss").item() < entropy
