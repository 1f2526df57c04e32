"""Every step of gradient descent lowers the cost.

Section: 6.3

The descent lemma promises this only while the learning rate is below 2 / sharpness, the sharpness being the largest
eigenvalue of the Hessian of J (Nesterov 2004). Cohen et al. (2021) found that training itself sharpens the
minimum until the two meet, the edge of stability, and that from then on the cost falls overall but not at every
step. The chapter states no condition on the learning rate. Where the loss swings from side to side the sharpness
differs between the two ends, so that rises are found somewhat below 2 as well.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.sparse.linalg import LinearOperator, eigsh

from shallowexp.claims.figures import legend, median_and_band, step_axis, styled, styles_of
from shallowexp.claims.replay import Replay, replay, with_weights
from shallowexp.claims.statistics import estimate, require, summarise
from shallowexp.claims.verdict import Verdict, criteria
from shallowexp.network.initializers import Parameters
from shallowexp.network.outputs import Sigmoid
from shallowexp.network.passes import backward, forward
from shallowexp.runs import Runs

ROUNDING = 1e-12  # a rise, relative to the loss, that rounding alone can cause
DATA, RATE = "flower", 1.2  # the course's, where the effect is reported and the sharpness measured
SHIFT = 1e-5  # of the central difference that stands for a Hessian-vector product


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Large learning rates come near the edge, learning rate × sharpness = 2, and up to half of their steps raise the
    loss; at 0.3 none does.
    """
    steps, sharp = rises(runs), sharpness(runs)
    page = Figure(figsize=(12, 3.6))
    left, middle, right = page.subplots(1, 3)
    at_rates = steps[steps["data"] == DATA]
    drawn = [
        median_and_band(left, sharp, "step", "eta sharpness", "train.learning_rate", "{:g}".format),
        _draw_shares(middle, at_rates, "window", "train.learning_rate", "{:g}".format),
        _draw_shares(right, steps, "train.learning_rate", "data", str),
    ]
    left.axhline(2, color="black", linewidth=0.9)
    left.text(0.98, 2.4, "edge of stability", ha="right", transform=left.get_yaxis_transform())
    left.set(title=f"{DATA}: learning rate × sharpness", yscale="log", ylim=(0.05, 10))
    left.set_yticks([0.1, 0.5, 1, 2, 5], ["0.1", "0.5", "1", "2", "5"])
    left.minorticks_off()
    middle.set(title=f"{DATA}: fraction of steps that raise the loss", ylim=(-0.02, 0.6))
    right.set(title="The same fraction, over the whole run", ylim=(-0.02, 0.6), xscale="log", xlabel="learning rate")
    rates = sorted(steps["train.learning_rate"].unique())
    right.set_xticks(rates, [f"{rate:g}" for rate in rates])
    right.minorticks_off()
    for ax in (left, middle):
        step_axis(ax)
    for ax, title in ((left, "learning rate"), (right, "data")):
        legend(ax, title=title, ncols=2 if ax is left else 1)
    return page, pd.concat(drawn, ignore_index=True)


def rises(runs: Runs) -> pd.DataFrame:
    """A row for each pair of consecutive logged steps: `window`, where their stretch of steps begins, and `rise`."""
    require(runs.histories, "fingerprint", "step", "train/loss", "train.learning_rate", "data", "seed")
    rows = runs.histories.sort_values(["fingerprint", "step"]).reset_index(drop=True)
    before = rows.groupby("fingerprint")[["step", "train/loss"]].shift()
    follows = rows["step"] - before["step"] == 1
    window = rows["step"].where(~follows).ffill()
    rise = rows["train/loss"] > before["train/loss"] * (1 + ROUNDING)
    return rows.assign(window=window, rise=rise.astype(float))[follows]


def _draw_shares(ax, steps: pd.DataFrame, x: str, by: str, label) -> pd.DataFrame:
    shares = steps.groupby([by, x], as_index=False)["rise"].mean()
    for value, style in styles_of(shares[by]).items():
        line = shares[shares[by] == value]
        ax.plot(line[x], line["rise"], label=label(value), marker="o", markersize=3.5, **style)
    return shares.assign(measure="rise")


