"""Without a nonlinearity in the hidden layer the network is a logistic regression, whatever its hidden size.

Section: 6.2.2

W2 (W1 x + b1) + b2 is one linear map, so the network can do no better. It does as well only with enough units for the
map's rank, outputs - 1 for a softmax (Baldi & Hornik 1989 on the bottleneck). And equal at convergence does not mean equal in
learning: the loss is convex in the product but not in W1 and W2 (Saxe et al. 2013), with a saddle at zero, which
logistic regression leaves at once and this network never does. With a linear output it is a linear
regression, with a softmax a multinomial one. Here the linear model is fitted separately, by a quasi-Newton method from zero.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.optimize import minimize

from shallowexp.claims.figures import boundary, intervals, legend, median_and_band, step_axis, styled
from shallowexp.claims.replay import replay, with_weights
from shallowexp.claims.statistics import (
    Effect,
    drop_undefined,
    effects_table,
    format_estimate,
    mean_over_seeds,
    require,
    summarise,
)
from shallowexp.claims.verdict import Verdict, criteria
from shallowexp.network.data import Dataset
from shallowexp.network.outputs import Identity, Sigmoid, Softmax
from shallowexp.network.passes import forward
from shallowexp.runs import Runs

OUTPUTS = {"binary": Sigmoid(), "multiclass": Softmax(), "regression": Identity()}
MARGIN = 0.02  # of training loss: nats, or for a regression half variances of the target
ZERO = "zero"
SHOWN = "flower"


def linear_model(points: Dataset) -> tuple[np.ndarray, float]:
    """Coefficients (n_y, n_x + 1) and loss of the best Z2 = V [X; 1], found from V = 0 (the loss is convex)."""
    X, output = np.vstack([points.X, np.ones(points.X.shape[1])]), OUTPUTS[points.task]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        Z2 = flat.reshape(-1, len(X)) @ X
        return output.loss(Z2, points.Y), (output.dZ2(Z2, points.Y) @ X.T / X.shape[1]).ravel()

    found = minimize(loss, np.zeros(len(points.Y) * len(X)), jac=True, method="BFGS")
    return found.x.reshape(-1, len(X)), float(found.fun)


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Any number of identity units ends at the linear model's straight line and loss; from zero it never gets there."""
    table, histories = _with_gap(runs)
    page = Figure(figsize=(13, 3.9))
    *planes, paths, ends = page.subplots(1, 4, width_ratios=[1, 1, 1.25, 1.6])
    for ax, activation in zip(planes, ("identity", "tanh"), strict=True):
        _plane(ax, runs, table, activation)
    shown = histories[histories["data"] == SHOWN]
    drawn = [median_and_band(paths, shown, "step", "gap", "network")]
    step_axis(paths)
    paths.axhline(0, color="black", linewidth=0.8)
    paths.set(title=f"{SHOWN}: loss above the linear model's")
    legend(paths)
    drawn.append(intervals(ends, _effects(table), "data", "network"))
    ends.set_xscale("symlog", linthresh=MARGIN)
    ends.xaxis.set_major_formatter("{x:g}")
    ends.margins(x=0.08)
    ends.set(title="loss above the linear model's, at the end")
    return page, pd.concat(drawn, ignore_index=True)


def _with_gap(runs: Runs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table and histories with the column `gap`, the training loss above the linear model's on the same data."""
    require(runs.table, "data", "data.seed", "activation", "init", "hidden_size", "seed", "outcome", "train/loss")
    best = {}
    for fingerprint, row in runs.table.iterrows():
        key = row["data"], row["data.seed"]
        if key not in best and fingerprint in runs.weights:
            best[key] = linear_model(replay(runs, fingerprint).data)[1]

    def add(frame: pd.DataFrame) -> pd.DataFrame:
        linear = [best.get(key, np.nan) for key in zip(frame["data"], frame["data.seed"], strict=True)]
        return frame.assign(gap=frame["train/loss"] - linear, network=_names(frame))

    table = add(runs.table)
    return table.assign(gap=table["gap"].where(table["outcome"] == "finished")), add(runs.histories)


def _names(frame: pd.DataFrame) -> pd.Series:
    units = frame["hidden_size"].map(lambda size: f"{size:g} unit{'s' if size > 1 else ''}")
    start = np.where(frame["init"] == ZERO, " from zero", "")
    return frame["activation"] + ", " + units + start


def _plane(ax, runs: Runs, table: pd.DataFrame, activation: str) -> None:
    """The largest network's boundary beside the linear model's."""
    widest = table[(table["init"] != ZERO) & (table["hidden_size"] == table["hidden_size"].max())].sort_values("seed")
    chosen = with_weights(runs, widest, data=SHOWN, activation=activation)
    ax.set(xticks=[], yticks=[])
    if chosen:
        run = replay(runs, chosen[0])
        boundary(ax, run.data, lambda X: forward(X, run.parameters[-1], run.activation).Z2[0])
        ((*slope, offset),) = linear_model(run.data)[0]
        reach = np.array(ax.get_xlim())
        ax.plot(reach, -(offset + slope[0] * reach) / slope[1], "--", color="#ffa90e", linewidth=2.5)
        ax.set(title=widest.loc[chosen[0], "network"], xlim=reach, ylim=reach, xlabel="dashed: logistic regression")


def _effects(table: pd.DataFrame) -> pd.DataFrame:
    """The gap after the last step, by data set and network."""
    cells = ["data", "init", "activation", "hidden_size", "network"]
    known = table["gap"].notna() | (table["outcome"] == "diverged")  # without kept weights the data are not known
    return effects_table(table[known].set_index([*cells, "seed"])["gap"], *cells)


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: on every data set and at every hidden size the identity network ends within MARGIN of
    the best linear model's training loss, with the whole 95% interval over seeds. Supported if so everywhere, refuted
    if nowhere. What zero weights do is reported separately.
    """
    table, histories = _with_gap(runs)
    identity = table["activation"] == "identity"
    effects = _effects(table[identity & (table["init"] != ZERO)])
    equal = (effects[["low", "high"]].abs() < MARGIN).all(axis=1)
    names = [f"{row.data}, {row.network}: {format_estimate(Effect.of(row))}" for row in effects.itertuples()]
    gaps, lost = drop_undefined(table[identity & (table["init"] != ZERO)].set_index(["data", "seed"])["gap"])
    return Verdict(
        criteria(zip(names, equal, strict=True)),
        f"training loss of the identity network minus the best linear model's, mean of data sets and sizes{lost}",
        mean_over_seeds(gaps),
        f"Identity units end at the linear model's loss {summarise(zip(effects['data'], equal, strict=True), 'on {}')}.",
        f"Fewer units than classes - 1 cannot represent the linear map. {_from_zero(table[identity], histories)}",
    )


def _from_zero(table: pd.DataFrame, histories: pd.DataFrame) -> str:
    zero = table[table["init"] == ZERO]
    if zero.empty:
        return "None started from zero."
    moved = histories[histories["fingerprint"].isin(zero.index)][["gradient/W1", "gradient/W2"]].max(axis=1) > 0
    gaps = ", ".join(f"{row.data} {format_estimate(Effect.of(row))}" for row in _effects(zero).itertuples())
    return (
        f"From zero its weights {'move' if moved.any() else 'never move'} and it stays above the linear model: {gaps}."
    )
