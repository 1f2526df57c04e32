"""What a figure of any runs shows: as `shallowexp-plot` is told, and by what varies where it is not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from shallowexp.analysis import LOSS, Runs
from shallowexp.claims.statement import format_value
from shallowexp.errors import UserError, nearest

KINDS = ("curves", "final", "dots", "heat")
LINES = 8  # that a reader tells apart
FIRST = ("activation", "init", "output", "data")  # what is told apart by color, where it varies, before all else


class Choice(NamedTuple):
    """What to draw, as `shallowexp-plot` is told; what is empty is chosen by what varies."""

    x: str = "step"
    y: str = LOSS
    z: str = ""  # of a heat map
    by: str = ""  # a color each
    panel: str = ""  # a panel each
    kind: str = ""
    pool: Sequence[str] = ()  # what medians are taken over, besides seeds
    where: Mapping[str, Any] = {}


def narrowed(runs: Runs, where: Mapping[str, Any]) -> Runs:
    """The runs with these params. Raises UserError for a param or a value that no run has."""
    for key, wanted in where.items():
        _require("where", key, runs.params)
        there = set(runs.table[key].dropna())
        for value in wanted if isinstance(wanted, Iterable) and not isinstance(wanted, str) else [wanted]:
            if value not in there:
                few = ", ".join(map(format_value, sorted(there)[:20]))
                raise UserError(f"where.{key}={format_value(value)}: no run has it; values there: {few or 'none'}")
    chosen = runs.where(
        {k: [*v] if isinstance(v, Iterable) and not isinstance(v, str) else v for k, v in where.items()}
    )
    if chosen.table.empty:
        raise UserError("no run has all of " + ", ".join(f"{k}={v}" for k, v in where.items()))
    return chosen


def kind_of(runs: Runs, choice: Choice) -> str:
    """Of KINDS the one that its axes ask for."""
    if choice.z:
        return "heat"
    if choice.x == "step":
        return "curves"
    numeric = choice.x in runs.table and pd.api.types.is_numeric_dtype(runs.table[choice.x])
    return "final" if numeric else "dots"


def check(runs: Runs, choice: Choice, kind: str) -> None:
    """Raises UserError for a kind, an axis, a measure or a place that these runs do not have."""
    if kind not in KINDS:
        raise UserError(f"kind={kind} is not a choice; choices: {', '.join(KINDS)}")
    axes = {"x": choice.x, "y": choice.y} if kind == "heat" else {"x": choice.x}
    if kind in ("heat", "dots") and choice.x == "step":
        raise UserError(
            f"kind={kind} needs x=<key>{' and y=<key>' if kind == 'heat' else ''}: what varied is {', '.join(runs.varied())}"
        )
    if kind == "final" and not pd.api.types.is_numeric_dtype(runs.table.get(choice.x, pd.Series(dtype=float))):
        raise UserError(f"kind=final needs a number as x, not x={choice.x}: kind=dots shows words")
    for name, key in axes.items():
        if kind != "curves":
            _require(name, key, runs.params)
        elif key != "step":
            raise UserError(f"kind=curves is drawn over x=step, not x={key}")
        if kind == "heat" and runs.table[key].nunique() < 2:
            raise UserError(f"{name}={key} has one value in these runs: a heat map needs two axes that varied")
    _require("z" if kind == "heat" else "y", measure_of(choice, kind), runs.metrics)
    if choice.z and kind != "heat":
        raise UserError(f"z={choice.z} is of a heat map, not of kind={kind}: y={choice.z} is meant?")
    if kind == "heat" and choice.x == choice.y:
        raise UserError(f"x={choice.x} and y={choice.y} are the same axis")
    for key in choice.pool:
        if key in (choice.x, choice.y, choice.by, choice.panel):
            raise UserError(f"pool={key} has a place already, as an axis, a color or a panel")
    for name, key in [("by", choice.by), ("panel", choice.panel), *(("pool", key) for key in choice.pool)]:
        if key:
            _require(name, key, runs.params)


def measure_of(choice: Choice, kind: str) -> str:
    """The metric that is drawn."""
    return choice.z or LOSS if kind == "heat" else choice.y


def color_of(runs: Runs, left: Sequence[str]) -> str:
    """Of what varies the one to tell apart by color."""
    few = [name for name in left if runs.table[name].nunique(dropna=False) <= LINES]
    return next((name for name in FIRST if name in few), few[0] if few else "")


def _require(name: str, key: str, there: Sequence[str]) -> None:
    if key not in there:
        raise UserError(
            f"{name}={key}: these runs have no such thing{nearest(key, there)}; choices: {', '.join(there)}"
        )
