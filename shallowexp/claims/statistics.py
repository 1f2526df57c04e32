"""Effects over seeds with their t intervals, fractions with exact ones; no run is ever left out in silence.

The t interval is the one that covers best on the populations that occur here (docs/statistics.md, made by
`python -m benchmarks.coverage`). Pairs lost to divergence are counted in the effect and named wherever it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, stdtr, stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Effect:
    """A mean over seeds in raw units, its standard error, and the pairs that it was made from."""

    value: float
    error: float  # standard error; 0 where all are equal, NaN with one
    n: int  # seeds
    lost: int = 0  # of all pairs, those that diverged or have no value
    pairs: int = 0

    @classmethod
    def of(cls, values: Iterable[float], lost: int = 0, pairs: int = 0) -> Effect:
        """Of one value a seed; all of them must be finite."""
        values = np.asarray(list(values), dtype=float)
        if not len(values):
            return cls(nan, nan, 0, lost, pairs)
        if len(values) == 1 or np.ptp(values) == 0:  # a mean of equal numbers may differ from them in its last bit
            return cls(float(values[0]), 0.0 if len(values) > 1 else nan, len(values), lost, pairs or len(values))
        error = float(values.std(ddof=1) / sqrt(len(values)))
        return cls(float(values.mean()), error, len(values), lost, pairs or len(values))

    @property
    def low(self) -> float:
        return self.value - self._half()

    @property
    def high(self) -> float:
        return self.value + self._half()

    def _half(self) -> float:
        return float(stdtrit(self.n - 1, (1 + LEVEL) / 2)) * self.error if self.n > 1 else nan

    def p_above(self, limit: float) -> float:
        """One-sided p of a mean that is not above `limit`; 1 where nothing can be said."""
        if not isfinite(self.error):
            return 1.0
        if self.error == 0:
            return float(self.value <= limit)
        return float(stdtr(self.n - 1, (limit - self.value) / self.error))

    def p_below(self, limit: float) -> float:
        return Effect(-self.value, self.error, self.n).p_above(-limit)


@dataclass(frozen=True)
class Fractions:
    """How often something happened, k of n runs, against k0 of n0: with Newcombe's interval and Fisher's exact p."""

    k: int
    n: int
    k0: int
    n0: int
    lost: int = 0

    @property
    def value(self) -> float:
        return self.k / self.n - self.k0 / self.n0 if self.n and self.n0 else nan

    @property
    def low(self) -> float:
        return self._bound(0)

    @property
    def high(self) -> float:
        return self._bound(1)

    def _bound(self, side: int) -> float:
        """Newcombe 1998, method 10: Wilson's intervals of the two fractions, joined."""
        if not (self.n and self.n0):
            return nan
        from scipy.stats import binomtest

        first, second = (
            binomtest(k, n).proportion_ci(LEVEL, "wilson") for k, n in ((self.k, self.n), (self.k0, self.n0))
        )
        p, p0 = self.k / self.n, self.k0 / self.n0
        if side:
            return self.value + sqrt((first.high - p) ** 2 + (p0 - second.low) ** 2)
        return self.value - sqrt((p - first.low) ** 2 + (second.high - p0) ** 2)

    def p_above(self, limit: float) -> float:
        """Exact for limit 0; else normal, of the width of Newcombe's interval on that side, so that the two agree."""
        if not (self.n and self.n0):
            return 1.0
        if limit == 0:
            from scipy.stats import fisher_exact

            table = [[self.k, self.n - self.k], [self.k0, self.n0 - self.k0]]
            return float(fisher_exact(table, alternative="greater").pvalue)
        z = (self.value - limit) / max((self.value - self.low) / ndtri((1 + LEVEL) / 2), 1e-12)
        return float(ndtr(-z))

    def p_below(self, limit: float) -> float:
        return Fractions(self.k0, self.n0, self.k, self.n).p_above(-limit)


def effect(differences: pd.Series) -> Effect:
    """Of one difference a seed; the undefined ones are counted as lost."""
    defined = differences.dropna()
    return Effect.of(defined, len(differences) - len(defined), len(differences))


def ranked_cells(table: pd.DataFrame, cells: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """A row for each cell, the lowest mean of the first measure first, but cells of which most runs diverged last: its params, how many
    runs it has and how many diverged, and of those that finished the mean of each measure, with the first one's t interval.

    `table` has a row for each run: `cells`, `measures`, outcome.
    """
    first, by = measures[0], [*cells] or ["all"]
    table = table.assign(all="")
    finished = table[table["outcome"] == "finished"].groupby(by, sort=False)
    rows = table.groupby(by, sort=False).size().to_frame("runs")
    rows["diverged"] = rows["runs"] - finished.size().reindex(rows.index, fill_value=0)
    values, n = finished[first], finished[first].count()
    alike = values.max() == values.min()  # whose mean may differ from them in its last bit
    mean = values.mean().mask(alike, values.min())
    half = (stdtrit((n - 1).clip(1), (1 + LEVEL) / 2) * values.std().mask(alike, 0.0) / n**0.5).where(n > 1)
    rows[f"mean {first}"], rows["95% from"], rows["to"] = mean, mean - half, mean + half
    for name in measures[1:]:
        rows[f"mean {name}"] = finished[name].mean()
    lost = 2 * rows["diverged"] > rows["runs"]
    order = rows.assign(lost=lost).sort_values(["lost", f"mean {first}"], kind="stable").index
    return rows.loc[order].reset_index().drop(columns=[] if cells else "all")


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p values of one family (Holm 1979), in the given order."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted, highest = [1.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted
