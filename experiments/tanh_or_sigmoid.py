"""In the hidden layer tanh is better than sigmoid, because the mean of its output is zero.

Section: 6.2.2

tanh(z) = 2 sigmoid(2z) - 1, so a sigmoid network with 2 W1, 2 b1, 2 W2, b2 - sum W2 is the same function: all that can
differ is the descent. Two things differ there, and the chapter names one. A gradient step on those doubled weights
moves the function a quarter as far, since sigmoid' is at most 1/4: four times the learning rate undoes that. What then
remains is the mean (with b2, which now moves four times as fast): activations around 1/2 tie W2 to b2 and enlarge
the largest curvature, which bounds the learning rate (LeCun et al. 1998, 4.3 and 4.4). Beyond |z| = 1.66 sigmoid' is
the larger slope.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import intervals, legend, median_and_band, step_axis, styled
from shallowexp.claims.statistics import (
    Effect,
    at_step,
    drop_undefined,
    effects_table,
    format_estimate,
    join_estimates,
    mean_over_seeds,
    paired,
    require,
    summarise,
)
from shallowexp.claims.verdict import Inconclusive, Verdict, criteria
from shallowexp.runs import Runs

LOSS, RATE = "train/loss", "train.learning_rate"
BUDGETS = (30, 100)
JUDGED = 100  # the budget whose effect is reported
MARGIN = 0.01  # nats of training loss
CHAPTER, MATCHED, LARGE = (0.01, 1.2), (0.02, 4.8), (10, 1.2)  # scale of the weights, learning rate
SAME, STEP, BEST, SATURATED = "same rate", "same step", "best rates", "same rate, weights x 10"
PAIRS = {SAME: (CHAPTER, CHAPTER), STEP: (CHAPTER, MATCHED), SATURATED: (LARGE, LARGE)}  # of tanh, of sigmoid
SHOWN = "flower"


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Four times the learning rate brings sigmoid near tanh; its mean of 1/2 costs it the largest rates."""
    page = Figure(figsize=(13, 4))
    paths, rates, dots = page.subplots(1, 3, width_ratios=[1.1, 1, 1.5])
    arms = _with_arm(runs.histories)
    drawn = [median_and_band(paths, arms[arms["data"] == SHOWN], "step", LOSS, "arm")]
    step_axis(paths)
    paths.set(title=f"{SHOWN}: training loss")
    legend(paths, loc="lower left")
    exact = _exact_counterparts(at_step(runs, JUDGED))
    drawn.append(median_and_band(rates, exact[exact["data"] == SHOWN], "tanh rate", LOSS, "activation"))
    rates.set(
        title=f"{SHOWN}: loss after {JUDGED} steps",
        xlabel="learning rate of tanh; of sigmoid 4 times that",
        xscale="log",
    )
    rates.set_xticks([0.3, 1.2, 4.8], ["0.3", "1.2", "4.8"])
    rates.minorticks_off()
    legend(rates)
    drawn.append(intervals(dots, _effects(runs, JUDGED), "comparison", "data"))
    dots.set_xscale("symlog", linthresh=MARGIN)
    dots.xaxis.set_major_formatter("{x:g}")
    dots.margins(x=0.08)
    dots.set(title=f"loss after {JUDGED} steps, tanh minus sigmoid", xlabel="nats; left: tanh is better")
    legend(dots, loc="upper right")
    return page, pd.concat(drawn, ignore_index=True)


def _rows(table: pd.DataFrame, activation: str, settings: tuple[float, float]) -> pd.Series:
    scale, rate = settings
    return (table["activation"] == activation) & (table["init.scale"] == scale) & (table[RATE] == rate)


def _with_arm(histories: pd.DataFrame) -> pd.DataFrame:
    """The runs of the first two comparisons, named."""
    require(histories, "data", "activation", "init.scale", RATE, "seed", "step", LOSS)
    arms = {"tanh": ("tanh", CHAPTER), "sigmoid": ("sigmoid", CHAPTER), "sigmoid, 2 W, rate x 4": ("sigmoid", MATCHED)}
    parts = [histories[_rows(histories, *arm)].assign(arm=name) for name, arm in arms.items()]
    return pd.concat(parts)


