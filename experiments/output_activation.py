"""The output's activation follows the task: sigmoid for two classes, identity for regression, ReLU for positive targets.

Section: 6.2.2

The chapter names the activations without their losses. For two classes the loss is half of the choice (Golik, Doetsch &
Ney 2013): with cross-entropy dZ2 = A2 - Y, so a sigmoid that is flat and wrong still receives the whole error; with
squared error the slope stays in dZ2 and the error is lost. A ReLU output has a zero half of its own: where Z2 <= 0 on
every sample nothing is ever learned, and a hidden layer whose activations are all positive, such as a sigmoid's, starts
with one sign of Z2 for all samples.
"""

import pandas as pd
from matplotlib.figure import Figure

from shallowexp.claims.figures import intervals, legend, median_and_band, styled, styles_of
from shallowexp.claims.statistics import (
    drop_undefined,
    effects_by,
    effects_table,
    format_estimate,
    mean_over_seeds,
    optional,
    paired,
    require,
    summarise,
)
from shallowexp.claims.verdict import Estimate, Verdict, criteria
from shallowexp.runs import Runs

ENTROPY, SQUARED = "sigmoid", "sigmoid_squared"
LOSSES = {ENTROPY: "cross-entropy", SQUARED: "squared error"}
FLAT = 100.0  # the scale of W2 from which the two losses are compared
GAIN = 0.1  # training accuracy that a start at FLAT must gain, or it counts as stalled
MARGIN = 0.02  # accuracy or r2 by which two outputs must differ, or may at most
POSITIVE = ("identity", "relu")  # outputs for positive targets


@styled
def figure(runs: Runs) -> tuple[Figure, pd.DataFrame]:
    """A flat sigmoid keeps its gradient and learns under cross-entropy only; ReLU can be dead where identity learns."""
    classes, positive = _classes(runs), _positive(runs)
    page = Figure(figsize=(12, 3.7))
    left, middle, right = page.subplots(1, 3)
    lead = paired(classes, "train/accuracy", "output", ENTROPY, SQUARED, ["data", "init.output_scale", "seed"])
    lead = effects_table(lead, "init.output_scale", "data")
    drawn = [
        median_and_band(left, classes, "init.output_scale", "gradient/W2 at the start", "output", LOSSES.get),
        intervals(middle, lead.assign(start=lead["init.output_scale"].map("W2 × {:g}".format)), "start", "data"),
        _draw_scores(right, positive),
    ]
    left.set(title="Two classes: ||dW2|| at the start", xscale="log", yscale="log", xlabel="scale of W2")
    middle.set(
        title="Accuracy, cross-entropy minus squared error", xlabel="mean over seeds; right: cross-entropy is better"
    )
    right.set(title="Positive targets: training r² of each seed", xlabel="hidden activation", ylim=(-4.3, 1))
    for ax, place in ((left, "lower left"), (middle, "upper right"), (right, "center right")):
        legend(ax, loc=place)
    return page, pd.concat(drawn, ignore_index=True)


def _classes(runs: Runs) -> pd.DataFrame:
    """The runs on two classes, with the gradient they started from and the accuracy they gained."""
    require(runs.table, "output", "data", "activation", "seed", "outcome")
    require(runs.histories, "fingerprint", "step", "output", "gradient/W2")
    first = optional(runs.histories[runs.histories["step"] == 0].set_index("fingerprint"), "train/accuracy")
    table = optional(runs.table, "init.output_scale", "train/accuracy")
    table = table[table["output"].isin(LOSSES)]
    gain = table["train/accuracy"] - first["train/accuracy"].reindex(table.index)
    return table.assign(**{"gain": gain, "gradient/W2 at the start": first["gradient/W2"].reindex(table.index)})


def _positive(runs: Runs) -> pd.DataFrame:
    return optional(runs.table[runs.table["output"].isin(POSITIVE)], "train/r2")


