"""ReLU and leaky ReLU have no flat part for large z, so their weights need no x 0.01.

Section: 6.4

This is true of saturation: a (leaky) ReLU's slopes depend on the weights' direction alone, not on their scale. But without a
flat part nothing bounds the outputs: scaled in both layers by c they grow as c^2, and the largest stable learning rate
falls. Under cross-entropy the gradient in Z2 is bounded, and descent recovers; under squared error it diverges. He et
al. (2015) therefore give the ReLU its own scale, sqrt(2 / n_in): not 0.01, but not just any.
"""

import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import legend, median_and_band, step_axis, styled
from shallowexp.claims.statistics import (
    at_step,
    drop_undefined,
    effects_by,
    format_estimate,
    join_estimates,
    mean_over_seeds,
    paired,
    require,
    summarise,
)
from shallowexp.claims.verdict import Verdict, criteria
from shallowexp.runs import Runs

KINDS = ("relu", "leaky_relu")
SMALL, PLAIN, LARGE = 0.01, 1.0, 10.0  # PLAIN: the chapter's randn as it is
BUDGETS = (30, 100, 1000)
MARGIN = 0.02  # training loss that omitting x0.01 may cost
LOSS, SLOPE, DEAD = "train/loss", "saturation/slope", "saturation/dead"
CELL = ["data", "activation", "seed"]
SETS = {
    "flower": "flower, cross-entropy",
    "breast_cancer": "breast cancer, cross-entropy",
    "diabetes": "diabetes, squared error",
}


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """ReLU's slopes ignore the scale and its loss recovers even from × 10; under squared error × 10 diverges."""
    histories = _checked(runs.histories)
    flower = histories[histories["data"] == "flower"]
    page = Figure(figsize=(12, 6.2))
    top, bottom = page.subplots(2, 3)
    drawn = [_by_scale(top[0], flower, 0, SLOPE, "Mean slope g' at the start")]
    budgets = BUDGETS[1:]
    drawn += [
        _by_scale(ax, flower, budget, LOSS, f"Flower: loss after {budget} steps")
        for ax, budget in zip(top[1:], budgets, strict=True)
    ]
    legend(top[0])
    drawn += [_by_step(ax, runs, name) for ax, name in zip(bottom, SETS, strict=True)]
    legend(bottom[0])
    bottom[0].set_ylabel("training loss")
    return page, pd.concat(drawn, ignore_index=True)


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    require(frame, "data", "activation", "init.scale", "seed", LOSS, SLOPE, DEAD)
    return frame


def _by_scale(ax, flower: pd.DataFrame, step: int, measure: str, title: str) -> pd.DataFrame:
    drawn = median_and_band(ax, flower[flower["step"] == step], "init.scale", measure, "activation")
    ax.set(title=title, xscale="log", xlabel="scale of W", ylim=(0, None if step == 0 else 1))
    return drawn.assign(step=step)


def _by_step(ax, runs: Runs, data: str) -> pd.DataFrame:
    """ReLU's loss from the three judged scales, and how many of its runs diverged."""
    relu, ended = (
        frame[
            (frame["data"] == data) & (frame["activation"] == "relu") & frame["init.scale"].isin([SMALL, PLAIN, LARGE])
        ]
        for frame in (runs.histories, runs.table)
    )
    drawn = median_and_band(ax, relu, "step", LOSS, "init.scale", "× {:g}".format)
    shares = (ended["outcome"] == "diverged").groupby(ended["init.scale"]).mean()
    said = [f"× {scale:g}: {share:.0%} of runs diverge" for scale, share in shares.items() if share > 0]
    ax.text(0.97, 0.95, "\n".join(said), ha="right", va="top", transform=ax.transAxes)
    step_axis(ax)
    ax.set(title=f"ReLU: {SETS[data]}", yscale="log", ylim=(0.01, 1000))
    return drawn.assign(data=data)


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs: on every data set and after each of BUDGETS no (leaky) ReLU network from scale PLAIN or
    LARGE has diverged, and their training loss exceeds that from SMALL by less than MARGIN, paired by seed and with the
    whole 95% interval. Supported if all hold, refuted if none.
    """
    costs = [cost for scale in (PLAIN, LARGE) for budget in BUDGETS for cost in _costs(runs, scale, budget)]
    pairs = _pairs(runs, PLAIN, BUDGETS[-1], KINDS)
    judged, lost = drop_undefined(pairs[pairs.index.get_level_values("data") != "diabetes"])
    return Verdict(
        criteria([(name, holds) for _, name, holds in costs]),
        f"training loss in nats after {BUDGETS[-1]} steps, randn × {PLAIN:g} minus × {SMALL}, mean over ReLU, leaky "
        f"ReLU and the two-class data sets, paired by seed{lost}",
        mean_over_seeds(judged),
        f"(Leaky) ReLU loses nothing against × {SMALL} {_where(costs)}.",
        f"{_diverged(runs.table)} {_others(runs)} {_dead(runs.table)}",
    )


def _pairs(runs: Runs, scale: float, step: int, kinds: tuple[str, ...]) -> pd.Series:
    table = _checked(at_step(runs, step))
    return paired(table[table["activation"].isin(kinds)], LOSS, "init.scale", scale, SMALL, CELL)


def _costs(runs: Runs, scale: float, budget: int):
    """For each data set: the scale and it, their name with what the scale costs, and whether the claim holds there."""
    for data, cost in effects_by(_pairs(runs, scale, budget, KINDS), "data").items():
        yield (
            (scale, data),
            f"× {scale:g}, {data}, {budget} steps: {format_estimate(cost)}",
            not cost.lost and cost.high < MARGIN,
        )


def _where(costs: list[tuple]) -> str:
    scales = dict.fromkeys(scale for (scale, _), *_ in costs)
    told = {s: summarise(((data, holds) for (scale, data), _, holds in costs if scale == s), "on {}") for s in scales}
    return "; ".join(f"with × {scale:g} {places}" for scale, places in told.items()) or summarise([])


def _others(runs: Runs) -> str:
    """The same for the curved activations, for comparison."""
    costs = join_estimates(effects_by(_pairs(runs, PLAIN, BUDGETS[-1], ("tanh", "sigmoid")), "activation"))
    return f"× {PLAIN:g} minus × {SMALL} for the curved ones: {costs}." if costs else ""


def _diverged(table: pd.DataFrame) -> str:
    counts = table[table["outcome"] == "diverged"].groupby(["data", "init.scale"]).size()
    said = [f"{count} on {data} from × {scale:g}" for (data, scale), count in counts.items()]
    return f"Diverged runs: {', '.join(said) or 'none'}."


def _dead(table: pd.DataFrame) -> str:
    relu = table[(table["data"] == "flower") & (table["activation"] == "relu")].groupby("init.scale")[DEAD].mean()
    return f"Dead ReLU units on the flower at the end: {', '.join(f'{v:.1%} from × {s:g}' for s, v in relu.items())}."
