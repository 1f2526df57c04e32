"""Five findings that plain NumPy gave others, from this code, on the seeds and the data of then: to the digits given.

Then a network's data and weights came from one stream of random numbers (data.seed = seed), which experiments no longer do.
"""

import numpy as np
import pytest

from shallowexp.network import activations as g
from shallowexp.network.activations import Activation
from shallowexp.network.data import Flower
from shallowexp.network.diagnostics import METRICS
from shallowexp.network.initializers import Constant, Initializer, Random, Zero
from shallowexp.network.outputs import Sigmoid
from shallowexp.training.engines import train
from shallowexp.training.job import Job

SEEDS = range(10, 30)


def measured(
    metric: str, activation: Activation, init: Initializer, units: int = 4, step: int = 3000, rate: float = 1.2,
    class_1: float = 0.5, seeds: range = SEEDS,
) -> np.ndarray:  # fmt: skip
    """By seed, after `step` steps."""
    jobs = [
        Job(Flower(seed=seed, positive_rate=class_1), activation, init, Sigmoid(), units, seed, max(step, 1), rate,
            tuple({step, max(step, 1)}), engine="compiled")
        for seed in seeds
    ]  # fmt: skip
    return np.array([result.metrics[0, METRICS.index(metric)] for result in train(jobs)])


@pytest.mark.parametrize(
    ("activation", "gain", "digit"), [(g.Tanh(), 0.197, 3e-3), (g.Sigmoid(), 0.188, 5e-4), (g.ReLU(), 0.122, 6e-3)]
)
def test_what_random_weights_gain_over_equal_ones(activation, gain, digit):
    """tanh's and ReLU's descents are at the edge of stability, where the last bit decides: tanh within its interval of
    [.186, .209]; ReLU gains .1165 to .1223 where the rate moves by three of its last bits, .1176 where `@` multiplies."""
    more = {"units": 8, "class_1": 0.3}
    random, equal = (measured("train/accuracy", activation, init, **more) for init in (Random(0.01), Constant(0.01)))
    assert (random - equal).mean() == pytest.approx(gain, abs=digit)


@pytest.mark.parametrize(("activation", "more"), [(g.Tanh(), 0.817), (g.Sigmoid(), 0.691)])
def test_how_much_more_is_saturated_from_weights_x_10(activation, more):
    large, small = (measured("saturation/fraction", activation, Random(scale), step=0) for scale in (10.0, 0.01))
    assert round((large - small).mean(), 3) == more


def test_from_all_zero_the_loss_ends_at_the_entropy_of_the_classes():
    losses = measured("train/loss", g.Tanh(), Zero(), units=8, class_1=0.3)
    assert losses.round(9).tolist() == [0.610864302] * len(SEEDS)


def test_how_many_units_learn_from_a_W1_of_zeros():
    kinds = (g.Sigmoid(), g.Tanh(), g.ReLU(0.0), g.ReLU(1.0), g.LeakyReLU(), g.Identity())
    more = {"units": 8, "step": 1000, "rate": 1.0, "class_1": 0.3, "seeds": range(20)}
    units = [measured("symmetry/effective_units", kind, Random(0.0, 0.5), **more) for kind in kinds]
    assert [set(found) for found in units] == [{8}, {8}, {1}, {2}, {2}, {1}]
    assert round(np.mean(units) - 8, 3) == -4.333


def test_tanh_against_sigmoid_at_the_same_rate_and_at_the_same_step():
    tanh = measured("train/loss", g.Tanh(), Random(0.01), step=100)
    same_rate = measured("train/loss", g.Sigmoid(), Random(0.01), step=100)
    same_step = measured("train/loss", g.Sigmoid(), Random(0.02), step=100, rate=4.8)
    assert round((tanh - same_rate).mean(), 3) == -0.278
    assert round((tanh - same_step).mean(), 3) == -0.035
