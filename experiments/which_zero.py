"""ReLU's slope at zero may be 0 or 1 without a difference; what a single weight matrix of zeros locks is beyond the chapter.

Section: 6.2.2 and 6.4

From random weights no z is exactly 0, so nothing can differ. Bertoin et al. (2021) find that ReLU'(0) matters in deep
networks of low precision; from W1 = 0 every z is 0, and it decides whether a shallow one learns at all. "W must not be
zero" does not say which W. If W1 = 0, unit i first moves along W2's column i: with one output all rows of W1 lie on one
line. Tanh and sigmoid bend them off it; ReLU with slope 1 at zero and leaky ReLU keep two effective units, one for each
sign of W2. W2 = 0 locks nothing. If both are zero, random b1 sets tanh and sigmoid free, but not the (leaky) ReLU.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, Page, Runs, above, theorem, within

UNITS, ACCURACY, LOSS = "symmetry/effective_units", "train/accuracy", "train/loss"
SLOPE = "activation.derivative_at_zero"
FELT = 0.02  # accuracy, nats
STARTS = ("W1 = 0", "W2 = 0", "both 0,\nb1 random")
KINDS = ("sigmoid", "tanh", "ReLU, g'(0) = 0", "ReLU, g'(0) = 1", "leaky ReLU", "identity")
LOCKED = {"leaky ReLU": 2, "ReLU, g'(0) = 0": 1, "ReLU, g'(0) = 1": 2, "identity": 1}  # at most, from W1 = 0
FREE = KINDS[:2]
CARD = "units"


def figure(runs: Runs) -> Page:
    """ReLU'(0) matters only from W1 = 0, where z is 0; and of zero matrices only W1 locks, not for tanh and sigmoid."""
    page = Page([["slopes", "units"]], size=(12, 4.2))
    page.intervals("slopes", _slopes(runs), row=lambda atom: f"{atom.scope}, {atom.unit}")
    page["slopes"].set(title="ReLU, g'(0) = 1 minus g'(0) = 0", xlabel="accuracy, or nats of training loss")
    table = _named(runs).table.sort_values(["kind", "start"])
    page.heat("units", table, "start", "kind", UNITS, "{:.0f}")
    page["units"].set(title="Effective units of 8 at the end, 30% of class 1", xlabel="", ylabel="")
    return page


def _named(runs: Runs) -> Runs:
    """The runs with a zero matrix on unbalanced classes, with kind (activation and slope at zero) and start."""

    def kind(frame: pd.DataFrame) -> Any:
        slope = frame[SLOPE].map(", g'(0) = {:g}".format).astype(str).where(frame["activation"] == "relu", "")
        return pd.Categorical(frame["activation"].replace({"relu": "ReLU", "leaky_relu": "leaky ReLU"}) + slope, KINDS)

    def start(frame: pd.DataFrame) -> Any:
        one = np.where(frame["init.scale"] > 0, STARTS[1], STARTS[0])
        return pd.Categorical(np.where(frame["init.bias"] > 0, STARTS[2], one), STARTS)

    runs = runs.optional("data.positive_rate", "init.bias", SLOPE)
    return runs.where({"data.positive_rate": 0.3}).label(kind=kind, start=start)


def atoms(runs: Runs) -> Iterator[Atom]:
    yield from _slopes(runs)
    table = _named(runs).table
    units = {key: rows[UNITS] for key, rows in table.groupby(["start", "kind"], observed=True)}
    locked = [(units[STARTS[0], kind] <= most).all() for kind, most in LOCKED.items() if (STARTS[0], kind) in units]
    yield _counted(
        units, STARTS[0], LOCKED, all(locked), "From W1 = 0 ReLU keeps at most two effective units, identity one"
    )
    yield _counted(
        units, STARTS[0], FREE, _all_free(units, STARTS[0], FREE), "From W1 = 0 tanh and sigmoid units come free"
    )
    yield _counted(units, STARTS[1], KINDS, _all_free(units, STARTS[1], KINDS), "W2 = 0 locks nothing")
    yield _counted(units, STARTS[2], FREE, _all_free(units, STARTS[2], FREE), "With both zero random b1 sets them free")


def _all_free(units: Mapping[Any, pd.Series], start: str, kinds: tuple[str, ...]) -> bool:
    return all((units[start, kind] == 8).all() for kind in kinds if (start, kind) in units)


def _counted(units: Mapping[Any, pd.Series], start: str, kinds: Iterable[str], holds: bool, text: str) -> Atom:
    found = {kind: units[start, kind].max() for kind in kinds if (start, kind) in units}
    detail = ", ".join(f"{kind}: {most:.0f}" for kind, most in found.items())
    return theorem(
        holds and bool(found), text, "31", "extension", start.replace("\n", " "), f"of 8 units at most {detail}"
    )


def _slopes(runs: Runs) -> Iterator[Atom]:
    """What ReLU'(0) = 1 changes against 0: from random weights, then from W1 = 0."""
    relu = runs.optional("data.positive_rate", SLOPE).where(activation="relu").at(200)
    balanced = relu._replace(table=relu.table[relu.table["data.positive_rate"] != 0.3])
    random, zero = (balanced.where({"init.scale": scale}) for scale in (0.01, 0))
    sides = (SLOPE, 1, 0, ("data", "seed"))
    for measure, unit in ((ACCURACY, "accuracy"), (LOSS, "nats")):
        yield from within(random.compare(measure, *sides), FELT, unit, f"{{data}}: ReLU'(0) makes no difference in {measure}", ["data"],
                          statement="15", scope="{data}, random weights")  # fmt: skip
    yield from above(zero.compare(ACCURACY, *sides), FELT, "accuracy", "{data}: from W1 = 0 only ReLU'(0) = 1 learns",
                     ["data"], statement="15", role="extension", scope="{data}, W1 = 0")  # fmt: skip
