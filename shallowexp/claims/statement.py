"""What the chapter says, as data, and what runs say of it.

A statement (experiments/chapter.yaml) rests on atoms, which experiments yield. An atom is one hypothesis in one scope:
an effect with its interval, a direction or equivalence, and a margin in a unit that a reader feels; or a theorem that was
checked, without an interval. Only what the chapter states and the reasons it gives decide a statement; controls check the
experiment, extensions stand apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from shallowexp import EXPERIMENTS
from shallowexp.analysis import Comparison
from shallowexp.claims.statistics import Effect, Fractions, effect, holm

ROLES = ("stated", "reason", "control", "extension")
EXPECTS = ("above", "below", "within", "at most")
ALPHA = 0.05

HOLDS, CONTRADICTED, NO_DIFFERENCE, INCONCLUSIVE = "holds", "contradicted", "no difference", "inconclusive"
CHECKED, REFUTED = "theorem, checked", "theorem, refuted"
FOR, AGAINST = (HOLDS, CHECKED), (CONTRADICTED, NO_DIFFERENCE, REFUTED)
RIGHT, OTHER_REASON, CONDITION, WRONG = "right", "right, for another reason", "right under a condition", "wrong"
OUTCOMES = (RIGHT, OTHER_REASON, CONDITION, WRONG, INCONCLUSIVE)


@dataclass(frozen=True)
class Atom:
    """One hypothesis and what its runs found; plain values, so that a file can hold it."""

    statement: str  # its number in chapter.yaml; "" of an extension that belongs to none
    role: str
    scope: str  # where it was tried: "flower, 4 units"
    text: str  # the hypothesis in words
    expects: str | None  # of the effect; None for a theorem
    found: str  # above, below, equal or open, before the correction for several tests; true or false for a theorem
    p: float = 0.0
    value: float | None = None  # in `unit`; None where there is no number
    low: float | None = None
    high: float | None = None
    margin: float = 0.0
    unit: str = ""
    n: int = 0  # seeds
    lost: int = 0  # pairs that diverged or have no value, of
    pairs: int = 0
    detail: str = ""  # counts, deviations, steps: what the number alone does not say

    def __post_init__(self) -> None:
        if self.role not in ROLES or self.expects not in (None, *EXPECTS):
            raise ValueError(f"{self.text!r}: role {self.role!r} of {ROLES}, expects {self.expects!r} of {EXPECTS}")
        if self.statement and self.statement not in chapter():
            raise ValueError(f"{self.text!r} is of statement {self.statement!r}, which is not in {CHAPTER}")

    def outcome(self, p: float | None = None) -> str:
        """With `p` corrected for the tests of the whole statement."""
        if self.expects is None:
            return CHECKED if self.found == "true" else REFUTED
        if (self.p if p is None else p) >= ALPHA or self.found == "open":
            return INCONCLUSIVE
        if self.expects in ("within", "at most"):
            return HOLDS if self.found == "equal" else CONTRADICTED
        return {self.expects: HOLDS, "equal": NO_DIFFERENCE}.get(self.found, CONTRADICTED)


def atom(
    measured: Effect | Fractions, expects: str, margin: float, unit: str, text: str, statement: str = "",
    role: str = "stated", scope: str = "", detail: str = "",
) -> Atom:  # fmt: skip
    """The hypothesis that `measured` lies above or below 0, within `margin` of it, or is at most `margin`.

    Within the margin by two one-sided tests it is no difference, whatever else is known; a difference from 0 otherwise.
    At most is one test, of non-inferiority: equal or lower.
    Raises ValueError for a margin that has no unit or is not above 0.
    """
    if not unit or not margin > 0:
        raise ValueError(f"the margin {margin} of {text!r} needs a unit and to be above 0")
    found, p = _found(measured, expects, margin)
    n = measured.n if isinstance(measured, Effect) else measured.n + measured.n0
    numbers = {name: _number(getattr(measured, name)) for name in ("value", "low", "high")}
    lost, pairs = measured.lost, getattr(measured, "pairs", n)
    return Atom(statement, role, scope, text, expects, found, p, **numbers, margin=margin, unit=unit, n=n,
                lost=lost, pairs=pairs, detail=detail)  # fmt: skip


def _found(measured: Effect | Fractions, expects: str, margin: float) -> tuple[str, float]:
    equal = (
        measured.p_below(margin) if expects == "at most" else max(measured.p_above(-margin), measured.p_below(margin))
    )
    limit = margin if expects in ("within", "at most") else 0.0
    above, below = 2 * measured.p_above(limit), 2 * measured.p_below(-limit)
    tests = {"equal": equal, "above": above, "below": below}
    name = "equal" if equal < ALPHA else min(("above", "below"), key=tests.__getitem__)
    return (name, tests[name]) if tests[name] < ALPHA else ("open", min(1.0, min(tests.values())))


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def theorem(
    holds: bool, text: str, statement: str = "", role: str = "stated", scope: str = "", detail: str = ""
) -> Atom:
    """Something that follows by mathematics, checked on what is there; `detail` says how closely."""
    return Atom(statement, role, scope, text, None, "true" if holds else "false", detail=detail)


def above(
    comparison: Comparison, margin: float, unit: str, text: str, by: Sequence[str] = (), **more: Any
) -> list[Atom]:
    """An atom for each combination of the levels `by`: left is above the rival. {level} in `text` and `scope` is its value."""
    return _atoms(comparison, "above", margin, unit, text, by, **more)


def below(
    comparison: Comparison, margin: float, unit: str, text: str, by: Sequence[str] = (), **more: Any
) -> list[Atom]:
    return _atoms(comparison, "below", margin, unit, text, by, **more)


def within(
    comparison: Comparison, margin: float, unit: str, text: str, by: Sequence[str] = (), **more: Any
) -> list[Atom]:
    return _atoms(comparison, "within", margin, unit, text, by, **more)


def at_most(
    comparison: Comparison, margin: float, unit: str, text: str, by: Sequence[str] = (), **more: Any
) -> list[Atom]:
    """Left exceeds the rival by no more than `margin`; how far it lies below is left open."""
    return _atoms(comparison, "at most", margin, unit, text, by, **more)


def _atoms(
    comparison: Comparison, expects: str, margin: float, unit: str, text: str, by: Sequence[str], **more: Any
) -> list[Atom]:
    levels = list(by) or [comparison.by]
    found = []
    for key, values in comparison.groups(*levels).items():
        named = {level.replace(".", "_"): format_value(value) for level, value in zip(levels, key, strict=True)}
        scope = more.get("scope", "").format(**named) or ", ".join(named.values())
        options = {name: option for name, option in more.items() if name != "scope"}
        found.append(atom(effect(values), expects, margin, unit, text.format(**named), scope=scope, **options))
    return found


def format_value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


@dataclass(frozen=True)
class Statement:
    """One statement of the chapter, in our words."""

    number: str
    section: str
    kind: str  # d definition, t theorem, e empirical, a advice, c code
    title: str
    text: str
    line: int = 0  # of chapter.yaml

    @property
    def judged(self) -> bool:
        """Whether runs can say anything of it: definitions and advice are only followed."""
        return bool({"t", "e", "c"} & set(self.kind.split()))


@dataclass(frozen=True)
class Judgement:
    """A statement with its atoms and what follows from them."""

    statement: Statement
    atoms: Sequence[Atom]
    outcomes: Sequence[str]  # of the atoms, corrected for all tests that decide the statement
    outcome: str
    condition: str = ""  # where it holds and where not


def judge(statement: Statement, atoms: Iterable[Atom]) -> Judgement:
    """What follows from the atoms of this statement: from stated ones and reasons alone."""
    mine = [a for a in atoms if a.statement == statement.number]
    deciding = [i for i, a in enumerate(mine) if a.role in ("stated", "reason")]
    tests = [i for i in deciding if mine[i].expects is not None]
    corrected = dict(zip(tests, holm([mine[i].p for i in tests]), strict=True))
    outcomes = [a.outcome(corrected.get(i)) for i, a in enumerate(mine)]
    stated = [(mine[i], outcomes[i]) for i in deciding if mine[i].role == "stated"]
    reasons = [outcomes[i] for i in deciding if mine[i].role == "reason"]
    outcome = _outcome([o for _, o in stated], reasons)
    return Judgement(statement, mine, outcomes, outcome, "" if outcome in (WRONG, INCONCLUSIVE) else _condition(stated))


def _outcome(stated: Sequence[str], reasons: Sequence[str]) -> str:
    """A reason that fails tells more than the place where a statement fails, unless it fails in most places."""
    held, against = ([o for o in stated if o in kinds] for kinds in (FOR, AGAINST))
    if not stated or 2 * (len(held) + len(against)) < len(stated):
        return INCONCLUSIVE
    if not held:
        return WRONG
    if len(held) > len(against) and any(o in AGAINST for o in reasons):
        return OTHER_REASON
    return CONDITION if against else RIGHT


def _condition(stated: Sequence[tuple[Atom, str]]) -> str:
    """Where it holds and where it does not, in a sentence; nothing where it holds everywhere."""
    named = {"It holds for": FOR, "not for": AGAINST, "open for": (INCONCLUSIVE,)}
    scopes = {
        name: list(dict.fromkeys(_place(a.scope) for a, o in stated if o in kinds)) for name, kinds in named.items()
    }
    if not scopes["not for"] and not scopes["open for"]:
        return ""
    return "; ".join(f"{name} {enumerate_names(found)}" for name, found in scopes.items() if found) + "."


def _place(scope: str) -> str:
    """A scope that may stand in a list: "tanh on flower, against x 1" is "tanh on flower (against x 1)"."""
    first, *more = scope.split(", ", 1)
    return f"{first} ({more[0]})" if more else first


def enumerate_names(names: Sequence[str], most: int = 6) -> str:
    """ "a, b and c"; of more than `most` the first ones and how many there are."""
    shown = list(names) if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""


CHAPTER = EXPERIMENTS / "chapter.yaml"


@cache
def chapter(path: Path = CHAPTER) -> Mapping[str, Statement]:
    """The chapter's statements by number, in its order."""
    text, found = path.read_text(encoding="utf-8"), {}
    for row, node in zip(yaml.safe_load(text), yaml.compose(text).value, strict=True):
        line = node.start_mark.line + 1
        try:
            statement = Statement(**{key: str(value) for key, value in row.items()}, line=line)
        except TypeError as error:
            raise ValueError(f"{path}, line {line}: {error}") from error
        found[statement.number] = statement
    return found
