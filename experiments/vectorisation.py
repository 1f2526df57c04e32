"""The matrix form computes what the loop over samples and units computes, and it is faster.

Section: 6.2.1

The chapter shows both and claims the speed without a number. What is saved is the interpreter's work for each product,
not arithmetic, so the gain grows with the number of samples and there is hardly any for a single one. Equal means up to
rounding: this package's einsum adds the products in the loop's order and can agree to the last bit, a BLAS product
(`@`) need not. The equality is computed again from the
weights of the runs; the times come from benchmarks/vectorisation.py, measured once and kept next to this file, because
a figure must not depend on the machine that draws it.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import legend, styled, styles_of
from shallowexp.claims.replay import replay
from shallowexp.claims.statistics import estimate, format_estimate, require, summarise
from shallowexp.claims.verdict import Estimate, Verdict, criteria
from shallowexp.network.passes import forward, forward_by_sample
from shallowexp.runs import Runs

ROUNDING = 1e-12  # largest difference, relative to the largest value, that counts as equal
COMPARED = 40  # samples of each run that go through the loop
LOOP, MATRIX = "loop over samples and units", "matrix form"
JUDGED = 400  # samples, the course's data
FASTER = 2.0  # times, that the matrix form must be at every number of samples
TIMES = Path(__file__).with_suffix(".json")


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Both forms give the same numbers; the loop's time grows with every sample, the matrix form's hardly does."""
    differences, times = equality(runs), timings()
    page = Figure(figsize=(12, 3.7))
    left, middle, right = page.subplots(1, 3)
    drawn = _draw_outputs(left, runs)
    most = differences["difference"].max()
    left.set_title(f"Z2 of both forms: {f'{most:.0e} apart at most' if most else 'equal to the last bit'}")
    ratios = _draw_times(middle, right, times) if times else pd.DataFrame()
    return page, pd.concat([drawn, differences, ratios], ignore_index=True)


def _draw_outputs(ax, runs: Runs) -> pd.DataFrame:
    """Z2 by the loop against Z2 by the matrix form, of one trained run for each activation."""
    first = runs.table[runs.table.index.isin(list(runs.weights))].sort_values(["data", "seed"], kind="stable")
    first = first.drop_duplicates("activation")
    styles, drawn = styles_of(first["activation"]), [pd.DataFrame()]
    for (fingerprint, name), marker in zip(first["activation"].items(), "osD^v", strict=False):
        run = replay(runs, fingerprint)
        X, parameters = run.data.X[:, :COMPARED], run.parameters[-1]
        forms = (form(X, parameters, run.activation).Z2.ravel() for form in (forward_by_sample, forward))
        points = pd.DataFrame(dict(zip(("Z2 of the loop", "Z2 of the matrix form"), forms, strict=True)))
        ax.plot(*points.to_numpy().T, marker, markersize=4, color=styles[name]["color"], alpha=0.7, label=name)
        drawn.append(points.assign(activation=name))
    ax.axline((0, 0), slope=1, color="black", linewidth=0.9, zorder=0)
    ax.set(xlabel="loop over samples and units", ylabel="matrix form")
    legend(ax)
    return pd.concat(drawn)


def _draw_times(middle, right, times: dict) -> pd.DataFrame:
    """Seconds of one pass by number of samples, and how many times longer than the matrix form it takes."""
    rows = pd.DataFrame(times["rows"])
    matrix = rows[rows["form"] == MATRIX].set_index("samples")["median"]
    rows["times the matrix form"] = rows["median"] / rows["samples"].map(matrix)
    for form, style in styles_of(rows["form"]).items():
        line = rows[rows["form"] == form]
        middle.plot(line["samples"], 1e3 * line["median"], label=form, marker="o", markersize=3.5, **style)
        right.plot(line["samples"], line["times the matrix form"], marker="o", markersize=3.5, **style)
    middle.set(title="Processor time of a forward pass in ms", xscale="log", yscale="log", xlabel="samples")
    right.set(title="Times the matrix form's", xscale="log", yscale="log", xlabel="samples")
    legend(middle)
    units = f"{times['inputs']} inputs, {times['units']} tanh units"
    right.text(
        0.03,
        0.97,
        f"{times['machine']},\n{times['date']}; {units}".replace(", Python", ",\nPython"),
        transform=right.transAxes,
        va="top",
        fontsize=8,
    )
    return rows.drop(columns="rounds")


def equality(runs: Runs) -> pd.DataFrame:
    """A row for each run: the largest difference between the two forms over Z1, A1 and Z2 at its kept steps."""
    require(runs.table, "activation", "data", "seed")
    rows = []
    for fingerprint in runs.table.index[runs.table.index.isin(list(runs.weights))]:
        run = replay(runs, fingerprint)
        found = [_difference(run.data.X[:, :COMPARED], parameters, run.activation) for parameters in run.parameters]
        rows.append({**runs.table.loc[fingerprint, ["activation", "data", "seed"]], "difference": max(found)})
    return pd.DataFrame(rows, columns=["activation", "data", "seed", "difference"])


def _difference(X: np.ndarray, parameters, g) -> float:
    pairs = zip(forward_by_sample(X, parameters, g), forward(X, parameters, g), strict=True)
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), np.finfo(float).tiny)) for a, b in pairs)


def timings() -> dict | None:
    """What benchmarks/vectorisation.py wrote next to this file; None where it is missing."""
    return json.loads(TIMES.read_text(encoding="utf-8")) if TIMES.exists() else None


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: in every run both forms differ by at most ROUNDING, relative to the largest value; and
    at every measured number of samples the matrix form is at least FASTER times as fast, with the whole 95% interval
    over timing rounds. Supported if all parts hold, refuted if none does.
    """
    differences, times = equality(runs)["difference"], timings()
    ratios = _ratios(times) if times else {}
    most = f"largest relative difference in {len(differences)} runs: {differences.max():.1e}"
    equal = [(most, bool((differences <= ROUNDING).all()))] if len(differences) else []
    faster = [(m, ratio.low > FASTER) for m, ratio in ratios.items()]
    measured = f"measured on {times['machine']}, {times['date']}" if times else "not measured here"
    judged = min(ratios, key=lambda m: abs(m - JUDGED), default=None)
    return Verdict(
        criteria(
            [
                *equal,
                *((f"times as fast, {_samples(m)}: {format_estimate(r)}", r.low > FASTER) for m, r in ratios.items()),
            ]
        ),
        f"processor time of the loop over samples and units over the matrix form's at {judged} samples",
        ratios.get(judged, Estimate(np.nan, np.nan, np.nan)),
        f"Both forms compute the same {summarise(equal)}; the matrix form is {FASTER:g} times as fast {summarise(faster, 'at m = {}')}.",
        f"Times: {measured}; kept beside the experiment, so that the effect is the same wherever it is drawn.",
        "timing rounds",
    )


def _samples(count: int) -> str:
    return f"{count} sample{'s' if count > 1 else ''}"


def _ratios(times: dict) -> dict[int, Estimate]:
    """How many times longer the loop takes, round by round, for each number of samples."""
    rounds = {(row["form"], row["samples"]): np.array(row["rounds"]) for row in times["rows"]}
    return {m: estimate(rounds[LOOP, m] / taken) for (form, m), taken in rounds.items() if form == MATRIX}
