"""Hidden units whose weights start equal stay equal, so a layer is worth only as many units as start out different.

Section: 6.4

Equal rows of W1 are not enough: units stay together only if their entries of W2 are equal too. Nor are different rows
enough: units count only up to what their activation cannot tell apart, the sign for tanh and sigmoid, a positive factor for
(leaky) ReLU, any factor for none. Repeated units are worth one unit, yet do not learn like a single one: k equal units learn with k times the
rate on the sum of their W2 and with 1/k of it on w, and may end in another minimum, better or worse. Blumenfeld et al.
(2020) plot accuracy against the number of different features at the start; a little noise makes up for those that are missing.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, Page, Runs, above, theorem, within

UNITS, ACCURACY = "symmetry/effective_units", "train/accuracy"
FELT = 0.02  # training accuracy that a reader would notice
REPEATED, NOISY, ALONE = "repeated to 8", "repeated, with noise", "that many alone"
BEYOND = {"statement": "32", "role": "extension"}
CARD = "together"


def figure(runs: Runs) -> Page:
    """Accuracy follows the units that differ at the start, until a little noise sets all of them free."""
    page = Page([["flower", "digits", "together"]], size=(12, 3.9))
    named = _named(runs).where(activation="tanh")
    for data in ("flower", "digits"):
        page.curves(data, named.where(data=data, kind=(REPEATED, NOISY, ALONE)), ACCURACY, by="kind", x="units")
        page[data].set_xscale("log", base=2)
        page[data].set(title=f"{data}, tanh: training accuracy", xlabel="different units at the start")
        page[data].xaxis.set_major_formatter("{x:.0f}")
    two = named.where({"init.unique": 2, "init.noise": 0}, data="flower")
    page.curves("together", two, UNITS, by="init.repeat", label="{} repeated".format)
    page["together"].set(title="2 of 8 units different: effective units", ylim=(0, 8.5))
    return page


def _named(runs: Runs) -> Runs:
    """With kind and units: how many differ at the start, and what the others are."""

    def kind(frame: pd.DataFrame) -> pd.Series:
        repeated = np.where(frame["init.noise"] > 0, NOISY, REPEATED)
        whole = np.where(frame["init.repeat"].eq("both"), repeated, "half repeated")
        return pd.Series(np.where(frame["init"] == "duplicate", whole, ALONE), frame.index)

    def units(frame: pd.DataFrame) -> pd.Series:
        return frame["init.unique"].fillna(frame["hidden_size"]).astype(int)

    return runs.optional("init.noise", "init.repeat", "init.unique").label(kind=kind, units=units)


def atoms(runs: Runs) -> Iterator[Atom]:
    named = _named(runs)
    rows = named.where(kind=REPEATED).histories
    counts = rows.groupby(["data", "activation", "units"])[UNITS].agg(["min", "max"])
    kept = bool(len(rows)) and bool((rows[UNITS] == rows["units"]).all())
    yield theorem(kept, "As many units as differ at the start differ for ever", scope="W1 and W2 repeated", **BEYOND,
                  detail=f"{rows['fingerprint'].nunique()} runs of {len(counts)} kinds, {len(rows)} logged steps")  # fmt: skip
    tanh = named.where(activation="tanh")
    worth = tanh.where(units=(1, 2, 4)).compare(ACCURACY, "kind", REPEATED, ALONE, ("data", "units", "seed"))
    yield from within(worth, FELT, "accuracy", "{data}: 8 units of which {units} differ learn like {units} alone",
                      ["data", "units"], scope="{data}, {units} of 8", **BEYOND)  # fmt: skip
    noise = tanh.where(units=1).compare(ACCURACY, "kind", NOISY, REPEATED, ("data", "seed"))
    yield from above(noise, FELT, "accuracy", "{data}: noise of 0.001 makes equal units worth more than one", ["data"],
                     scope="{data}, noise", **BEYOND)  # fmt: skip
