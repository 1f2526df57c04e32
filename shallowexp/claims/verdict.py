"""What the runs say of a claim: the parts of its hypothesis that hold, and an effect with its interval."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

SUPPORTED, REFUTED, CONDITIONAL, INCONCLUSIVE = OUTCOMES = ("supported", "refuted", "conditional", "inconclusive")


class Inconclusive(ValueError):
    """What the runs that are there lack for a verdict; the report shows it in the verdict's place."""


class Estimate(NamedTuple):
    """An effect in raw units with its 95% interval: over seeds, or over what `Verdict.over` says."""

    value: float
    low: float
    high: float


def criteria(parts: Iterable[tuple[str, bool]]) -> dict[str, bool]:
    """The parts of a hypothesis by name. Raises ValueError where several have one name, so that some would be lost."""
    pairs = list(parts)
    names = Counter(name for name, _ in pairs)
    if len(names) < len(pairs):
        twice = "; ".join(sorted(name for name, count in names.items() if count > 1))
        raise ValueError(f"several parts of the hypothesis have one name, so some would be lost: {twice}")
    return {name: bool(holds) for name, holds in pairs}


@dataclass(frozen=True)
class Verdict:
    parts: Mapping[str, bool]  # of the hypothesis, by a name that has its number: whether it holds
    measure: str  # what `effect` is, with its unit and what was compared
    effect: Estimate
    scope: str  # where the claim holds and where it stops: one or two short sentences, made from the runs
    notes: str = ""  # what else the runs say, beyond the hypothesis
    over: str = "seeds"  # what the effect's interval is over

    @property
    def outcome(self) -> str:
        """Supported where every part of the claim holds, refuted where none does, conditional between.

        Without a part, or with one seed, from which no interval follows, nothing is decided.
        """
        if not self.parts or isnan(self.effect.low):
            return INCONCLUSIVE
        holds = self.parts.values()
        return SUPPORTED if all(holds) else CONDITIONAL if any(holds) else REFUTED
