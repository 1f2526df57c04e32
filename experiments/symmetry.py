"""Hidden units that start equal stay equal, so that many are worth one; small random weights make them differ.

Section: 6.4

Equal rows of A1 make equal rows of dZ1, dW1 and W1, after every update. Fukumizu & Amari (2000) show that a narrow
network's minimum, its units repeated, is a critical point of the wider one; Blumenfeld et al. (2020) that noise, and
not only a random start, sets the units free. All zero is worse than all equal: where g(0) = 0 both weight gradients
vanish and only b2 moves; the sigmoid, with g(0) = 1/2, learns with all units equal; on balanced classes not even it
moves. Equal units are worth one, yet they are not one alone: n of them learn with n times the rate on the sum of W2
and with 1/n of it on w, and may end elsewhere. All this is exact arithmetic: BLAS rounds the last rows of a block
differently, so that with `@` equal units of some sizes come apart within some hundred steps.
"""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from shallowexp.claims.vocabulary import (
    Atom,
    Page,
    Replay,
    Runs,
    above,
    at_most,
    legend,
    replay,
    styles_of,
    theorem,
    with_weights,
    within,
)  # fmt: skip

TITLES = {"zero": "all zero", "constant": "all 0.01", "random": "random × 0.01"}
CURVED = ("sigmoid", "tanh", "relu", "leaky_relu")
ENGINES = {"chapter": "products by @", "compiled": "exact", "numpy": "exact"}
WIDE = 8  # units, against one alone
GAIN, LOWER = 0.02, 0.02  # training accuracy and nats that a reader would notice
UNITS, ACCURACY = "symmetry/effective_units", "train/accuracy"
CARD, PLATE = "random", (*TITLES, "units")
HEADLINE = """Hidden units that start equal stay equal, so that many are worth one; small random weights set them free. So does
rounding: in ordinary NumPy (@) seven equal units come apart by themselves, where exact sums keep them equal for ever."""


def figure(runs: Runs) -> Page:
    """Equal weights give all hidden units one path, random ones a fan; only the fan gains from more units."""
    page = Page([[*TITLES, "units"], ["gains", "gains", "worth", "worth"]], size=(12, 6.2))
    wide = _unbalanced(runs).where(hidden_size=WIDE)
    for scheme, title in TITLES.items():
        for name, style in styles_of(("tanh", "sigmoid")).items():
            for fingerprint in with_weights(wide, wide.table, init=scheme, activation=name)[:1]:
                page.paths(scheme, replay(runs, fingerprint), name, **style)
        page[scheme].plot(0, 0, "+", color="black", markersize=10, zorder=1)
        page[scheme].set_title(f"{title}: {WIDE} units")
    reach = 1.1 * max(np.abs(page[scheme].dataLim.get_points()).max() for scheme in TITLES) or 1
    for scheme in TITLES:
        page[scheme].set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    legend(page["zero"])
    seven = runs.where({"data.positive_rate": 0.3}, init="constant", activation="tanh", hidden_size=7)
    page.curves("units", seven, UNITS, by="train.engine", label=ENGINES.__getitem__)
    page["units"].set(title="7 equal units, tanh", ylabel="effective units", ylim=(0, 7.5))
    page.intervals("gains", _gains(runs))
    page["gains"].set_title(f"Accuracy of {WIDE} units, random minus equal")
    worth = (atom for atom in _worth(runs) if atom.unit == "accuracy")
    page.intervals("worth", worth, row=lambda atom: atom.scope.removesuffix(", all activations"))
    page["worth"].set_title(f"Accuracy, {WIDE} units minus one")
    return page


def _unbalanced(runs: Runs) -> Runs:
    return _exact(runs).where({"data.positive_rate": 0.3})


def _exact(runs: Runs) -> Runs:
    return runs.where({"train.engine": ("compiled", "numpy")})


def atoms(runs: Runs) -> Iterator[Atom]:
    zero, constant = (_unbalanced(runs).where(init=scheme) for scheme in ("zero", "constant"))
    yield _equal(zero, "From all zero the hidden units stay equal", role="stated", scope="all zero, exact arithmetic")
    yield _equal(
        constant, "So they do where weights move: from equal ones", role="reason", scope="all 0.01, exact arithmetic"
    )
    yield _rests(zero.where(activation=CURVED[1:]), "From all zero W moves only for sigmoid", "30% of class 1")
    yield _rests(
        _exact(runs).where({"data.positive_rate": 0.5}, init="zero"),
        "On balanced classes not even sigmoid moves",
        "balanced",
    )
    yield _rounding(runs.optional("blas").where({"train.engine": "chapter"}))
    yield _one_unit(runs, constant.where(hidden_size=WIDE))
    yield from _worth(runs)
    yield from _gains(runs)


def _equal(runs: Runs, text: str, **more: str) -> Atom:
    rows, sizes = runs.histories, runs.table["hidden_size"]
    detail = (
        f"{len(sizes)} runs of {sizes.nunique()} sizes up to {sizes.max()}, {len(rows)} logged steps: "
        f"at most {rows[UNITS].max():.0f} effective unit"
    )
    return theorem(bool(len(rows)) and bool((rows[UNITS] == 1).all()), text, "31", detail=detail, **more)


