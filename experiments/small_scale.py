"""Weights drawn as randn x 0.01 keep z where sigmoid and tanh are steep, and so make gradient descent fastest.

Section: 6.4

Steep slopes are not all: near the origin, a saddle of the loss, each layer's gradient is proportional to the other
layer's weights, so that smaller weights wait longer there (Saxe et al. 2013), and with the sigmoid, four times flatter,
longer than with tanh. While they wait, the hidden units' weight vectors turn towards a few common directions: Luo et al.
(2021) and Zhou et al. (2022) call it condensation. Loss against scale is a U at short budgets.
"""

from itertools import product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import legend, median_and_band, step_axis, styled
from shallowexp.claims.statistics import (
    at_step,
    drop_undefined,
    effects_by,
    estimate,
    format_estimate,
    join_estimates,
    mean_over_seeds,
    paired,
    parts,
    require,
    summarise,
)
from shallowexp.claims.verdict import Estimate, Verdict, criteria
from shallowexp.runs import Runs

LOSS, COSINE = "train/loss", "symmetry/cosine"
SMALL, MIDDLE, LARGE = 0.01, 0.3, 3.0
SHORT, LONG = (30, 100), 3000
MARGIN = 0.02  # nats of training loss by which SMALL may stay behind and still count as fastest
LEFT = 0.95  # fraction of its first loss at which a network has left the plateau
CELL = ("data", "activation", "seed")


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Early on × 0.01 is slower than × 0.3; on its plateau the hidden units turn towards one line, and later it catches up."""
    histories = _checked(runs.histories)
    flower = histories[(histories["data"] == "flower") & (histories["hidden_size"] == histories["hidden_size"].min())]
    page = Figure(figsize=(12, 6.2))
    top, bottom = page.subfigures(2, 1, height_ratios=[1.1, 1])
    *curves, plateau = top.subplots(1, 3, sharey=True)
    drawn = [_loss_by_scale(ax, flower, name) for ax, name in zip(curves, ("tanh", "sigmoid"), strict=True)]
    smallest = flower[flower["init.scale"] == flower["init.scale"].min()]
    drawn.append(median_and_band(plateau, smallest, "step", LOSS, "activation"))
    plateau.set(title=f"randn × {flower['init.scale'].min():g}: the plateau", ylim=(0.15, 2))
    curves[0].set_ylabel("training loss")
    step_axis(plateau)
    legend(plateau)
    return page, pd.concat([*drawn, _condensation(bottom, runs)], ignore_index=True)


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    require(frame, "init.scale", "hidden_size", *CELL, LOSS, COSINE)
    return frame


def _loss_by_scale(ax, flower: pd.DataFrame, activation: str) -> pd.DataFrame:
    chosen = flower[(flower["activation"] == activation) & flower["step"].isin([*SHORT, LONG])]
    ax.set(title=f"{activation}: loss by scale", xscale="log", yscale="log", xlabel="scale of W", ylim=(0.15, 2))
    drawn = median_and_band(ax, chosen, "init.scale", LOSS, "step", "after {:.0f} steps".format)
    if len(drawn):  # an empty logarithmic axis has no room for a line
        ax.axvline(SMALL, color="black", linewidth=0.8)
        ax.text(SMALL * 1.15, 0.155, f"× {SMALL}")
    ax.set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
    ax.minorticks_off()
    legend(ax, loc="upper left")
    return drawn.assign(activation=activation)


def _condensation(page, runs: Runs) -> pd.DataFrame:
    """|cosine| of every two units of the widest network, at its start, its peak and its end; then the mean by step."""
    *maps, curve = page.subplots(1, 4)
    wide, peak = _widest(runs.histories)
    drawn = median_and_band(curve, wide, "step", COSINE, "activation")
    curve.set(title="Mean |cosine| by step", ylim=(0, 1.03))
    step_axis(curve)
    kept = next((runs.weights[key] for key in wide["fingerprint"].unique() if key in runs.weights), None)
    for ax, step in zip(maps, (0, peak, wide["step"].max()), strict=True):
        ax.set(title=f"|cosine| of {wide['hidden_size'].max()} units, step {step}", xticks=[], yticks=[])
        ax.grid(False)
        if kept is not None and step in kept["steps"]:
            image = ax.imshow(_cosines(kept, step), cmap="cividis", vmin=0, vmax=1)
            page.colorbar(image, ax=ax, shrink=0.8)
    return drawn


def _widest(histories: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The networks of most units, from their smallest scale, and the step at which their mean |cosine| is largest."""
    wide = histories[histories["hidden_size"] == histories["hidden_size"].max()]
    wide = wide[wide["init.scale"] == wide["init.scale"].min()]
    return wide, int(wide.groupby("step")[COSINE].mean().idxmax())


