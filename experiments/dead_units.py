"""ReLU units die where z < 0 on every sample, and leaky ReLU, with slope lambda there, repairs them.

Section: 6.2.2

Maas et al. (2013) gave ReLU its leak so that a silent unit still has a gradient; they found accuracy the same. Lu et
al. (2019) count dead units at the start, which with zero biases and centred data is rare in one layer: here units die
in training, when too long a step makes all z negative. With any lambda > 0 no unit has g' = 0, by definition. So
more than that is judged: whether fewer units stay SILENT (z <= 0 on every sample, where the unit is linear;
for ReLU that is dead), and whether the loss falls.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import intervals, legend, step_axis, styled, styles_of
from shallowexp.claims.replay import replay
from shallowexp.claims.statistics import (
    Effect,
    drop_undefined,
    effects_table,
    format_estimate,
    mean_over_seeds,
    optional,
    paired,
    require,
    summarise,
)
from shallowexp.claims.verdict import Verdict, criteria
from shallowexp.network.passes import forward
from shallowexp.runs import Runs

LOSS, RATE, DEAD = "train/loss", "train.learning_rate", "saturation/dead"
CHAPTER = 0.01  # the chapter's lambda, which is judged; 0 is ReLU
SHOWN = "flower"
AWAY = 2.0  # nats; a loss above it, where guessing has 0.7 or 1.1, counts as diverged
MARGIN = 0.02  # of training loss in nats
CELL = ["data", RATE]


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """With a leak no slope is zero, yet some units, though fewer, still fall silent; on the flower a large leak raises the loss."""
    table = _with_leak(runs.table)
    table = table[table[RATE] == table[RATE].max()]
    runs = runs._replace(table=table)
    page = Figure(figsize=(13, 4))
    paths, silent, loss = page.subplots(1, 3, width_ratios=[1.1, 1, 1])
    shares = _silent(runs)
    shown = shares.join(table[["data", "leak"]], on="fingerprint").query("data == @SHOWN")
    means = shown.groupby(["leak", "step"], as_index=False)["silent"].mean()
    for leak, style in styles_of(means["leak"]).items():
        paths.plot("step", "silent", data=means[means["leak"] == leak], label=_name(leak), **style)
    step_axis(paths)
    paths.set(title=f"{SHOWN}, rate {table[RATE].max():g}: fraction of silent units (mean)", ylim=(0, None))
    legend(paths)
    ends = _ends(runs, shares)
    counts = effects_table(ends.set_index(["leak", "data", "seed"])["silent"], "leak", "data")
    costs = _against_relu(ends, LOSS).drop(0, level="leak", errors="ignore")
    drawn = []
    for ax, effects in ((silent, counts), (loss, effects_table(costs, "leak", "data"))):
        drawn.append(intervals(ax, effects.assign(name=effects["leak"].map(_name)), "name", "data"))
    silent.set(title="fraction of silent units at the end")
    loss.set(title="loss at the end, minus ReLU's", xlabel="nats; left: the leak helps")
    legend(silent)
    return page, pd.concat([means, *drawn], ignore_index=True)


def _name(leak: float) -> str:
    return f"λ = {leak:g}" if leak else "ReLU (λ = 0)"


def _with_leak(frame: pd.DataFrame) -> pd.DataFrame:
    """With the column `leak`, lambda, which is 0 for ReLU."""
    require(frame, "activation", "seed", LOSS, DEAD, *CELL)
    frame = optional(frame, "activation.slope")
    return frame.assign(leak=frame["activation.slope"].where(frame["activation"] != "relu", 0))


def _silent(runs: Runs) -> pd.DataFrame:
    """Fraction of units with z <= 0 on every sample, by fingerprint and step."""
    rows = []
    for fingerprint in runs.table.index:
        if fingerprint in runs.weights:
            run = replay(runs, fingerprint)
            for step, parameters in zip(run.steps, run.parameters, strict=True):
                Z1 = forward(run.data.X, parameters, run.activation).Z1
                rows.append((fingerprint, step, np.mean((Z1 <= 0).all(axis=1))))
    return pd.DataFrame(rows, columns=["fingerprint", "step", "silent"])


def _ends(runs: Runs, silent: pd.DataFrame) -> pd.DataFrame:
    """The table with `leak` and, of the last step, `silent`; runs with a huge but finite loss count as diverged too."""
    last = silent.groupby("fingerprint")["silent"].last()
    ends = _with_leak(runs.table).join(last)
    return ends.assign(outcome=ends["outcome"].where(ends[LOSS] <= AWAY, "diverged"))


def _against_relu(ends: pd.DataFrame, measure: str) -> pd.Series:
    """`measure` of leaky ReLU minus that of ReLU, by leak, cell and seed."""
    leaks = sorted(set(ends["leak"]) | {CHAPTER})
    pairs = {leak: paired(ends, measure, "leak", leak, 0, (*CELL, "seed")) for leak in leaks}
    return pd.concat(pairs, names=["leak"])


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: in each cell (data set and learning rate) where ReLU ends with dead units, the whole 95%
    interval over seeds above 0, lambda = CHAPTER makes fewer units silent and lowers the training loss by MARGIN, each
    paired by seed and with its whole interval. Supported if all hold, refuted if none or if no units die.
    """
    ends = _ends(runs, _silent(runs))
    died = effects_table(ends[ends["leak"] == 0].set_index([*CELL, "seed"])[DEAD], *CELL)
    died = died[died["low"] > 0]
    silent, loss = (_where(_against_relu(ends, measure), died) for measure in ("silent", LOSS))
    woken, gained = (effects_table(_chapters(pairs), *CELL) for pairs in (silent, loss))
    judged, lost = drop_undefined(_chapters(silent))
    leaky = ends[ends["leak"] > 0]
    wakes, gains = woken["high"] < 0, gained["high"] < -MARGIN
    found = [*_parts("fewer silent units", woken, wakes), *_parts("lower loss", gained, gains)]
    return Verdict(
        criteria(
            found if len(died) else [("ReLU ends with dead units somewhere: it does not", False)] * bool(len(judged))
        ),
        f"fraction of units silent on every sample at the end, lambda {CHAPTER:g} minus ReLU, mean of "
        f"{'cells where units die' if len(died) else 'all cells'}, paired by seed{lost}",
        mean_over_seeds(judged),
        f"With λ = {CHAPTER:g} fewer units stay silent {summarise(zip(woken['data'], wakes, strict=True), 'on {}')}; the loss falls by at least "
        f"{MARGIN:g} {summarise(zip(gained['data'], gains, strict=True), 'on {}')}."
        if len(died)
        else "No ReLU unit is dead at the end, so there is nothing to repair.",
        f"ReLU ends with dead units at {_told(died)}; with λ > 0 at most {leaky[DEAD].max():g} of the units have "
        f"g' = 0 everywhere. Mean of these cells by λ: {_over_leaks(silent, loss)}. "
        f"Diverged: {_diverged(leaky)} leaky, {_diverged(ends[ends['leak'] == 0])} ReLU.",
    )


