"""Equal units: one run whose units come apart refutes the theorem, and a unit alone puts out what equal ones do."""

import numpy as np
import pandas as pd
import pytest

from shallowexp.analysis import Runs
from shallowexp.claims.claim import find
from shallowexp.claims.statement import CHECKED, REFUTED
from shallowexp.network.data import Circles
from tests.experiments.kept import choices

SYMMETRY = find()["symmetry"].load()


def runs(units: list[int], W2: list[float]) -> Runs:
    """Of eight tanh units from constant weights: effective units by step, and at the end equal rows of W1 with this W2."""
    table = pd.DataFrame({"init": ["constant"], "hidden_size": [8]}, index=pd.Index(["a"], name="fingerprint"))
    histories = pd.DataFrame({"fingerprint": "a", "step": range(len(units)), "symmetry/effective_units": units})
    weights = {"steps": np.array([0]), "W1": np.full((1, 8, 2), 0.3), "b1": np.full((1, 8, 1), 0.1),
               "W2": np.array(W2).reshape(1, 1, 8), "b2": np.full((1, 1, 1), 0.2),
               "choices": choices(Circles(), "tanh")}  # fmt: skip
    return Runs(table, histories, {"a": weights})


@pytest.mark.parametrize(("units", "outcome"), [([1, 1, 1], CHECKED), ([1, 2, 1], REFUTED), ([], REFUTED)])
def test_one_step_at_which_units_differ_refutes_the_theorem(units, outcome):
    assert SYMMETRY._equal(runs(units, [0.5] * 8), "equal", role="stated", scope="here").outcome() == outcome


def test_one_unit_puts_out_what_equal_ones_do():
    made = runs([1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, -0.8])  # equal rows of W1 are enough
    assert SYMMETRY._one_unit(made, made).outcome() == CHECKED
    made.weights["a"]["W1"][0, 3, 0] += 1e-3
    assert SYMMETRY._one_unit(made, made).outcome() == REFUTED


def test_without_kept_weights_nothing_is_checked():
    made = runs([1], [0.5] * 8)._replace(weights={})
    assert SYMMETRY._one_unit(made, made).outcome() == REFUTED
