"""Large initial weights put z where sigmoid and tanh are flat, so gradients vanish and learning is slow.

Section: 6.2.2 and 6.4

LeCun et al. (1998) and Glorot & Bengio (2010) choose the scale from the fans instead, and monitor activations by their
percentiles and gradients by their norms. Two things blur the simple picture. Scaled together, a larger W2 makes dW1
larger: ||dW1|| can rise while every slope falls. So the measure is ||dW1|| / ||W1||, and keeping W2 small is a second
design. And a hidden layer that cannot move is still a set of random features, from which W2 learns (Rahimi & Recht
2008).
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import boundary, legend, median_and_band, step_axis, styled, styles_of, unit_lines
from shallowexp.claims.replay import Replay, replay, with_weights
from shallowexp.claims.statistics import (
    at_step,
    drop_undefined,
    effects_by,
    format_estimate,
    mean_over_seeds,
    optional,
    paired,
    parts,
    require,
    summarise,
)
from shallowexp.claims.verdict import Verdict, criteria
from shallowexp.network.diagnostics import FLAT
from shallowexp.network.passes import forward
from shallowexp.runs import Runs

CURVED = ("sigmoid", "tanh")
SMALL, LARGE = 0.01, 10.0
BUDGETS = (30, 100, 1000, 3000)
JUDGED = 1000  # the budget whose effect is reported
MARGIN = 0.02  # nats of training loss that large weights must cost
NAMES = {
    "saturation/fraction": "fraction of saturated slopes",
    "gradient/W1_relative": "relative gradient",
    "train/loss": "training loss",
}
STEEP = np.arccosh(FLAT**-0.5)  # |z| below which the slope of tanh, 1 / cosh(z)^2, is not flat
AS_W1, SMALL_W2 = "W2 as W1", "W2 small"  # the two designs


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Larger weights carry z into the flat part, where slopes and gradients vanish; the loss is best in between."""
    runs = Runs(_with_design(runs.table), _with_design(runs.histories), runs.weights)
    histories = runs.histories[runs.histories["design"] == AS_W1]
    start = histories[histories["step"] == 0]
    page = Figure(figsize=(12, 6.4))
    top, bottom = page.subplots(2, 3)
    drawn = [
        _slopes(top[0], runs),
        median_and_band(top[1], start, "init.scale", "saturation/fraction", "activation"),
        median_and_band(top[2], start, "init.scale", "gradient/W1_relative", "activation"),
    ]
    panels = [("sigmoid", AS_W1), ("tanh", AS_W1), ("tanh", SMALL_W2)]
    drawn += [_losses(ax, runs.histories, *panel) for ax, panel in zip(bottom, panels, strict=True)]
    top[1].set(title="Fraction with a flat slope at the start", xscale="log", xlabel="scale of W", ylim=(-0.03, 1.03))
    top[2].set(title="||dW1|| / ||W1|| at the start", xscale="log", yscale="log", xlabel="scale of W")
    legend(top[2])
    legend(bottom[0])
    return page, pd.concat(drawn, ignore_index=True)


def _with_design(frame: pd.DataFrame) -> pd.DataFrame:
    require(frame, "activation", "init.scale", "seed", "train/loss", "saturation/fraction", "gradient/W1_relative")
    own = optional(frame, "init.output_scale")["init.output_scale"].notna()
    return frame.assign(design=np.where(own, SMALL_W2, AS_W1))


def _times(scale: float) -> str:
    return f"× {scale:g}"


def _slopes(ax, runs: Runs) -> pd.DataFrame:
    """Cumulative distributions of g'(z) before the first step, over units and samples of tanh."""
    chosen = {
        runs.table.loc[f, "init.scale"]: f for f in with_weights(runs, runs.table, activation="tanh", design=AS_W1)
    }
    share, drawn = np.linspace(0, 1, 201), [pd.DataFrame()]
    for scale, style in styles_of(chosen).items():
        run = replay(runs, chosen[scale])
        Z1 = forward(run.data.X, run.parameters[0], run.activation).Z1
        slopes = np.quantile(run.activation.derivative(Z1), share)
        ax.plot(slopes, share, label=_times(scale), **style)
        drawn.append(pd.DataFrame({"share": share, "slope": slopes, "init.scale": scale}))
    ax.set(title="tanh: slope g'(z) at the start", xscale="log", xlabel="g'(z)", ylabel="fraction below")
    ax.set(xlim=(1e-6, 1.5), ylim=(-0.03, 1.6), yticks=(0, 0.25, 0.5, 0.75, 1))
    ax.axvspan(1e-6, FLAT, color="0.92", zorder=0)
    ax.text(FLAT / 2, 0.02, "flat", ha="right")
    legend(ax, title="scale of W", ncols=3, alignment="left", loc="upper left")
    return pd.concat(drawn)


def _losses(ax, histories: pd.DataFrame, activation: str, design: str) -> pd.DataFrame:
    chosen = histories[(histories["activation"] == activation) & (histories["design"] == design)]
    chosen = chosen[chosen["step"].isin(_budgets(histories))]
    drawn = median_and_band(ax, chosen, "init.scale", "train/loss", "step", "after {:.0f} steps".format)
    ax.set(title=f"{activation}, {design}: loss", xscale="log", yscale="log", xlabel="scale of W", ylim=(0.12, 2.5))
    ax.set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
    ax.minorticks_off()
    return drawn.assign(activation=activation, design=design)


