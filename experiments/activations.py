"""Tanh gives the output layer values centred around zero; sigmoid, ReLU and leaky ReLU do not.

Section: 6.2.2

The chapter's four curves and their derivatives are drawn as it draws them; below each are its units' outputs during
training, in the statistics of Glorot & Bengio (2010): mean, standard deviation and 98th percentile. LeCun et al. (1998)
recommend that each unit's inputs have mean zero over the samples, and the chapter says that tanh gives them. But tanh is odd
only about z = 0: a hidden bias, or weights that have grown, moves a unit's mean away from zero, so the claim is judged
unit by unit, at the start and after training.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import legend, median_and_band, step_axis, styled, styles_of
from shallowexp.claims.replay import replay
from shallowexp.claims.statistics import (
    drop_undefined,
    effects_by,
    format_estimate,
    mean_over_seeds,
    paired,
    require,
    summarise,
)
from shallowexp.claims.verdict import Verdict, criteria
from shallowexp.network.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from shallowexp.network.passes import forward
from shallowexp.runs import Runs

CURVES = {"sigmoid": Sigmoid(), "tanh": Tanh(), "relu": ReLU(), "leaky_relu": LeakyReLU()}
DRAWN, SECOND = "flower", "iris"  # the second has the largest offsets of tanh
BUDGETS = (0, 100, 3000)  # the nearest kept steps are judged
CENTRED = 0.25  # offset below which a unit's values count as centred


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Sigmoid's outputs stay around 1/2 and tanh's around 0; but single tanh units drift off centre, on iris too far."""
    stats = statistics(runs)
    flower = stats[stats["data"] == DRAWN]
    page = Figure(figsize=(13, 5.6))
    axes = page.subplots(2, len(CURVES) + 1, width_ratios=[1] * len(CURVES) + [1.25])
    drawn = [_draw_curve(ax, name) for ax, name in zip(axes[0], CURVES, strict=False)]
    drawn += [_draw_outputs(ax, flower, name) for ax, name in zip(axes[1], CURVES, strict=False)]
    for ax, data in zip(axes[:, -1], (DRAWN, SECOND), strict=True):
        drawn.append(
            median_and_band(ax, stats[stats["data"] == data], "step", "offset", "activation").assign(data=data)
        )
        ax.axhline(CENTRED, color="black", linewidth=0.9)
        ax.set(title=f"{data}: |mean| / rms of a unit", ylim=(-0.03, 1.45), yticks=(0, 0.25, 0.5, 0.75, 1))
        step_axis(ax)
    for ax, columns in ((axes[0, 0], 1), (axes[1, 0], 1), (axes[0, -1], 2)):
        legend(ax, loc="upper left", ncols=columns)
    axes[1, 0].set(ylim=(-0.05, 1.55), yticks=(0, 0.25, 0.5, 0.75, 1))
    return page, pd.concat(drawn, ignore_index=True)


def _draw_curve(ax, name: str) -> pd.DataFrame:
    """g and g' side by side with the chapter's axes."""
    z = np.linspace(-5, 5, 501)
    a, slope = CURVES[name](z), CURVES[name].derivative(z)
    ax.plot(z, a, color=styles_of(CURVES)[name]["color"], label="g(z)")
    ax.plot(z, slope, color="black", linestyle="--", linewidth=1.2, label="g'(z)")
    ax.set(title=name.replace("_", " "), xlabel="z", ylim=(-1.15, 1.6 if name in ("sigmoid", "tanh") else 3))
    return pd.DataFrame({"z": z, "g": a, "derivative": slope, "activation": name})


def _draw_outputs(ax, flower: pd.DataFrame, name: str) -> pd.DataFrame:
    """Mean, one standard deviation about it and 98th percentile of all hidden values; medians over seeds."""
    cell = flower[flower["activation"] == name]
    middle = cell.groupby("step")[["mean", "deviation", "percentile"]].median()
    color = styles_of(CURVES)[name]["color"]
    ax.plot(middle.index, middle["mean"], color=color, label="mean")
    low, high = middle["mean"] - middle["deviation"], middle["mean"] + middle["deviation"]
    ax.fill_between(middle.index, low, high, color=color, alpha=0.25, linewidth=0, label="± standard deviation")
    ax.plot(middle.index, middle["percentile"], "x", color="black", markersize=4, label="98th percentile")
    ax.set(title=f"{DRAWN}: outputs of the units")
    step_axis(ax)
    return middle.reset_index().assign(activation=name, data=DRAWN)


def statistics(runs: Runs) -> pd.DataFrame:
    """Of the hidden values A1 of each run at each kept step: mean, standard deviation, 98th percentile and offset."""
    require(runs.table, "activation", "data", "seed", "outcome")
    rows = []
    for fingerprint in runs.table.index[runs.table.index.isin(list(runs.weights))]:
        run = replay(runs, fingerprint)
        about = {"fingerprint": fingerprint, **runs.table.loc[fingerprint, ["activation", "data", "seed"]]}
        for step, parameters in zip(run.steps, run.parameters, strict=True):
            A1 = forward(run.data.X, parameters, run.activation).A1
            summary = {"mean": A1.mean(), "deviation": A1.std(), "percentile": np.percentile(A1, 98)}
            rows.append({**about, "step": step, **summary, "offset": offset(A1)})
    numbers = dict.fromkeys(["step", "mean", "deviation", "percentile", "offset"], float)
    return pd.DataFrame(rows, columns=["fingerprint", "activation", "data", "seed", *numbers]).astype(numbers)


def offset(A1: np.ndarray) -> float:
    """Mean over units of |mean| / root mean square of A1 (n_h, m): 0 is centred, 1 constant, as dead units count."""
    size = np.sqrt(np.mean(A1**2, axis=1))
    return float(np.mean(np.where(size > 0, np.abs(A1.mean(axis=1)) / np.where(size > 0, size, 1), 1)))


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs, with whole 95% intervals, on each data set at the kept steps nearest to BUDGETS: tanh's
    offset is below CENTRED, and each other activation's is above it. Supported if all hold, refuted if none does.
    """
    stats = statistics(runs)
    steps = sorted({min(stats["step"].unique(), key=lambda step: abs(step - b), default=np.nan) for b in BUDGETS})
    judged = stats[stats["step"].isin(steps)].set_index(["step", "data", "activation", "seed"])["offset"]
    effects = effects_by(judged, "step", "data", "activation")
    holds = {
        key: effect.high < CENTRED if key[2] == "tanh" else effect.low > CENTRED for key, effect in effects.items()
    }
    tanh = [(data, held) for (_, data, name), held in holds.items() if name == "tanh"]
    others = [(name, held) for (_, _, name), held in holds.items() if name != "tanh"]
    last = stats[stats["step"] == steps[-1]].assign(outcome="finished")
    pairs, lost = drop_undefined(paired(last, "offset", "activation", "sigmoid", "tanh", ["data", "seed"]))
    return Verdict(
        criteria(
            [
                (f"{name}, {data}, step {step:g}: {format_estimate(effects[step, data, name])}", held)
                for (step, data, name), held in holds.items()
            ]
        ),
        f"offset |mean| / rms of a hidden unit, sigmoid minus tanh at step {steps[-1]:g}, mean of data, by seed{lost}",
        mean_over_seeds(pairs),
        f"Tanh's units are centred {summarise(tanh, 'on {}')}; the others are off centre {summarise(others)}.",
    )
