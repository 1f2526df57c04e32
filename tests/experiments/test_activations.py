"""The verdicts on hidden activations follow the runs: hand-made ones that bear a claim out, and that contradict it."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from shallowexp.claims.claim import find
from shallowexp.claims.verdict import CONDITIONAL, REFUTED, SUPPORTED
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


def tanh_or_sigmoid(same: float, step: float, best: float) -> Runs:
    """Sigmoid's loss of 0.5 less what tanh gains at the same rate, at the same step, and with each at its best rate."""
    arms = {
        ("tanh", 0.01, 1.2): 0.5,
        ("sigmoid", 0.01, 1.2): 0.5 + same,
        ("sigmoid", 0.02, 4.8): 0.5 + step,
        ("tanh", 0.01, 4.8): 0.4,
        ("sigmoid", 0.02, 1.2): 0.4 + best,
    }
    return runs_of(
        [
            {"data": "flower", "activation": name, "init.scale": scale, RATE: rate, "seed": seed}
            | {"train/loss": loss + noise(seed) * (name == "tanh")}
            for ((name, scale, rate), loss), seed in product(arms.items(), SEEDS)
        ]
    )


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((0.1, 0.1, 0.1), SUPPORTED),
        ((0.1, 0.0, 0.1), CONDITIONAL),  # all of it is the longer step
        ((-0.1, 0.0, 0.0), REFUTED),
        ((0.005, 0.005, 0.005), REFUTED),  # within the margin
    ],
)
def test_tanh_is_better_where_it_is_at_every_rate(gains, expected):
    assert judge("tanh_or_sigmoid", tanh_or_sigmoid(*gains)) == expected


def test_a_rate_that_diverges_is_not_the_best_one():
    runs = tanh_or_sigmoid(0.1, 0.1, 0.1)
    lucky = (runs.histories["activation"] == "sigmoid") & (runs.histories[RATE] == 4.8)
    some = lucky & (runs.histories["seed"] > 0)
    runs.histories.loc[lucky, "train/loss"] = 0.0
    module = find()["tanh_or_sigmoid"].load()
    assert module._effects(runs, 100).set_index("comparison").loc["best rates", "value"] > 0
    runs.histories.loc[some, "train/loss"] = np.nan
    assert module._effects(runs, 100).set_index("comparison").loc["best rates", "value"] < 0


def diverged(runs: Runs, **choices) -> Runs:
    """As if these runs had diverged after step 0: the history ends there."""
    table, histories = runs.table, runs.histories
    chosen = (table[list(choices)] == pd.Series(choices)).all(axis=1)
    kept = ~histories["fingerprint"].isin(table.index[chosen]) | (histories["step"] == 0)
    return Runs(table.assign(outcome=table["outcome"].where(~chosen, "diverged")), histories[kept], runs.weights)


def on_two(runs: Runs, other: str = "wine") -> Runs:
    """The same runs on another data set, too."""
    table = pd.concat([runs.table, runs.table.assign(data=other).rename("{}b".format)])
    again = runs.histories.assign(data=other, fingerprint=runs.histories["fingerprint"] + "b")
    return Runs(table.rename_axis("fingerprint"), pd.concat([runs.histories, again], ignore_index=True), {})


@pytest.mark.parametrize("name", ["tanh_or_sigmoid", "relu_speed"])
def test_a_data_set_on_which_all_diverged_counts_against_the_claim(name):
    runs, better = {
        "tanh_or_sigmoid": (on_two(tanh_or_sigmoid(0.1, 0.1, 0.1)), "tanh"),
        "relu_speed": (relu_speed(0.1, 0.1), "relu"),
    }[name]
    module = find()[name].load()
    whole, lost = module.verdict(runs), module.verdict(diverged(runs, data="wine", activation=better))
    assert whole.outcome == SUPPORTED
    assert len(lost.parts) == len(whole.parts)
    failed = [part for part, holds in lost.parts.items() if not holds]
    assert len(failed) == len(whole.parts) / 2
    assert all("wine" in part and "no value (6 of 6 pairs left out" in part for part in failed)
    module.figure(diverged(runs, data="wine", activation=better))
    missing = runs.table[(runs.table["data"] == "wine") & (runs.table["activation"] == better)].index
    partial = runs._replace(
        table=runs.table.drop(missing), histories=runs.histories[~runs.histories["fingerprint"].isin(missing)]
    )
    assert module.verdict(partial).outcome == SUPPORTED


