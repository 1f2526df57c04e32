"""The course's published numbers, from this code: flower, tanh, randn * 0.01 from seed 2, learning rate 1.2."""

import pytest

from shallowexp.network.activations import Tanh
from shallowexp.network.data import Flower
from shallowexp.network.diagnostics import METRICS
from shallowexp.network.initializers import Random
from shallowexp.network.outputs import Sigmoid
from shallowexp.training.engines import train
from shallowexp.training.job import Job

COSTS = [0.693048, 0.288083, 0.254385, 0.233864, 0.226792, 0.222644, 0.219731, 0.217504]
ACCURACIES = [67.5, 67.25, 90.75, 90.5, 91.25]  # n_h = 1 .. 5, after 5000 steps


def course(hidden_size, *log_steps, engine="compiled"):
    return Job(Flower(), Tanh(), Random(0.01), Sigmoid(), hidden_size, 2, log_steps[-1], 1.2, log_steps, engine=engine)


def history(result, metric):
    return result.metrics[:, METRICS.index(metric)].tolist()


def test_the_first_point():
    assert tuple(Flower().load().X[:, 0]) == pytest.approx((1.204442292254319, 3.5761141481288448), rel=1e-14)


@pytest.mark.parametrize("engine", ["chapter", "numpy", "compiled"])
def test_costs_of_four_units(engine):
    (result,) = train([course(4, *range(0, 7001, 1000), engine=engine)])
    assert [round(loss, 6) for loss in history(result, "train/loss")] == COSTS


def test_accuracy_by_hidden_size():
    results = train([course(n_h, 5000) for n_h in range(1, 6)])
    assert [100 * history(result, "train/accuracy")[-1] for result in results] == ACCURACIES
