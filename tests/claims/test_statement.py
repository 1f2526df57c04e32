"""What follows from atoms: every outcome is reachable, only what the chapter says decides, and nothing without a unit."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from shallowexp.analysis import Comparison
from shallowexp.claims import statement as s
from shallowexp.claims.statement import Atom, above, at_most, atom, below, chapter, judge, theorem, within
from shallowexp.claims.statistics import Effect, Fractions

NUMBER = "16"


def effect_of(mean: float, spread: float = 0.01, n: int = 20) -> Effect:
    return Effect.of(mean + spread * np.linspace(-1, 1, n))


def made(expects: str, mean: float, role: str = "stated", spread: float = 0.01, scope: str = "here") -> Atom:
    return atom(effect_of(mean, spread), expects, 0.1, "nats", "a hypothesis", NUMBER, role, scope)


@pytest.mark.parametrize(
    ("expects", "mean", "spread", "outcome"),
    [
        ("above", 0.5, 0.01, s.HOLDS),
        ("above", -0.5, 0.01, s.CONTRADICTED),
        ("above", 0.02, 0.01, s.NO_DIFFERENCE),
        ("above", 0.2, 2.0, s.INCONCLUSIVE),
        ("below", -0.5, 0.01, s.HOLDS),
        ("below", 0.5, 0.01, s.CONTRADICTED),
        ("within", 0.02, 0.01, s.HOLDS),
        ("within", 0.5, 0.01, s.CONTRADICTED),
        ("within", -0.5, 0.01, s.CONTRADICTED),
        ("within", 0.1, 0.05, s.INCONCLUSIVE),
        ("at most", 0.02, 0.01, s.HOLDS),
        ("at most", -0.5, 0.01, s.HOLDS),
        ("at most", 0.5, 0.01, s.CONTRADICTED),
        ("at most", 0.1, 0.05, s.INCONCLUSIVE),
    ],
)
def test_an_atom_ends_as_its_interval_says(expects, mean, spread, outcome):
    assert made(expects, mean, spread=spread).outcome() == outcome


def p_of(mean: float, spread: float, limit: float, side: str) -> float:
    return stats.ttest_1samp(mean + spread * np.linspace(-1, 1, 20), limit, alternative=side).pvalue


@pytest.mark.parametrize(
    ("expects", "mean", "spread", "found", "expected"),
    [
        ("above", 0.2, 0.3, "above", lambda m, s: p_of(m, s, 0, "two-sided")),
        ("above", -0.2, 0.3, "below", lambda m, s: p_of(m, s, 0, "two-sided")),
        ("below", 0.02, 0.1, "equal", lambda m, s: max(p_of(m, s, 0.1, "less"), p_of(m, s, -0.1, "greater"))),
        ("above", 0.1, 2.0, "open", lambda m, s: p_of(m, s, 0.1, "less")),
        ("below", -0.1, 0.5, "open", lambda m, s: p_of(m, s, 0, "two-sided")),
        ("within", -0.02, 0.1, "equal", lambda m, s: max(p_of(m, s, 0.1, "less"), p_of(m, s, -0.1, "greater"))),
        ("within", 0.2, 0.2, "above", lambda m, s: 2 * p_of(m, s, 0.1, "greater")),
        ("within", -0.2, 0.2, "below", lambda m, s: 2 * p_of(m, s, -0.1, "less")),
        ("at most", -0.2, 0.1, "equal", lambda m, s: p_of(m, s, 0.1, "less")),
        ("at most", 0.2, 0.2, "above", lambda m, s: 2 * p_of(m, s, 0.1, "greater")),
    ],
)  # fmt: skip
def test_the_p_value_of_an_atom_is_that_of_scipys_t_tests(expects, mean, spread, found, expected):
    one = made(expects, mean, spread=spread)
    assert one.found == found
    assert one.p == pytest.approx(expected(mean, spread), rel=1e-6)


def test_an_atom_holds_its_numbers_and_nothing_undefined():
    one = atom(Effect.of([0.5], lost=2, pairs=3), "above", 0.1, "nats", "x", NUMBER)
    assert (one.value, one.low, one.high, one.n, one.lost, one.pairs) == (0.5, None, None, 1, 2, 3)
    assert (one.found, one.p, one.margin, one.unit) == ("open", 1.0, 0.1, "nats")
    trivial = theorem(True, "x")
    assert (trivial.p, trivial.margin, trivial.n, trivial.lost, trivial.pairs) == (0, 0, 0, 0, 0)
    assert (trivial.value, trivial.low, trivial.high) == (None, None, None)


@pytest.mark.parametrize(("p", "outcome"), [(0.0499, s.HOLDS), (0.05, s.INCONCLUSIVE), (0.3, s.INCONCLUSIVE)])
def test_5_percent_is_not_enough(p, outcome):
    one = Atom(NUMBER, "stated", "here", "x", "above", "above", p)
    assert one.outcome() == replace(one, p=0.0).outcome(p) == outcome
    assert replace(one, found="open").outcome(p) == s.INCONCLUSIVE


@pytest.mark.parametrize(("role", "expects"), [("hope", "above"), ("stated", "beside")])
def test_a_role_or_direction_that_there_is_not_is_refused(role, expects):
    with pytest.raises(ValueError, match=f"'x': role '{role}' of .*expects '{expects}' of"):
        Atom(NUMBER, role, "here", "x", expects, "open")


def test_a_theorem_is_checked_or_refuted_without_an_interval():
    assert (theorem(True, "t").outcome(), theorem(False, "t").outcome()) == (s.CHECKED, s.REFUTED)
    judgement = judge(chapter()[NUMBER], [theorem(True, "t", NUMBER), made("above", 0.5, scope="there")])
    assert (judgement.outcomes, judgement.outcome, judgement.condition) == ([s.CHECKED, s.HOLDS], s.RIGHT, "")


def test_atoms_of_other_statements_are_not_heard():
    others = [replace(made("above", -0.5), statement=number) for number in ("15", "17", "")]
    judgement = judge(chapter()[NUMBER], [*others, made("above", 0.5)])
    assert (judgement.outcome, len(judgement.atoms)) == (s.RIGHT, 1)


def test_names_are_enumerated_as_one_says_them():
    told = [s.enumerate_names("abcdefgh"[:n]) for n in (0, 1, 2, 6, 7, 8)]
    assert told == ["", "a", "a and b", "a, b, c, d, e and f", "a, b, c, d, e and 2 more", "a, b, c, d, e and 3 more"]
    assert s.enumerate_names("abc", most=2) == "a and 2 more"


@pytest.mark.parametrize(
    ("atoms", "outcome"),
    [
        ([("stated", 0.5), ("stated", 0.6)], s.RIGHT),
        ([("stated", 0.5), ("stated", -0.6)], s.CONDITION),
        ([("stated", 0.5), ("stated", 0.0)], s.CONDITION),
        ([("stated", -0.5), ("stated", 0.0)], s.WRONG),
        ([("stated", 0.5), ("reason", -0.6)], s.OTHER_REASON),
        ([("stated", 0.5), ("reason", 0.6)], s.RIGHT),
        ([("stated", 0.5), ("stated", 0.5), ("stated", -0.6), ("reason", 0.0)], s.OTHER_REASON),
        ([("stated", 0.5), ("stated", -0.6), ("reason", -0.6)], s.CONDITION),
        ([("stated", 0.5), ("stated", -0.6), ("stated", -0.6), ("reason", -0.6)], s.CONDITION),
        ([("stated", 0.5), ("stated", 0.5), ("stated", -0.6), ("reason", 0.6)], s.CONDITION),
        ([("stated", -0.5), ("reason", -0.6)], s.WRONG),
        ([("stated", 0.5), ("control", -0.6), ("extension", -0.5)], s.RIGHT),
        ([("control", 0.5)], s.INCONCLUSIVE),
        ([], s.INCONCLUSIVE),
    ],
)
def test_only_what_the_chapter_says_decides(atoms, outcome):
    assert judge(chapter()[NUMBER], [made("above", mean, role) for role, mean in atoms]).outcome == outcome


def test_mostly_open_is_inconclusive_and_a_condition_names_where():
    open_ = made("above", 0.2, spread=3.0, scope="wine")
    holds, against = made("above", 0.5, scope="flower"), made("above", -0.5, scope="digits")
    assert judge(chapter()[NUMBER], [open_, open_, holds]).outcome == s.INCONCLUSIVE
    found = judge(chapter()[NUMBER], [open_, holds, against])
    assert (found.outcome, found.condition) == (s.CONDITION, "It holds for flower; not for digits; open for wine.")
    found = judge(chapter()[NUMBER], [open_, open_, *[made("above", 0.5, scope="flower, 4 units, late")] * 2])
    assert (found.outcome, found.condition) == (s.RIGHT, "It holds for flower (4 units, late); open for wine.")
    assert judge(chapter()[NUMBER], [against]).condition == judge(chapter()[NUMBER], [holds]).condition == ""


def test_many_tests_are_corrected_within_a_statement():
    weak = atom(Effect(1.0, 0.45, 20), "above", 0.1, "nats", "weak", NUMBER)
    assert weak.outcome() == s.HOLDS
    assert 0.02 < weak.p < 0.05
    assert set(judge(chapter()[NUMBER], [weak] * 5).outcomes) == {s.INCONCLUSIVE}
    controls = [made("above", 0.5, "control")] * 5
    assert judge(chapter()[NUMBER], [weak, *controls]).outcomes[0] == s.HOLDS


def test_a_comparison_gives_an_atom_for_each_cell_with_its_pairs():
    keys = [("tanh", data, seed) for data in ("flower", "wine") for seed in range(8)]
    values = [0.3 + 0.01 * seed if data == "flower" else -0.3 - 0.01 * seed for _, data, seed in keys]
    index = pd.MultiIndex.from_tuples(keys, names=["activation", "data", "seed"])
    series = pd.Series(values, index)
    series.iloc[0] = np.nan
    found = above(
        Comparison("loss", "activation", "relu", series), 0.1, "nats", "ReLU on {data}", by=["data"], statement=NUMBER
    )
    assert [(a.text, a.scope, a.outcome(), a.lost, a.pairs) for a in found] == [
        ("ReLU on flower", "flower", s.HOLDS, 1, 8), ("ReLU on wine", "wine", s.CONTRADICTED, 0, 8)
    ]  # fmt: skip
    assert {a.statement for a in found} == {NUMBER}
    comparison = Comparison("loss", "activation", "relu", series)
    assert [a.outcome() for a in below(comparison, 0.1, "nats", "x", by=["data"])] == [s.CONTRADICTED, s.HOLDS]
    assert {a.outcome() for a in within(comparison, 0.1, "nats", "x", by=["data"])} == {s.CONTRADICTED}
    assert [a.outcome() for a in at_most(comparison, 0.1, "nats", "x", by=["data"])] == [s.CONTRADICTED, s.HOLDS]
    (pooled,) = above(comparison, 0.1, "nats", "than {activation}", scope="everywhere, {activation}", role="control")
    assert (pooled.text, pooled.scope, pooled.role, pooled.pairs) == ("than tanh", "everywhere, tanh", "control", 8)
    scales = Comparison(
        "loss", "init.scale", 1.0, series.rename_axis(index={"activation": "init.scale"}).rename({"tanh": 0.5})
    )
    assert [a.text for a in above(scales, 0.1, "nats", "{init_scale} {data}", ["init.scale", "data"])] == [
        "0.5 flower",
        "0.5 wine",
    ]
    assert [s.format_value(value) for value in (0.10, 3, "batch_size")] == ["0.1", "3", "batch size"]


def test_fractions_make_atoms():
    found = atom(Fractions(15, 20, 0, 20), "above", 0.1, "of runs", "trapped", NUMBER)
    assert (found.outcome(), found.n, found.value) == (s.HOLDS, 40, 0.75)


@pytest.mark.parametrize(("margin", "unit"), [(0.1, ""), (0.0, "nats"), (-1.0, "nats")])
def test_a_margin_without_unit_or_size_is_refused(margin, unit):
    with pytest.raises(ValueError, match="needs a unit"):
        atom(effect_of(0.5), "above", margin, unit, "a hypothesis")


def test_the_chapter_is_whole_and_in_order():
    statements = chapter()
    numbers = [int(number.rstrip("r")) for number in statements]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 37))
    assert {kind for one in statements.values() for kind in one.kind.split()} <= set("dteac")
    assert all(one.text.endswith(".") and one.title for one in statements.values())
    assert not statements["1"].judged
    assert statements["33"].judged
    assert len(yaml.safe_load(s.CHAPTER.read_text())) == len(statements)


@pytest.mark.parametrize(
    ("row", "message"), [("{number: 1, section: 2, kind: d, title: x}", "text"), ("{nomber: 1}", "nomber")]
)
def test_a_mistaken_row_of_the_chapter_is_named_with_its_line(tmp_path, row, message):
    path = tmp_path / "chapter.yaml"
    path.write_text("# two lines\n# before\n- " + row + "\n")
    with pytest.raises(ValueError, match=f"chapter.yaml, line 3: .*{message}"):
        chapter(path)


def test_a_statement_that_is_not_in_the_chapter_is_refused():
    with pytest.raises(ValueError, match="'x' is of statement '99'"):
        theorem(True, "x", "99")
