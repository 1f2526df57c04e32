"""How many hidden units the flower needs: accuracy rises up to about 5 units, and 50 lose nothing on fresh points.

Section: 6.1

The chapter leaves the size open; a table of Andrew Ng's course (Deep Learning Specialization, course 1, week 3) holds
training accuracies, and says that many units overfit. Neyshabur et al. (2015) found that test error goes on falling
while a hidden layer widens. So every network is also tested on fresh points of the same flower.
"""

from collections.abc import Iterator

import pandas as pd

from shallowexp.claims.vocabulary import Atom, Page, Runs, above, legend, replay, theorem, with_weights, within

PUBLISHED = {1: 67.5, 2: 67.25, 3: 90.75, 4: 90.5, 5: 91.25}  # %, training, data.seed=1, seed=2, 5000 steps
FEW, ENOUGH, MANY = 1, 5, 50
MARGIN, UNIT = 0.02, "accuracy"
SIZES = (1, 2, 3, 5, 50)
CARD = "curves"


def figure(runs: Runs) -> Page:
    """Three units draw the petals that two cannot; fifty draw the same ones, and are no worse on fresh points."""
    page = Page([[f"{n}" for n in SIZES], ["curves"] * 3 + ["gaps"] * 2], size=(12, 5.6), height_ratios=[1, 1.3])
    course = _course(runs)
    for size in SIZES:
        page[f"{size}"].set(title=f"{size} unit{'s' if size > 1 else ''}", xticks=[], yticks=[])
        for fingerprint in with_weights(course, course.table, hidden_size=size)[:1]:
            run = replay(course, fingerprint)
            page.plane(f"{size}", run, int(run.steps[-1]))
            page[f"{size}"].set_xlabel(f"{float(course.table['train/accuracy'][fingerprint]):.1%}")
    long = runs.table.melt(["hidden_size", "seed"], ["train/accuracy", "test/accuracy"], "set", "accuracy")
    names = {"train/accuracy": "training points", "test/accuracy": "fresh points"}
    page.curves("curves", runs._replace(table=long.replace({"set": names})), "accuracy", by="set", x="hidden_size")
    page["curves"].plot(
        list(PUBLISHED), [value / 100 for value in PUBLISHED.values()], "k*", label="published, training"
    )
    page["curves"].set(xscale="log", xlabel="hidden units", ylabel="accuracy", xticks=[1, 2, 3, 5, 20, 50])
    page["curves"].minorticks_off()
    page["curves"].xaxis.set_major_formatter("{x:g}")
    legend(page["curves"], loc="lower right")
    page.intervals("gaps", atoms(runs))
    return page


def _course(runs: Runs) -> Runs:
    """The runs whose accuracies were published."""
    return runs.where({"seed": 2, "data.seed": 1, "train.steps": 5000})


def atoms(runs: Runs) -> Iterator[Atom]:
    here: pd.Series = 100 * _course(runs).table.set_index("hidden_size")["train/accuracy"]
    deviation = (here - pd.Series(PUBLISHED)).abs().reindex(list(PUBLISHED)).max()
    yield theorem(bool(deviation < 0.005), "the course's five published accuracies come out", role="extension",
                  detail=f"largest deviation: {deviation:.3f} points")  # fmt: skip
    others = runs.where(seed=set(runs.table["seed"]) - {2})
    gain = others.compare("train/accuracy", "hidden_size", ENOUGH, FEW)
    yield from above(
        gain, MARGIN, UNIT, f"{ENOUGH} units are more accurate than {FEW}", role="extension", scope="training points"
    )
    for size in (20, MANY):
        change = others.compare("test/accuracy", "hidden_size", size, ENOUGH)
        yield from within(change, MARGIN, UNIT, f"{size} units are as accurate as {ENOUGH} on fresh points",
                          role="extension", scope=f"{size} units, fresh points")  # fmt: skip