def _cosines(kept, step: int) -> np.ndarray:
    i = list(kept["steps"]).index(step)
    rows = np.hstack([kept["W1"][i], kept["b1"][i]])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    order = np.argsort(
        np.arctan2(unit[:, 1], unit[:, 0]) % np.pi
    )  # by orientation, so that similar units are neighbours
    return np.abs(unit @ unit.T)[np.ix_(order, order)]


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: after each of the SHORT budgets, on every data set and for sigmoid and tanh, the training
    loss from scale SMALL exceeds that from MIDDLE and that from LARGE by less than MARGIN, with the whole 95% interval,
    paired by seed. Supported if all hold, refuted if none.
    """
    found, kept = [], []
    for budget, rival in product(SHORT, (MIDDLE, LARGE)):
        effects = effects_by(_pairs(runs, budget, rival), "data", "activation")
        found += parts(f"{{}}, minus × {rival:g} after {budget} steps", effects, _keeps_up)
        kept += [(data, _keeps_up(effect)) for (data, _), effect in effects.items()]
    judged, lost = drop_undefined(_pairs(runs, SHORT[-1], MIDDLE))
    return Verdict(
        criteria(found),
        f"training loss in nats after {SHORT[-1]} steps, randn × {SMALL} minus × {MIDDLE}, mean over sigmoid and tanh "
        f"and the data sets, paired by seed{lost}",
        mean_over_seeds(judged),
        f"Over the first {SHORT[-1]} steps × {SMALL} keeps up with larger weights {summarise(kept, 'on {}')}.",
        f"{_later(runs)} {_plateau(runs)} {_condensed(runs)}",
    )


def _keeps_up(effect: Estimate) -> bool:
    return effect.high < MARGIN


def _pairs(runs: Runs, step: int, rival: float) -> pd.Series:
    table = _checked(at_step(runs, step))
    return paired(table[table["hidden_size"] == table["hidden_size"].min()], LOSS, "init.scale", SMALL, rival, CELL)


def _later(runs: Runs) -> str:
    """The same after LONG steps, on the data sets that were trained so long."""
    long = sorted(set(runs.histories.loc[runs.histories["step"] == LONG, "data"]))
    pairs = _pairs(runs, LONG, MIDDLE)
    effects = join_estimates(effects_by(pairs[pairs.index.get_level_values("data").isin(long)], "activation"))
    return f"After {LONG} steps × {SMALL} minus × {MIDDLE}, on {', '.join(long)}: {effects}." if effects else ""


def _plateau(runs: Runs) -> str:
    """How many steps the smallest scale takes to leave the plateau, as text."""
    rows = runs.histories[runs.histories["data"] == "flower"]
    rows = rows[rows["hidden_size"] == runs.histories["hidden_size"].min()]
    smallest = rows["init.scale"].min()
    rows = rows[rows["init.scale"] == smallest]
    first = rows["fingerprint"].map(rows[rows["step"] == 0].set_index("fingerprint")[LOSS]).astype(float)
    left = rows.assign(left=rows["step"].where(rows[LOSS] < LEFT * first, np.inf)).groupby(["activation", "seed"])[
        "left"
    ]
    medians = [f"{name} {part.median():.0f}" for name, part in left.min().groupby(level="activation")]
    return f"Median steps to leave the plateau from × {smallest:g} on the flower: {', '.join(medians) or 'none'}."


def _condensed(runs: Runs) -> str:
    wide, peak = _widest(runs.histories)
    cosines = [
        f"{format_estimate(estimate(wide.loc[wide['step'] == s, COSINE].dropna()), 2)} at step {s}" for s in (0, peak)
    ]
    return f"Mean |cosine| of {wide['hidden_size'].max()} units: {', '.join(cosines)}."
