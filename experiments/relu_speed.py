"""ReLU makes gradient descent faster, for its slope is 1 wherever z > 0, while those of sigmoid and tanh vanish.

Section: 6.2.2

Krizhevsky et al. (2012) reached their training error six times as fast with ReLU as with tanh; Glorot, Bordes & Bengio
(2011) found it better in deep networks. In one hidden layer with small weights nothing is saturated: tanh' starts near
1 on every sample, while ReLU passes only the half of them with z > 0, and sigmoid' is at most 1/4. So ReLU takes a
longer step than sigmoid, but longer than tanh only once inputs or weights make |z| large. Nor do slopes alone decide: on
the flower tanh stays far ahead after its mean slope has fallen below ReLU's.
"""

from collections.abc import Iterator

import pandas as pd

from shallowexp.claims.vocabulary import Atom, Page, Runs, below

LOSS = "train/loss"
JUDGED = 100  # steps
MARGIN, UNIT = 0.01, "nats"  # of training loss
RIVALS = ("sigmoid", "tanh")
SATURATED = 3  # scale of the weights
SHOWN = ("flower", "digits")


def task(frame: pd.DataFrame) -> pd.Series:
    """What a network was to learn, and from which weights where they were not small."""
    large = frame["init.scale"] == SATURATED
    return frame["data"].str.replace("_", " ") + large.map({True: f", weights x {SATURATED}", False: ""})


CARD = "flower"


def figure(runs: Runs) -> Page:
    """ReLU learns faster than sigmoid, but than tanh only where |z| is large; on the flower it is the slower one."""
    page = Page([[*SHOWN, "gaps"]], size=(14, 4.4), width_ratios=[1, 1, 1.2])
    for name in SHOWN:
        page.curves(name, runs.where(data=name), LOSS, by="activation")
        page[name].set(title=name, ylabel="training loss", ylim=(0, None))
    page.intervals("gaps", atoms(runs))
    page["gaps"].set_xscale("symlog", linthresh=0.03)
    page["gaps"].xaxis.set_major_formatter("{x:g}")
    page["gaps"].set(
        title=f"loss after {JUDGED} steps, ReLU minus", xlabel="nats of training loss; left: ReLU is faster"
    )
    return page


def atoms(runs: Runs) -> Iterator[Atom]:
    tasks = runs.label(task=task).at(JUDGED)
    for scale, role, why in ((0.01, "stated", ""), (SATURATED, "reason", ", where their slopes start flat")):
        gaps = tasks.where({"init.scale": scale}).compare(LOSS, "activation", "relu", RIVALS, pair=("task", "seed"))
        yield from below(gaps, MARGIN, UNIT, f"ReLU has a lower loss than {{activation}} after {JUDGED} steps{why}",
                         by=("task", "activation"), scope="{task} against {activation}", statement="16", role=role)  # fmt: skip
