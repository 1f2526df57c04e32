"""Effects over seeds, each with a 95% interval; no run is ever left out in silence.

`paired` and `at_step` put NaN where a run has diverged or has no such value, and `estimate` refuses NaN: an experiment
has to say what such a run counts as, or leave it out with `drop_undefined`, whose words go into its verdict. `effects_by` and
`effects_table` leave it out of its cell and count it; a cell that is left with nothing has no value, so that no part of a
hypothesis holds there. A run whose partner was not trained is in no pair: the report says how many runs a sweep lacks.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar
from warnings import catch_warnings

import numpy as np
import pandas as pd
from scipy.stats import DegenerateDataWarning, bootstrap

from shallowexp.claims.verdict import Estimate, Inconclusive
from shallowexp.runs import Runs

RESAMPLES = 9999
LISTED = 4  # names in a sentence; of more the first ones and how many there are


def require(frame: pd.DataFrame, *columns: str) -> None:
    """Say which columns are missing, before a computation fails on them."""
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"these runs have no {', '.join(missing)}: needed are {', '.join(columns)}")


def optional(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """With these columns too, NaN in all of it if a small sweep has no run that has such a parameter."""
    return frame.reindex(columns=frame.columns.union(pd.Index(columns), sort=False))


def estimate(values: Iterable[float]) -> Estimate:
    """Mean with its 95% bootstrap interval (BCa; Efron 1987). The mean, because a median hides the seeds that fail.

    Values that are all equal have an interval of width zero; a single one has none, so its ends are NaN. No value at
    all is not the caller's mistake: the sweep has not been run yet, hence Inconclusive.
    """
    values = np.asarray(list(values), dtype=float)
    defined = np.isfinite(values)
    if not len(values):
        raise Inconclusive("no runs that could be compared")
    if not defined.all():
        raise ValueError(f"{defined.sum()} of {len(values)} values are defined: no mean over seeds")
    mean = float(values.mean())
    if len(values) == 1:
        return Estimate(mean, np.nan, np.nan)
    if np.ptp(values) == 0:
        return Estimate(*[float(values[0])] * 3)
    return Estimate(mean, *_interval(values))


def _interval(values: np.ndarray) -> tuple[float, float]:
    """BCa, or the percentiles where BCa has no answer: where hardly any resample's mean differs from the sample's."""
    for method in ("BCa", "percentile"):
        draw = np.random.default_rng(0)
        with np.errstate(all="ignore"), catch_warnings(action="ignore", category=DegenerateDataWarning):
            found = bootstrap([values], np.mean, n_resamples=RESAMPLES, method=method, rng=draw).confidence_interval
        if np.isfinite(found).all():
            break
    return float(found.low), float(found.high)


def at_step(runs: Runs, step: int) -> pd.DataFrame:
    """`runs.table` with its metrics as logged at exactly `step`; NaN for a run without them, as after it diverged."""
    require(runs.histories, "fingerprint", "step")
    rows = runs.histories[runs.histories["step"] == step].set_index("fingerprint")
    metrics = [column for column in map(str, rows) if "/" in column]
    table = runs.table.drop(columns=[column for column in map(str, runs.table) if "/" in column])
    return table.join(rows[metrics]).assign(outcome="finished")  # what comes after `step` does not matter here


def paired(
    table: pd.DataFrame, measure: str, by: str, left: object, right: object, within: Iterable[str] = ("seed",)
) -> pd.Series:
    """`measure` where `by` is left minus where it is right, in raw units, for each seed or combination of `within`.

    Only where both runs are there; NaN where one of them has diverged or has no such value.
    """
    within = list(within)
    require(table, measure, by, "outcome", *within)
    finished = table[measure].where(table["outcome"] == "finished")
    sides = []
    for side in (left, right):
        keys = table.loc[table[by] == side, within]
        if keys.duplicated().any():
            raise ValueError(
                f"several runs have {by}={side} and the same {', '.join(within)}: choose, or add to `within`"
            )
        sides.append(finished[keys.index].set_axis(pd.MultiIndex.from_frame(keys)))
    first, second = sides[0].align(sides[1], join="inner")
    return first - second


def drop_undefined(differences: pd.Series) -> tuple[pd.Series, str]:
    """The defined differences, and words that say how many others there were (empty if none)."""
    defined = differences.dropna()
    return defined, _left_out(len(differences) - len(defined), len(differences))


def _left_out(lost: int, pairs: int) -> str:
    return f" ({lost:.0f} of {pairs:.0f} pairs left out: diverged or undefined)" if lost else ""


def mean_over_seeds(differences: pd.Series) -> Estimate:
    """The mean difference; a seed's own ones are averaged first, since the interval is over seeds."""
    return estimate(differences.groupby(level="seed").mean())


