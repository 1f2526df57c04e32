"""The verdicts on hidden activations follow the runs: hand-made ones that bear a claim out, and that contradict it."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from shallowexp.claims.verdict import CONDITIONAL, REFUTED, SUPPORTED

from shallowexp.claims.claim import find
from shallowexp.network.data import Wine
from shallowexp.runs import Runs
from tests.experiments.kept import choices

SEEDS = range(6)
RATE = "train.learning_rate"


def judge(name: str, runs: Runs) -> str:
    return find()[name].load().verdict(runs).outcome


def runs_of(rows: list[dict], steps=(0, 30, 100)) -> Runs:
    """A run for each row, whose metrics (names with a slash) are the same at every step."""
    table = pd.DataFrame({"outcome": "finished", "data.seed": 0, "init": "random"} | row for row in rows)
    table.index = pd.Index([f"{i:03d}" for i in range(len(rows))], name="fingerprint")
    histories = pd.concat([table.reset_index().assign(step=step) for step in steps], ignore_index=True)
    return Runs(table, histories.drop(columns="outcome"), {})


def noise(seed: int) -> float:
    return 0.001 * (seed % 3)


def wine(activation: str) -> dict:
    keys = {"data": "wine", "data.test_size": 0.2, "activation": activation}
    return keys | {"activation.derivative_at_zero": 0.0, "activation.slope": 0.01, "hidden_size": 2}


def weights(activation: str, biases: list[float], repeats: int = 1) -> dict[str, np.ndarray]:
    """Two units on wine whose z is their bias on every sample."""
    W1, b1, W2 = np.zeros((2, 13)), np.array(biases)[:, None], np.ones((3, 2))
    arrays = {"W1": W1, "b1": b1, "W2": W2, "b2": np.zeros((3, 1))}
    first = {"steps": np.arange(repeats), "choices": choices(Wine(), activation)}
    return first | {name: np.stack([array] * repeats) for name, array in arrays.items()}


def linear_collapse(*above: float) -> Runs:
    """Identity networks that end so far above the linear model of wine, whose loss is 0: its classes are separable."""
    rows = [
        wine("identity") | {"hidden_size": 2 + i, "seed": seed, "train/loss": loss + noise(seed)}
        for (i, loss), seed in product(enumerate(above), SEEDS)
    ]
    gradients = {"gradient/W1": 0.0, "gradient/W2": 0.0}
    zero = [rows[0] | {"init": "zero", "train/loss": 1.09, "seed": seed} for seed in SEEDS]
    runs = runs_of([row | gradients for row in rows + zero])
    return runs._replace(weights={runs.table.index[0]: weights("identity", [0, 0])})


@pytest.mark.parametrize(("above", "expected"), [((0, 0.01), SUPPORTED), ((0, 0.1), CONDITIONAL), ((-0.1,), REFUTED)])
def test_the_network_is_the_linear_model_where_their_losses_are_equal(above, expected):
    assert judge("linear_collapse", linear_collapse(*above)) == expected


def test_moving_from_zero_is_told():
    runs, module = linear_collapse(0), find()["linear_collapse"].load()
    assert "never move" in module.verdict(runs).notes
    runs.histories.loc[runs.histories["init"] == "zero", "gradient/W2"] = 0.1
    assert "never move" not in module.verdict(runs).notes
