"""Intervals over seeds: honest coverage, exact pairs, and nothing left out in silence."""

import numpy as np
import pandas as pd
import pytest

from shallowexp.claims.statistics import (
    Effect,
    at_step,
    drop_undefined,
    effects_by,
    effects_table,
    estimate,
    format_estimate,
    join_estimates,
    mean_over_seeds,
    optional,
    paired,
    parts,
    require,
    summarise,
)
from shallowexp.claims.verdict import (
    CONDITIONAL,
    INCONCLUSIVE,
    REFUTED,
    SUPPORTED,
    Estimate,
    Inconclusive,
    Verdict,
    criteria,
)
from shallowexp.runs import Runs


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    draw = np.random.default_rng(0)
    intervals = [estimate(draw.normal(1, 1, 20)) for _ in range(100)]
    assert 85 <= sum(low <= 1 <= high for _, low, high in intervals) <= 100


def test_the_same_values_have_the_same_interval():
    values = np.random.default_rng(1).normal(size=10)
    assert estimate(values) == estimate(values.tolist())


@pytest.mark.parametrize("values", [[1, 2], [0, 0, 1], [0] * 9 + [1], [1e-300, 2e-300], [0.1, 0.1 + 1e-17, 0.3]])
def test_odd_samples_have_a_finite_interval_around_the_mean(values):
    value, low, high = estimate(values)
    assert low <= value <= high
    assert value == np.mean(values)


def test_equal_values_have_no_width_and_one_value_has_no_interval():
    assert estimate([0.1] * 7) == Estimate(0.1, 0.1, 0.1)
    value, low, high = estimate([3])
    assert value == 3
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("values", [[1, np.nan], [np.inf, 1]])
def test_undefined_values_are_refused(values):
    with pytest.raises(ValueError, match="of 2 values are defined"):
        estimate(values)


def test_no_values_decide_nothing():
    with pytest.raises(Inconclusive, match="no runs"):
        estimate([])


TABLE = pd.DataFrame(
    {
        "seed": [0, 1, 2, 3, 0, 1, 2],
        "init": ["random"] * 4 + ["zero"] * 3,
        "loss": [1.0, 2.0, 3.0, 4.0, 0.5, 0.5, 0.5],
        "outcome": ["finished"] * 6 + ["diverged"],
    }
)


def test_pairs_share_a_seed_and_the_diverged_are_owned_up_to():
    differences = paired(TABLE, "loss", "init", "random", "zero")
    np.testing.assert_array_equal(differences, [0.5, 1.5, np.nan])  # the fourth run has no partner yet
    defined, lost = drop_undefined(differences)
    assert defined.tolist() == [0.5, 1.5]
    assert lost == " (1 of 3 pairs left out: diverged or undefined)"
    assert drop_undefined(defined)[1] == ""


CELLS = pd.DataFrame(
    {
        "data": ["wine"] * 4 + ["iris"] * 4 + ["moons"] * 2,
        "seed": [0, 1] * 5,
        "activation": ["tanh", "tanh", "relu", "relu"] * 2 + ["tanh"] * 2,
        "loss": [0.5, 0.6, 0.1, 0.2] * 2 + [0.5, 0.5],
        "outcome": ["finished"] * 8 + ["diverged"] * 2,
    }
)


def cells(*diverged):
    """Tanh minus ReLU by data set; moons has not been trained with ReLU."""
    table = CELLS.assign(outcome=CELLS["outcome"].where(~CELLS.index.isin(diverged), "diverged"))
    return effects_table(paired(table, "loss", "activation", "tanh", "relu", ["data", "seed"]), "data").set_index(
        "data"
    )


def test_a_cell_is_a_row_of_its_own_and_one_without_partners_is_none():
    found = cells()
    assert found.columns.tolist() == ["value", "low", "high", "lost", "pairs"]
    assert found.index.tolist() == ["iris", "wine"]
    assert found.loc["wine"].round(9).tolist() == [0.4, 0.4, 0.4, 0, 2]


def test_a_cell_that_lost_a_pair_says_so():
    row = cells(0).loc["wine"]
    assert row[["value", "lost", "pairs"]].round(9).tolist() == [0.4, 1, 2]
    assert format_estimate(Effect.of(row)).endswith("(1 of 2 pairs left out: diverged or undefined)")


def test_a_cell_that_lost_every_pair_stays_without_a_value():
    found = cells(0, 3)
    assert found.index.tolist() == ["iris", "wine"]
    assert found.loc["wine", ["value", "low", "high"]].isna().all()
    assert format_estimate(Effect.of(found.loc["wine"])) == "no value (2 of 2 pairs left out: diverged or undefined)"
    assert format_estimate(Effect.of(found.loc["iris"])) == "+0.400 [+0.400, +0.400]"


def test_a_part_without_a_value_does_not_hold():
    index = pd.MultiIndex.from_product([["wine", "iris"], range(2)], names=["data", "seed"])
    effects = effects_by(pd.Series([np.nan, np.nan, 0.1, 0.2], index), "data")
    found = dict(parts("{}", effects, lambda effect: effect.value < 1))
    assert found["wine: no value (2 of 2 pairs left out: diverged or undefined)"] is False
    assert list(found.values()) == [True, False]


def test_without_pairs_there_are_no_cells():
    assert effects_table(pd.Series([], pd.MultiIndex.from_arrays([[], []], names=["data", "seed"])), "data").empty


