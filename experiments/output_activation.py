"""The output's activation follows the task: sigmoid for two classes, none for a prediction, ReLU where targets are positive.

Section: 6.2.2

For two classes 6.3 adds the loss, cross-entropy; it is half of the choice (Golik, Doetsch & Ney 2013): with it
dZ2 = A2 - Y, so that a sigmoid that is flat and wrong still gets the whole error; with squared error the slope stays in
dZ2 and the error is lost. A ReLU output has a zero half of its own: where Z2 <= 0 on every sample nothing is ever
learnt, and a hidden layer whose activations are all positive, such as a sigmoid's, starts with one sign of Z2 for all.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, Fractions, Page, Runs, above, at_most, atom, effect, theorem, within
from shallowexp.network.activations import sigmoid

R2, ACCURACY, SCALE = "train/r2", "train/accuracy", "init.output_scale"
FLAT = 100.0  # scale of W2 from which a sigmoid output starts flat
MARGIN = 0.02  # accuracy or r2
ENTROPY, SQUARED = "sigmoid", "sigmoid_squared"
OUTPUTS = ("identity", "relu")
HIDDEN = ("sigmoid", "tanh", "relu")


def figure(runs: Runs) -> Page:
    """Positive targets: a ReLU output that is not dead fits as well as none; after a sigmoid layer many are dead from the start."""
    page = Page([["r2"]], size=(8, 4))
    positive = runs.optional(R2).where(output=OUTPUTS, data="diabetes").label(layers=_layers)
    page.strip("r2", positive, R2, by="layers", label=lambda layers: layers.replace(", ", ",\n"))
    page["r2"].axhline(0, color="black", linewidth=0.9)
    page["r2"].set(title="diabetes: training r² of each seed", xlabel="hidden layer, output activation", ylabel="")
    return page


def _layers(frame: pd.DataFrame) -> pd.Series:
    return frame["activation"] + ", " + frame["output"].replace("identity", "none")


def atoms(runs: Runs) -> Iterator[Atom]:
    z = np.linspace(-1000, 1000, 2001)
    inside = bool(((sigmoid(z) >= 0) & (sigmoid(z) <= 1)).all())
    yield theorem(inside, "a sigmoid output lies between 0 and 1", "11", "control", "z from -1000 to 1000")
    classes = runs.where(output=(ENTROPY, SQUARED))
    for scale, expects, text in ((1.0, within, "squared error does as well as cross-entropy with the sigmoid"),
                                 (FLAT, above, "cross-entropy is ahead of squared error where the sigmoid starts flat")):  # fmt: skip
        lead = classes.where({SCALE: scale}).compare(ACCURACY, "output", ENTROPY, SQUARED, pair=("data", "seed"))
        yield from expects(
            lead,
            MARGIN,
            "accuracy",
            text,
            ("data",),
            statement="11",
            role="extension",
            scope=f"{{data}}, W2 x {scale:g}",
        )

    positive = runs.optional(R2).where(output=OUTPUTS, data="diabetes")
    for hidden in HIDDEN:
        about = {"statement": "19", "role": "control", "scope": f"diabetes, {hidden} layer"}
        none, relu = (positive.where(output=output, activation=hidden).table[R2] for output in OUTPUTS)
        yield atom(effect(none), "above", MARGIN, "r2", "without an output activation the network predicts", **about)
        dead, failed = relu < 0, none < 0
        counts = Fractions(dead.sum(), len(dead), failed.sum(), len(failed))
        yield atom(counts, "at most", 0.1, "of runs", "with a ReLU output hardly more runs end worse than a constant than without",
                   detail=f"{counts.k} of {counts.n} against {counts.k0} of {counts.n0}", **about)  # fmt: skip
    alive = positive._replace(table=positive.table.assign(**{R2: positive.table[R2].where(positive.table[R2] >= 0)}))
    gap = alive.compare(R2, "output", *OUTPUTS, pair=("activation", "seed"))
    yield from at_most(gap, MARGIN, "r2", "of the runs that learn, those with a ReLU output fit as well as those without", ("activation",),
                       statement="19", role="control", scope="diabetes, {activation} layer")  # fmt: skip
