"""What the runs say of a claim: the parts of its hypothesis that hold, and an effect with its interval."""

from collections.abc import Mapping
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


@dataclass(frozen=True)
class Verdict:
    parts: Mapping[str, bool]  # of the hypothesis, by a name that has its number: whether it holds; pairs do as well
    measure: str  # what `effect` is, with its unit and what was compared
    effect: Estimate
    scope: str  # where the claim holds and where it stops: one or two short sentences, made from the runs
    notes: str = ""  # what else the runs say, beyond the hypothesis
    over: str = "seeds"  # what the effect's interval is over

    def __post_init__(self):
        pairs = list(self.parts.items() if isinstance(self.parts, Mapping) else self.parts)
        parts = {name: bool(holds) for name, holds in pairs}
        if len(parts) < len(pairs):
            names = sorted({name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1})
            raise ValueError(
                f"several parts of the hypothesis have one name, so some would be lost: {'; '.join(names)}"
            )
        object.__setattr__(self, "parts", parts)

    @property
    def outcome(self) -> str:
        """Supported where every part of the claim holds, refuted where none does, conditional between.

        Without a part, or with one seed, from which no interval follows, nothing is decided.
        """
        if not self.parts or isnan(self.effect.low):
            return INCONCLUSIVE
        holds = self.parts.values()
        return SUPPORTED if all(holds) else CONDITIONAL if any(holds) else REFUTED