def _rounding(runs: Runs) -> Atom:
    """What `@` makes of equal units depends on the BLAS and the processor: one that keeps them equal is said, not a fault."""
    last = runs.table.sort_values("hidden_size")
    apart = last[last[UNITS] > 1]
    sizes = ", ".join(map(str, apart["hidden_size"].unique())) or "no size"
    detail = f"{', '.join(map(str, last['blas'].unique()))}: of {last['hidden_size'].nunique()} sizes apart: {sizes}"
    if len(apart):
        detail += f"; their accuracy then reaches {apart[ACCURACY].max():.3f}"
    return theorem(bool(len(apart)), "In ordinary NumPy, products by @, rounding alone sets equal units of some sizes free",
                   "31", "extension", "products by @", detail)  # fmt: skip


def _one_unit(runs: Runs, equal: Runs) -> Atom:
    """Whether one unit with their summed W2 puts out what equal ones do, at the end of each run whose weights were kept."""
    found = [replay(runs, fingerprint) for fingerprint in with_weights(runs, equal.table, init="constant")]
    apart = 0.0 if found else np.inf
    for run in found:
        W1, b1, W2, b2 = run.parameters[-1]
        one = run.activation(W1[:1] @ run.data.X + b1[:1]) * W2.sum() + b2
        apart = max(apart, np.abs(one - run.forward(run.data.X, run.steps[-1]).Z2).max())
    return theorem(apart < 1e-9, "What 8 equal units compute, one computes whose W2 is their sum", "32",
                   scope="all 0.01, exact arithmetic", detail=f"{len(found)} networks, outputs z2 within {apart:.0e}")  # fmt: skip


def _rests(runs: Runs, text: str, scope: str) -> Atom:
    largest = runs.histories[["gradient/W1", "gradient/W2"]].max().max()
    return theorem(bool(largest < 1e-12), text, "31", "extension", scope, f"largest gradient of a weight {largest:.0e}")


def _worth(runs: Runs) -> Iterator[Atom]:
    """What many units gain over one alone: nothing if they are equal, something if not."""
    runs = _unbalanced(runs).where(activation=CURVED)
    sizes = ("hidden_size", WIDE, 1, ("activation", "seed"))
    yield from at_most(runs.where(init="constant").compare(ACCURACY, *sizes), GAIN, "accuracy", statement="32",
                       text="{activation}: 8 equal units gain nothing over one", by=["activation"])  # fmt: skip
    losses = runs.where(init="constant").compare("train/loss", "hidden_size", 1, WIDE, ("activation", "seed"))
    yield from at_most(losses, LOWER, "nats", statement="32", role="extension", scope="loss, all activations",
                       text="8 equal units end at no lower loss than one")  # fmt: skip
    yield from above(runs.where(init="random").compare(ACCURACY, *sizes), GAIN, "accuracy", statement="32",
                     role="control", scope="random, all activations", text="8 random units do gain over one")  # fmt: skip


def _gains(runs: Runs) -> Iterator[Atom]:
    """What random weights gain over equal ones: nothing without a nonlinearity."""
    wide = _unbalanced(runs).where(hidden_size=WIDE)
    sides = ("init", "random", "constant", ("activation", "seed"))
    yield from above(wide.where(activation=CURVED).compare(ACCURACY, *sides), GAIN, "accuracy", statement="33",
                     text="{activation}: random weights gain over equal ones", by=["activation"])  # fmt: skip
    yield from within(wide.where(activation="identity").compare(ACCURACY, *sides), GAIN / 4, "accuracy", statement="33",
                      role="control", text="{activation} gains nothing from them", by=["activation"])  # fmt: skip


def animation(runs: Runs) -> list[Figure]:
    """Boundary and hidden units' lines while training, by scheme: equal units share one line, random ones spread out."""
    wide = _unbalanced(runs).where(hidden_size=WIDE, activation="sigmoid")  # which learns from every scheme
    found = {scheme: with_weights(wide, wide.table, init=scheme)[:1] for scheme in TITLES}
    shown = {scheme: replay(runs, fingerprint) for scheme, some in found.items() for fingerprint in some}
    steps = sorted(set().union(*(run.steps.tolist() for run in shown.values())))
    return [_frame(shown, step) for step in steps]


def _frame(shown: dict[str, Replay], step: int) -> Figure:
    page = Page([list(shown)], size=(8.4, 3.6))
    page.figure.suptitle(f"sigmoid, {WIDE} hidden units: step {step}", x=0.01, ha="left", weight="bold")
    page.figure.supxlabel("green: w·x + b = 0 for each hidden unit; black: the decision boundary", fontsize=9)
    for scheme, run in shown.items():
        page.plane(scheme, run, step)
        page[scheme].set_title(TITLES[scheme])
    return page.figure
