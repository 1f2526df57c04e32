"""Intervals and p values against SciPy's own, and nothing is left out in silence."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shallowexp.claims.statistics import Effect, Fractions, effect, holm, ranked_cells

samples = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30).filter(lambda v: np.std(v) > 1e-6)


@settings(deadline=None)
@given(samples, st.floats(-10, 10))
def test_the_t_interval_and_its_p_values_are_scipys(values, limit):
    found = Effect.of(values)
    expected = stats.ttest_1samp(values, limit, alternative="greater")
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert found.p_above(limit) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.p_below(limit) == pytest.approx(1 - expected.pvalue, rel=1e-6, abs=1e-9)


def test_one_seed_has_no_interval_and_proves_nothing():
    one, none = Effect.of([0.3]), Effect.of([])
    assert (one.value, one.n) == (0.3, 1)
    assert np.isnan([one.low, one.high, none.value, none.low]).all()
    assert one.p_above(0) == one.p_below(0) == none.p_above(0) == 1


def test_equal_seeds_have_an_interval_of_width_zero():
    for n in (2, 20):
        equal = Effect.of([0.2] * n)
        assert (equal.low, equal.high) == (0.2, 0.2)
        assert (equal.p_above(0), equal.p_above(0.2), equal.p_above(0.3)) == (0, 1, 1)


def test_what_diverged_is_counted():
    assert Effect.of([1.0, 2.0]) == Effect(1.5, 0.5, 2, lost=0, pairs=2)
    assert (Effect(1.5, 0.5, 2).lost, Effect(1.5, 0.5, 2).pairs, Fractions(1, 2, 0, 2).lost) == (0, 0, 0)
    assert [(e.n, e.lost, e.pairs) for e in (Effect.of([]), Effect.of([0.2]))] == [(0, 0, 0), (1, 0, 1)]
    assert effect(pd.Series([2.0, np.nan, 2.0])) == Effect(2.0, 0.0, 2, lost=1, pairs=3)
    found = effect(pd.Series([1.0, np.nan, 2.0, np.nan]))
    assert (found.value, found.n, found.lost, found.pairs) == (1.5, 2, 2, 4)


def test_fractions_have_newcombe_s_intervals():
    found = Fractions(4, 20, 0, 20)
    assert found.value == pytest.approx(0.2)
    assert found.p_above(0) == pytest.approx(stats.fisher_exact([[4, 16], [0, 20]], "greater").pvalue)
    assert Fractions(9, 30, 3, 20).p_above(0) == pytest.approx(stats.hypergeom(50, 12, 30).sf(8))
    assert found.low < 0.2 < found.high
    # Newcombe 1998, table II, method 10, example (a): 56/70 and 48/80
    other = Fractions(56, 70, 48, 80)
    assert (round(other.low, 4), round(other.high, 4)) == (0.0524, 0.3339)


def test_without_runs_on_both_sides_fractions_say_nothing():
    for nothing in (Fractions(0, 0, 0, 0), Fractions(1, 2, 0, 0), Fractions(0, 0, 1, 2)):
        assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
        assert nothing.p_above(0) == nothing.p_above(0.1) == nothing.p_below(0.1) == 1


@pytest.mark.parametrize("fractions", [Fractions(56, 70, 48, 80), Fractions(3, 20, 9, 30)], ids=repr)
@pytest.mark.parametrize("share", [-0.3, 0.5, 1.0, 1.5])
def test_p_values_at_a_margin_agree_with_the_interval(fractions, share):
    """At its ends (a share of 1) they are half of 5%, and in between those of a normal effect whose interval that is."""
    low, high = (fractions.value + share * (end - fractions.value) for end in (fractions.low, fractions.high))
    expected = stats.norm.sf(share * stats.norm.isf(0.025))
    assert (fractions.p_above(low), fractions.p_below(high)) == pytest.approx((expected, expected), rel=1e-9)


def test_of_an_interval_without_width_a_margin_lies_on_one_side():
    never = Fractions(0, 10, 10, 10)
    assert never.low == never.value == -1
    assert (never.p_above(-2), never.p_above(-0.5)) == (0, 1)


@settings(max_examples=300)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 1))
def test_holm_rejects_what_the_step_down_procedure_rejects(ps, level):
    adjusted = holm(ps)
    rejected = set()
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        if ps[i] * (len(ps) - rank) >= level:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(adjusted) if p < level} == rejected
    assert all(p <= a <= 1 for p, a in zip(ps, adjusted, strict=True))


def test_holm_s_p_values_by_hand():
    """Times 4, 3, 2 and 1 in rising order, and never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_cells_are_ranked_by_the_mean_of_those_that_finished_and_last_where_most_diverged():
    losses = {
        "a": [0.3, 0.5, 0.4],
        "b": [0.2, 0.2, 0.2],
        "c": [0.1, None, None],
        "d": [0.25] * 3 + [None] * 2,
        "e": [None],
        "f": [1.0, None],
    }
    rows = [(cell, 9.0 if loss is None else loss, loss is None) for cell, found in losses.items() for loss in found]
    table = pd.DataFrame(rows, columns=["cell", "train/loss", "outcome"]).replace({True: "diverged", False: "finished"})
    found = ranked_cells(table, ["cell"], ["train/loss"]).set_index("cell")
    assert list(found.index) == ["b", "d", "a", "f", "c", "e"]
    assert found["runs"].to_dict() == {name: len(values) for name, values in losses.items()}
    assert found["diverged"].to_dict() == {"b": 0, "d": 2, "a": 0, "f": 1, "c": 2, "e": 1}
    low, high = stats.ttest_1samp(losses["a"], 0).confidence_interval(0.95)
    assert found.loc["a", ["mean train/loss", "95% from", "to"]].tolist() == pytest.approx([0.4, low, high])
    assert found.loc["b", ["mean train/loss", "95% from", "to"]].tolist() == [0.2] * 3
    assert found.loc[["c", "e"], ["95% from", "to"]].isna().all(axis=None)
    (alone,) = ranked_cells(table.assign(outcome="finished"), [], ["train/loss"]).to_dict("records")
    assert alone["runs"] == 17 and list(alone)[0] == "runs"


def test_equal_cells_keep_their_order_and_every_measure_has_its_mean():
    rows = [
        ("z", 0.1, 1.0, 5.0),
        ("z", 0.3, 2.0, 7.0),
        ("y", 0.4, 3.0, 1.0),
        ("x", 0.1, 0.0, 0.0),
        ("x", 0.3, 0.0, 0.0),
    ]
    table = pd.DataFrame(rows, columns=["cell", "loss", "accuracy", "rank"]).assign(outcome="finished")
    found = ranked_cells(table, ["cell"], ["loss", "accuracy", "rank"]).set_index("cell")
    assert list(found.index) == ["z", "x", "y"]
    means = [f"mean {name}" for name in ("loss", "accuracy", "rank")]
    assert found.loc["z", means].tolist() == pytest.approx([0.2, 1.5, 6.0])
    low, high = stats.ttest_1samp([0.1, 0.3], 0).confidence_interval(0.95)
    assert found.loc["z", ["95% from", "to"]].tolist() == pytest.approx([low, high])
    assert found.loc["y", ["95% from", "to"]].isna().all()
