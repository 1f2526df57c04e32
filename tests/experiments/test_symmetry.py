"""The verdicts on which zero, counting units and the scales, fed small hand-made runs: they follow the data."""

import numpy as np
import pandas as pd
import pytest
from shallowexp.claims.verdict import CONDITIONAL, REFUTED, SUPPORTED

from shallowexp.claims.claim import find
from shallowexp.runs import Runs

SEEDS = range(6)


def verdict(name: str, rows: list[dict]):
    """The experiment's verdict on runs that end as `rows` say; "steps" holds the steps at which they were logged."""
    table = pd.DataFrame(rows).drop(columns="steps")
    table.index = pd.Index([f"run{i}" for i in table.index], name="fingerprint")
    table["outcome"] = table.get("outcome", pd.Series("finished", table.index)).fillna("finished")
    copies = [
        table.loc[[key]].assign(fingerprint=key, step=s)
        for key, row in zip(table.index, rows, strict=True)
        for s in row["steps"]
    ]
    return find()[name].load().verdict(Runs(table, pd.concat(copies, ignore_index=True), {}))


def jitter(seed: int) -> float:
    return 0.001 * seed


def zero(units: dict, accuracy: dict) -> list[dict]:
    """Leaky ReLU and ReLU with both slopes at zero; `units` by start, `accuracy` of ReLU by its slope at zero."""
    base = {"data": "flower", "data.positive_rate": 0.3, "hidden_size": 8, "steps": [0]}
    starts = {"W1 = 0": (0.0, 0.5), "W2 = 0": (0.5, 0.0)}
    kinds = [("leaky_relu", np.nan), ("relu", 0.0), ("relu", 1.0)]
    return [
        base
        | {"seed": seed, "activation": activation, "activation.derivative_at_zero": slope}
        | {"init.scale": scales[0], "init.output_scale": scales[1], "symmetry/effective_units": units[start]}
        | {"train/accuracy": accuracy.get(slope, 0.9) + jitter(seed)}
        for start, scales in starts.items()
        for activation, slope in kinds
        for seed in SEEDS
    ]


@pytest.mark.parametrize(
    ("units", "accuracy", "outcome"),
    [
        ({"W1 = 0": 1, "W2 = 0": 1}, {0.0: 0.9, 1.0: 0.9}, SUPPORTED),
        ({"W1 = 0": 2, "W2 = 0": 8}, {0.0: 0.7, 1.0: 0.9}, CONDITIONAL),
        ({"W1 = 0": 8, "W2 = 0": 8}, {0.0: 0.7, 1.0: 0.9}, REFUTED),
    ],
)
def test_which_zero(units, accuracy, outcome):
    found = verdict("which_zero", zero(units, accuracy))
    assert found.outcome == outcome
    assert found.effect.value == units["W1 = 0"] - units["W2 = 0"]


def repeated(kept_both: int, kept_rows: int, alone: float) -> list[dict]:
    """2 of 8 tanh units differ: effective units with both or only W1 repeated, accuracy of two units alone."""
    base = {"data": "flower", "activation": "tanh", "init.scale": 0.1, "steps": [0, 10]}
    duplicate = base | {"init": "duplicate", "init.noise": 0.0, "hidden_size": 8, "init.repeat": "both"}
    single = base | {"init": "random", "hidden_size": 2, "symmetry/effective_units": 2}
    rows = []
    for seed in SEEDS:
        runs = [
            (duplicate | {"init.unique": 1, "symmetry/effective_units": 1}, 0.6),
            (duplicate | {"init.unique": 2, "symmetry/effective_units": kept_both}, 0.7),
            (duplicate | {"init.unique": 2, "symmetry/effective_units": kept_both, "data": "wine"}, 0.7),
            (duplicate | {"init.unique": 2, "init.repeat": "W1", "symmetry/effective_units": kept_rows}, 0.7),
            (duplicate | {"init.unique": 8, "symmetry/effective_units": 8}, 0.9),
            (duplicate | {"init.unique": 1, "init.noise": 0.1, "symmetry/effective_units": 8}, 0.9),
            (single, alone),
        ]
        rows += [run | {"seed": seed, "train/accuracy": accuracy + jitter(seed)} for run, accuracy in runs]
    return rows


@pytest.mark.parametrize(
    ("kept_both", "kept_rows", "alone", "outcome"),
    [(2, 2, 0.7, SUPPORTED), (2, 8, 0.7, CONDITIONAL), (2, 8, 0.8, CONDITIONAL), (8, 8, 0.8, REFUTED)],
)
def test_effective_units(kept_both, kept_rows, alone, outcome):
    found = verdict("effective_units", repeated(kept_both, kept_rows, alone))
    assert found.outcome == outcome
    assert found.effect.value == pytest.approx(-0.3)
    assert "left out" not in found.measure + found.scope + found.notes
    assert any(f"flower, 2: {0.7 - alone:+.3f}" in part for part in found.parts)


def test_a_single_run_whose_units_separate_is_seen():
    rows = repeated(2, 2, 0.7)
    rows[1]["symmetry/effective_units"] = 3
    assert verdict("effective_units", rows).outcome == CONDITIONAL


def scaled(losses: dict) -> list[dict]:
    """Networks of two activations by scale; nothing changes after the start."""
    base = {"data": "flower", "hidden_size": 4, "symmetry/cosine": 0.7, "steps": [0, 30, 100, 3000]}
    return [
        base | {"seed": seed, "activation": activation, "init.scale": scale, "train/loss": loss + scale * jitter(seed)}
        for scale, loss in losses.items()
        for activation in ("sigmoid", "tanh")
        for seed in SEEDS
    ]


@pytest.mark.parametrize(
    ("losses", "outcome"),
    [
        ({0.01: 0.4, 0.3: 0.5, 3.0: 0.6}, SUPPORTED),
        ({0.01: 0.5, 0.3: 0.4, 3.0: 0.6}, CONDITIONAL),
        ({0.01: 0.6, 0.3: 0.4, 3.0: 0.5}, REFUTED),
    ],
)
def test_small_scale(losses, outcome):
    found = verdict("small_scale", scaled(losses))
    assert found.outcome == outcome
    assert found.effect.value == pytest.approx(losses[0.01] - losses[0.3], abs=0.01)


def test_the_sentence_says_what_the_runs_do():
    for losses, said in (
        ((0.4, 0.5, 0.6), "everywhere."),
        ((0.5, 0.4, 0.6), "partly on flower."),
        ((0.6, 0.4, 0.5), "nowhere."),
    ):
        assert verdict("small_scale", scaled(dict(zip((0.01, 0.3, 3.0), losses, strict=True)))).scope.endswith(said)
