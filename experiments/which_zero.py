"""A weight matrix of zeros locks the hidden units together, and whether ReLU's slope at zero is 0 or 1 does not matter.

Section: 6.4 and 6.2.2

"W must not be zero" does not say which W. If W1 = 0, unit i first moves along W2's column i: with one output all rows
of W1 lie on one line. Tanh and sigmoid bend them off it; ReLU with slope 1 at zero and leaky ReLU keep two effective
units, one for each sign of W2; ReLU with slope 0 never moves; several outputs make several lines, and lock no unit that
moves. W2 = 0 locks nothing. If both are zero, random b1 sets tanh and sigmoid free, but not the (leaky) ReLU. Bertoin
et al. (2021) find that ReLU'(0) matters in deep networks of low precision; from W1 = 0 it decides, in exact arithmetic,
whether a shallow one learns at all.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import styled, styles_of
from shallowexp.claims.replay import with_weights
from shallowexp.claims.statistics import (
    drop_undefined,
    effects_by,
    mean_over_seeds,
    optional,
    paired,
    parts,
    require,
    summarise,
)
from shallowexp.claims.verdict import Estimate, Verdict, criteria
from shallowexp.runs import Runs

UNITS, ACCURACY = "symmetry/effective_units", "train/accuracy"
MARGIN = 0.02  # training accuracy that ReLU'(0) may change and still not matter
STARTS = ("W2 = 0", "W1 = 0", "only b1 random")
JUDGED = "flower, unbalanced"  # where the two zero matrices are compared
KINDS = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu 0": "ReLU (g'(0) = 0)",
    "relu 1": "ReLU (g'(0) = 1)",
    "leaky_relu": "leaky ReLU",
    "identity": "identity",
}
SETS = {
    JUDGED: JUDGED,
    "flower, balanced": "flower, balanced",
    "breast_cancer": "breast cancer, 1 output",
    "wine": "wine, 3 outputs",
}
RAYS = {"tanh": "tanh", "leaky_relu": "leaky ReLU"}


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """From W1 = 0 tanh sets its units free, leaky ReLU keeps them on one line, and ReLU learns only if g'(0) = 1."""
    table = _named(runs.table)
    page = Figure(figsize=(13, 4.6))
    left, right = page.subfigures(1, 2, width_ratios=[1, 2.3])
    drawn = [_rays(ax, runs, table, name) for ax, name in zip(left.subplots(2, 1), RAYS, strict=True)]
    axes = right.subplots(1, 2, sharey=True)
    drawn.append(_cells(axes[0], table, UNITS, f"Effective units of {table['hidden_size'].max()} at the end", "{:.1f}"))
    drawn.append(_cells(axes[1], table, ACCURACY, "Training accuracy at the end", "{:.2f}"))
    return page, pd.concat(drawn, ignore_index=True)


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """With the columns kind (activation and slope at zero), start and set."""
    require(table, "data", "activation", "init.scale", "hidden_size", "seed", "outcome", UNITS, ACCURACY)
    table = optional(table, "init.bias", "activation.derivative_at_zero", "data.positive_rate")
    zero_slope = table["activation.derivative_at_zero"].fillna(0).map(" {:g}".format)
    balance = table["data.positive_rate"].map({0.3: ", unbalanced", 0.5: ", balanced"}).fillna("")
    start = np.where(table["init.scale"] > 0, STARTS[0], np.where(table["init.bias"] > 0, STARTS[2], STARTS[1]))
    kind = table["activation"] + zero_slope.where(table["activation"] == "relu", "")
    return table.assign(start=start, kind=kind, set=table["data"] + balance)


def _rays(ax, runs: Runs, table: pd.DataFrame, activation: str) -> pd.DataFrame:
    """Rows of W1 in the plane at the end, from W1 = 0; filled where the unit's W2 started above 0."""
    ax.set(title=f"{RAYS[activation]} from W1 = 0: rows of W1", xlabel="weight of x1", ylabel="weight of x2")
    chosen = with_weights(runs, table, activation=activation, start=STARTS[1], set=JUDGED)
    if not chosen:
        return pd.DataFrame()
    kept, color = runs.weights[chosen[0]], styles_of([activation])[activation]["color"]
    rows = pd.DataFrame(kept["W1"][-1], columns=["w1", "w2"]).assign(sign=np.sign(kept["W2"][0, 0]))
    for w1, w2, sign in rows.itertuples(index=False):
        ax.plot([0, w1], [0, w2], color=color, linewidth=1)
        ax.plot(w1, w2, "o", color=color, markerfacecolor=color if sign > 0 else "white")
    ax.plot(0, 0, "+", color="black", markersize=10)
    return rows.rename_axis("unit").reset_index().assign(kind=activation)


