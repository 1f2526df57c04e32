"""A run whose weights were kept is the same network again."""

import numpy as np
import pandas as pd
import pytest

from shallowexp.activations import LeakyReLU
from shallowexp.claims import Runs
from shallowexp.data import Flower
from shallowexp.initializers import Random
from shallowexp.replay import replay, with_weights


def test_a_run_is_replayed_from_its_row_and_weights():
    choices = {"data": "flower", "data.samples": 40.0, "data.balance": 0.3, "data.seed": 3.0}
    choices |= {"activation": "leaky_relu", "activation.slope": 0.2, "activation.derivative_at_zero": np.nan}
    parameters = Random()(2, 4, 1, 0)
    kept = {"steps": np.array([0, 5]), **{name: np.stack([p, 2 * p]) for name, p in parameters._asdict().items()}}
    runs = Runs(pd.DataFrame([choices] * 2, index=["a", "b"]), pd.DataFrame(), {"b": kept})
    assert with_weights(runs, runs.table, activation="leaky_relu") == ["b"]
    assert with_weights(runs, runs.table, activation="tanh") == []
    run = replay(runs, "b")
    assert run.activation == LeakyReLU(0.2)
    np.testing.assert_array_equal(run.data.X, Flower(40, 0.3, 3).load().X)
    np.testing.assert_array_equal(run.parameters[1].W1, 2 * parameters.W1)
    assert run.in_plane
    np.testing.assert_array_equal(run.at(4).W1, parameters.W1)
    np.testing.assert_array_equal(run.forward(run.data.X, 9).Z1, 2 * run.forward(run.data.X, 0).Z1)


OWN = """from dataclasses import dataclass

from shallowexp.activations import Activation


@dataclass(frozen=True)
class SmoothReLU(Activation):
    sharpness: int = 1
    shift: float = 0.5
"""


def test_a_run_of_a_users_own_activation_is_replayed(tmp_path, monkeypatch):
    (tmp_path / "own_units.py").write_text(OWN)
    (tmp_path / "conf" / "activation").mkdir(parents=True)
    (tmp_path / "conf" / "activation" / "softplus.yaml").write_text("_target_: own_units.SmoothReLU\nsharpness: 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    row = {"data": "moons", "data.samples": 40.0, "activation": "softplus", "activation.sharpness": 3.0}
    kept = {"steps": np.array([0]), **{name: p[None] for name, p in Random()(2, 4, 1, 0)._asdict().items()}}
    runs = Runs(pd.DataFrame([row], index=["a"]), pd.DataFrame(), {"a": kept})
    found = replay(runs, "a").activation
    assert (type(found).__module__, found.sharpness, found.shift) == ("own_units", 3, 0.5)
    monkeypatch.chdir("/")
    with pytest.raises(ValueError, match="activation=softplus need conf/activation/softplus.yaml in the working"):
        replay(runs, "a")
