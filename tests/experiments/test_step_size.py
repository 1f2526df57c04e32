"""Rises are counted between consecutive steps alone, and the sharpness is the largest eigenvalue."""

import numpy as np
import pandas as pd
import pytest

from shallowexp.analysis import Runs
from shallowexp.claims.claim import find
from shallowexp.claims.replay import Replay
from shallowexp.network.activations import Tanh
from shallowexp.network.data import Moons
from shallowexp.network.initializers import Parameters
from shallowexp.network.outputs import Sigmoid


def falling(*steps: int) -> Runs:
    rows = {"fingerprint": "a", "step": steps, "train/loss": 1 - 0.1 * np.arange(len(steps)), "seed": 0}
    histories = pd.DataFrame(rows | {"data": "flower", "train.learning_rate": 1.2})
    return Runs(histories.tail(1), histories, {})


def test_a_gap_between_windows_is_no_step():
    rises = find()["step_size"].load().rises
    assert rises(falling(0, 10, 20)).empty
    found = rises(falling(0, 1, 10, 11, 12))
    assert found["window"].tolist() == [0, 10, 10]
    assert not found["rise"].any()


def test_the_sharpness_is_the_largest_eigenvalue():
    points = Moons(samples=20).draw()
    points.X[:], points.Y[:] = 0, 0
    parameters = Parameters(np.zeros((2, 2)), np.zeros((2, 1)), np.zeros((1, 2)), np.zeros((1, 1)))
    run = Replay(points, Tanh(), Sigmoid(), np.array([0]), [parameters])
    # by hand: W2 and b1 have the mixed derivative mean(A2 - Y) = 1/2, so eigenvalues +-1/2; b2 has 1/4
    assert find()["step_size"].load().largest_eigenvalue(run, parameters) == pytest.approx(0.5, rel=1e-3)