def _draw_scores(ax, table: pd.DataFrame) -> pd.DataFrame:
    """A dot for each run, by hidden activation, the two outputs side by side."""
    names = list(styles_of(table["activation"]))
    colors = styles_of(POSITIVE)
    for i, (output, marker) in enumerate(zip(POSITIVE, "ox", strict=True)):
        cell = table[(table["output"] == output) & (table["outcome"] == "finished")]
        spread = 0.24 * (i - 0.5) + 0.006 * (cell["seed"] % 20 - 9.5)
        x = cell["activation"].map(names.index).astype(float) + spread
        ax.scatter(x, cell["train/r2"], s=16, marker=marker, color=colors[output]["color"], label=f"{output} output")
    ax.axhline(0, color="black", linewidth=0.9)
    ax.set_xticks(range(len(names)), names)
    return table[["output", "activation", "seed", "train/r2"]].assign(measure="train/r2")


def verdict(runs: Runs) -> Verdict:
    """Fixed before the runs, with whole 95% intervals. On each data set of two classes, from weights W2 x FLAT:
    cross-entropy gains more than GAIN in training accuracy, and ends more than MARGIN above squared error. For positive
    targets with each hidden activation: identity has a training r2 above 0, and ReLU is not more than MARGIN below it.
    Supported if all parts hold, refuted if none does.
    """
    flat, positive = _at_flat(_classes(runs)), _positive(runs)
    leads = paired(flat, "train/accuracy", "output", ENTROPY, SQUARED, ["data", "seed"])
    r2 = paired(positive, "train/r2", "output", "relu", "identity", ["activation", "seed"])
    accuracy, lost = drop_undefined(leads)
    entropy, identity = flat[flat["output"] == ENTROPY], positive[positive["output"] == "identity"]
    gains = _effects(_by_seed(entropy, "gain", "data"), lambda e: e.low > GAIN)
    beats = _effects(leads, lambda e: e.low > MARGIN)
    fits = _effects(_by_seed(identity, "train/r2", "activation"), lambda e: e.low > 0)
    alike = _effects(r2, lambda e: e.low > -MARGIN)
    dead = positive[(positive["output"] == "relu") & (positive["train/r2"] < 0)].groupby("activation").size()
    return Verdict(
        criteria(
            [
                *_parts("cross-entropy's gain in accuracy on {}", gains),
                *_parts("accuracy, cross-entropy minus squared error, on {}", beats),
                *_parts("r² of identity after {}", fits),
                *_parts("r² of ReLU minus identity after {}", alike),
            ]
        ),
        f"training accuracy from W2 x {FLAT:g}, cross-entropy minus squared error, mean of data sets, by seed{lost}",
        mean_over_seeds(accuracy),
        f"From a flat sigmoid cross-entropy learns {_where(gains, 'on {}')}, beats squared error {_where(beats, 'on {}')}. "
        f"ReLU fits like identity {_where(alike, 'after {}')}.",
        "Runs of a ReLU output that end worse than a constant, by hidden activation: "
        f"{', '.join(f'{name} {count}' for name, count in dead.items()) or 'none'}.",
    )


def _at_flat(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["init.output_scale"] == FLAT]


def _by_seed(table: pd.DataFrame, measure: str, by: str) -> pd.Series:
    """`measure` indexed by `by` and seed; a run without it gained nothing."""
    return table.set_index([by, "seed"])[measure].fillna(0)


def _effects(values: pd.Series, holds) -> dict[str, tuple[Estimate, bool]]:
    """For each value of the first level its effect, and whether that part of the claim holds."""
    return {name: (effect, holds(effect)) for name, effect in effects_by(values, values.index.names[0]).items()}


def _parts(text: str, effects: dict[str, tuple[Estimate, bool]]) -> list[tuple[str, bool]]:
    return [(f"{text.format(name)}: {format_estimate(effect)}", held) for name, (effect, held) in effects.items()]


def _where(effects: dict[str, tuple[Estimate, bool]], form: str) -> str:
    return summarise(((name, held) for name, (_, held) in effects.items()), form)