def _cells(ax, table: pd.DataFrame, measure: str, title: str, form: str) -> pd.DataFrame:
    """Means over seeds as a shaded table: activations down, starts across."""
    means = table.pivot_table(index="kind", columns=["start", "set"], values=measure)
    columns = [(start, name) for start in STARTS for name in SETS if (start, name) in means]
    means = means.reindex(index=[kind for kind in KINDS if kind in means.index], columns=columns)
    shades = ax.imshow(means, cmap="cividis", aspect="auto", alpha=0.7)
    for (row, column), value in np.ndenumerate(means.to_numpy()):
        ink = "white" if shades.norm(value) < 0.35 else "black"
        ax.text(column, row, "" if np.isnan(value) else form.format(value), ha="center", va="center", color=ink)
    labels = [f"{start}\n{SETS[name]}" for start, name in columns]
    ax.set_xticks(range(len(columns)), labels, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(means)), [KINDS[kind] for kind in means.index])
    ax.grid(False)
    ax.set_title(title)
    return (
        means.stack(["start", "set"], future_stack=True).dropna().rename("value").reset_index().assign(measure=measure)
    )


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: in every cell that starts with a zero matrix (activation, start, data) every run ends with
    fewer effective units than hidden ones; and from W1 = 0 the training accuracies of ReLU with g'(0) = 1 and 0 differ
    by less than MARGIN, with the whole 95% interval. Supported if all hold, refuted if none.
    """
    table = _named(runs.table)
    cells, slopes = _locked(table), _slopes(table)
    most = max((abs(effect.value) for effect in slopes.values() if effect.value == effect.value), default=0)
    judged = table[(table["set"] == JUDGED) & table["start"].isin(STARTS[:2])]
    pairs, lost = drop_undefined(paired(judged, UNITS, "start", STARTS[1], STARTS[0], ("kind", "seed")))
    return Verdict(
        criteria(
            [
                *(
                    (f"{start} on {SETS[name]}, {KINDS[kind]}: {told}", held)
                    for (start, name, kind), told, held in cells
                ),
                *parts("accuracy, ReLU with g'(0) = 1 minus 0, from W1 = 0, {}", slopes, _alike),
            ]
        ),
        f"effective units at the end, W1 = 0 minus W2 = 0, mean over activations on {JUDGED} classes, "
        f"paired by seed{lost}",
        mean_over_seeds(pairs),
        f"Units stay locked {summarise(((start, held) for (start, *_), _, held in cells), 'from {}')}. From W1 = 0 ReLU'(0) changes accuracy by "
        f"{'up to' if len(slopes) > 1 else 'about'} {most:.2f}.",
        _balanced(table),
    )


def _slopes(table: pd.DataFrame) -> dict[str, Estimate]:
    """What ReLU'(0) = 1 gains over 0 from W1 = 0, on each data set."""
    relu = table[(table["activation"] == "relu") & (table["start"] == STARTS[1])]
    return effects_by(paired(relu, ACCURACY, "kind", "relu 1", "relu 0", ("set", "seed")), "set")


def _alike(effect: Estimate) -> bool:
    return max(abs(effect.low), abs(effect.high)) < MARGIN


def _locked(table: pd.DataFrame) -> list[tuple[tuple, str, bool]]:
    """For each cell: the most effective units that a run ends with, in words, and whether every run keeps some units locked."""
    table = table.assign(locked=table[UNITS] < table["hidden_size"])
    cells = table.groupby(["start", "set", "kind"]).agg(
        most=(UNITS, "max"), of=("hidden_size", "max"), held=("locked", "all")
    )
    return [(row.Index, f"at most {row.most:.0f} of {row.of:.0f} units", row.held) for row in cells.itertuples()]


def _balanced(table: pd.DataFrame) -> str:
    """What descent reaches where the exact gradient is zero and only rounding moves it."""
    part = table[(table["start"] == STARTS[2]) & (table["set"] == "flower, balanced")]
    if part.empty:
        return ""
    moved = ", ".join(f"{KINDS[kind]} {value:.2f}" for kind, value in part.groupby("kind")[ACCURACY].mean().items())
    return f"On balanced classes only rounding errors start the descent from random b1: accuracy {moved}."
