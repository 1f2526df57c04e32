"""Tracked runs as analysis is given them: frames and arrays, whatever store they came from, and the words to choose among them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from html import escape
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

SEEDS = ("seed", "data.seed")  # what runs of one cell differ in
HIGHER = ("accuracy", "r2")  # of metrics: what is better the higher it is
LOSS = "train/loss"  # by which runs are ranked, unless another objective is named
POOLED = (*SEEDS, "sweep")  # what a cell's runs may differ in: more seeds may come from another sweep


class Lacking(ValueError):
    """What the runs that are there lack; the report says it in the place of what needs it."""


class Runs(NamedTuple):
    """The tracked runs of one experiment, sorted by fingerprint, which is the index of `table` and the key everywhere.

    `table` has a row for each run: run_id, params (activation, init.scale, ...; numbers as numbers), last metrics, outcome.
    `histories` has a row for each run and logged step: fingerprint, step, a column for each metric, and the params.
    `weights` holds, of the runs that kept them, steps (p,), W1 (p, n_h, n_x), b1, W2, b2.
    """

    table: pd.DataFrame
    histories: pd.DataFrame
    weights: Mapping[str, Mapping[str, np.ndarray]]

    @property
    def params(self) -> list[str]:
        """The names of the params, as the overrides that set them, and of what `label` added."""
        return [name for name in map(str, self.histories) if "/" not in name and name not in ("fingerprint", "step")]

    @property
    def metrics(self) -> list[str]:
        return [name for name in map(str, self.histories) if "/" in name]

    def varied(self) -> dict[str, list[Any]]:
        """The params that differ between runs, each with its values in rising order; undefined values last."""
        values = {name: self.table[name].drop_duplicates().sort_values().tolist() for name in self.params}
        return {name: found for name, found in values.items() if len(found) > 1}

    def _repr_html_(self) -> str:
        """What a notebook shows: how many runs, what varied, the first of them."""
        varied = {name: len(values) for name, values in self.varied().items()}
        told = ", ".join(f"{name} ({n})" for name, n in varied.items()) or "nothing"
        ended = [name for name in ("outcome", "train/loss", "train/accuracy", "test/accuracy") if name in self.table]
        shown = self.table[[*(name for name in varied if name in self.table), *ended]].head(10)
        return f"<p>{len(self.table):,} runs; what varied: {escape(told)}</p>{shown.to_html(index=False)}"

    def where(self, choices: Mapping[str, Any] | None = None, **more: Any) -> Runs:
        """The runs with these params: a value or a collection of values for each key; a key with a dot goes into `choices`."""
        chosen = {**(choices or {}), **more}
        require(self.table, *chosen)
        table, histories = (_where(frame, chosen) for frame in (self.table, self.histories))
        return self._replace(table=table, histories=histories)

    def once(self) -> Runs:
        """Each run once, where several sweeps have it."""
        histories = self.histories.drop_duplicates(["fingerprint", "step"])
        return self._replace(table=self.table[~self.table.index.duplicated()], histories=histories)

    def label(self, **labels: Callable[[pd.DataFrame], Any]) -> Runs:
        """With a new column for each of these functions of a frame of runs."""
        return self._replace(table=self.table.assign(**labels), histories=self.histories.assign(**labels))

    def optional(self, *columns: str) -> Runs:
        """With these params, undefined where no run of this part of a sweep has them."""
        return self.label(**{name: lambda frame, name=name: frame.get(name, np.nan) for name in columns})

    def at(self, step: int) -> Runs:
        """As the runs stood at exactly this logged step: undefined for a run without it, as after it diverged."""
        rows = self.histories[self.histories["step"] == step].set_index("fingerprint")
        metrics = [column for column in rows if "/" in str(column)]
        table = self.table.drop(columns=[column for column in self.table if "/" in str(column)])
        return self._replace(table=table.join(rows[metrics]).assign(outcome="finished"))

    def nearest(self, step: float) -> int:
        """The logged step after 0 that is nearest to `step`, by ratio."""
        steps = self.histories.loc[self.histories["step"] > 0, "step"].unique()
        if not len(steps):
            raise Lacking("no run was logged after its start")
        return int(min(steps, key=lambda logged: abs(np.log(logged / step))))

    def compare(self, measure: str, by: str, left: Any, right: Any, pair: Iterable[str] = ("seed",)) -> Comparison:
        """`measure` where `by` is `left` minus where it is `right` (or each of a tuple), for each combination of `pair`.

        In raw units, of runs that are both there; undefined where one of them has diverged or has no such value.
        """
        pair, rivals = list(pair), right if isinstance(right, tuple) else (right,)
        require(self.table, measure, by, "outcome", *pair)
        value = self.table[measure].where(self.table["outcome"] == "finished")
        sides = {side: _side(self.table, value, by, side, pair) for side in (left, *rivals)}
        differences = {rival: _difference(sides[left], sides[rival]) for rival in rivals}
        return Comparison(measure, by, left, pd.concat(differences, names=[by]))


class Comparison(NamedTuple):
    """Paired differences of a measure, in raw units: indexed by the rival (under the name `by`) and by what pairs."""

    measure: str
    by: str
    left: Any
    differences: pd.Series

    def groups(self, *levels: str) -> dict[tuple[Any, ...], pd.Series]:
        """For each combination of `levels` the difference of each seed, its own ones averaged; undefined where one of them is."""
        if not len(self.differences):
            raise Lacking(f"no runs that differ only in {self.by}")
        levels = levels or (self.by,)
        found: Any = self.differences.groupby(level=list(levels))
        return {key: part.groupby(level="seed").agg(_mean) for key, part in found}


def _mean(values: pd.Series) -> float:
    return float(values.mean(skipna=False))


def direction(metric: str) -> Literal[1, -1]:
    """Of what is better: 1 where the lower, -1 where the higher value is."""
    return -1 if metric.endswith(HIGHER) else 1


def cell_params(table: pd.DataFrame, given: Iterable[str] = (), pooled: Iterable[str] = ()) -> list[str]:
    """The fewest columns that, beside those `given`, tell the cells apart: init.scale is left out where it follows from init.

    `table` has a row for each run and only params as columns; runs may differ in what is `pooled`, as in their seed.
    """
    chosen, found = [*given], []
    for name in sorted({*table} - {*chosen, *pooled, *POOLED}, key=lambda name: ("." in name, [*table].index(name))):
        if _count(table, [*chosen, name]) > _count(table, chosen):
            chosen.append(name)
            found.append(name)
    return found


def confounded(table: pd.DataFrame, cells: Collection[str]) -> list[str]:
    """Further columns that vary with these cells, though no value of one cell is there in several of them: so nothing says that they follow.

    As the learning rate, where one sweep has gd with 1.2 and another adam with 0.01; what is a choice's own, as init.scale is, follows from it.
    """
    told, kept = _count(table, [*cells]), {*POOLED, *cells}
    names = [name for name in map(str, table) if "." in name and not {name, name.partition(".")[0]} & kept]
    return [
        name for name in names if _count(table, [name]) > 1
        and not any(_count(table, [key, name]) == _count(table, [key]) < told for key in cells)
    ]  # fmt: skip


def undefined(name: str) -> str:
    """What a run without a value of this param has: null, or a dash where the param is a choice's own, which others lack."""
    return "null" if name.startswith("train.") else "–"


def _count(table: pd.DataFrame, names: list[str]) -> int:
    return len(table[names].drop_duplicates()) if names else 1


def require(frame: pd.DataFrame, *columns: str) -> None:
    """Say which columns are missing, before a computation fails on them."""
    missing = [column for column in columns if column not in frame]
    if missing:
        raise Lacking(f"these runs have no {', '.join(missing)}: needed are {', '.join(columns)}")


def _where(frame: pd.DataFrame, choices: Mapping[str, Any]) -> pd.DataFrame:
    for key, value in choices.items():
        frame = frame[frame[key].isin(value if isinstance(value, (tuple, list, set, frozenset, range)) else [value])]
    return frame


def _side(table: pd.DataFrame, value: pd.Series, by: str, side: Any, pair: list[str]) -> pd.Series:
    keys = table.loc[table[by] == side, pair]
    if keys.duplicated().any():
        raise ValueError(f"several runs have {by}={side} and the same {', '.join(pair)}: choose, or add to `pair`")
    values: pd.Series = value[keys.index].set_axis(pd.MultiIndex.from_frame(keys))
    return values


def _difference(left: pd.Series, right: pd.Series) -> pd.Series:
    first, second = left.align(right, join="inner")
    difference: pd.Series = first - second
    return difference