@styled
def animation(runs: Runs) -> list[Figure]:
    """Tanh units while training, as lines with the strip where they are not flat: wide from small weights until they have
    learned, narrow from large ones from the start.
    """
    table = _with_design(runs.table)
    found = {
        scale: fingerprint
        for scale in (SMALL, LARGE)
        for fingerprint in with_weights(runs, table, activation="tanh", design=AS_W1, **{"init.scale": scale})[:1]
    }
    shown = {scale: replay(runs, fingerprint) for scale, fingerprint in found.items()}
    if not all(run.in_plane for run in shown.values()):
        return []
    histories = runs.histories[runs.histories["fingerprint"].isin(found.values())]
    steps = sorted(set().union(*(run.steps.tolist() for run in shown.values())))
    return [_frame(shown, histories, step) for step in steps]


def _frame(shown: dict[float, Replay], histories: pd.DataFrame, step: int) -> Figure:
    page = Figure(figsize=(8.4, 3.6))
    page.suptitle(f"tanh: step {step}", x=0.01, ha="left", weight="bold")
    page.supxlabel("green: w·x + b = 0 for each hidden unit; shaded: where its slope is not flat", fontsize=9)
    *planes, curves = page.subplots(1, len(shown) + 1)
    for ax, (scale, run) in zip(planes, shown.items(), strict=True):
        unit_lines(ax, run.data, lambda X, run=run: run.forward(X, step).Z1, STEEP)
        boundary(ax, run.data, lambda X, run=run: run.forward(X, step).Z2[0])
        ax.set(title=f"weights {_times(scale)}")
    median_and_band(curves, histories, "step", "saturation/fraction", "init.scale", _times)
    curves.axvline(step, color="black", linewidth=0.8)
    step_axis(curves)
    curves.set(title="Fraction with a flat slope", ylim=(-0.03, 1.03))
    legend(curves, loc="center left")
    return page


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: for sigmoid and tanh, in both designs (W2 as large as W1, and W2 small), weights x 10
    against x 0.01, paired by seed, saturate a larger fraction at the start, have a smaller relative gradient there, and
    after 30, 100, 1000 and 3000 steps leave a training loss higher by more than 0.02 nats, each with its whole 95%
    interval. Supported if all hold, refuted if none.
    """
    budgets = _budgets(runs.histories)
    checks = {
        ("saturation/fraction", 0): lambda effect: effect.low > 0,
        ("gradient/W1_relative", 0): lambda effect: effect.high < 0,
        **{("train/loss", budget): lambda effect: effect.low > MARGIN for budget in budgets},
    }
    results = []
    for (measure, step), holds in checks.items():
        effects = effects_by(_pairs(runs, step, measure), "design", "activation")
        text = f"{NAMES[measure]}{f' after {step} steps' if step else ''}, {{}}"
        results += [(measure, step, part) for part in parts(text, effects, holds)]
    judged = min(budgets, key=lambda budget: abs(budget - JUDGED))
    pairs, lost = drop_undefined(_pairs(runs, judged, "train/loss"))
    return Verdict(
        criteria([part for *_, part in results]),
        f"training loss in nats after {judged} steps, weights x {LARGE:g} minus x {SMALL:g}, "
        f"mean over {' and '.join(CURVED)} and both designs, paired by seed{lost}",
        mean_over_seeds(pairs),
        _condition(results),
        _largest(runs, judged),
    )


def _condition(results: list[tuple[str, int, tuple[str, bool]]]) -> str:
    start = [(NAMES[measure], held) for measure, step, (_, held) in results if step == 0]
    later = [(step, held) for _, step, (_, held) in results if step > 0]
    saturated, costly = summarise(start, "in {}"), summarise(later, "after {} steps")
    return f"Weights × {LARGE:g} saturate units and shrink gradients at the start {saturated}; they cost loss {costly}."


def _largest(runs: Runs, step: int) -> str:
    """What the largest weights of the sweep cost, as text."""
    scale = runs.table["init.scale"].max()
    pairs, lost = drop_undefined(_pairs(runs, step, "train/loss", scale))
    return f"x {scale:g} minus x {SMALL:g} after {step} steps: {format_estimate(mean_over_seeds(pairs))}{lost}."


def _pairs(runs: Runs, step: int, measure: str, large: float = LARGE) -> pd.Series:
    """`large` minus SMALL by design, activation and seed, as the runs stood at `step`."""
    table = _with_design(at_step(runs, step))
    table = table[table["activation"].isin(CURVED)]
    return paired(table, measure, "init.scale", large, SMALL, ("design", "activation", "seed"))


def _budgets(histories: pd.DataFrame) -> list[int]:
    """The logged steps nearest to BUDGETS."""
    steps = histories.loc[histories["step"] > 0, "step"].unique()
    return sorted({int(min(steps, key=lambda step: abs(np.log(step / budget)))) for budget in BUDGETS})
