"""Accuracy rises with the hidden size up to about 5 units, and with many more the network overfits.

Section: 6.1

The chapter leaves the size open; the claim is a table of Andrew Ng's course (Deep Learning Specialization, course 1,
week 3), which lists training accuracies. Neyshabur et al. (2015) found that test error continues to fall as a hidden
layer widens. So every network is also tested on fresh points of the same flower.
"""

import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import boundary, median_and_band, styled
from shallowexp.claims.replay import replay, with_weights
from shallowexp.claims.statistics import drop_undefined, format_estimate, mean_over_seeds, paired, require
from shallowexp.claims.verdict import Verdict, criteria
from shallowexp.network.passes import forward
from shallowexp.runs import Runs

PUBLISHED = {1: 67.5, 2: 67.25, 3: 90.75, 4: 90.5, 5: 91.25}  # %, training, data.seed=1, seed=2, 5000 steps
FEW, ENOUGH, MANY = 1, 5, 50
RISE = 0.1  # training accuracy that ENOUGH units must gain over FEW
FALL = 0.01  # test accuracy that MANY units must lose against ENOUGH
MEASURES = {"train/accuracy": "training", "test/accuracy": "fresh test points"}


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """Three units separate petals that two cannot; fifty separate the same ones, and are no worse on fresh points."""
    table = _checked(runs.table)
    page = Figure(figsize=(13, 5.6))
    top, bottom = page.subfigures(2, 1, height_ratios=[1, 1.35])
    sizes = sorted(table["hidden_size"].unique())
    for ax, size in zip(top.subplots(1, len(sizes), squeeze=False)[0], sizes, strict=True):
        _draw_boundary(ax, runs, table, size)
    curves, cells = bottom.subplots(1, 2, width_ratios=[1, 1.5])
    long = table.melt(["hidden_size", "seed"], list(MEASURES), "set", "accuracy").replace({"set": MEASURES})
    drawn = median_and_band(curves, long, "hidden_size", "accuracy", "set")
    published = {size: value / 100 for size, value in PUBLISHED.items() if size in sizes}
    curves.plot(published.keys(), published.values(), "k*", markersize=7, label="published, training")
    curves.set(xscale="log", xlabel="hidden units", ylabel="accuracy", xticks=sizes)
    curves.minorticks_off()
    curves.xaxis.set_major_formatter("{x:g}")
    curves.legend(loc="lower right")
    return page, pd.concat([drawn, _draw_table(cells, table, sizes)], ignore_index=True)


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    require(table, "hidden_size", "seed", "data.seed", "train.steps", "outcome", *MEASURES)
    return table


def _course(table: pd.DataFrame) -> pd.DataFrame:
    """The runs whose accuracies were published."""
    return table[(table["seed"] == 2) & (table["data.seed"] == 1) & (table["train.steps"] == 5000)]


def _draw_boundary(ax, runs: Runs, table: pd.DataFrame, size: int) -> None:
    chosen = with_weights(runs, _course(table), hidden_size=size) or with_weights(runs, table, hidden_size=size)
    ax.set(title=f"{size} unit{'s' if size > 1 else ''}", xticks=[], yticks=[])
    if chosen:
        run = replay(runs, chosen[0])
        boundary(ax, run.data, lambda X: forward(X, run.parameters[-1], run.activation).Z2[0])
        ax.set_xlabel(f"{100 * table.loc[chosen[0], 'train/accuracy']:.2f} %")


def _draw_table(ax, table: pd.DataFrame, sizes: list[int]) -> pd.DataFrame:
    """Published accuracy, this code's for the same run, and means over seeds, in percent."""
    means = 100 * table.groupby("hidden_size")[list(MEASURES)].mean()
    rows = {
        "published, training": pd.Series(PUBLISHED),
        "the same run here": 100 * _course(table).set_index("hidden_size")["train/accuracy"],
        "mean, training": means["train/accuracy"],
        "mean, fresh test": means["test/accuracy"],
    }
    numbers = pd.DataFrame(rows, index=sizes)
    text = [["" if pd.isna(value) else f"{value:.2f}" for value in numbers[row]] for row in numbers]
    labels = {"rowLabels": list(numbers), "colLabels": list(map(str, sizes))}
    drawn = ax.table(text, **labels, cellLoc="center", loc="upper center", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    drawn.scale(1, 3)
    ax.set_title(f"Accuracy in % by hidden units ({table['seed'].nunique()} seeds)")
    ax.axis("off")
    return numbers.rename_axis("hidden_size").reset_index().melt("hidden_size", var_name="set", value_name="percent")


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs, each paired by seed and with its whole 95% interval: 5 units gain more than 0.1 in
    training accuracy over 1, and 50 lose more than 0.01 in test accuracy against 5. Supported if both hold, refuted if
    neither does.
    """
    table = _checked(runs.table)
    rise, no_rise = drop_undefined(paired(table, "train/accuracy", "hidden_size", ENOUGH, FEW, ["seed", "data.seed"]))
    fall, no_fall = drop_undefined(paired(table, "test/accuracy", "hidden_size", MANY, ENOUGH, ["seed", "data.seed"]))
    gained, changed = mean_over_seeds(rise), mean_over_seeds(fall)
    rises, overfits = gained.low > RISE, changed.high < -FALL
    return Verdict(
        criteria(
            [
                (f"training accuracy, {ENOUGH} minus {FEW} hidden units: {format_estimate(gained)}", rises),
                (f"test accuracy, {MANY} minus {ENOUGH} hidden units: {format_estimate(changed)}", overfits),
            ]
        ),
        f"test accuracy, {MANY} minus {ENOUGH} hidden units, paired by seed{no_fall}",
        changed,
        f"{ENOUGH} hidden units {'beat' if rises else 'are not shown to beat'} {FEW} by more than {RISE:g} in accuracy; {MANY} "
        f"{'lose' if overfits else 'are not shown to lose'} more than {FALL:g} on fresh points{no_rise}.",
        _reproduced(table),
    )


def _reproduced(table: pd.DataFrame) -> str:
    here = 100 * _course(table).set_index("hidden_size")["train/accuracy"]
    deviations = (here - pd.Series(PUBLISHED)).dropna().abs()
    if deviations.empty:
        return "The published runs are not among these."
    return f"Largest deviation from the {len(deviations)} published accuracies here: {deviations.max():.2f} points."