def sharpness(runs: Runs) -> pd.DataFrame:
    """Learning rate times sharpness at the start of each window, for the runs on DATA whose weights were kept."""
    starts, rows = rises(runs)["window"].unique(), []
    for fingerprint in with_weights(runs, runs.table, data=DATA):
        run, row = replay(runs, fingerprint), runs.table.loc[fingerprint]
        for step, parameters in zip(run.steps, run.parameters, strict=True):
            if step in starts:
                product = row["train.learning_rate"] * largest_eigenvalue(run, parameters)
                rows.append((fingerprint, step, row["seed"], row["train.learning_rate"], product))
    return pd.DataFrame(rows, columns=["fingerprint", "step", "seed", "train.learning_rate", "eta sharpness"])


def largest_eigenvalue(run: Replay, parameters: Parameters) -> float:
    """Of the Hessian of J, by Lanczos iteration on differences of gradients."""
    center = np.concatenate([p.ravel() for p in parameters])
    ends = np.cumsum([p.size for p in parameters])[:-1]

    def gradient(vector):
        parts = (v.reshape(p.shape) for v, p in zip(np.split(vector, ends), parameters, strict=True))
        moved = Parameters(*parts)
        cache = forward(run.data.X, moved, run.activation)
        found = backward(run.data.X, run.data.Y, moved, cache, run.activation, Sigmoid())
        return np.concatenate([d.ravel() for d in found])

    def product(vector):
        shift = SHIFT * vector.ravel() / np.linalg.norm(vector)
        return (gradient(center + shift) - gradient(center - shift)) * (np.linalg.norm(vector) / (2 * SHIFT))

    hessian = LinearOperator((len(center),) * 2, matvec=product, dtype=float)
    return float(eigsh(hessian, k=1, which="LA", v0=np.ones(len(center)), tol=1e-3, return_eigenvectors=False)[0])


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: a cell (data set and learning rate) obeys the claim where no logged step of any seed
    raises the training loss by more than rounding. Supported if all cells obey, refuted if none does.
    """
    steps = rises(runs)
    shares = steps.groupby(["data", "train.learning_rate"])["rise"].mean()
    rates = [(f"{rate:g}", share == 0) for (_, rate), share in shares.items()]
    judged = _judged(steps)
    return Verdict(
        criteria(
            [
                (f"{data} at learning rate {rate:g}: {share:.2%} of steps rise", share == 0)
                for (data, rate), share in shares.items()
            ]
        ),
        f"fraction of logged steps that raise the training loss, {judged.attrs['cell']}, mean over seeds",
        estimate(judged),
        f"Every step lowers the loss {summarise(rates, 'at η = {}')}; up to {shares.max():.0%} of steps raise it."
        if shares.any()
        else f"Every step lowers the loss {summarise(rates)}.",
        f"{_edge(steps, sharpness(runs))} {(runs.table['outcome'] == 'diverged').sum()} runs diverged.",
    )


def _judged(steps: pd.DataFrame) -> pd.Series:
    """Fraction of rises by seed in the course's cell, or, where that was not run, over all there is."""
    cell = steps[(steps["data"] == DATA) & (steps["train.learning_rate"] == RATE)]
    chosen, name = (steps, "all cells") if cell.empty else (cell, f"{DATA} at learning rate {RATE:g}")
    shares = chosen.groupby("seed")["rise"].mean()
    shares.attrs["cell"] = name
    return shares


def _edge(steps: pd.DataFrame, sharp: pd.DataFrame) -> str:
    """Rises below the edge of stability and above it, as text."""
    windows = steps.groupby(["fingerprint", "window"], as_index=False)["rise"].mean()
    both = sharp.merge(windows, left_on=["fingerprint", "step"], right_on=["fingerprint", "window"])
    if both.empty:
        return f"No weights of runs on {DATA} were kept, so the sharpness is unknown."
    names = pd.cut(both["eta sharpness"], [-np.inf, 1, 2, np.inf], labels=["below 1", "from 1 to 2", "above 2"])
    shares = both.groupby(names, observed=True)["rise"].agg(["mean", "count"])
    parts = (f"{name} {mean:.3f} ({count:.0f} windows)" for name, mean, count in shares.itertuples())
    return f"On {DATA} by learning rate x sharpness at a window's start, fraction of rises: {', '.join(parts)}."