class Effect(NamedTuple):
    """An estimate, and how many pairs were left out of how many that it was to be made from."""

    value: float
    low: float
    high: float
    lost: int
    pairs: int

    @classmethod
    def of(cls, row: Any) -> "Effect":
        """A row of `effects_table`."""
        return cls(row.value, row.low, row.high, row.lost, row.pairs)

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.value, self.low, self.high)


E = TypeVar("E", Estimate, Effect)


def effects_by(differences: pd.Series, *levels: str) -> dict[Any, Effect]:
    """The mean difference over seeds for each value or combination of values of `levels`, NaN where none is defined."""
    groups = differences.groupby(level=levels[0] if len(levels) == 1 else list(levels))
    return {key: _effect(part) for key, part in groups}


def _effect(differences: pd.Series) -> Effect:
    defined = differences.dropna()
    found = mean_over_seeds(defined) if len(defined) else Estimate(np.nan, np.nan, np.nan)
    return Effect(*found, lost=len(differences) - len(defined), pairs=len(differences))


def effects_table(differences: pd.Series, *cells: str) -> pd.DataFrame:
    """`effects_by` as a table, a row for each cell: it, value, low, high, how many pairs were left out, and of how many."""
    rows = [(*(key if len(cells) > 1 else [key]), *effect) for key, effect in effects_by(differences, *cells).items()]
    return pd.DataFrame(rows, columns=[*cells, *Effect._fields])


def format_estimate(effect: Estimate | Effect, digits: int = 3) -> str:
    """An estimate in a sentence: its interval, and how many pairs were left out.

    Signs are always shown, since most estimates are differences:

        >>> format_estimate(Estimate(0.1234, 0.05, 0.2))
        '+0.123 [+0.050, +0.200]'
    """
    hidden = 0 < max(abs(effect.low), abs(effect.high)) < 0.5 * 10**-digits  # all of it would read as zero
    spec = "+.1e" if hidden else f"+.{digits}f"
    interval = f" [{effect.low:{spec}}, {effect.high:{spec}}]" if np.isfinite(effect.low) else ", no interval"
    told = f"{effect.value:{spec}}{interval}"
    lost = _left_out(effect.lost, effect.pairs) if isinstance(effect, Effect) else ""
    return (told if np.isfinite(effect.value) else "no value") + lost


def named(key: object) -> str:
    """A value, or the values of several levels, as a name."""
    return ", ".join(map("{}".format, key)) if isinstance(key, tuple) else str(key)


def parts(text: str, effects: Mapping[Any, E], holds: Callable[[E], bool]) -> list[tuple[str, bool]]:
    """Of a hypothesis, for a verdict: each effect after its name, for which {} in `text` stands, and whether it holds."""
    return [(f"{text.format(named(key))}: {format_estimate(effect)}", holds(effect)) for key, effect in effects.items()]


def summarise(held: Iterable[tuple[object, bool]], form: str = "for {}") -> str:
    """Of which names everything holds, something, nothing.

    A name may stand for several parts:

        >>> summarise([("tanh", True), ("relu", True), ("relu", False), ("sigmoid", False)])
        'for tanh, partly for relu, not for sigmoid'
    """
    found: dict[str, list[bool]] = {}
    for name, holds in held:
        found.setdefault(named(name).replace("_", " "), []).append(bool(holds))
    if not found:
        return "(not tried)"
    if all(map(all, found.values())):
        return "everywhere"
    names = {
        "": [name for name, part in found.items() if all(part)],
        "partly ": [name for name, part in found.items() if any(part) and not all(part)],
        "not ": [name for name, part in found.items() if not any(part)],
    }
    told = [kind + form.format(_enumerated(chosen)) for kind, chosen in names.items() if chosen]
    return ", ".join(told) if any(map(any, found.values())) else "nowhere"


def _enumerated(names: list[str]) -> str:
    if len(names) > LISTED:
        names = [*names[: LISTED - 1], f"{len(names) - LISTED + 1} more"]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def join_estimates(effects: Mapping[Any, E]) -> str:
    """Estimates in a sentence, each after its name or the names of its levels."""
    names = [" ".join(map("{}".format, key)) if isinstance(key, tuple) else key for key in effects]
    return ", ".join(f"{name} {format_estimate(effect)}" for name, effect in zip(names, effects.values(), strict=True))