def _exact_counterparts(table: pd.DataFrame) -> pd.DataFrame:
    """The sweep of learning rates, sigmoid with twice the weights and its rate given as that of the tanh it equals."""
    require(table, "data", "activation", "init.scale", RATE, "seed", LOSS)
    sigmoid = table["activation"] == "sigmoid"
    scale, factor = np.where(sigmoid, MATCHED[0], CHAPTER[0]), np.where(sigmoid, MATCHED[1] / CHAPTER[1], 1)
    return table.assign(**{"tanh rate": (table[RATE] / factor).round(6)})[table["init.scale"] == scale]


def _best(table: pd.DataFrame) -> pd.DataFrame:
    """Of each data set and activation the runs at the rate whose mean loss is lowest; a diverged run rules it out.

    The rate is chosen on the same seeds that it is judged on, and the interval does not account for the choice.
    """
    swept = _exact_counterparts(table)
    cells = ["data", "activation"]
    means = swept.fillna({LOSS: np.inf}).groupby([*cells, RATE])[LOSS].mean()
    best = means[means == means.groupby(level=cells).transform("min")].reset_index()[[*cells, RATE]]
    return swept.reset_index().merge(best.drop_duplicates(cells))


def _differences(runs: Runs, step: int) -> pd.Series:
    """Loss of tanh minus that of sigmoid by comparison, data set and seed, as the runs stood at `step`."""
    table = at_step(runs, step)
    chosen = {
        name: table[_rows(table, "tanh", left) | _rows(table, "sigmoid", right)]
        for name, (left, right) in PAIRS.items()
    }
    chosen = {SAME: chosen.pop(SAME), STEP: chosen.pop(STEP), BEST: _best(table), **chosen}
    pairs = {
        name: paired(rows, LOSS, "activation", "tanh", "sigmoid", ("data", "seed")) for name, rows in chosen.items()
    }
    return pd.concat(pairs, names=["comparison"])


def _effects(runs: Runs, step: int) -> pd.DataFrame:
    return effects_table(_differences(runs, step), "comparison", "data").sort_values("comparison", key=_order)


def _order(names: pd.Series) -> pd.Series:
    return names.map([SAME, STEP, BEST, SATURATED].index)


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: on each data set and at each budget tanh has a training loss lower by MARGIN, paired by
    seed and with the whole 95% interval, at the same rate, at the same step (sigmoid's weights doubled, its rate four
    times tanh's; only the mean differs) and with each at its best rate, chosen on the same seeds, for which the interval
    does not account. Supported if all hold, refuted if none.
    """
    effects = pd.concat({step: _effects(runs, step) for step in BUDGETS}, names=["step"]).reset_index("step")
    judged = effects[effects["comparison"] != SATURATED]
    better = judged["high"] < -MARGIN
    names = [
        f"{row.comparison}, {row.data}, {row.step} steps: {format_estimate(Effect.of(row))}"
        for row in judged.itertuples()
    ]
    differences, lost = drop_undefined(_differences(runs, JUDGED))
    means = {name: mean_over_seeds(part) for name, part in differences.groupby(level="comparison", sort=False)}
    if not means:
        raise Inconclusive("no run of tanh has its counterpart of sigmoid")
    first = next(iter(means))  # the chapter's comparison, where it was tried
    return Verdict(
        criteria(zip(names, better, strict=True)),
        f"training loss in nats after {JUDGED} steps, tanh minus sigmoid, {first}, mean of data sets, "
        f"paired by seed{lost}",
        means[first],
        f"Tanh learns faster {summarise(zip(judged['comparison'], better, strict=True), 'at the {}')}{_reason(means)}.",
        f"Mean of data sets after {JUDGED} steps: {join_estimates(means)}. The best rates are chosen on the seeds they are judged "
        "on, for which their intervals do not account.",
    )


def _reason(means: dict) -> str:
    """How much of the gap the longer step explains, as text."""
    if not {SAME, STEP} <= set(means) or means[SAME].value == 0:
        return ""
    return f"; its longer step makes {1 - means[STEP].value / means[SAME].value:.0%} of the gap at the same rate"
