"""Choosing and comparing runs: pairs by seed, and what diverged stays undefined."""

import numpy as np
import pandas as pd
import pytest

from shallowexp.analysis import Lacking, Runs, cell_params, confounded

LOSS = "train/loss"


def runs() -> Runs:
    rows = [
        {"activation": a, "init.scale": scale, "seed": seed, LOSS: 0.1 * len(a) + scale, "outcome": "finished"}
        for a in ("tanh", "relu", "sigmoid") for scale in (0.01, 1.0) for seed in range(3)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table.index = pd.Index([f"{i:02}" for i in range(len(table))], name="fingerprint")
    table.loc["00", "outcome"] = "diverged"
    steps = [table.reset_index().assign(step=step, **{LOSS: table[LOSS].to_numpy() + step}) for step in (0, 10)]
    return Runs(table, pd.concat(steps, ignore_index=True).query("fingerprint != '00' or step == 0"), {})


def test_where_takes_values_and_collections():
    found = runs().where({"init.scale": 1.0}, activation=("tanh", "relu"))
    assert len(found.table) == 6
    assert set(found.histories["activation"]) == {"tanh", "relu"}
    with pytest.raises(ValueError, match="these runs have no colour"):
        runs().where(colour="red")


def test_label_adds_a_column_everywhere():
    found = runs().label(task=lambda frame: frame["activation"] + "!")
    assert found.table["task"].iloc[0] == found.histories["task"].iloc[0] == "tanh!"


def test_differences_are_paired_and_what_diverged_is_undefined():
    found = runs().compare(LOSS, "activation", "sigmoid", ("tanh", "relu"), ("init.scale", "seed"))
    groups = found.groups("activation", "init.scale")
    assert groups["relu", 0.01].tolist() == pytest.approx([0.3] * 3)
    assert np.isnan(groups["tanh", 0.01].iloc[0])
    assert groups["tanh", 0.01].iloc[1:].tolist() == pytest.approx([0.3] * 2)
    pooled = found.groups()
    assert len(pooled) == 2
    assert np.isnan(pooled["tanh",].iloc[0])  # one of two pairs is lost: their mean is not the other's


def test_at_a_step_a_later_divergence_does_not_count():
    found = runs().at(0).compare(LOSS, "activation", "sigmoid", "tanh", ("init.scale", "seed"))
    assert found.differences.notna().all()
    assert runs().at(10).table[LOSS].isna().sum() == 1
    assert runs().nearest(7) == 10
    start = runs()._replace(histories=runs().histories.query("step == 0"))
    with pytest.raises(Lacking, match="no run was logged after its start"):
        start.nearest(7)


def test_several_runs_of_one_pair_and_none_at_all_are_named():
    with pytest.raises(ValueError, match="several runs have activation=tanh and the same seed"):
        runs().compare(LOSS, "activation", "tanh", "relu")
    with pytest.raises(Lacking, match="no runs that differ only in activation"):
        runs().where(activation="tanh").compare(LOSS, "activation", "tanh", "relu", ("init.scale", "seed")).groups()


@pytest.mark.parametrize(
    ("rows", "cells", "also"),
    [
        ([("gd", 1.2, 400), ("adam", 0.01, 32)], ["optimizer"], ["train.learning_rate", "train.batch_size"]),
        (
            [("gd", 1.2, 400), ("gd", 1.2, 32), ("adam", 0.01, 400), ("adam", 0.01, 32)],
            ["optimizer", "train.batch_size"],
            [],
        ),
        ([("gd", 0.1, 400), ("gd", 0.2, 400), ("gd", 0.3, 400)], ["train.learning_rate"], []),
        ([("gd", 0.11, 32), ("gd", 0.27, 33), ("gd", 0.35, 35)], ["train.learning_rate"], ["train.batch_size"]),
    ],
)
def test_what_varies_with_the_cells_is_told_unless_it_follows_from_one_of_them(rows, cells, also):
    table = pd.DataFrame(rows, columns=["optimizer", "train.learning_rate", "train.batch_size"])
    assert cell_params(table) == cells and confounded(table, cells) == also


def test_what_is_a_choices_own_follows_from_it():
    table = pd.DataFrame({"init": ["zero", "random"], "init.scale": [np.nan, 0.01], "seed": [0, 1]})
    assert cell_params(table) == ["init"] and confounded(table, ["init"]) == []
