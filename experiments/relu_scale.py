"""With ReLU and leaky ReLU the x 0.01 may be left out, for they have no flat part for large z.

Section: 6.4

This is true of saturation: a (leaky) ReLU's slopes depend on the weights' direction alone, not on their scale. But without a
flat part nothing bounds the outputs: scaled in both layers by c they grow as c^2, and the largest stable learning rate
falls. Under cross-entropy the gradient in Z2 is bounded, and descent walks back; under squared error it diverges. He et
al. (2015) therefore give the ReLU a scale of its own, sqrt(2 / n_in): not 0.01, yet not any. Left out, the chapter's
0.01 is x 1; x 10 is ours.
"""

from collections.abc import Iterator
from typing import Literal

from shallowexp.claims.vocabulary import Atom, Fractions, Page, Runs, at_most, atom, theorem

LOSS, SLOPE, SCALE = "train/loss", "saturation/slope", "init.scale"
SMALL, PLAIN, LARGE = 0.01, 1.0, 10.0  # PLAIN: the chapter's randn as it is
BUDGETS = (100, 1000)
MARGIN = 0.02  # training loss that leaving x 0.01 out may cost: nats, or half the target's squared error
KINDS = ("relu", "leaky_relu")
CARD = "flower"


def figure(runs: Runs) -> Page:
    """ReLU's slopes ignore the scale; x 1 ends as low as x 0.01; x 10 diverges under squared error."""
    page = Page([["slope", "flower", "diabetes"], ["costs"] * 3], size=(12, 8))
    page.curves("slope", runs.where(data="flower").at(0), SLOPE, by="activation", x=SCALE)
    page["slope"].set(title="flower: mean slope g' at the start", xscale="log", xlabel="scale of W", ylim=(0, None))
    for data, title in (("flower", "ReLU, flower: cross-entropy"), ("diabetes", "ReLU, diabetes: squared error")):
        page.curves(data, runs.where(data=data, activation="relu"), LOSS, by=SCALE, label="x {:g}".format)
        page[data].set(title=title, ylabel="training loss", yscale="log", ylim=(0.1, 1000))
    page.intervals("costs", (a for a in atoms(runs) if a.role == "stated"))
    page["costs"].set(title="loss from x 1 minus from x 0.01", xlabel="left: x 1 is better")
    page["costs"].set_xscale("symlog", linthresh=MARGIN)
    page["costs"].xaxis.set_major_formatter("{x:g}")
    return page


def atoms(runs: Runs) -> Iterator[Atom]:
    small = runs.where(activation=KINDS)
    for budget in BUDGETS:
        yield from _costs(small, PLAIN, budget, "stated")
    slopes = small.at(0).table.groupby(["data", "activation", "seed"])[SLOPE]
    spread = (slopes.max() - slopes.min()).max()
    yield theorem(bool(spread < 1e-12), "a (leaky) ReLU's slopes at the start are the same for every scale of the weights", "36", "control",
                  "all data sets", f"largest difference of a mean slope {spread:.1g}")  # fmt: skip
    yield from _costs(small.where(data=("flower", "breast_cancer")), LARGE, BUDGETS[-1], "extension")
    lost, kept = (
        small.where({SCALE: scale}, data="diabetes").table["outcome"] == "diverged" for scale in (LARGE, SMALL)
    )
    counts = Fractions(lost.sum(), len(lost), kept.sum(), len(kept))
    yield atom(counts, "above", 0.1, "of runs", f"under squared error more runs diverge from x {LARGE:g} than from x {SMALL}",
               "36", "extension", "diabetes", f"{counts.k} of {counts.n} against {counts.k0} of {counts.n0}")  # fmt: skip


def _costs(runs: Runs, scale: float, budget: int, role: Literal["stated", "extension"]) -> list[Atom]:
    """What weights x `scale` cost after `budget` steps against x SMALL."""
    named = runs.label(place=lambda frame: frame["data"].str.replace("_", " ") + f" after {budget} steps")
    costs = named.at(budget).compare(LOSS, SCALE, scale, SMALL, pair=("activation", "place", "seed"))
    text = f"from x {scale:g} {{activation}} has no higher loss than from x {SMALL}"
    return at_most(
        costs,
        MARGIN,
        "loss",
        text,
        ("activation", "place"),
        statement="36",
        role=role,
        scope="{activation} on {place}",
    )