def _parts(what: str, effects: pd.DataFrame, holds: pd.Series) -> list[tuple[str, bool]]:
    return [(f"{what}, {_cell(row)}", held) for (_, row), held in zip(effects.iterrows(), holds, strict=True)]


def _cell(row: pd.Series) -> str:
    return f"{row['data']} at rate {row[RATE]:g}: {format_estimate(Effect.of(row))}"


def _chapters(pairs: pd.Series) -> pd.Series:
    return pairs[pairs.index.get_level_values("leak") == CHAPTER]


def _where(pairs: pd.Series, died: pd.DataFrame) -> pd.Series:
    """The pairs of the cells where units die; all of them if none do."""
    cells = pairs.index.droplevel(["leak", "seed"])
    return pairs[cells.isin(died.set_index(CELL).index)] if len(died) else pairs


def _diverged(ends: pd.DataFrame) -> str:
    return f"{(ends['outcome'] == 'diverged').sum()} of {len(ends)}"


def _told(effects: pd.DataFrame) -> str:
    return ", ".join(_cell(row) for _, row in effects.iterrows()) or "no data set"


def _over_leaks(silent: pd.Series, loss: pd.Series) -> str:
    """Mean changes against ReLU for each lambda, and how many pairs are not in them."""
    told = []
    for leak, pairs in (
        pd.DataFrame({"silent": silent, "loss": loss}).drop(0, level="leak", errors="ignore").groupby(level="leak")
    ):
        _, lost = drop_undefined(pairs["loss"])
        told.append(f"{leak:g}: silent {pairs['silent'].mean():+.3f}, loss {pairs['loss'].mean():+.3f}{lost}")
    return ", ".join(told)