def test_pairs_do_not_depend_on_the_order_of_the_runs():
    shuffled = paired(TABLE.sample(frac=1, random_state=1), "loss", "init", "random", "zero")
    pd.testing.assert_series_equal(shuffled.sort_index(), paired(TABLE, "loss", "init", "random", "zero").sort_index())


def test_ambiguous_pairs_are_an_error():
    doubled = pd.concat([TABLE, TABLE]).reset_index(drop=True)
    with pytest.raises(ValueError, match="several runs have init=random and the same seed"):
        paired(doubled, "loss", "init", "random", "zero")


def test_the_interval_is_over_seeds_not_over_cells():
    index = pd.MultiIndex.from_product([["tanh", "relu"], range(5)], names=["activation", "seed"])
    values = pd.Series(np.r_[np.arange(5.0), np.arange(5.0) + 10], index)
    assert mean_over_seeds(values) == estimate(np.arange(5) + 5.0)


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="no init.scale: needed are loss, init.scale"):
        require(TABLE, "loss", "init.scale")


def test_metrics_at_a_step_end_where_the_run_diverged():
    table = pd.DataFrame({"outcome": ["finished", "diverged"], "train/loss": [0.1, 0.9]}, index=["a", "b"])
    rows = [("a", 0, 0.7), ("a", 5, 0.1), ("b", 0, 0.9)]
    runs = Runs(table, pd.DataFrame(rows, columns=["fingerprint", "step", "train/loss"]), {})
    assert at_step(runs, 0)["train/loss"].tolist() == [0.7, 0.9]
    np.testing.assert_array_equal(at_step(runs, 5)["train/loss"], [0.1, np.nan])
    assert at_step(runs, 0)["outcome"].tolist() == ["finished"] * 2


def judged(parts, effect=Estimate(0.2, 0.1, 0.3)):  # noqa: B008
    return Verdict(criteria(parts), "a gain", effect, "Always.").outcome


def test_a_claim_holds_everywhere_nowhere_or_somewhere():
    found = [judged(enumerate(parts)) for parts in ([True, True], [False], [np.bool_(1), np.bool_(0)])]
    assert found == [SUPPORTED, REFUTED, CONDITIONAL]


def test_nothing_is_decided_without_a_part_or_an_interval():
    assert judged([]) == judged([("all", True)], estimate([3])) == INCONCLUSIVE


def test_parts_are_told_apart_by_their_names():
    found = criteria([("tanh", np.bool_(1)), ("relu", False)])
    assert found == {"tanh": True, "relu": False}
    assert all(type(holds) is bool for holds in found.values())  # as JSON needs it
    with pytest.raises(ValueError, match="have one name, so some would be lost: tanh$"):
        judged([("tanh", True), ("relu", True), ("tanh", False)])


def test_parts_carry_their_numbers():
    effects = {("wine", 4.0): Estimate(0.1, 0.05, 0.2), "iris": Estimate(0.1, -0.1, 0.2)}
    assert parts("gain on {}", effects, lambda effect: effect.low > 0) == [
        ("gain on wine, 4.0: +0.100 [+0.050, +0.200]", True),
        ("gain on iris: +0.100 [-0.100, +0.200]", False),
    ]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([], "(not tried)"),
        ([("tanh", True), ("relu", True)], "everywhere"),
        ([("tanh", False), ("relu", False)], "nowhere"),
        ([("tanh", True), ("leaky_relu", False)], "for tanh, not for leaky relu"),
        ([("a", 1), ("a", 0), ("b", 0), ("c", 1), ("d", 1)], "for c and d, partly for a, not for b"),
        ([(name, name != "f") for name in "abcdef"], "for a, b, c and 2 more, not for f"),
    ],
)
def test_where_a_claim_holds_is_said_from_what_holds(held, words):
    assert summarise(held) == words


def test_a_parameter_that_no_run_has_is_undefined_in_all():
    frame = optional(TABLE, "loss", "init.scale")
    assert frame["loss"].equals(TABLE["loss"])
    assert frame["init.scale"].isna().all()


def test_effects_are_told_by_cell():
    index = pd.MultiIndex.from_product([["wine", "iris"], [0.1, 4], range(3)], names=["data", "rate", "seed"])
    effects = effects_by(pd.Series(np.repeat([0.1, 0.2, 0.3, 0.4], 3), index), "data", "rate")
    assert effects["wine", 4.0].estimate == mean_over_seeds(pd.Series([0.2] * 3, index[:3]))
    assert join_estimates({key: effects[key] for key in [("wine", 4.0)]}) == "wine 4.0 +0.200 [+0.200, +0.200]"
    assert join_estimates(effects_by(pd.Series(0.5, index), "data")).startswith(
        "iris +0.500 [+0.500, +0.500], wine +0.500"
    )


def test_words():
    assert format_estimate(Estimate(0.1234, -0.5, 1), 2) == "+0.12 [-0.50, +1.00]"
    assert format_estimate(Estimate(-1e-5, -2e-5, -1e-6)) == "-1.0e-05 [-2.0e-05, -1.0e-06]"
    assert format_estimate(Estimate(0, 0, 0)) == "+0.000 [+0.000, +0.000]"
    assert format_estimate(estimate([3])) == "+3.000, no interval"
