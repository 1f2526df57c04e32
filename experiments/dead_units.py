"""ReLU's zero slope below zero is a defect of little effect, which leaky ReLU mends: its slope there is not zero.

Section: 6.2.2

Maas et al. (2013) gave ReLU its leak so that a silent unit still has a gradient; they found accuracy the same. Lu et
al. (2019) count dead units at the start, which with zero biases and centred data is rare in one layer: here units die
in training, when a step too long throws all z below zero. With any lambda > 0 no unit has g' = 0, by definition; more
than that is whether fewer units stay silent (z <= 0 on every sample, where the unit is linear and bends nothing; for
ReLU that is dead), and whether the network is the better for it.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import (
    Atom,
    Fractions,
    Page,
    Runs,
    above,
    at_most,
    atom,
    below,
    replay,
    theorem,
    with_weights,
)
from shallowexp.network.activations import LeakyReLU

ACCURACY, DEAD, RATE = "train/accuracy", "saturation/dead", "train.learning_rate"
COURSE, LARGE = 1.2, 4.0  # learning rates: few units die, and many
MARGIN, UNIT = 0.02, "accuracy"
TRAPPED = 0.8  # accuracy that iris and wine always exceed unless units are lost
LEAKY, RELU = "leaky_relu", "relu"
CARD = "dead"


def figure(runs: Runs) -> Page:
    """At the course's rate the leak changes nothing but by chance; at a larger one ReLU loses units, and some runs with them."""
    page = Page([["dead", "course", "large"]], size=(14, 4.2), width_ratios=[1, 1.2, 1])
    page.strip("dead", runs.where({RATE: LARGE}, activation=RELU), DEAD, by="data")
    page["dead"].set(title=f"ReLU at rate {LARGE:g}: fraction of dead units at the end", ylabel="a dot for each seed")
    for panel, rate in (("course", COURSE), ("large", LARGE)):
        gains = runs.where({RATE: rate}).compare(ACCURACY, "activation", LEAKY, RELU, pair=("data", "seed")).differences
        page.strip(panel, runs._replace(table=gains.rename("gain").reset_index()), "gain", by="data")
        page[panel].axhspan(-MARGIN, MARGIN, color="0.93", zorder=0)
        page[panel].set(title=f"rate {rate:g}: accuracy, leaky ReLU minus ReLU", ylabel="a dot for each seed")
    return page


def atoms(runs: Runs) -> Iterator[Atom]:
    course, large = (runs.where({RATE: rate}).label(place=_place) for rate in (COURSE, LARGE))
    gain = course.compare(ACCURACY, "activation", LEAKY, RELU, pair=("place", "seed"))
    yield from at_most(
        gain,
        MARGIN,
        UNIT,
        "the zero half costs ReLU hardly any accuracy against leaky ReLU",
        ("place",),
        statement="17",
    )
    rescued = large.where(data="flower").compare(ACCURACY, "activation", LEAKY, RELU, pair=("place", "seed"))
    yield from above(
        rescued, MARGIN, UNIT, "where units die the leak gains accuracy", ("place",), statement="17", role="extension"
    )
    trapped, saved = (
        large.where(data=("iris", "wine"), activation=name).table[ACCURACY] < TRAPPED for name in (RELU, LEAKY)
    )
    counts = Fractions(trapped.sum(), len(trapped), saved.sum(), len(saved))
    yield atom(counts, "above", 0.1, "of runs", f"where units die more ReLU runs than leaky ones stay below an accuracy of {TRAPPED}",
               "17", "extension", f"iris and wine at rate {LARGE:g}", f"{counts.k} of {counts.n} against {counts.k0} of {counts.n0}")  # fmt: skip

    slope = LeakyReLU().derivative(np.linspace(-50, -1e-9, 1001))
    ever = runs.where(activation=LEAKY).histories[DEAD].max()
    yield theorem(bool((slope == LeakyReLU().slope).all() and not ever > 0), "leaky ReLU's slope below zero is lambda; no unit is ever dead", "18",
                  scope="all runs", detail=f"largest fraction of dead units {ever:g}")  # fmt: skip
    dead = large.compare(DEAD, "activation", LEAKY, RELU, pair=("place", "seed"))
    yield from below(
        dead, MARGIN, "of units", "fewer units are dead at the end with a leak", ("place",), statement="18"
    )
    silent = large.where(data="flower")
    silent = silent._replace(table=silent.table.assign(silent=_silent(runs).reindex(silent.table.index)))
    quiet = silent.compare("silent", "activation", LEAKY, RELU, pair=("place", "seed"))
    yield from below(
        quiet,
        MARGIN,
        "of units",
        "fewer units are silent at the end with a leak",
        ("place",),
        statement="18",
        role="extension",
    )


def _place(frame: pd.DataFrame) -> pd.Series:
    return frame["data"].str.replace("_", " ") + frame[RATE].map(" at rate {:g}".format).astype(str)  # of none, too


def _silent(runs: Runs) -> pd.Series:
    """Of the runs whose weights were all kept: the fraction of units with z <= 0 on every sample, at the end."""
    found = {}
    for fingerprint in with_weights(runs, runs.table, data="flower", **{RATE: LARGE}):
        run = replay(runs, fingerprint)
        found[fingerprint] = np.mean((run.forward(run.data.X, run.steps[-1]).Z1 <= 0).all(axis=1))
    return pd.Series(found, dtype=float)
