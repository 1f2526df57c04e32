"""Small random weights bring descent to the global optimum as soon as possible.

Section: 6.4

The promise that nobody checks. No one knows the global optimum of these losses: the best loss that any run found on the
same data with the same activation bounds it from above. Local minima that descent does reach are known in small networks
(Swirszcz et al. 2016; Safran & Shamir 2018). A run that ends above the best is trapped or late; which, its curve tells.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from shallowexp.claims.vocabulary import Atom, Fractions, Page, Runs, atom, effect

SETS, CURVED = ("flower", "moons", "blobs"), ("sigmoid", "tanh")
SMALL, LARGE = 0.01, 1.0
NEAR = 0.02  # nats above the best loss found that count as having arrived
SHARE, TENTH = 0.1, 0.1  # of runs; of steps
LOSS = "train/loss"
CARD = "flower"


def figure(runs: Runs) -> Page:
    """From x 0.01 runs end in the same few minima as from x 1, fewer of them in the best one, and reach it later."""
    page = Page([[*SETS], ["missed", "missed", "sooner"]], size=(12, 5.6), height_ratios=[2, 1])
    named = runs.label(start=lambda frame: frame["activation"] + frame["init.scale"].map("\nx {:g}".format))
    for name in SETS:
        chosen = named.where(data=name)
        page.strip(name, chosen, LOSS, by="start")
        page[name].set(title=f"{name}: training loss at the end", ylabel="nats")
        for i, activation in enumerate(CURVED):  # two starts each
            bar = chosen.where(activation=activation).table[LOSS].min() + NEAR
            page[name].hlines(bar, 2 * i - 0.4, 2 * i + 1.4, color="black", linewidth=0.8)
    page.intervals("missed", (a for a in atoms(runs) if a.unit == "of runs"), row=lambda a: f"{a.scope}: {a.detail}")
    page["missed"].set_title("Runs above the line, x 0.01 minus x 1")
    page.intervals("sooner", (a for a in atoms(runs) if a.unit != "of runs"))
    page["sooner"].set_title("Steps to arrive, x 0.01 against x 1")
    return page


def atoms(runs: Runs) -> Iterator[Atom]:
    for activation in CURVED:
        small, large = (
            pd.concat({data: _arrival(runs.where(data=data, activation=activation), scale) for data in SETS})
            for scale in (SMALL, LARGE)
        )
        missed = Fractions(int(small.isna().sum()), len(small), int(large.isna().sum()), len(large))
        yield atom(missed, "below", SHARE, "of runs", f"{activation}: from x 0.01 fewer runs miss the best loss", "34r",
                   scope=f"{activation}, the optimum", detail=f"{missed.k} of {missed.n} against {missed.k0} of {missed.n0}")  # fmt: skip
        ratio = np.log(small / large).dropna()
        yield atom(effect(ratio.groupby(level=1).mean()), "below", TENTH, "log of the ratio of steps",
                   f"{activation}: those that find it find it sooner", "34r", scope=f"{activation}, soon",
                   detail=f"{len(ratio)} pairs in which both do")  # fmt: skip


def _arrival(runs: Runs, scale: float) -> pd.Series:
    """By seed the first logged step within NEAR of the best loss that any run found; undefined where the end is not."""
    bar = runs.table[LOSS].min() + NEAR
    mine = runs.where({"init.scale": scale})
    rows = mine.histories[mine.histories[LOSS] < bar]
    ends = mine.table.set_index("seed")[LOSS]
    arrived: pd.Series = rows.groupby("seed")["step"].min().reindex(ends.index).where(ends < bar).astype(float)
    return arrived
