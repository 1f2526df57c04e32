"""Biases may start at zero: random weights alone tell the hidden units apart.

Section: 6.4

Zero biases put every unit's line through the origin, where centred data are dense; random ones spread the lines from
the start. For ReLU He et al. (2015) keep zero, and a positive bias is the usual remedy against dead units.
"""

from collections.abc import Iterator

from shallowexp.claims.vocabulary import Atom, Page, Runs, at_most

NATS = 0.02  # of training loss that a reader would notice
LOSS = "train/loss"
SETS = ("flower", "moons", "breast_cancer")
CARD = "flower"


def figure(runs: Runs) -> Page:
    """Where biases start makes little difference once the weights are random."""
    page = Page([[*SETS], ["gaps"] * 3], size=(11, 6))
    for data in SETS:
        page.curves(data, runs.where(data=data, activation="tanh"), LOSS, by="init.bias", label=_bias)
        page[data].set_title(f"{data.replace('_', ' ')}, tanh: training loss")
    page.intervals("gaps", atoms(runs))
    page["gaps"].set_title("Loss with biases from zero minus from random ones")
    return page


def _bias(spread: float) -> str:
    return f"b1 = randn x {spread:g}" if spread else "b1 = 0"


def atoms(runs: Runs) -> Iterator[Atom]:
    worse = runs.at(1000).compare(LOSS, "init.bias", 0, (0.01, 1), ("data", "activation", "seed"))
    yield from at_most(worse, NATS, "nats", "{activation}: biases from zero end no higher than from randn x {init_bias}",
                       ["init.bias", "activation"], statement="30", scope="{activation}, against randn x {init_bias}")  # fmt: skip
