"""Weights drawn as randn x 0.01 keep z where sigmoid and tanh are steep, which speeds gradient descent up greatly.

Section: 6.4

Steep slopes are not all: near the origin, a saddle of the loss, each layer's gradient is proportional to the other
layer's weights, so that smaller weights wait longer there (Saxe et al. 2013), and with the sigmoid, four times flatter,
longer than with tanh. While they wait, the hidden units' weight vectors turn to a few common directions: Luo et al.
(2021) and Zhou et al. (2022) call it condensation. Loss against scale is a U at short budgets: x 0.01 is safe, not best.
"""

from collections.abc import Iterator

from shallowexp.claims.vocabulary import Atom, Page, Runs, above, atom, below, effect

SMALL, BEST = 0.01, 0.3
PLAIN, LARGE = 1.0, 10.0  # without the factor, and ten times that
EARLY = 100  # steps
CONDENSED = 20  # the step at which the units' directions are looked at
NATS = 0.02  # of training loss that a reader would notice
LOSS, CELL = "train/loss", ("data", "activation", "seed")
CARD = "u"


def figure(runs: Runs) -> Page:
    """Loss against scale is a U: x 0.01 beats x 10, and loses to weights that are a little larger."""
    page = Page([["u", "speed"], ["u", "cosine"]], size=(11.5, 5.6), width_ratios=[1.3, 1])
    flower = runs.where(data="flower", hidden_size=4)
    page.curves("u", flower.at(EARLY), LOSS, by="activation", x="init.scale")
    page["u"].axvline(SMALL, color="black", linewidth=0.8)
    page["u"].text(SMALL * 1.15, 0.97, "x 0.01", transform=page["u"].get_xaxis_transform(), va="top")
    page["u"].set(
        title=f"flower: training loss after {EARLY} steps", xscale="log", xlabel="scale of W", ylim=(0.2, 0.75)
    )
    page.intervals("speed", _speed(runs))
    page["speed"].set(title=f"Loss after {EARLY} steps, x 0.01 minus larger")
    page.curves("cosine", runs.where(hidden_size=30), "symmetry/cosine", by="activation")
    page["cosine"].set(title="x 0.001, 30 units: mean |cosine| of two units", ylim=(0, 1.03))
    return page


def atoms(runs: Runs) -> Iterator[Atom]:
    yield from _speed(runs)
    few = runs.where(hidden_size=4)
    for rival in (PLAIN, LARGE):
        slopes = few.at(0).compare("saturation/slope", "init.scale", SMALL, rival, CELL)
        yield from above(slopes, 0.01, "slope", "At the start slopes are larger than from x {init_scale}", statement="34",
                         role="reason", scope="slopes, against x {init_scale}")  # fmt: skip
    flower = few.where(data="flower").at(EARLY)
    best = flower.compare(LOSS, "init.scale", BEST, SMALL, CELL)
    yield from below(best, NATS, "nats", "x 0.3 is faster than x 0.01", ["activation"], scope="{activation}, x 0.3",
                     statement="34", role="extension")  # fmt: skip
    smaller = flower.compare(LOSS, "init.scale", SMALL, 0.0001, CELL)
    yield from below(smaller, NATS, "nats", "Still smaller weights, x 0.0001, wait longer at the saddle", ["activation"],
                     scope="{activation}, x 0.0001", statement="34", role="extension")  # fmt: skip
    yield _condensation(runs.where(hidden_size=30))


def _speed(runs: Runs) -> Iterator[Atom]:
    """How much lower the loss from x 0.01 is early on than from larger weights."""
    few = runs.where(hidden_size=4).at(EARLY)
    for rival in (PLAIN, LARGE):
        yield from below(few.compare(LOSS, "init.scale", SMALL, rival, CELL), NATS, "nats",
                         "{data}, {activation}: x 0.01 is faster than x {init_scale}", ["init.scale", "data", "activation"],
                         statement="34", scope="{activation} on {data}, against x {init_scale}")  # fmt: skip


def _condensation(runs: Runs) -> Atom:
    start, later = (runs.at(step).table.set_index("seed")["symmetry/cosine"] for step in (0, CONDENSED))
    return atom(effect(later - start), "above", 0.1, "mean |cosine|", "On the plateau hidden units turn to a common line",
                "34", "extension", "30 tanh units, x 0.001", f"from {start.mean():.2f} to {later.mean():.2f}")  # fmt: skip
