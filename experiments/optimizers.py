"""What the chapter says of gradient descent holds under minibatches, momentum and Adam too.

Section: 6.4

The chapter descends on all samples at once. Robbins & Monro (1951) descend on a few, Polyak (1964) lets steps add up, and
Kingma & Ba (2015) divide each by the size of the gradient. None of them tells equal units apart, for each entry is updated by
its own gradients alone. Speed might be another matter: Adam's step does not shrink with the gradient, so that flat slopes
need not slow it.
"""

from collections.abc import Iterator

import pandas as pd

from shallowexp.claims.vocabulary import Atom, Page, Runs, above, below, theorem

CARD = "table"
LOSS = "train/loss"
STEPS = 300
MARGIN, UNIT = 0.01, "nats"  # of training loss
SMALL, UNSCALED, LARGE = 0.01, 1.0, 10.0
CURVED = ("sigmoid", "tanh")
NAMES = {"gd": "gradient descent", "momentum": "momentum", "adam": "Adam"}


def way(frame: pd.DataFrame) -> pd.Series:
    """How a network descends."""
    return frame["optimizer"].map(NAMES).mask(frame["train.batch_size"].notna(), "minibatches of 32")


def figure(runs: Runs) -> Page:
    """No way to descend turns a comparison of the chapter's round, though Adam leaves more of them open; filled where one holds."""
    page = Page([["table", "statements"]], size=(14, 7), width_ratios=[1, 1.2])
    page.intervals("statements", atoms(runs))
    page["statements"].set_xscale("symlog", linthresh=0.03)
    page["statements"].xaxis.set_major_formatter("{x:g}")
    page["statements"].set(title="The same with intervals: flower, 4 units", xlabel="nats of training loss")
    if len(page.numbers):
        page.heat("table", _table(page.numbers), "way", "difference", "value", form="{:+.2f}")
    page["table"].set(title=f"Loss difference, {STEPS} steps", xlabel="", ylabel="")
    page["table"].tick_params(axis="x", labelsize=7)
    return page


def _table(shown: pd.DataFrame) -> pd.DataFrame:
    """A row for each comparison under each way to descend, which its scope names first."""
    split = shown["scope"].str.split("[,:] ", n=1, regex=True)
    what = split.str[1].replace({" minus ": " − ", ": x ": " × ", " x ": " × "}, regex=True)
    name = split.str[0].replace({"gradient descent": "gradient\ndescent", "minibatches of 32": "batches\nof 32"})
    return pd.DataFrame({"way": name, "difference": what, "value": shown["value"]})


def atoms(runs: Runs) -> Iterator[Atom]:
    runs = runs.optional("train.batch_size").label(way=way)
    equal = runs.where(init=("zero", "constant")).histories
    for name, rows in equal.groupby("way"):
        yield theorem(bool((rows["symmetry/separation"] == 0).all()), "units that start equal stay equal, to the last bit",
                      role="extension", scope=f"{name}, equal units")  # fmt: skip
    ended = runs.where(init="random").at(STEPS)
    curved = ended.where(activation=CURVED)
    for scale in (UNSCALED, LARGE):
        slower = curved.compare(LOSS, "init.scale", scale, SMALL, pair=("way", "activation", "seed"))
        yield from above(slower, MARGIN, UNIT, f"from x {scale:g} the loss is higher than from x 0.01", by=("activation", "way"),
                         role="extension", scope=f"{{way}}, {{activation}}: x {scale:g} minus x 0.01")  # fmt: skip
    small = ended.where({"init.scale": SMALL})
    for left, right in (("tanh", ("sigmoid",)), ("relu", CURVED)):
        gaps = small.compare(LOSS, "activation", left, right, pair=("way", "seed"))
        yield from below(gaps, MARGIN, UNIT, f"{left} has a lower loss than {{activation}}", by=("activation", "way"),
                         role="extension", scope=f"{{way}}: {left} minus {{activation}}")  # fmt: skip
