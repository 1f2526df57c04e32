"""Every outcome is within reach of every statement: its atoms, as the experiments yield them, measured as runs could have come out."""

from dataclasses import replace

import pytest

from shallowexp.claims import statement as s
from shallowexp.claims.claim import find
from shallowexp.claims.statement import Atom, atom, chapter, judge
from shallowexp.claims.statistics import Effect
from shallowexp.report.chapter import DOCS
from shallowexp.report.entries import read

ATOMS = [atom for entry in read(DOCS, find()).values() for atom in entry.atoms]
DECIDING = [a for a in ATOMS if a.role in ("stated", "reason")]
STATEMENTS = list(dict.fromkeys(a.statement for a in DECIDING))
FAR, NEAR = 100, 0.01  # of the margin
CONTRARY = {"above": -FAR, "below": FAR, "within": FAR, "at most": FAR}
EXPECTED = {"above": FAR, "below": -FAR, "within": NEAR, "at most": NEAR}


def measured(of: Atom, effects: dict[str, float], error: float = NEAR) -> Atom:
    """The same hypothesis, of twenty seeds with this effect in units of its margin; a theorem holds where it is expected."""
    if of.expects is None:
        return replace(of, found="true" if effects is EXPECTED else "false")
    effect = Effect(effects[of.expects] * of.margin, error * of.margin, 20)
    return atom(effect, of.expects, of.margin, of.unit, of.text, of.statement, of.role, of.scope)


def outcome(number: str, atoms: list[Atom]) -> str:
    return judge(chapter()[number], atoms).outcome


def of(number: str, role: str) -> list[Atom]:
    return [a for a in DECIDING if a.statement == number and a.role == role]


@pytest.mark.parametrize("number", STATEMENTS)
def test_right_wrong_and_inconclusive(number):
    stated, reasons = of(number, "stated"), of(number, "reason")
    assert stated, "a statement is decided by what it states"
    as_said = [measured(a, EXPECTED) for a in stated]
    assert outcome(number, as_said + [measured(a, EXPECTED) for a in reasons]) == s.RIGHT
    assert outcome(number, [measured(a, CONTRARY) for a in stated + reasons]) == s.WRONG
    tested = [a for a in stated if a.expects]
    open_ = [measured(a, EXPECTED, error=10 * FAR) for a in tested]
    theorems = [measured(a, EXPECTED) for a in stated if not a.expects]
    assert outcome(number, open_ + theorems[: max(0, len(tested) - 1)]) == s.INCONCLUSIVE


@pytest.mark.parametrize("number", [n for n in STATEMENTS if of(n, "reason")])
def test_right_for_another_reason(number):
    atoms = [measured(a, EXPECTED) for a in of(number, "stated")]
    assert outcome(number, atoms + [measured(a, CONTRARY) for a in of(number, "reason")]) == s.OTHER_REASON


@pytest.mark.parametrize("number", [n for n in STATEMENTS if len(of(n, "stated")) > 1])
def test_right_under_a_condition(number):
    first, *others = of(number, "stated")
    assert outcome(number, [measured(first, EXPECTED), *(measured(a, CONTRARY) for a in others)]) == s.CONDITION


def test_every_statement_that_runs_can_judge_is_judged():
    assert set(STATEMENTS) == {number for number, one in chapter().items() if one.judged}
