"""Small random weights bring descent to the global optimum sooner, and ReLU's zero half matters little in practice.

Section: 6.4 and 6.2.2

The chapter's two unverified promises. The global optimum of these losses is unknown: the best loss that any
run found on the same data bounds it from above, for both activations at once, since a tanh and a sigmoid network can
compute the same functions. Where a network can separate the classes the infimum is zero and attained nowhere. Local
minima that descent does reach are known in small networks (Swirszcz et al. 2016; Safran & Shamir 2018). ReLU is set
against leaky ReLU with the same weights and data, at a small learning rate and at the course's.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import intervals, legend, median_and_band, step_axis, styled, styles_of
from shallowexp.claims.statistics import (
    at_step,
    drop_undefined,
    effects_by,
    effects_table,
    join_estimates,
    mean_over_seeds,
    named,
    optional,
    paired,
    parts,
    require,
    summarise,
)
from shallowexp.claims.verdict import Estimate, Verdict, criteria
from shallowexp.runs import Runs

CURVED, SMALL, LARGE = ("sigmoid", "tanh"), 0.01, 1.0
EARLY = 100  # steps; the nearest logged step is judged
NEAR = 0.01  # nats above the best loss found that count as having reached it
MOST = 0.9  # fraction of small starts that must reach it
LITTLE = 0.01  # test accuracy that leaky ReLU may gain or lose against ReLU
GAP = "loss above the best found"


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Large weights are ahead at first and come equally near the best loss in the end; on blobs ReLU's zero half costs accuracy."""
    table, histories = _scales(runs.table), _scales(runs.histories)
    page = Figure(figsize=(13, 3.9))
    early, late, halves = page.subplots(1, 3, width_ratios=[1, 1, 1.2])
    flower = histories[histories["data"] == "flower"]
    drawn = [median_and_band(early, flower, "step", "train/loss", "start")]
    drawn.append(_draw_gaps(late, _gaps(table[table["data"] == "flower"])))
    rates = effects_table(_halves(runs.table), "data", "train.learning_rate").rename(
        columns={"train.learning_rate": "rate"}
    )
    drawn.append(intervals(halves, rates.assign(rate=rates["rate"].map("learning rate {:g}".format)), "data", "rate"))
    halves.axvspan(-LITTLE, LITTLE, color="0.92", zorder=0)
    early.set(title="flower: training loss")
    step_axis(early)
    late.set(title="flower: loss above the best found, at the end", xlabel="fraction of seeds", ylabel="nats")
    halves.set(title="Test accuracy, ReLU minus leaky ReLU")
    legend(early)
    legend(halves, loc="lower left")
    return page, pd.concat(drawn, ignore_index=True)


def _scales(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs of the first promise, with a name for each start."""
    require(frame, "activation", "init", "data", "seed", "train/loss")
    frame = optional(frame, "init.scale")
    part = frame[frame["activation"].isin(CURVED) & (frame["init"] == "random")]
    return part.assign(start=part["activation"].astype(str) + part["init.scale"].map(" × {:g}".format).astype(str))


def _gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Final losses above the best that any run found on the same data; a diverged run is infinitely far."""
    losses = table["train/loss"].where(table["outcome"] == "finished", np.inf)
    return table.assign(**{GAP: losses - losses.groupby(table["data"]).transform("min")})


def _draw_gaps(ax, table: pd.DataFrame) -> pd.DataFrame:
    drawn = [pd.DataFrame()]
    for start, style in styles_of(table["start"]).items():
        gaps = np.sort(table.loc[table["start"] == start, GAP])
        share = np.arange(1, len(gaps) + 1) / len(gaps)
        ax.plot(share, np.maximum(gaps, 1e-4), **style)
        drawn.append(pd.DataFrame({"share": share, "gap": gaps, "start": start}))
    ax.axhline(NEAR, color="black", linewidth=0.9)
    ax.set(yscale="log", xlim=(0, 1.02))
    return pd.concat(drawn)


def _halves(table: pd.DataFrame) -> pd.Series:
    """Test accuracy of ReLU minus that of leaky ReLU, by data set, learning rate and seed."""
    require(table, "activation", "init", "data", "train.learning_rate", "seed", "test/accuracy", "outcome")
    chosen = table[table["init"] == "he"]
    return paired(chosen, "test/accuracy", "activation", "relu", "leaky_relu", ["data", "train.learning_rate", "seed"])


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs, for each data set. With sigmoid and with tanh: small weights have the lower training loss,
    by any margin however small but with the whole 95% interval, after EARLY steps and at the end; and of
    their runs at least the fraction MOST, without an interval, ends within NEAR of the best loss found on the same
    data. At each learning rate: the test accuracies of ReLU and leaky ReLU differ by less than LITTLE, with the whole
    interval. Supported if all parts hold, refuted if none does.
    """
    table, step = _gaps(_scales(runs.table)), _early(_scales(runs.histories))
    early, late = (_by_scale(frame, "train/loss") for frame in (_scales(at_step(runs, step)), table))
    arrived = (table[GAP] < NEAR).groupby([table["data"], table["activation"], table["init.scale"]]).mean()
    arrived = arrived.unstack()
    sooner, lower = (effects_by(part, "data", "activation") for part in (early, late))
    little = effects_by(_halves(runs.table), "data", "train.learning_rate")
    judged, lost = drop_undefined(late)
    compared = f"by any margin, × {SMALL:g} minus × {LARGE:g}"
    near = dict(arrived.get(SMALL, {}).items())
    small = [
        *((data, e.high < 0) for effects in (sooner, lower) for (data, _), e in effects.items()),
        *((data, share >= MOST) for (data, _), share in near.items()),
    ]
    shares = ", ".join(f"x {scale:g} {share:.0%}" for scale, share in arrived.mean().items())
    return Verdict(
        criteria(
            [
                *parts(f"lower loss after {step} steps, {compared}, {{}}", sooner, lambda e: e.high < 0),
                *parts(f"lower loss at the end, {compared}, {{}}", lower, lambda e: e.high < 0),
                *(
                    (
                        f"× {SMALL:g} ends near the best loss, {named(key)}: {s:.0%} of runs (fraction, no interval)",
                        s >= MOST,
                    )
                    for key, s in near.items()
                ),
                *parts("test accuracy, ReLU minus leaky ReLU, {} (learning rate)", little, _little),
            ]
        ),
        f"final training loss in nats, weights x {SMALL:g} minus x {LARGE:g}, mean of all cells, by seed{lost}",
        mean_over_seeds(judged),
        f"Small weights learn sooner and end lower, by any margin, {summarise(small, 'on {}')}. ReLU tests like leaky ReLU "
        f"{summarise(((data, _little(e)) for (data, _), e in little.items()), 'on {}')}.",
        f"Runs that end within {NEAR:g} of the best loss found: {shares}.{_tiny(lower)}",
    )


def _tiny(lower: dict) -> str:
    """Which ends count as lower although they differ by less than what counts as near."""
    tiny = {key: effect for key, effect in lower.items() if effect.value > -NEAR and effect.high < 0}
    return f" Lower at the end, but by less than {NEAR:g}: {join_estimates(tiny)}." if tiny else ""


def _early(histories: pd.DataFrame) -> int:
    return int(min(histories["step"].unique(), key=lambda step: abs(step - EARLY), default=EARLY))


def _by_scale(table: pd.DataFrame, measure: str) -> pd.Series:
    return paired(table, measure, "init.scale", SMALL, LARGE, ["data", "activation", "seed"])


def _little(effect: Estimate) -> bool:
    return effect.low > -LITTLE and effect.high < LITTLE
