"""What tells the runs of a sweep apart, and what its end says of them."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Protocol

import pandas as pd

from shallowexp import analysis
from shallowexp.analysis import SEEDS, direction
from shallowexp.claims.statistics import ranked_cells
from shallowexp.config.runs import Run
from shallowexp.tracking.store import RunResult

LIMITS = {"loss": (0.0, inf), "accuracy": (0.0, 1.0), "r2": (-inf, 1.0)}  # what a metric of this name can be


class AnyRun(Protocol):
    """A run, planned or tracked."""

    @property
    def params(self) -> Mapping[str, str]: ...

    @property
    def objective(self) -> str: ...


def varied(runs: Sequence[AnyRun]) -> dict[str, list[str]]:
    """The parameters that differ between runs, each with its values in the order of the sweep."""
    names = dict.fromkeys(name for run in runs for name in run.params)
    values = {name: list(dict.fromkeys(run.params.get(name, "") for run in runs)) for name in names}
    return {name: [value for value in found if value] for name, found in values.items() if len(found) > 1}


def cell_params(runs: Sequence[AnyRun]) -> list[str]:
    """The fewest varied parameters that tell the cells apart."""
    return analysis.cell_params(pd.DataFrame([run.params for run in runs]))


def ranked(table: pd.DataFrame, cells: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """As `ranked_cells` has them, but the best mean of the first measure first, and with intervals cut at what that can be.

    The mean of a few skewed losses has a t interval that reaches below 0; the true mean does not lie there, so the part that is
    left holds it as often as the whole.
    """
    first, bounds = measures[0], ["95% from", "to"]
    up = direction(first)
    rows = ranked_cells(table.assign(**{first: up * table[first]}), cells, measures)
    rows[f"mean {first}"] *= up
    rows[bounds] = (up * rows[bounds[::up]].to_numpy()).clip(*LIMITS.get(first.rpartition("/")[2], (-inf, inf)))
    return rows


def best_cell(runs: Sequence[Run], results: Mapping[str, RunResult], parent: str) -> str:
    """What to say at a sweep's end: the cell with the best mean of its objective, with its interval over seeds, and what draws them all."""
    ended = [(run.params, results[run.fingerprint]) for run in runs if run.fingerprint in results]
    table = pd.DataFrame([{**params, **result.metrics, "outcome": result.outcome} for params, result in ended])
    drawn, objective = seen(parent), runs[0].objective
    if objective not in table:
        return drawn
    cells = cell_params(runs)
    best = ranked(table.fillna(dict.fromkeys(cells, "")), cells, [objective]).iloc[0]
    told = {name: best[name] or analysis.undefined(name) for name in cells}
    words = " ".join(f"{name}={value}" for name, value in told.items() if value != "–") or "the one there is"
    seeds = int(best["runs"] - best["diverged"])
    if not seeds:
        return f"no best cell: every run diverged\n{drawn}"
    interval = f" [{best['95% from']:.4g}, {best['to']:.4g}]" if seeds > 1 else ""
    lost = f", {best['diverged']} more diverged" if best["diverged"] else ""
    return (
        f"best cell: {words} · {objective} {best[f'mean {objective}']:.4g}{interval} over {seeds} runs{lost}\n{drawn}"
    )


def searched(runs: Sequence[Run], best: Run) -> str:
    """What tells the best of a search's runs from the others, as overrides."""
    names = [name for name in varied(runs) if name not in SEEDS and name in best.params]
    return " ".join(f"{name}={best.params[name]}" for name in names) or "the one there is"


def seen(parent: str) -> str:
    """How to look at a sweep."""
    return f"see it: shallowexp-report --sweep {parent[:8]}, or in MLflow: shallowexp-ui {parent[:8]}"
