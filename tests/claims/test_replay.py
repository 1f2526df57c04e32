"""A run whose weights were kept is the same network again."""

import json

import numpy as np
import pandas as pd
import pytest

from shallowexp.analysis import Lacking, Runs
from shallowexp.claims.replay import replay, with_weights
from shallowexp.network.activations import LeakyReLU
from shallowexp.network.choices import describe, rebuild
from shallowexp.network.data import Flower, _load
from shallowexp.network.initializers import Random
from shallowexp.network.table import Table
from tests.experiments.kept import choices


def test_a_run_is_replayed_from_its_weights():
    parameters = Random()(2, 4, 1, 0)
    kept = {"steps": np.array([0, 5]), **{name: np.stack([p, 2 * p]) for name, p in parameters._asdict().items()}}
    kept["choices"] = choices(Flower(40, 0.3, 3), LeakyReLU(0.2))
    runs = Runs(pd.DataFrame([{"activation": "leaky_relu"}] * 2, index=["a", "b"]), pd.DataFrame(), {"b": kept})
    assert with_weights(runs, runs.table, activation="leaky_relu") == ["b"]
    assert with_weights(runs, runs.table, activation="tanh") == []
    run = replay(runs, "b")
    assert run.activation == LeakyReLU(0.2)
    np.testing.assert_array_equal(run.data.X, Flower(40, 0.3, 3).load().X)
    np.testing.assert_array_equal(run.parameters[1].W1, 2 * parameters.W1)
    assert run.in_plane
    np.testing.assert_array_equal(run.at(4).W1, parameters.W1)
    np.testing.assert_array_equal(run.forward(run.data.X, 9).Z1, 2 * run.forward(run.data.X, 0).Z1)


def test_data_that_have_changed_are_not_those_of_the_run(tmp_path):
    rows = [f"{i % 7},{i % 5},{i % 2}" for i in range(40)]
    (tmp_path / "own.csv").write_text("\n".join(["a,b,label", *rows]))
    mine = Table(str(tmp_path / "own.csv"), "label")
    parameters = {name: p[None] for name, p in Random()(2, 4, 1, 0)._asdict().items()}
    runs = Runs(
        pd.DataFrame(), pd.DataFrame(), {"b": {"steps": np.array([0]), **parameters, "choices": choices(mine, "tanh")}}
    )
    assert replay(runs, "b").data.X.shape == (2, 32)
    (tmp_path / "own.csv").write_text("\n".join(["a,b,label", *rows[5:]]))
    _load.cache_clear()
    with pytest.raises(Lacking, match="the data of run b have changed since it was trained"):
        replay(runs, "b")


OWN = """from dataclasses import dataclass

from shallowexp.network.activations import Activation


@dataclass(frozen=True)
class SmoothReLU(Activation):
    sharpness: int = 1
    shift: float = 0.5
"""


def test_a_users_own_choice_is_itself_again(tmp_path, monkeypatch):
    (tmp_path / "own_units.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    import own_units

    mine = own_units.SmoothReLU(sharpness=3)
    assert rebuild(json.loads(json.dumps(describe(mine)))) == mine
