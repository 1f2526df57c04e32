"""ReLU speeds learning up, because its slope is 1 wherever z > 0, while the slopes of sigmoid and tanh vanish.

Section: 6.2.2

Krizhevsky et al. (2012) reached their training error six times as fast with ReLU as with tanh; Glorot, Bordes & Bengio
(2011) found it better in deep networks. In one hidden layer with small weights nothing is saturated: tanh' starts near
1 on every sample, while ReLU passes only the half of them with z > 0, and sigmoid' is at most 1/4. So ReLU takes a
longer step than sigmoid, but longer than tanh only once inputs or weights make |z| large. Nor do slopes alone decide: on
the flower tanh stays far ahead after its mean slope has fallen below ReLU's.
"""

import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import intervals, legend, median_and_band, step_axis, styled
from shallowexp.claims.statistics import (
    Effect,
    at_step,
    drop_undefined,
    effects_by,
    effects_table,
    format_estimate,
    join_estimates,
    paired,
    require,
    summarise,
)
from shallowexp.claims.verdict import Inconclusive, Verdict, criteria
from shallowexp.runs import Runs

RIVALS = ("sigmoid", "tanh")
LOSS, SLOPE = "train/loss", "saturation/slope"
JUDGED = 100  # steps
MARGIN = 0.01  # nats of training loss
SHOWN = ("flower, 4 units", "digits, 16 units")


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """ReLU learns faster than sigmoid, but than tanh only where |z| is large; on the flower it is the slower one."""
    histories = _with_task(runs.histories)
    page = Figure(figsize=(13, 5.4))
    left, right = page.subfigures(1, 2, width_ratios=[1.25, 1])
    drawn = []
    for column, task in zip(left.subplots(2, len(SHOWN), sharex="col").T, SHOWN, strict=True):
        shown = histories[histories["task"] == task]
        for ax, measure, name in zip(column, (LOSS, SLOPE), ("training loss", "mean slope g'(z)"), strict=True):
            drawn.append(median_and_band(ax, shown, "step", measure, "activation").assign(task=task))
            ax.set(title=f"{task}: {name}", ylim=(0, None))
            step_axis(ax)
        column[0].set_xlabel("")
        legend(column[0], loc="lower left")
    dots = right.subplots()
    drawn.append(intervals(dots, _effects(runs, JUDGED), "task", "rival"))
    dots.set_xscale("symlog", linthresh=MARGIN)
    dots.xaxis.set_major_formatter("{x:g}")
    dots.margins(x=0.08)
    dots.set(title=f"loss after {JUDGED} steps", xlabel="nats; left: ReLU is faster")
    legend(dots, title="ReLU minus")
    return page, pd.concat(drawn, ignore_index=True)


def _with_task(frame: pd.DataFrame) -> pd.DataFrame:
    """With the column `task`: the data, the hidden size and, if large, the scale of the initial weights."""
    require(frame, "data", "hidden_size", "init.scale", "activation", "seed", LOSS, SLOPE)
    large = frame["init.scale"].map(lambda scale: f", weights x {scale:g}" if scale > 0.01 else "")
    return frame.assign(task=frame["data"] + ", " + frame["hidden_size"].map("{:g} units".format) + large)


def _differences(runs: Runs, step: int) -> pd.Series:
    """Loss of ReLU minus that of each rival by task and seed, as the runs stood at `step`."""
    table = _with_task(at_step(runs, step))
    pairs = {rival: paired(table, LOSS, "activation", "relu", rival, ("task", "seed")) for rival in RIVALS}
    return pd.concat(pairs, names=["rival"])


def _effects(runs: Runs, step: int) -> pd.DataFrame:
    return effects_table(_differences(runs, step), "rival", "task")


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: on each task ReLU has, after JUDGED steps at the same learning rate, a training loss lower
    by MARGIN than sigmoid and than tanh, paired by seed and with the whole 95% interval. Supported if against both on
    every task, refuted if against none on any.
    """
    effects = _effects(runs, JUDGED)
    faster = effects["high"] < -MARGIN
    names = [f"minus {row.rival}, {row.task}: {format_estimate(Effect.of(row))}" for row in effects.itertuples()]
    differences, lost = drop_undefined(_differences(runs, JUDGED))
    means = effects_by(differences, "rival")
    if not means:
        raise Inconclusive("no run of ReLU has a rival of the same task and seed")
    rival = max(means)  # tanh, the harder one, where it was tried
    return Verdict(
        criteria(zip(names, faster, strict=True)),
        f"training loss in nats after {JUDGED} steps, ReLU minus {rival}, mean of tasks, paired by seed{lost}",
        means[rival].estimate,
        f"ReLU is faster than {'; than '.join(_sentence(part) for _, part in effects.groupby('rival'))}.",
        f"Means of tasks, ReLU minus: {join_estimates(means)}. {_later(runs)}",
    )


def _sentence(effects: pd.DataFrame) -> str:
    """On which data ReLU is faster than the rival, and on how many tasks it is slower."""
    told = summarise(zip(effects["task"].str.split(",").str[0], effects["high"] < -MARGIN, strict=True), "on {}")
    slower = (effects["low"] > MARGIN).sum()
    return f"{effects['rival'].iloc[0]} {told}" + (f" (slower on {slower} of {len(effects)} tasks)" if slower else "")


def _later(runs: Runs) -> str:
    """Where a rival is ahead at the last step logged after JUDGED."""
    last = int(runs.histories["step"].max())
    effects = _effects(runs, last)
    behind = effects[effects["low"] > MARGIN]
    told = ", ".join(f"{row.rival} on {_told(row)}" for row in behind.itertuples())
    return f"After {last} steps it is behind {told or 'neither'}."


def _told(row) -> str:
    return f"{row.task} ({format_estimate(Effect.of(row))})"