def test_a_part_that_holds_says_how_many_pairs_it_lost():
    runs = diverged(relu_speed(0.1, 0.1), data="wine", activation="relu", seed=0)
    parts = find()["relu_speed"].load().verdict(runs).parts
    assert all(parts.values())
    assert ["(1 of 6 pairs left out" in part for part in parts] == ["wine" in part for part in parts]


def relu_speed(over_sigmoid: float, over_tanh: float) -> Runs:
    losses = {"relu": 0.5, "sigmoid": 0.5 + over_sigmoid, "tanh": 0.5 + over_tanh}
    return runs_of(
        [
            {"data": data, "hidden_size": 4, "init.scale": 0.01, "activation": name, "seed": seed}
            | {"train/loss": loss + noise(seed) * (name == "relu"), "saturation/slope": 0.5}
            for data, (name, loss), seed in product(("flower", "wine"), losses.items(), SEEDS)
        ]
    )


@pytest.mark.parametrize(
    ("gains", "expected"), [((0.1, 0.1), SUPPORTED), ((0.1, -0.1), CONDITIONAL), ((0.0, -0.1), REFUTED)]
)
def test_relu_is_faster_where_its_loss_is_lower_than_both(gains, expected):
    assert judge("relu_speed", relu_speed(*gains)) == expected


def wine(activation: str) -> dict:
    keys = {"data": "wine", "data.test_size": 0.2, "activation": activation}
    return keys | {"activation.derivative_at_zero": 0.0, "activation.slope": 0.01, "hidden_size": 2}


def weights(activation: str, biases: list[float], repeats: int = 1) -> dict[str, np.ndarray]:
    """Two units on wine whose z is their bias on every sample."""
    W1, b1, W2 = np.zeros((2, 13)), np.array(biases)[:, None], np.ones((3, 2))
    arrays = {"W1": W1, "b1": b1, "W2": W2, "b2": np.zeros((3, 1))}
    first = {"steps": np.arange(repeats), "choices": choices(Wine(), activation)}
    return first | {name: np.stack([array] * repeats) for name, array in arrays.items()}


def dead_units(dead: bool, woken: bool, gain: float) -> Runs:
    """ReLU with one of two units dead or none; the leak wakes it or not, and the loss falls by `gain`."""
    rows, kept = [], []
    for name, seed in product(("relu", "leaky_relu"), SEEDS):
        leaky = name == "leaky_relu"
        loss = 0.5 + noise(seed) - gain * leaky
        metrics = {"train/loss": loss, "saturation/dead": 0.5 * (dead and not leaky)}
        rows.append(wine(name) | {RATE: 4.0, "seed": seed} | metrics)
        kept.append(weights(name, [1, -1 if dead and not (leaky and woken) else 1]))
    runs = runs_of(rows)
    return runs._replace(weights=dict(zip(runs.table.index, kept, strict=True)))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ((True, True, 0.1), SUPPORTED),
        ((True, True, 0.0), CONDITIONAL),  # awake, and of no use
        ((True, False, 0.0), REFUTED),  # a slope, and silent as before
        ((False, True, 0.1), REFUTED),  # nothing to repair
    ],
)
def test_a_leak_helps_where_units_wake_and_the_loss_falls(case, expected):
    assert judge("dead_units", dead_units(*case)) == expected


def test_means_over_leaks_say_how_many_pairs_diverged():
    runs = dead_units(True, True, 0.1)
    kept = dict(runs.weights)
    notes = (
        find()["dead_units"]
        .load()
        .verdict(diverged(runs, activation="leaky_relu", seed=0)._replace(weights=kept))
        .notes
    )
    assert "Mean of these cells by λ: 0.01: silent -0.500, loss -0.100 (1 of 6 pairs left out: diverged" in notes


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
